package document

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"image"
	"io"
	"strconv"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/intake"
	"github.com/faxstream/faxstream/pipeline/pdf"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/text"
)

// Layers makes PDFs with a text layer (PDF/A-2u): the sheets of document.pdf, with its strips byte for byte, and over each image the words
// that an OCR engine found, invisible. It may be used by several goroutines. Each Make needs the memory of one strip and one text.
type Layers struct {
	Archive    archive.Reader
	ScratchDir string // private; for unfinished documents
	Software   string // name and version
}

// Layered is a PDF with a text layer in a private file, and its record.
type Layered struct {
	sheets
	Record archive.Searchable // without At
}

// Make makes the PDF of a revision that a manifest describes, whose usable pages have these texts: one for each, ascending, without
// offsets. The same manifest, texts and software give the same bytes. The caller must call Remove. An error matches archive.Lost if an
// object is missing or altered, Unbuildable if the PDF can never be made.
func (l Layers) Make(ctx context.Context, manifest session.Object, texts []archive.SearchablePage) (*Layered, error) {
	m, err := archive.ReadJSON[archive.Manifest](ctx, l.Archive, manifest)
	if err != nil {
		return nil, err
	}
	plan, err := archive.ReadJSON[archive.Plan](ctx, l.Archive, m.Plan)
	if err != nil {
		return nil, err
	}
	meta := about(plan, l.Software)
	meta.Unicode = true
	d := &Layered{Record: archive.Searchable{
		Session: m.Session, ToToken: m.ToToken, Revision: m.Revision, Manifest: manifest, Pages: []archive.SearchablePage{},
		Software: l.Software,
	}}
	if d.sheets, err = newSheets(plan, l.ScratchDir, meta); err != nil {
		return nil, err
	}
	if err := l.fill(ctx, d, m, texts); err != nil {
		return nil, errors.Join(err, d.Remove())
	}
	return d, nil
}

// Remove deletes the file of the PDF.
func (d *Layered) Remove() error { return d.pdfFile.remove() }

// fill writes the PDF and names it in its record.
func (l Layers) fill(ctx context.Context, d *Layered, m archive.Manifest, texts []archive.SearchablePage) (err error) {
	source, _, err := l.Archive.Open(ctx, m.PDF.Key)
	if err != nil {
		return fmt.Errorf("read %s: %w", m.PDF.Key, err)
	}
	defer source.Close()
	strips := stripReader{r: source, key: m.PDF.Key}
	for _, p := range m.Pages {
		if p.Status != session.PageStatusArchived {
			if err := d.slip(p.Page, p.Reason); err != nil {
				return err
			}
			continue
		}
		if len(texts) == 0 || texts[0].Page != p.Page {
			return fmt.Errorf("%w: page %d has no text", pdf.ErrInput, p.Page)
		}
		if err := l.sheet(ctx, d, p, &strips, texts[0]); err != nil {
			return archive.PageError{Page: p.Page, Err: err}
		}
		texts = texts[1:]
	}
	if err := d.pdf.Close(); err != nil {
		return err
	}
	d.Record.PDF, err = d.pdfFile.object(func(h string) string {
		return archive.SearchableKey(m.Session, m.Revision, h, "pdf")
	})
	return err
}

// sheet writes one usable page.
func (l Layers) sheet(ctx context.Context, d *Layered, p archive.ManifestPage, strips *stripReader, t archive.SearchablePage) error {
	strip, err := strips.next(p)
	if err != nil {
		return err
	}
	data, err := archive.ReadObject(ctx, l.Archive, t.Words)
	if err != nil {
		return err
	}
	words, err := archive.ParseText(data)
	if err != nil {
		return fmt.Errorf("read %s: %w", t.Words.Key, err)
	}
	meta := intake.PageMeta(session.PageArchived{
		Width: p.Width, Height: p.Height, XResolution: p.XResolution, YResolution: p.YResolution, Samples: p.Samples,
	}, 1, 1)
	t.PDFOffset, err = d.image(pdf.ImagePage{
		Width: p.Width, Height: p.Height, XRes: meta.XRes, YRes: meta.YRes, Orientation: p.Orientation,
		Strip: strip, Samples: p.Samples, Label: strconv.Itoa(p.Page), Words: layer(words.Words, p),
	})
	d.Record.Pages = append(d.Record.Pages, t)
	return err
}

// layer places the words of a page on its image.
func layer(words []text.Word, p archive.ManifestPage) []pdf.Word {
	placed := text.Spread(words, text.Image{Width: p.Width, Height: p.Height, Orientation: p.Orientation})
	out := make([]pdf.Word, len(placed))
	for i, w := range placed {
		out[i] = pdf.Word{Text: w.Text, Box: image.Rect(w.Box.Left, w.Box.Top, w.Box.Right, w.Box.Bottom)}
	}
	return out
}

// stripReader reads the strips of a document's pages, in their order.
type stripReader struct {
	r   io.Reader
	key string
	at  int64 // offset in the document
}

// next reads the strip of a page. The memory is new: the page is not written yet when the next one is read.
func (s *stripReader) next(p archive.ManifestPage) ([]byte, error) {
	gap := p.PDFOffset - s.at
	if gap < 0 || p.StripSize < 1 || p.StripSize > archive.MaxObject {
		return nil, fmt.Errorf("%s: %w: the manifest names no place of the strip", s.key, archive.ErrAltered)
	}
	if _, err := io.CopyN(io.Discard, s.r, gap); err != nil {
		return nil, s.failed(err)
	}
	strip := make([]byte, p.StripSize)
	if _, err := io.ReadFull(s.r, strip); err != nil {
		return nil, s.failed(err)
	}
	s.at = p.PDFOffset + int64(p.StripSize)
	if sum := sha256.Sum256(strip); fmt.Sprintf("%x", sum) != p.StripSHA256 {
		return nil, fmt.Errorf("%s: %w: the strip at %d has SHA-256 %x, want %s", s.key, archive.ErrAltered, p.PDFOffset, sum, p.StripSHA256)
	}
	return strip, nil
}

func (s *stripReader) failed(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("%w: it ends before the strip", archive.ErrAltered)
	}
	return fmt.Errorf("read %s: %w", s.key, err)
}
