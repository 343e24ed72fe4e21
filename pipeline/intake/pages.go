package intake

import (
	"context"
	"crypto/sha256"
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
	Observe func(stage.Step)
}

// timed runs f as one stage and reports how long it took, also if f returns a *Failure.
func (p *Pages) timed(name string, o Origin, f func() error) error {
	start := time.Now()
	err := f()
	if _, failed := errors.AsType[*Failure](err); err == nil || failed {
		p.Observe(stage.Step{Stage: name, Session: o.Session, Page: o.Page, Took: time.Since(start)})
	}
	return err
}

// ArchiveOriginal archives the bytes of a page, before they are decoded. kind is archive.KindOriginal or archive.KindCut.
func (p *Pages) ArchiveOriginal(ctx context.Context, o Origin, data []byte, kind string) (obj session.Object, err error) {
	err = p.timed(stage.Archive, o, func() error {
		sum := sha256.Sum256(data)
		obj = archive.NewObject(archive.PageKey(o.Session, o.Page, sum, kind), int64(len(data)), sum)
		_, err := archive.CreateFile(ctx, p.Archive, data, sum, o.Sidecar(obj, ""))
		return err
	})
	return obj, err
}

// ArchiveRejected archives the bytes that failed a check, f.Body. obj is nil if there are none. again: exactly these bytes came before.
func (p *Pages) ArchiveRejected(ctx context.Context, o Origin, f *Failure) (obj *session.Object, again bool, err error) {
	if len(f.Body) == 0 {
		return nil, false, nil
	}
	sum := sha256.Sum256(f.Body)
	rejected := archive.NewObject(archive.PageKey(o.Session, o.Page, sum, archive.KindRejected), int64(len(f.Body)), sum)
	again, err = archive.CreateFile(ctx, p.Archive, f.Body, sum, o.Sidecar(rejected, f.Reason))
	return &rejected, again, err
}

// Decode runs decode as a stage. Its errors are those of Decoder.Page.
func (p *Pages) Decode(o Origin, decode func() (Image, error)) (m Image, err error) {
	err = p.timed(stage.Decode, o, func() error {
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
	return p.timed(stage.Publish, o, func() error { return p.record(ctx, f) })
}

// ArchivePNG archives the PNG of a decoded page and returns the fact of the page, which is not recorded yet.
func (p *Pages) ArchivePNG(ctx context.Context, o Origin, original session.Object, m Image) (session.PageArchived, error) {
	upright, tones := m.Upright()
	pngData, err := png(upright, tones)
	if err != nil {
		return session.PageArchived{}, err
	}
	sum := sha256.Sum256(pngData)
	pngObject := archive.NewObject(archive.PageKey(o.Session, o.Page, sum, archive.KindPNG), int64(len(pngData)), sum)
	err = p.timed(stage.Archive, o, func() error {
		_, err := archive.CreateSum(ctx, p.Archive, pngObject.Key, pngData, sum)
		return err
	})
	f := o.Fact(m)
	quality := session.Quality(upright.Quality())
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
}

// Lookup returns the best archived page of one kind that can be decoded, nil if there is none. So a crash between the archive and the
// fact of a page costs no second fetch.
func (p *Pages) Lookup(ctx context.Context, o Origin, kind string) (*Found, error) {
	var best *Found
	for key, err := range p.Archive.List(ctx, archive.PagePrefix(o.Session, o.Page), "") {
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", archive.PagePrefix(o.Session, o.Page), err)
		}
		if !archive.IsKind(key, kind) {
			continue
		}
		data, err := archive.Read(ctx, p.Archive, key, archive.MaxObject)
		if err != nil {
			return nil, err
		}
		m, err := p.Decode(o, func() (Image, error) { return p.Decoder.Page(ctx, data) })
		if _, failed := errors.AsType[*Failure](err); failed {
			continue
		}
		if err != nil {
			return nil, err
		}
		if best != nil && !better(m, best.Image) {
			m.Release()
			continue
		}
		if best != nil {
			best.Image.Release()
		}
		best = &Found{archive.NewObject(key, int64(len(data)), sha256.Sum256(data)), m}
	}
	return best, nil
}
