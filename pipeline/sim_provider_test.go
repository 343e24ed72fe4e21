package pipeline

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/faxstream/faxstream/pipeline/fetch"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// refusal is a provider's error.
type refusal struct {
	reason session.Reason
	body   []byte
	wait   time.Duration
}

func (r refusal) Error() string                  { return "the provider says " + string(r.reason) }
func (r refusal) FetchReason() session.Reason    { return r.reason }
func (r refusal) FetchKept() bool                { return r.body != nil }
func (r refusal) FetchRetryAfter() time.Duration { return r.wait }

// provider serves one fax with its faults.
type provider struct {
	*fax
	w *world
}

func (f *fax) provider(w *world) provider { return provider{f, w} }

// gone is the answer to every request while the provider is down or the token is invalid.
func (p provider) gone() error {
	switch now := time.Now(); {
	case p.outage.has(now):
		return refusal{reason: session.ReasonUnavailable}
	case p.token.has(now):
		return refusal{reason: session.ReasonUnauthorized}
	}
	return nil
}

// Probe is no operation: a gate holds its mutex meanwhile, and a goroutine that waits for a mutex keeps synctest from telling that
// all are blocked.
func (p provider) Probe(context.Context) error { return p.gone() }

// knows reports whether the provider takes an id for this fax: its session's, or that of its lists.
func (p provider) knows(id string) bool { return id == p.id || id == p.listed() }

// Outcome is the provider's record of the fax.
func (p provider) Outcome(ctx context.Context, id string) (closed *session.Closed, open bool, err error) {
	err = p.w.perform(ctx, "provider", "get record", false, func() error {
		if err := p.gone(); err != nil {
			return err
		}
		if !p.knows(id) || p.record == nil {
			return refusal{reason: session.ReasonNotYet}
		}
		if open = time.Now().Before(p.ends); !open {
			c := *p.record
			closed = &c
		}
		return nil
	})
	return closed, open, err
}

// send writes what a provider answers, also the bytes of a refusal.
func send(into fetch.File, data []byte, err error) error {
	if r, ok := errors.AsType[refusal](err); ok {
		data = r.body
	}
	if _, werr := into.Write(data); werr != nil {
		return werr
	}
	return err
}

func (p provider) Page(ctx context.Context, id string, page int, into fetch.File) error {
	var data []byte
	err := p.w.perform(ctx, "provider", fmt.Sprintf("get page %d", page), false, func() (err error) {
		if err := p.gone(); err != nil {
			return err
		}
		switch {
		case !p.policy.Streaming:
			return refusal{reason: session.ReasonNoPagePath}
		case !p.knows(id) || page > len(p.pages):
			return refusal{reason: session.ReasonNotYet}
		}
		if _, ok := handlingOf(ctx).found[page]; ok {
			p.w.broken("page %d is fetched again, though it is in the archive", page)
		}
		data, err = p.pages[page-1].get(p.w.rng, p.w.announced()[page])
		return err
	})
	return send(into, data, err)
}

func (p *sentPage) get(rng *rand.Rand, announced time.Time) ([]byte, error) {
	p.calls++
	switch p.mode {
	case pageSlow:
		if p.calls <= p.tries {
			return nil, p.refuse(rng)
		}
	case pageLate, pageTooLate:
		if time.Now().Before(announced.Add(p.wait)) {
			return nil, refusal{reason: session.ReasonNotYet, wait: time.Duration(rng.IntN(30)) * time.Second}
		}
	case pageNever:
		return nil, p.refuse(rng)
	case pageCut:
		if p.calls%2 == 0 { // the client saw that it was too short, or nobody said how long it is
			return nil, p.keep(refusal{reason: session.ReasonTruncated, body: p.other})
		}
		return p.serve(p.other), nil
	case pageMany, pageDamaged:
		return p.serve(p.other), nil
	case pageTwoFaced:
		if p.calls%2 == 0 {
			return p.serve(p.other), nil
		}
	}
	return p.serve(p.file), nil
}

// refuse is a "not yet"; what is cut is cut elsewhere every time.
func (p *sentPage) refuse(rng *rand.Rand) error {
	r := refusal{reason: p.why}
	switch p.why {
	case session.ReasonTruncated:
		r.body = p.file[:4+(p.calls*7+rng.IntN(7))%(len(p.file)-4)]
	case session.ReasonWrongType:
		r.body = []byte("<html>come back later</html>")
	case session.ReasonNotYet:
		r.wait = time.Duration(rng.IntN(30)) * time.Second
	}
	return p.keep(r)
}

func (p *sentPage) keep(r refusal) error {
	p.serve(r.body)
	return r
}

// serve notes the pixels of the answer's first page.
func (p *sentPage) serve(data []byte) []byte {
	if sum := rasterOf(data, 0); sum != "" {
		p.served[sum] = true
	}
	return data
}

// rasterOf is the raster hash of page i, from 0, of a TIFF; "" if there is none.
func rasterOf(data []byte, i int) string {
	d := decoded(data, i)
	if d == nil {
		return ""
	}
	return hash(d.Raster.SHA256())
}

func decoded(data []byte, i int) *tiff.Decoded {
	file, err := tiff.Parse(data, tiff.Limits{})
	if err != nil || i >= file.NumPages() {
		return nil
	}
	im, err := file.Page(i)
	if err != nil {
		return nil
	}
	d, err := im.Decode(context.Background())
	if err != nil {
		return nil
	}
	return d
}

func (p provider) File(ctx context.Context, id string, into fetch.File) error {
	var data []byte
	err := p.w.perform(ctx, "provider", "get file", false, func() (err error) {
		if err := p.gone(); err != nil {
			return err
		}
		if !p.knows(id) {
			return refusal{reason: session.ReasonNotYet}
		}
		data, err = p.whole.get(p.w.rng)
		return err
	})
	return send(into, data, err)
}

func (f *wholeFile) get(rng *rand.Rand) ([]byte, error) {
	f.calls++
	data := f.full
	switch {
	case f.never:
		return nil, refusal{reason: session.ReasonNotYet}
	case f.calls <= f.tries:
		switch rng.IntN(3) {
		case 0:
			return nil, refusal{reason: session.ReasonUnavailable}
		case 1:
			return nil, refusal{reason: session.ReasonNotYet, wait: 10 * time.Second}
		}
		return nil, refusal{reason: session.ReasonTruncated, body: data[:len(data)/2+rng.IntN(len(data)/2)]}
	case f.short < 0 || f.calls <= f.short:
		if f.cut == nil {
			return nil, refusal{reason: session.ReasonNotYet}
		}
		data = f.cut
	}
	f.serve(data)
	return data, nil
}

// serve notes the pixels of the answer's pages.
func (f *wholeFile) serve(data []byte) {
	file, err := tiff.Parse(data, tiff.Limits{})
	if err != nil {
		return
	}
	for i := range file.NumPages() {
		if i == len(f.rasters) {
			f.rasters = append(f.rasters, map[string]bool{})
		}
		if sum := rasterOf(data, i); sum != "" {
			f.rasters[i][sum] = true
		}
	}
}
