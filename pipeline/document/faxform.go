package document

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/ccitt"
	"github.com/faxstream/faxstream/pipeline/intake"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// FaxForms makes documents in the form in which fax programs send them: TIFF Class F (RFC 2306), every page bilevel and of a width and
// resolution of fax machines (raster.Page.FaxForm). document.tiff keeps gray, colour and other sizes, and such programs stop at the first
// page of these or fail. It may be used by several goroutines; each Make needs the memory of one page.
type FaxForms struct {
	Archive    archive.Reader
	Decoder    *intake.Decoder
	ScratchDir string // private
}

// Make makes the form of the document that a manifest describes, from the originals of its pages. Missing pages are left out, as in
// document.tiff. The same manifest and software give the same bytes. The caller must close the file, which deletes it; sum is its hex
// SHA-256. An error matches archive.Lost if an original is missing or altered, tiff.ErrMalformed if no page is usable.
func (f FaxForms) Make(ctx context.Context, manifest session.Object) (file io.ReadSeekCloser, sum string, err error) {
	m, err := archive.ReadJSON[archive.Manifest](ctx, f.Archive, manifest)
	if err != nil {
		return nil, "", err
	}
	s, err := newScratch(f.ScratchDir)
	if err != nil {
		return nil, "", err
	}
	if err = f.write(ctx, tiff.NewWriter(s), m); err == nil {
		var o session.Object
		if o, err = s.object(func(string) string { return "" }); err == nil {
			_, err = s.f.Seek(0, io.SeekStart)
			sum = o.SHA256
		}
	}
	if err != nil {
		return nil, "", errors.Join(err, s.remove())
	}
	return form{s.f, s}, sum, nil
}

// form is a finished file.
type form struct {
	*os.File
	s *scratch
}

func (f form) Close() error { return f.s.remove() }

func (f FaxForms) write(ctx context.Context, w *tiff.Writer, m archive.Manifest) error {
	pages := slices.DeleteFunc(slices.Clone(m.Pages), func(p archive.ManifestPage) bool { return p.Original == nil })
	for i, p := range pages {
		meta := tiff.PageMeta{
			Page: i + 1, Pages: len(pages), DateTime: dated(m.StartTime), Description: fmt.Sprintf("fax %s page %d", m.Session, p.Page),
		}
		if err := f.writePage(ctx, w, *p.Original, meta); err != nil {
			return archive.PageError{Page: p.Page, Err: err}
		}
	}
	return w.Close()
}

// writePage writes one page of the form; meta has what does not depend on its rows.
func (f FaxForms) writePage(ctx context.Context, w *tiff.Writer, original session.Object, meta tiff.PageMeta) (err error) {
	ctx, free := f.Decoder.Lease(ctx)
	defer free()
	b, err := f.Decoder.Read(ctx, f.Archive, original)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	decoded, err := f.Decoder.PageIn(ctx, b)
	if fl, ok := errors.AsType[*intake.Failure](err); ok {
		err = fmt.Errorf("%s: %w: it could be decoded before, now it cannot: %s", original.Key, archive.ErrAltered, fl.Detail)
	}
	if err != nil {
		return err
	}
	defer decoded.Release()
	rows, strip := faxForm(decoded)
	rows.Page, rows.Pages, rows.DateTime, rows.Description = meta.Page, meta.Pages, meta.DateTime, meta.Description
	_, err = w.AddPage(rows, strip)
	return err
}

// faxForm codes a page, or copies its strip if that is clean and the page keeps its pixels. The rows that the receiver repaired are counted
// only where the rows are the same.
func faxForm(m intake.Image) (tiff.PageMeta, tiff.Strip) {
	upright, _ := m.Upright()
	p := upright.FaxForm()
	meta := tiff.PageMeta{Width: p.Width, Height: p.Height, XRes: p.XRes, YRes: p.YRes}
	same := &p.Pix[0] == &m.Raster.Pix[0]
	if bad := m.CountBadRows(); same && m.Tones == nil && bad > 0 {
		meta.BadFaxLines, meta.ConsecutiveBadFaxLines, meta.CleanFaxData = bad, m.LongestBadRun, 1
	}
	if same && m.CleanG4 != nil {
		return meta, tiff.G4Strip(m.CleanG4)
	}
	return meta, tiff.G4Strip(ccitt.AppendG4(nil, p.Pix, p.Width, p.Height, p.Stride))
}
