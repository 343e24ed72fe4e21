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

// files writes TIFF and PDF of a fax at the same time, page by page: memory does not grow with the number of pages.
type files struct {
	sheets
	tiffFile *scratch
	tiff     *tiff.Writer
	usable   int // pages in the TIFF so far
}

func newFiles(plan archive.Plan, dir string, meta pdf.Meta) (f files, err error) {
	if f.sheets, err = newSheets(plan, dir, meta); err != nil {
		return f, err
	}
	if f.tiffFile, err = newScratch(dir); err != nil {
		return f, errors.Join(err, f.pdfFile.remove())
	}
	f.tiff = tiff.NewWriter(f.tiffFile)
	return f, nil
}

// page writes a usable page of the fax. Both documents get the same bytes of its strip.
func (f *files) page(page int, meta tiff.PageMeta, strip tiff.Strip) (tiffOffset, pdfOffset int64, err error) {
	f.usable++
	meta.DateTime = f.date
	meta.Description = fmt.Sprintf("fax %s page %d", f.plan.Session, page)
	if tiffOffset, err = f.tiff.AddPage(meta, strip); err == nil {
		pdfOffset, err = f.image(pdf.ImagePage{
			Width: meta.Width, Height: meta.Height, XRes: meta.XRes, YRes: meta.YRes, Orientation: int(meta.Orientation),
			Strip: strip.Bytes(), Samples: strip.Samples(), Label: strconv.Itoa(page),
		})
	}
	if err != nil {
		return 0, 0, archive.PageError{Page: page, Err: err}
	}
	return tiffOffset, pdfOffset, nil
}

// close finishes both files.
func (f *files) close() error {
	if err := f.pdf.Close(); err != nil {
		return err
	}
	f.pdfFile.end()
	if f.usable == 0 {
		return nil
	}
	err := f.tiff.Close()
	f.tiffFile.end()
	return err
}

// Remove deletes the files of the documents.
func (f *files) Remove() error { return errors.Join(f.tiffFile.remove(), f.pdfFile.remove()) }

// Documents are the TIFF and the PDF of a plan.
type Documents struct {
	files
	pages    []archive.ManifestPage
	Manifest archive.Manifest // of the finished documents; not signed
}

func newDocuments(plan archive.Plan, dir, software string) (*Documents, error) {
	f, err := newFiles(plan, dir, about(plan, software))
	return &Documents{files: f}, err
}

// key names a document by its hash.
func (d *Documents) key(ext string) func(h string) string {
	return func(h string) string { return archive.RevisionKey(d.plan.Session, d.plan.Revision, "document."+h+ext) }
}

// add writes a usable page.
func (d *Documents) add(l loaded) (err error) {
	f := l.fact
	p := archive.NewManifestPage(f)
	p.Sidecar, p.StripSHA256, p.StripSize, p.Samples = l.sidecar, l.sum, len(l.strip.Bytes()), l.strip.Samples()
	p.TIFFOffset, p.PDFOffset, err = d.page(f.Page, intake.PageMeta(f, d.usable+1, len(d.plan.Pages)), l.strip)
	if err != nil {
		return err
	}
	d.pages = append(d.pages, p)
	return nil
}

// slip writes a sheet for a missing page. Only the PDF has it.
func (d *Documents) slip(page int, reason session.Reason) error {
	d.pages = append(d.pages, archive.ManifestPage{Page: page, Status: session.PageStatusMissing, Reason: reason})
	return d.sheets.slip(page, reason)
}
