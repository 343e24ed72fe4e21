package document

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/intake"
	"github.com/faxstream/faxstream/pipeline/pdf"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// Documents writes the TIFF and the PDF of a plan at the same time, page by page: memory does not grow with the number of pages.
type Documents struct {
	sheets
	tiffFile *spool
	tiff     *tiff.Writer
	usable   int // pages in the TIFF so far
	pages    []archive.ManifestPage
	Manifest archive.Manifest // of the finished documents; not signed
}

func newDocuments(plan archive.Plan, dir, software string) (*Documents, error) {
	d := &Documents{}
	var err error
	if d.sheets, err = newSheets(plan, dir, about(plan, software)); err != nil {
		return nil, err
	}
	if d.tiffFile, err = newSpool(dir); err != nil {
		return nil, errors.Join(err, d.pdfFile.remove())
	}
	d.tiff = tiff.NewWriter(d.tiffFile)
	return d, nil
}

// key names a document by its hash.
func (d *Documents) key(ext string) func(h string) string {
	return func(h string) string { return archive.RevisionKey(d.plan.Session, d.plan.Revision, "document."+h+ext) }
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
	if p.PDFOffset, err = d.image(pdf.ImagePage{
		Width: f.Width, Height: f.Height, XRes: meta.XRes, YRes: meta.YRes, Orientation: f.Orientation,
		Strip: l.strip.Bytes(), Samples: l.strip.Samples(), Label: strconv.Itoa(f.Page),
	}); err != nil {
		return archive.PageError{Page: f.Page, Err: err}
	}
	d.pages = append(d.pages, p)
	return nil
}

// slip writes a sheet for a missing page. Only the PDF has it.
func (d *Documents) slip(page int, reason session.Reason) error {
	d.pages = append(d.pages, archive.ManifestPage{Page: page, Status: session.PageStatusMissing, Reason: reason})
	return d.sheets.slip(page, reason)
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
