package intake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/stage"
)

// Facts records facts.
type Facts interface {
	// RecordFact returns when the fact is durable. stored is the payload that was on its subject before, nil if there was none. It may be
	// repeated.
	RecordFact(ctx context.Context, f session.Fact) (seq uint64, stored []byte, err error)
}

// Pages archives, decodes and publishes pages. The page worker, the whole-file worker and replays share it.
type Pages struct {
	Facts   Facts
	Archive archive.Store
	Decoder *Decoder
	Observe stage.Observer
}

// timed runs f as one stage and reports how long it took, also if f returns a *Failure.
func (p *Pages) timed(ctx context.Context, name string, o Origin, f func() error) error {
	start := time.Now()
	err := f()
	if _, failed := errors.AsType[*Failure](err); err == nil || failed {
		p.Observe(ctx, stage.Step{Stage: name, Session: o.Session, Page: o.Page, Took: time.Since(start)})
	}
	return err
}

// ArchiveBody archives the bytes of a page, before they are decoded. kind is archive.KindOriginal or archive.KindCut. existed: the same
// bytes are there already.
func (p *Pages) ArchiveBody(ctx context.Context, o Origin, b *Body, kind string) (obj session.Object, existed bool, err error) {
	err = p.timed(ctx, stage.Archive, o, func() error {
		obj, existed, err = b.create(ctx, p.Archive, o, archive.PageKey(o.Session, o.Page, b.SHA256(), kind), "")
		return err
	})
	return obj, existed, err
}

// ArchiveRejected archives the bytes that failed a check, f.Body. obj is nil if there are none. again: exactly these bytes came before.
func (p *Pages) ArchiveRejected(ctx context.Context, o Origin, f *Failure) (obj *session.Object, again bool, err error) {
	if f.Body == nil || f.Body.Size() == 0 {
		return nil, false, nil
	}
	key := archive.PageKey(o.Session, o.Page, f.Body.SHA256(), archive.KindRejected)
	rejected, again, err := f.Body.create(ctx, p.Archive, o, key, f.Reason)
	return &rejected, again, err
}

// create archives a Body under key, with its sidecar.
func (b *Body) create(ctx context.Context, a archive.Store, o Origin, key string, reason session.Reason) (session.Object, bool, error) {
	obj := archive.NewObject(key, b.Size(), b.SHA256())
	existed, err := archive.CreateFile(ctx, a, b.Reader(), b.SHA256(), o.Sidecar(obj, reason))
	return obj, existed, err
}

// ArchiveWhole archives a whole file. Without a reason it is the fax's, else it was rejected. existed: the same bytes are there already.
func (p *Pages) ArchiveWhole(ctx context.Context, o Origin, b *Body, reason session.Reason) (obj session.Object, existed bool, err error) {
	key := archive.WholeFileKey(o.Session, b.SHA256())
	if reason != "" {
		key = archive.RejectedWholeFileKey(o.Session, b.SHA256())
	}
	return b.create(ctx, p.Archive, o, key, reason)
}

// Decode runs decode as a stage. Its errors are those of Decoder.Page.
func (p *Pages) Decode(ctx context.Context, o Origin, decode func() (Image, error)) (m Image, err error) {
	err = p.timed(ctx, stage.Decode, o, func() error {
		m, err = decode()
		return err
	})
	return m, err
}

// Publish archives the PNG and records page.archived. If the page was published before with other pixels, it records page.amended too.
func (p *Pages) Publish(ctx context.Context, o Origin, original session.Object, m Image) error {
	f, err := p.ArchivePNG(ctx, o, original, m)
	if err != nil {
		return err
	}
	return p.timed(ctx, stage.Publish, o, func() error { return p.record(ctx, f) })
}

// ArchivePNG archives the PNG of a decoded page and returns the fact of the page, which is not recorded yet.
func (p *Pages) ArchivePNG(ctx context.Context, o Origin, original session.Object, m Image) (session.PageArchived, error) {
	release, err := p.Decoder.slots.Take(ctx) // else the pages of a backlog, many at once, would slow down a fresh one
	if err != nil {
		return session.PageArchived{}, err
	}
	upright, tones := m.Upright()
	image := p.Decoder.NewBody()
	defer image.Close()
	err = png(image, upright, tones)
	quality := session.Quality(upright.Quality())
	release()
	if err != nil {
		return session.PageArchived{}, err
	}
	sum := image.SHA256()
	pngObject := archive.NewObject(archive.PageKey(o.Session, o.Page, sum, archive.KindPNG), image.Size(), sum)
	err = p.timed(ctx, stage.Archive, o, func() error {
		_, err := archive.CreateFrom(ctx, p.Archive, pngObject.Key, image.Reader(), image.Size(), sum)
		return err
	})
	f := o.Fact(m)
	f.Original, f.PNG, f.Quality = original, pngObject, &quality
	return f, err
}

func (p *Pages) record(ctx context.Context, f session.PageArchived) error {
	_, stored, err := p.Facts.RecordFact(ctx, f)
	if err != nil || stored == nil {
		return err
	}
	var first session.PageArchived
	if err := json.Unmarshal(stored, &first); err != nil {
		return fmt.Errorf("stored fact %s: %w", f.Subject(), err)
	}
	if first.RasterSHA256 == f.RasterSHA256 {
		return nil
	}
	_, _, err = p.Facts.RecordFact(ctx, session.PageAmended{PageArchived: f})
	return err
}

// Found is an archived page and its image.
type Found struct {
	Object session.Object
	Image  Image
	Body   *Body // the bytes, which the image may use; the caller must close it
}

// Lookup returns the best archived page of one kind that can be decoded, nil if there is none. So a crash between the archive and the
// fact of a page costs no second fetch. Of several, one at a time is in memory, and the best one is decoded once more.
func (p *Pages) Lookup(ctx context.Context, o Origin, kind string) (*Found, error) {
	var keys []string
	for key, err := range p.Archive.List(ctx, archive.PagePrefix(o.Session, o.Page), "") {
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", archive.PagePrefix(o.Session, o.Page), err)
		}
		if archive.IsKind(key, kind) {
			keys = append(keys, key)
		}
	}
	if len(keys) > 1 {
		best, err := p.best(ctx, o, keys)
		if err != nil {
			return nil, err
		}
		keys = best
	}
	if len(keys) == 0 {
		return nil, nil
	}
	return p.find(ctx, o, keys[0])
}

// best returns the best of the keys, or none.
func (p *Pages) best(ctx context.Context, o Origin, keys []string) (best []string, err error) {
	var first rank
	for _, key := range keys {
		inner, free := p.Decoder.Lease(ctx)
		found, err := p.find(inner, o, key)
		if err == nil && found != nil {
			if r := found.Image.rank(); best == nil || r.better(first) {
				best, first = []string{key}, r
			}
			found.Image.Release()
			err = found.Body.Close()
		}
		free()
		if err != nil {
			return nil, err
		}
	}
	return best, nil
}

// find reads and decodes an archived page, nil if it cannot be decoded.
func (p *Pages) find(ctx context.Context, o Origin, key string) (*Found, error) {
	b, err := p.Decoder.readKey(ctx, p.Archive, key)
	if err != nil {
		return nil, err
	}
	m, err := p.Decode(ctx, o, func() (Image, error) { return p.Decoder.PageIn(ctx, b) })
	if _, failed := errors.AsType[*Failure](err); failed {
		return nil, b.Close()
	}
	if err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return &Found{archive.NewObject(key, b.Size(), b.SHA256()), m, b}, nil
}
