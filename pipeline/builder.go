package pipeline

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// builder makes the documents of a plan; the same plan and software give the same bytes. It may be used by several goroutines.
type builder struct {
	archive  Reader
	decoder  *decoder
	log      *slog.Logger
	spoolDir string // private; for documents in the making
	software string // name and version, for manifests and documents
}

// build makes the documents of a plan, which is archived as planObject. The caller removes them.
func (b *builder) build(ctx context.Context, plan Plan, planObject session.Object) (*documents, error) {
	d, err := newDocuments(plan, b.spoolDir, b.software)
	if err != nil {
		return nil, err
	}
	if d.manifest, err = b.fill(ctx, d, planObject); err != nil {
		return nil, errors.Join(err, d.remove())
	}
	return d, nil
}

// fill writes the documents and says what they contain.
func (b *builder) fill(ctx context.Context, d *documents, planObject session.Object) (Manifest, error) {
	m := newManifest(d.plan, planObject, b.software)
	err := b.write(ctx, d)
	if err != nil {
		return m, err
	}
	m.Pages = append(m.Pages, d.pages...)
	if d.usable > 0 {
		obj, err := d.tiffFile.object(d.key(".tiff"))
		if err != nil {
			return m, err
		}
		m.TIFF = &obj
	}
	if m.PDF, err = d.pdfFile.object(d.key(".pdf")); err != nil {
		return m, err
	}
	if d.plan.Previous > 0 {
		previous, err := read(ctx, b.archive, revisionKey(d.plan.Session, d.plan.Previous, "manifest.json"), maxObject)
		if err != nil {
			return m, err
		}
		m.Previous = fmt.Sprintf("%x", sha256.Sum256(previous))
	}
	return m, nil
}

// write adds every page of the plan, in order, while the next ones are read and decoded.
func (b *builder) write(ctx context.Context, d *documents) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ahead := make(chan chan loaded, 2*b.decoder.atOnce()) // bounds the pages in memory
	spare := make(chan []byte, cap(ahead))                  // memory of originals that are written
	go func() {
		defer close(ahead)
		for _, f := range d.plan.Pages {
			c := make(chan loaded, 1)
			select {
			case ahead <- c:
				go func() { c <- b.load(ctx, f, spared(spare)) }()
			case <-ctx.Done():
				return
			}
		}
	}()
	expected := d.plan.Expected()
	for _, page := range expected {
		if reason, missing := d.plan.Missing[page]; missing {
			if err := d.slip(page, reason); err != nil {
				return err
			}
			continue
		}
		c, ok := <-ahead
		if !ok {
			return context.Cause(ctx)
		}
		p := <-c
		if p.err != nil {
			return p.err
		}
		if err := d.add(p); err != nil {
			return err
		}
		select {
		case spare <- p.original:
		default: // there are enough
		}
	}
	if len(expected) == 0 {
		if err := d.nothing(); err != nil {
			return err
		}
	}
	return d.close()
}

// spared gives memory that is not in use any more, or nil.
func spared(spare <-chan []byte) []byte {
	select {
	case buf := <-spare:
		return buf
	default:
		return nil
	}
}

// loaded is a page on its way into the documents.
type loaded struct {
	fact     session.PageArchived
	original []byte     // the file
	sidecar  string     // hex SHA-256; empty: there is none
	strip    tiff.Strip // may share the original's memory
	sum      string     // hex SHA-256 of the strip
	err      error
}

// load reads the archived original of a page, into buf where it has room, and what stands beside it.
func (b *builder) load(ctx context.Context, f session.PageArchived, buf []byte) loaded {
	l := b.loadPage(ctx, f, buf)
	if l.err != nil {
		return l
	}
	text, err := read(ctx, b.archive, sidecarKey(f.Original.Key), maxObject)
	switch {
	case err == nil:
		l.sidecar = fmt.Sprintf("%x", sha256.Sum256(text))
	case !errors.Is(err, fs.ErrNotExist): // a page is not lost for want of its sidecar: what it said is in the plan
		l.err = pageError{f.Page, err}
	}
	return l
}

// loadPage reads an original. A strip that the decoder found clean is copied, anything else decoded again and encoded.
func (b *builder) loadPage(ctx context.Context, f session.PageArchived, buf []byte) loaded {
	data, err := readObjectInto(ctx, b.archive, f.Original, buf)
	if err != nil {
		return loaded{err: pageError{f.Page, err}}
	}
	if strip := copied(f, data); strip != nil {
		return loaded{fact: f, original: data, strip: tiff.G4Strip(strip), sum: f.CleanStrip.SHA256}
	}
	m, err := b.decoder.page(ctx, data)
	fl, failed := errors.AsType[*failure](err)
	switch {
	case failed:
		return loaded{err: pageError{f.Page, fmt.Errorf("%s: %w: it was decoded before, now: %s", f.Original.Key, errAltered, fl.detail)}}
	case err != nil:
		return loaded{err: err}
	case m.sum != f.RasterSHA256:
		// The bytes are the same: another version of the decoder sees a damaged page differently. The manifest says what is in the document.
		b.log.Warn("page decodes differently than when it was archived", "session", f.Session, "page", f.Page, "key", f.Original.Key)
		now := origin{}.fact(m)
		f.RasterSHA256, f.Width, f.Height, f.BadRows, f.LongestBad = now.RasterSHA256, now.Width, now.Height, now.BadRows, now.LongestBad
		f.XResolution, f.YResolution = now.XResolution, now.YResolution
	}
	strip, err := m.Strip()
	return loaded{fact: f, original: data, strip: strip, sum: fmt.Sprintf("%x", sha256.Sum256(strip.Bytes())), err: err}
}
