package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/faxstream/faxstream/pipeline/session"
)

// Stages as they are named in facts, metrics and Steps.
const (
	stageAnnounce = "announce"
	stageFetch    = "fetch"
	stageArchive  = "archive"
	stageDecode   = "decode"
	stagePublish  = "publish"
	stageCollect  = "collect"
	stageWhole    = "whole"
	stageVerify   = "verify"
	stageAssemble = "assemble"
)

// Step is one thing that was done, for metrics and for people who watch.
type Step struct {
	Stage   string
	Session string
	Page    int           // 0: not of one page
	Took    time.Duration // 0: an instant
	Reason  session.Reason
}

// Facts records facts.
type Facts0 interface {
	// RecordFact returns once the fact is durable; stored is the payload that was on its subject before, nil if none was. It may be repeated.
	RecordFact(ctx context.Context, f session.Fact) (seq uint64, stored []byte, err error)
}

// pages turns bytes into archived, decoded and published pages. The page worker and the whole-file worker share it.
type pages struct {
	facts   Facts0
	archive Archive
	decoder *decoder
	observe func(Step)
}

// origin says whose bytes they are and how they came.
type origin struct {
	session   string
	page      int
	from, to  string
	toToken   string
	eventTime time.Time
	source    string
	body      string // SHA-256 of the announcing webhook
}

func (o origin) sidecar(obj session.Object, reason session.Reason) Sidecar {
	return Sidecar{
		Session: o.session, Page: o.page, From: o.from, To: o.to, EventTime: o.eventTime, BodySHA256: o.body,
		Source: o.source, Reason: reason, Object: obj,
	}
}

// fact describes a decoded page, without its objects.
func (o origin) fact(m image) session.PageArchived {
	f := session.PageArchived{
		Session: o.session, Page: o.page, From: o.from, To: o.to, ToToken: o.toToken, Source: o.source, RasterSHA256: m.sum,
		Width: m.Raster.Width, Height: m.Raster.Height, XResolution: m.Raster.XRes, YResolution: m.Raster.YRes,
		Coding: m.Coding, BadRows: badRows(m), LongestBad: m.LongestBadRun, EventTime: o.eventTime, BodySHA256: o.body,
	}
	if m.Tones != nil {
		f.Samples = m.Tones.Samples
	}
	if m.CleanG4 != nil {
		f.CleanStrip = &session.Strip{Size: len(m.CleanG4), SHA256: fmt.Sprintf("%x", sha256.Sum256(m.CleanG4))}
	}
	return f
}

// timed runs f as one stage and reports how long it took, also where it says that bytes are no page.
func (p *pages) timed(name string, o origin, f func() error) error {
	start := time.Now()
	err := f()
	if _, failed := errors.AsType[*failure](err); err == nil || failed {
		p.observe(Step{Stage: name, Session: o.session, Page: o.page, Took: time.Since(start)})
	}
	return err
}

// keepOriginal archives a page's bytes, before anything decodes them.
func (p *pages) keepOriginal(ctx context.Context, o origin, data []byte, kind string) (obj session.Object, err error) {
	err = p.timed(stageArchive, o, func() error {
		sum := sha256.Sum256(data)
		obj = object(pageKey(o.session, o.page, sum, kind), int64(len(data)), sum)
		_, err := keep(ctx, p.archive, data, sum, o.sidecar(obj, ""))
		return err
	})
	return obj, err
}

// reject keeps bytes that are no page; again reports that exactly these came before.
func (p *pages) reject(ctx context.Context, o origin, f *failure) (obj *session.Object, again bool, err error) {
	if len(f.body) == 0 {
		return nil, false, nil
	}
	sum := sha256.Sum256(f.body)
	kept := object(pageKey(o.session, o.page, sum, kindRejected), int64(len(f.body)), sum)
	again, err = keep(ctx, p.archive, f.body, sum, o.sidecar(kept, f.reason))
	return &kept, again, err
}

// decode runs one decoding as a stage; its errors are those of the decoder.
func (p *pages) decode(o origin, decode func() (image, error)) (m image, err error) {
	err = p.timed(stageDecode, o, func() error {
		m, err = decode()
		return err
	})
	return m, err
}

// publish archives the PNG and tells the world. A page that was published before with another image is amended.
func (p *pages) publish(ctx context.Context, o origin, original session.Object, m image) error {
	f, err := p.withPNG(ctx, o, original, m)
	if err != nil {
		return err
	}
	return p.timed(stagePublish, o, func() error { return p.record(ctx, f) })
}

// withPNG archives the PNG and gives the fact of a page.
func (p *pages) withPNG(ctx context.Context, o origin, original session.Object, m image) (session.PageArchived, error) {
	pngData, err := png(m)
	if err != nil {
		return session.PageArchived{}, err
	}
	sum := sha256.Sum256(pngData)
	pngObject := object(pageKey(o.session, o.page, sum, kindPNG), int64(len(pngData)), sum)
	err = p.timed(stageArchive, o, func() error {
		_, err := createSum(ctx, p.archive, pngObject.Key, pngData, sum)
		return err
	})
	f := o.fact(m)
	quality := session.Quality(m.Raster.Quality())
	f.Original, f.PNG, f.Quality = original, pngObject, &quality
	return f, err
}

func (p *pages) record(ctx context.Context, f session.PageArchived) error {
	_, stored, err := p.facts.RecordFact(ctx, f)
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
	_, _, err = p.facts.RecordFact(ctx, session.PageAmended{PageArchived: f})
	return err
}

// found is a page object that an earlier try left.
type found struct {
	object session.Object
	image  image
}

// lookup returns the best page of one source that is already archived and decodes, nil if there is none.
// It makes a page that crashed between its archive and its event cost no second fetch.
func (p *pages) lookup(ctx context.Context, o origin, kind string) (*found, error) {
	var best *found
	for key, err := range p.archive.List(ctx, pagePrefix(o.session, o.page), "") {
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", pagePrefix(o.session, o.page), err)
		}
		if !isKind(key, kind) {
			continue
		}
		data, err := read(ctx, p.archive, key, maxObject)
		if err != nil {
			return nil, err
		}
		m, err := p.decode(o, func() (image, error) { return p.decoder.page(ctx, data) })
		if _, failed := errors.AsType[*failure](err); failed {
			continue
		}
		if err != nil {
			return nil, err
		}
		if best == nil || better(m, best.image) {
			best = &found{object(key, int64(len(data)), sha256.Sum256(data)), m}
		}
	}
	return best, nil
}
