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

// Documents writes the TIFF and the PDF of a plan at the same time, page by page: memory does not grow with the number of pages.
type Documents struct {
	plan     archive.Plan
	date     time.Time // of the fax, as it is in both documents; zero: none
	tiffFile *spool
	pdfFile  *spool
	tiff     *tiff.Writer
	pdf      *pdf.Writer
	usable   int // pages in the TIFF so far
	width    float64
	height   float64 // of a slip sheet, points: as the last page of ordinary size, or the first one if none was added yet; 0: letter
	pages    []archive.ManifestPage
	Manifest archive.Manifest // of the finished documents; not signed
}

func newDocuments(plan archive.Plan, dir, software string) (*Documents, error) {
	d := &Documents{plan: plan, date: dated(plan.StartTime)}
	for _, f := range plan.Pages {
		if d.takeAfter(intake.PageMeta(f, 1, 1)); d.width > 0 {
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

// about is the metadata of the PDF. It has nothing that differs in another revision of the same pages, and nothing from the clock.
func (d *Documents) about(software string) pdf.Meta {
	plan := d.plan
	m := pdf.Meta{
		Title: "Fax " + plan.Session, Author: plan.From, Producer: software, Created: d.date,
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

// add writes a usable page. Both documents get the same bytes of its strip.
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
		Width: f.Width, Height: f.Height, XRes: meta.XRes, YRes: meta.YRes, Orientation: f.Orientation,
		Strip: l.strip.Bytes(), Samples: l.strip.Samples(), Label: strconv.Itoa(f.Page),
	}); err != nil {
		return archive.PageError{Page: f.Page, Err: err}
	}
	d.takeAfter(meta)
	d.pages = append(d.pages, p)
	return nil
}

// takeAfter gives the next slip sheets the size of a page, unless text does not fit on such a sheet.
func (d *Documents) takeAfter(page tiff.PageMeta) {
	w, h := float64(page.Width)/page.XRes*72, float64(page.Height)/page.YRes*72
	if page.Orientation >= 5 {
		w, h = h, w
	}
	if readable(w) && readable(h) {
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

// Remove deletes the files of the documents.
func (d *Documents) Remove() error { return errors.Join(d.tiffFile.remove(), d.pdfFile.remove()) }
