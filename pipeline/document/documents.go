package document

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/intake"
	"github.com/faxstream/faxstream/pipeline/pdf"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// Documents writes the TIFF and the PDF of a plan side by side, forward only: memory does not grow with the pages.
type Documents struct {
	plan     archive.Plan
	date     time.Time // of the fax, as both documents say it; zero: none
	tiffFile *spool
	pdfFile  *spool
	tiff     *tiff.Writer
	pdf      *pdf.Writer
	usable   int // pages in the TIFF so far
	width    float64
	height   float64 // of the last page of ordinary size, points, at first the first one's; a slip sheet takes after it; 0: letter
	pages    []archive.ManifestPage
	Manifest archive.Manifest // when they are made; not signed
}

func newDocuments(plan archive.Plan, dir, software string) (*Documents, error) {
	d := &Documents{plan: plan, date: dated(plan.StartTime)}
	for _, f := range plan.Pages {
		if d.takeAfter(f); d.width > 0 {
			break
		}
	}
	var err error
	if d.tiffFile, err = newSpool(dir); err != nil {
		return nil, err
	}
	if d.pdfFile, err = newSpool(dir); err != nil {
		return nil, errors.Join(err, d.tiffFile.remove())
	}
	d.tiff = tiff.NewWriter(d.tiffFile)
	d.pdf = pdf.NewWriter(d.pdfFile, d.about(software))
	return d, nil
}

// key names a document by its hash.
func (d *Documents) key(ext string) func(h string) string {
	return func(h string) string { return archive.RevisionKey(d.plan.Session, d.plan.Revision, "document."+h+ext) }
}

// about is what the PDF says of itself: nothing that another revision of the same pages, or the clock, would change.
func (d *Documents) about(software string) pdf.Meta {
	plan := d.plan
	m := pdf.Meta{
		Title: "Fax " + plan.Session, Author: plan.From, Producer: software, Created: d.date,
		Subject: fmt.Sprintf("From %s to %s, pages: %d", orUnknown(plan.From), orUnknown(plan.To), len(plan.Pages)+len(plan.Missing)),
	}
	if plan.Status == session.StatusPartial {
		m.Title += " (partial: " + plan.Reason + ")"
	}
	if len(plan.Missing) > 0 {
		m.Subject += fmt.Sprintf(", of which missing: %d", len(plan.Missing))
	}
	return m
}

// dated is t, or no time if it has not the four digits of a year that the documents have room for.
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

// add writes a usable page; its strip goes into both documents byte for byte.
func (d *Documents) add(l loaded) error {
	f := l.fact
	p := archive.NewManifestPage(f)
	p.Sidecar, p.StripSHA256, p.StripSize, p.Samples = l.sidecar, l.sum, len(l.strip.Bytes()), l.strip.Samples()
	d.usable++
	meta := intake.PageMeta(f, d.usable, len(d.plan.Pages))
	meta.DateTime = d.date
	meta.Description = fmt.Sprintf("fax %s page %d", d.plan.Session, f.Page)
	var err error
	if p.TIFFOffset, err = d.tiff.AddPage(meta, l.strip); err != nil {
		return archive.PageError{Page: f.Page, Err: err}
	}
	if p.PDFOffset, err = d.pdf.AddImage(pdf.ImagePage{
		Width: f.Width, Height: f.Height, XRes: meta.XRes, YRes: meta.YRes, Strip: l.strip.Bytes(), Samples: l.strip.Samples(), Label: strconv.Itoa(f.Page),
	}); err != nil {
		return archive.PageError{Page: f.Page, Err: err}
	}
	d.takeAfter(f)
	d.pages = append(d.pages, p)
	return nil
}

// takeAfter gives the slip sheets behind a page its size, unless it is too short or too long for words.
func (d *Documents) takeAfter(f session.PageArchived) {
	meta := intake.PageMeta(f, 1, 1)
	if w, h := float64(meta.Width)/meta.XRes*72, float64(meta.Height)/meta.YRes*72; readable(w) && readable(h) {
		d.width, d.height = w, h
	}
}

// close finishes both files.
func (d *Documents) close() error {
	if err := d.pdf.Close(); err != nil {
		return err
	}
	if d.usable == 0 {
		return nil
	}
	return d.tiff.Close()
}

func (d *Documents) Remove() error { return errors.Join(d.tiffFile.remove(), d.pdfFile.remove()) }
