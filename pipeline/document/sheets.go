package document

import (
	"fmt"
	"time"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/intake"
	"github.com/faxstream/faxstream/pipeline/pdf"
	"github.com/faxstream/faxstream/pipeline/session"
)

// sheets writes the PDF of a plan: a sheet for each page.
type sheets struct {
	plan    archive.Plan
	date    time.Time // of the fax, as it is in the documents; zero: none
	pdfFile *scratch
	pdf     *pdf.Writer
	width   float64
	height  float64 // of a slip sheet, points: as the last page of ordinary size, or the first one if none was added yet; 0: letter
}

func newSheets(plan archive.Plan, dir string, meta pdf.Meta) (sheets, error) {
	s := sheets{plan: plan, date: meta.Created}
	for _, f := range plan.Pages {
		m := intake.PageMeta(f, 1, 1)
		if s.takeAfter(m.Width, m.Height, m.XRes, m.YRes, f.Orientation); s.width > 0 {
			break
		}
	}
	var err error
	if s.pdfFile, err = newScratch(dir); err != nil {
		return s, err
	}
	s.pdf = pdf.NewWriter(s.pdfFile, meta)
	return s, nil
}

// about is the metadata of the PDF. It has nothing that differs in another revision of the same pages, and nothing from the clock.
func about(plan archive.Plan, software string) pdf.Meta {
	m := pdf.Meta{
		Title: "Fax " + plan.Session, Author: plan.From, Producer: software, Created: dated(plan.StartTime),
		Subject: fmt.Sprintf("From %s to %s, pages: %d", orUnknown(plan.From), orUnknown(plan.To), len(plan.Pages)+len(plan.Missing)),
	}
	if plan.Status == session.StatusPartial {
		m.Title += ", partial: " + plan.Reason
	}
	if plan.Reason == session.RecoveredBeyond {
		m.Subject += fmt.Sprintf(", the provider counts %d", plan.Close.Pages)
	}
	if len(plan.Missing) > 0 {
		m.Subject += fmt.Sprintf(", of which missing: %d", len(plan.Missing))
	}
	return m
}

// image writes the sheet of a usable page, and returns the offset of its strip.
func (s *sheets) image(p pdf.ImagePage) (offset int64, err error) {
	if offset, err = s.pdf.AddImage(p); err == nil {
		s.takeAfter(p.Width, p.Height, p.XRes, p.YRes, p.Orientation)
	}
	return offset, err
}

// takeAfter gives the next slip sheets the size of a page, unless text does not fit on such a sheet. The size is in pixels, the resolution
// in pixels per inch, both of the page as stored.
func (s *sheets) takeAfter(width, height int, xres, yres float64, orientation int) {
	w, h := float64(width)/xres*72, float64(height)/yres*72
	if orientation >= 5 {
		w, h = h, w
	}
	if readable(w) && readable(h) {
		s.width, s.height = w, h
	}
}

// dated returns t in UTC, or the zero time if its year does not have the four digits that the documents need.
func dated(t time.Time) time.Time {
	if y := t.UTC().Year(); y < 1 || y > 9999 {
		return time.Time{}
	}
	return t.UTC()
}

func orUnknown(s string) string {
	if s == "" {
		return "an unknown number"
	}
	return s
}
