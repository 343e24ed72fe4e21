package faxplustest

import "github.com/faxstream/faxstream/pipeline/session"

// Truth is the result that a correct pipeline must have for a fax in the end.
type Truth struct {
	// Pages has the pages that must be usable. The image of a page must be the image of one of the listed files. No file:
	// the image is damaged and may be any.
	Pages    map[int][][]byte
	Missing  []int    // pages that must be missing, ascending; a page that is neither here nor in Pages may be usable or missing
	Statuses []string // statuses that the document may have
}

// Truth returns the right result for f, with its faults.
func (s *Server) Truth(f Fax) Truth {
	sent := f
	f = s.spoil(f)
	whole := f.Whole != nil && !f.has(WholeMissing) && !f.has(Foreign)
	counted := *f.PageCount
	if counted == 0 && whole {
		counted = len(f.Pages)
	}
	partial := f.Status != "success" || *f.PageCount == 0 && !whole
	if f.has(DropClose) { // the record closes it, where there is one
		counted = len(f.Pages)
		if f.has(Foreign) {
			counted, partial = s.lastAnnounced(f), true
		}
	}
	t, unsure := Truth{Pages: map[int][][]byte{}}, false
	for page := 1; page <= max(counted, len(f.Pages)); page++ {
		own := page <= len(f.Pages) && s.announced(f, page) && !f.has(Foreign) && !s.hits(f, GonePage, page)
		switch {
		case page > counted && !s.announced(f, page): // neither a webhook nor the count says that it exists
		case page <= len(f.Pages) && (whole || own && !s.halfForEver(f, page)):
			t.Pages[page] = s.images(sent, page, whole)
		case own: // half a page: whether it is usable depends on the place of its rows
			unsure = true
		default:
			t.Missing = append(t.Missing, page)
		}
	}
	switch {
	case partial || len(t.Missing) > 0:
		t.Statuses = []string{session.StatusPartial}
	case len(f.Faults) == 0:
		t.Statuses = []string{session.StatusComplete}
	default:
		t.Statuses = []string{session.StatusComplete, session.StatusRecovered}
		if unsure {
			t.Statuses = append(t.Statuses, session.StatusPartial)
		}
	}
	return t
}

func (s *Server) lastAnnounced(f Fax) int {
	page := len(f.Pages)
	for page > 0 && !s.announced(f, page) {
		page--
	}
	return page
}

// images returns the files whose images a page may have.
func (s *Server) images(f Fax, page int, whole bool) [][]byte {
	file := f.Pages[page-1]
	switch {
	case s.hits(f, Corrupted, page), s.halfForEver(f, page):
		return nil
	case s.hits(f, TwoAnswers, page), whole && f.has(WholeDiffers) && page == s.victim(f, WholeDiffers):
		return [][]byte{file, inverted(file, 0)}
	}
	return [][]byte{file}
}
