package session

import (
	"slices"
	"time"
)

// The two images of a page between which a person chooses.
const (
	ImageStreamed = "streamed" // the page as it was fetched by itself
	ImageFile     = "file"     // the page of the whole file
)

// Choice is the decision of a person about a page whose streamed image and whose image in the whole file differ.
type Choice struct {
	Page   int       `json:"page"`
	Image  string    `json:"image"` // ImageStreamed or ImageFile: the one that counts
	By     string    `json:"by"`
	Why    string    `json:"why"`
	At     time.Time `json:"at"`
	Report Object    `json:"report"` // the report that found the difference; set by the ledger
}

// chosen returns the pages with a choice.
func (s *State) chosen() Ranges {
	var pages Ranges
	for _, c := range s.Choices {
		pages = pages.Add(c.Page)
	}
	return pages
}

// Disputed returns the streamed pages that differ from the whole file and about which nobody has decided.
func (s *State) Disputed() Ranges {
	return s.Differing.Intersect(s.streamed()).Minus(s.chosen())
}

// Judging reports whether a streamed page is compared with the whole file and this ledger does not have the verdict yet: whether an image
// must be chosen is open.
func (s *State) Judging(page int) bool {
	return s.VerdictN < s.WholeN && s.Comparing.Has(page) && s.streamed().Has(page) && !s.chosen().Has(page)
}

// Difference returns the name of a page's difference, as the comparison found it; empty if it has none.
func (s *State) Difference(page int) string {
	for name, pages := range s.Differences {
		if pages.Has(page) {
			return name
		}
	}
	return ""
}

// Dispute notes that a report found a page different, while a ledger is restored from the archive.
func (s *State) Dispute(report Object, page int, difference string) {
	s.Differing = s.Differing.Add(page)
	s.Disputes = append(without(s.Disputes, Span(page, page)), Repairs{Report: report, Pages: Span(page, page)})
	if difference != "" {
		if s.Differences == nil {
			s.Differences = map[string]Ranges{}
		}
		s.Differences[difference] = s.Differences[difference].Add(page)
	}
}

// dispute stores the differences of a verdict. Choices about other images of these pages do not count any more.
func (s *State) dispute(f DocVerified) {
	s.Disputes = without(s.Disputes, f.Compared)
	if len(f.Differing) > 0 {
		s.Disputes = append(s.Disputes, Repairs{Report: f.Report, Pages: f.Differing})
	}
	for name, pages := range s.Differences {
		if pages = pages.Minus(f.Compared); len(pages) == 0 {
			delete(s.Differences, name)
		} else {
			s.Differences[name] = pages
		}
	}
	for name, pages := range f.Differences {
		if s.Differences == nil {
			s.Differences = map[string]Ranges{}
		}
		s.Differences[name] = s.Differences[name].Union(pages)
	}
	old := s.Choices
	s.Choices = nil
	for _, c := range old {
		if !f.Compared.Has(c.Page) || f.Differing.Has(c.Page) && c.Report == f.Report {
			s.choose(c)
		}
	}
}

// choose makes one image of a differing page count. A page that does not differ has nothing to choose.
func (s *State) choose(c Choice) {
	i := slices.IndexFunc(s.Disputes, func(d Repairs) bool { return d.Pages.Has(c.Page) })
	if i < 0 || c.Image != ImageStreamed && c.Image != ImageFile {
		return
	}
	c.Report = s.Disputes[i].Report
	s.Choices = slices.DeleteFunc(s.Choices, func(old Choice) bool { return old.Page == c.Page })
	s.Choices = append(s.Choices, c)
	slices.SortFunc(s.Choices, func(a, b Choice) int { return a.Page - b.Page })
	page := Span(c.Page, c.Page)
	s.unrepair(page)
	if c.Image == ImageFile {
		s.Repairs = append(s.Repairs, Repairs{Report: c.Report, Pages: page, Chosen: true})
	}
}

func choicesText(choices []Choice) string {
	text := ""
	for _, c := range choices {
		text += c.Report.SHA256 + ":" + rangesText(Span(c.Page, c.Page)) + c.Image + ";"
	}
	return text
}
