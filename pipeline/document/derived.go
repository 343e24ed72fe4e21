package document

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/ccitt"
	"github.com/faxstream/faxstream/pipeline/intake"
	"github.com/faxstream/faxstream/pipeline/pdf"
	"github.com/faxstream/faxstream/pipeline/raster"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// Deriver makes derived documents: TIFF and PDF of chosen pages of a revision, some of them turned. The strips of the other pages are those
// of the revision, byte for byte. A turned page has upright pixels, because many readers of TIFF ignore Orientation. It may be used by
// several goroutines. Each Make needs the memory of plan, manifest and one page.
type Deriver struct {
	Archive    archive.Reader
	Decoder    *intake.Decoder
	ScratchDir string // private; for unfinished documents
	Software   string // name and version
}

// Derivative is a derived document in private files, and its record.
type Derivative struct {
	files
	Record archive.Derived
}

// Make makes the document that a record orders: of the record, only what the order says is read, from Session to At. The same order,
// manifest and software give the same bytes. The caller must call Remove. An error matches archive.Lost if an object is missing or altered,
// Unbuildable if the document can never be made.
func (b Deriver) Make(ctx context.Context, order archive.Derived) (*Derivative, error) {
	m, err := archive.ReadJSON[archive.Manifest](ctx, b.Archive, order.Manifest)
	if err != nil {
		return nil, err
	}
	plan, err := archive.ReadJSON[archive.Plan](ctx, b.Archive, m.Plan)
	if err != nil {
		return nil, err
	}
	usable, err := derivable(m, order.Order)
	if err != nil {
		return nil, err
	}
	meta := about(plan, b.Software)
	meta.Title = "Fax " + m.Session + ", " + order.Order.Text()
	meta.Subject = fmt.Sprintf("Derived from revision %d. %s", m.Revision, meta.Subject)
	d := &Derivative{Record: order}
	d.Record.ToToken, d.Record.Revision, d.Record.Software, d.Record.Pages = m.ToToken, m.Revision, b.Software, []archive.DerivedPage{}
	if d.files, err = newFiles(plan, b.ScratchDir, meta); err != nil {
		return nil, err
	}
	if err := b.fill(ctx, d, m, usable); err != nil {
		return nil, errors.Join(err, d.Remove())
	}
	return d, nil
}

// maxTurned is the width of the widest page of a TIFF that readers take, pixels: that of package tiff.
const maxTurned = 20_000

// derivable returns how many usable pages an order takes from a revision.
func derivable(m archive.Manifest, o session.Derivation) (usable int, err error) {
	if err := o.Check(); err != nil {
		return 0, fmt.Errorf("%w: %w", pdf.ErrInput, err)
	}
	var all session.Ranges
	for _, p := range m.Pages {
		all = all.Add(p.Page)
		length := p.Height // of the side that becomes the width
		if p.Orientation >= 5 {
			length = p.Width
		}
		if o.Turn(p.Page)%180 != 0 && length > maxTurned {
			return 0, fmt.Errorf("%w: page %d has %d rows, and a page is turned right or left if it has at most %d: leave it, or turn it over",
				pdf.ErrInput, p.Page, length, maxTurned)
		}
		if p.Status == session.PageStatusArchived && o.Pages.Has(p.Page) {
			usable++
		}
	}
	switch {
	case o.Revision != m.Revision:
		return 0, fmt.Errorf("%w: the order is about revision %d, the manifest about %d", pdf.ErrInput, o.Revision, m.Revision)
	case len(o.Pages.Minus(all)) > 0:
		return 0, fmt.Errorf("%w: revision %d does not have %s", pdf.ErrInput, m.Revision, o.Pages.Minus(all).Text())
	case usable == 0:
		return 0, fmt.Errorf("%w: none of its pages is usable", pdf.ErrInput)
	}
	return usable, nil
}

// fill writes both documents and names them in their record. The strips come from document.pdf, in one pass.
func (b Deriver) fill(ctx context.Context, d *Derivative, m archive.Manifest, usable int) (err error) {
	source, _, err := b.Archive.Open(ctx, m.PDF.Key)
	if err != nil {
		return fmt.Errorf("read %s: %w", m.PDF.Key, err)
	}
	defer source.Close()
	strips := stripReader{r: source, key: m.PDF.Key}
	for _, p := range m.Pages {
		switch {
		case !d.Record.Order.Pages.Has(p.Page):
			continue
		case p.Status != session.PageStatusArchived:
			d.Record.Pages = append(d.Record.Pages, archive.DerivedPage{Page: p.Page, Reason: p.Reason})
			err = d.slip(p.Page, p.Reason)
		default:
			err = b.sheet(ctx, d, p, &strips, usable)
		}
		if err != nil {
			return err
		}
	}
	if err := d.close(); err != nil {
		return err
	}
	r := &d.Record
	if r.TIFF, err = d.tiffFile.object(derivedKey(m, "tiff")); err != nil {
		return err
	}
	r.PDF, err = d.pdfFile.object(derivedKey(m, "pdf"))
	return err
}

// derivedKey names a document by its hash.
func derivedKey(m archive.Manifest, kind string) func(h string) string {
	return func(h string) string { return archive.DerivedKey(m.Session, m.Revision, h, kind) }
}

// sheet writes one usable page.
func (b Deriver) sheet(ctx context.Context, d *Derivative, p archive.ManifestPage, strips *stripReader, usable int) error {
	data, err := strips.next(p)
	if err != nil {
		return archive.PageError{Page: p.Page, Err: err}
	}
	strip := tiff.CodedStrip(data, p.Samples)
	meta := intake.PageMeta(session.PageArchived{
		Width: p.Width, Height: p.Height, XResolution: p.XResolution, YResolution: p.YResolution, Samples: p.Samples,
		Orientation: p.Orientation, BadRows: p.BadRows, LongestBad: p.LongestBad, Received: p.Received,
	}, d.usable+1, usable)
	q := archive.DerivedPage{
		Page: p.Page, Source: p.StripSHA256, RasterSHA256: p.RasterSHA256, StripSHA256: p.StripSHA256, Turned: d.Record.Order.Turn(p.Page),
	}
	if q.Turned != 0 {
		if strip, q.RasterSHA256, err = b.turn(ctx, strip, &meta, q.Turned); err != nil {
			return archive.PageError{Page: p.Page, Err: err}
		}
		q.StripSHA256 = fmt.Sprintf("%x", sha256.Sum256(strip.Bytes()))
	}
	q.Width, q.Height, q.StripSize = meta.Width, meta.Height, len(strip.Bytes())
	if q.TIFFOffset, q.PDFOffset, err = d.page(p.Page, meta, strip); err != nil {
		return err
	}
	d.Record.Pages = append(d.Record.Pages, q)
	return nil
}

// turn makes the page of a strip upright and turns it by 90, 180 or 270 degrees, clockwise. meta, which describes the page, then describes
// the turned one. sum is the hex SHA-256 of its pixels.
func (b Deriver) turn(ctx context.Context, s tiff.Strip, meta *tiff.PageMeta, degrees int) (turned tiff.Strip, sum string, err error) {
	ctx, free := b.Decoder.Lease(ctx)
	defer free()
	pixels := int64(meta.Width) * int64(meta.Height) * int64(max(8*s.Samples(), 1)) / 8
	if err := b.Decoder.Reserve(ctx, 4*pixels+int64(len(s.Bytes()))); err != nil { // decoded, upright, turned, coded
		return s, "", err
	}
	var file bytes.Buffer
	w := tiff.NewWriter(&file)
	if _, err = w.AddPage(*meta, s); err == nil {
		err = w.Close()
	}
	if err != nil {
		return s, "", err
	}
	m, err := b.Decoder.Page(ctx, file.Bytes())
	if fl, failed := errors.AsType[*intake.Failure](err); failed {
		return s, "", fmt.Errorf("%w: its strip cannot be decoded: %s", archive.ErrAltered, fl.Detail)
	}
	if err != nil {
		return s, "", err
	}
	defer m.Release()
	page, tones := m.Upright()
	how := map[int]raster.Orientation{90: 6, 180: 3, 270: 8}[degrees] // of an image that is upright when it is turned so
	if (m.Orientation >= 5) != (degrees != 180) {
		meta.XRes, meta.YRes = meta.YRes, meta.XRes
	}
	meta.Orientation = raster.Upright
	if degrees != 180 || m.Orientation >= 5 {
		meta.BadFaxLines, meta.ConsecutiveBadFaxLines = 0, 0 // rows that are not rows any more
	}
	if tones != nil {
		tones = tones.Upright(how)
		meta.Width, meta.Height, sum = tones.Width, tones.Height, fmt.Sprintf("%x", tones.SHA256())
		turned, err = tiff.TonesStrip(tones)
		return turned, sum, err
	}
	page = page.Upright(how)
	meta.Width, meta.Height = page.Width, page.Height
	return tiff.G4Strip(ccitt.AppendG4(nil, page.Pix, page.Width, page.Height, page.Stride)), fmt.Sprintf("%x", page.SHA256()), nil
}
