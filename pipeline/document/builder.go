package document

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/intake"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// Builder makes the documents of a plan. The same plan and software give the same bytes. It may be used by several goroutines.
type Builder struct {
	Archive    archive.Reader
	Decoder    *intake.Decoder
	Log        *slog.Logger
	ScratchDir string // private; for unfinished documents
	Software   string // name and version, for manifests and documents

	begin func(file *os.File, from, to int64) // of the archive that gets the documents; nil: none does
}

// Build makes the documents of a plan, which is archived as planObject. The caller must call Remove. An error matches Unbuildable if the
// documents can never be made, archive.Lost if an original is missing or altered.
func (b *Builder) Build(ctx context.Context, plan archive.Plan, planObject session.Object) (*Documents, error) {
	d, err := newDocuments(plan, b.ScratchDir, b.Software)
	if err != nil {
		return nil, err
	}
	d.pdfFile.begin, d.tiffFile.begin = b.begin, b.begin
	if d.Manifest, err = b.fill(ctx, d, planObject); err != nil {
		return nil, errors.Join(err, d.Remove())
	}
	return d, nil
}

// fill writes the documents and returns their manifest.
func (b *Builder) fill(ctx context.Context, d *Documents, planObject session.Object) (archive.Manifest, error) {
	m := archive.NewManifest(d.plan, planObject, b.Software)
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
		key := archive.RevisionKey(d.plan.Session, d.plan.Previous, "manifest.json")
		previous, err := archive.Read(ctx, b.Archive, key, archive.MaxObject)
		if err != nil {
			return m, err
		}
		m.Previous = fmt.Sprintf("%x", sha256.Sum256(previous))
	}
	return m, nil
}

// write adds every page of the plan, in order, while the next ones are read and decoded.
func (b *Builder) write(ctx context.Context, d *Documents) error {
	ctx, cancel := context.WithCancel(ctx)
	ahead := make(chan chan loaded, 2*b.Decoder.AtOnce()) // bounds the pages in memory
	spare := make(chan []byte, cap(ahead))                // memory of originals that are written
	go b.loadAll(ctx, d.plan.Pages, ahead, spare)
	defer func() {
		cancel()
		for c := range ahead { // after an error: their memory is given back
			(<-c).free()
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
			p.free()
			return p.err
		}
		err := d.add(p)
		p.free()
		if err != nil {
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

// loadAll loads pages, several at once. A page takes its memory before the pages behind it, and keeps it until it is written: so the page
// that is written next never waits for them.
func (b *Builder) loadAll(ctx context.Context, pages []session.PageArchived, ahead chan<- chan loaded, spare <-chan []byte) {
	defer close(ahead)
	for _, f := range pages {
		page, free := b.Decoder.Lease(ctx)
		err := b.Decoder.Reserve(page, memoryOf(f))
		if err != nil {
			free()
			return // ctx ended
		}
		c := make(chan loaded, 1)
		select {
		case ahead <- c:
		case <-ctx.Done():
			free()
			return
		}
		go func() {
			l := b.load(page, f, spared(spare))
			b.Decoder.Keep(page, int64(len(l.original)+len(l.strip.Bytes())))
			l.free = free
			c <- l
		}()
	}
}

// memoryOf is what a page takes until it is written, in bytes: its file, and if that cannot be copied, its rows and their new code.
func memoryOf(f session.PageArchived) int64 {
	if f.CleanStrip != nil {
		return f.Original.Size
	}
	return intake.MemoryOf(f) + int64(f.Width)*int64(f.Height)*int64(f.Samples)
}

// spared returns memory that is not used any more, or nil.
func spared(spare <-chan []byte) []byte {
	select {
	case buf := <-spare:
		return buf
	default:
		return nil
	}
}

// loaded is a page that is ready for the documents, or the reason why it is not.
type loaded struct {
	fact     session.PageArchived
	original []byte     // the file
	sidecar  string     // hex SHA-256 of the sidecar; empty: there is none
	strip    tiff.Strip // may share the original's memory
	sum      string     // hex SHA-256 of the strip
	err      error
	free     func() // gives back the memory of the page
}

// load reads the archived original of a page, into buf if buf is large enough, and hashes its sidecar.
func (b *Builder) load(ctx context.Context, f session.PageArchived, buf []byte) loaded {
	l := b.loadPage(ctx, f, buf)
	if l.err != nil {
		return l
	}
	text, err := archive.Read(ctx, b.Archive, archive.SidecarKey(f.Original.Key), archive.MaxObject)
	switch {
	case err == nil:
		l.sidecar = fmt.Sprintf("%x", sha256.Sum256(text))
	case !errors.Is(err, fs.ErrNotExist): // a page without its sidecar is not lost: the plan has the same information
		l.err = archive.PageError{Page: f.Page, Err: err}
	}
	return l
}

// loadPage reads an original. If the decoder found its strip clean, the strip is copied. Else the page is decoded and encoded again.
func (b *Builder) loadPage(ctx context.Context, f session.PageArchived, buf []byte) loaded {
	data, err := archive.ReadObjectInto(ctx, b.Archive, f.Original, buf)
	if err != nil {
		return loaded{err: archive.PageError{Page: f.Page, Err: err}}
	}
	if strip := copied(f, data); strip != nil {
		return loaded{fact: f, original: data, strip: tiff.G4Strip(strip), sum: f.CleanStrip.SHA256}
	}
	m, err := b.Decoder.Page(ctx, data)
	fl, failed := errors.AsType[*intake.Failure](err)
	switch {
	case failed:
		return loaded{err: archive.PageError{Page: f.Page, Err: fmt.Errorf(
			"%s: %w: it could be decoded before, now it cannot: %s", f.Original.Key, archive.ErrAltered, fl.Detail)}}
	case err != nil:
		return loaded{err: err}
	case m.SHA256 != f.RasterSHA256:
		// The bytes are the same, but this version of the decoder repairs a damaged page differently. The manifest says what is in the
		// document.
		b.Log.Warn("page has other pixels than when it was archived", "session", f.Session, "page", f.Page, "key", f.Original.Key)
		now := intake.Origin{}.Fact(m)
		f.RasterSHA256, f.Width, f.Height, f.BadRows, f.LongestBad = now.RasterSHA256, now.Width, now.Height, now.BadRows, now.LongestBad
		f.XResolution, f.YResolution = now.XResolution, now.YResolution
	}
	strip, err := m.Strip()
	m.Release()
	return loaded{fact: f, original: data, strip: strip, sum: fmt.Sprintf("%x", sha256.Sum256(strip.Bytes())), err: err}
}
