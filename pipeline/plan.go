package pipeline

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"time"

	"github.com/faxstream/faxstream/pipeline/session"
)

// Plan is everything that one revision of a document is made of. It is written create-only before anything reads a page;
// the first writer wins, and the documents are a function of it and of the software's version.
type Plan struct {
	Session   string                 `json:"session"`
	Direction string                 `json:"direction"`
	Revision  int                    `json:"revision"`
	Previous  int                    `json:"previous,omitempty"` // the newest revision before this one that has a manifest; 0: none
	From      string                 `json:"from"`
	To        string                 `json:"to"`
	ToToken   string                 `json:"to_token"`
	Status    string                 `json:"status"`
	Reason    string                 `json:"reason,omitempty"`
	StartTime time.Time              `json:"start_time,omitzero"` // the provider's, else the lowest page's event time
	Indexed   time.Time              `json:"indexed"`             // the day under which the fax is listed
	Close     *session.Closed        `json:"close,omitempty"`
	Missing   session.PageReasons    `json:"missing,omitempty"`
	Pages     []session.PageArchived `json:"pages"` // ascending

	// Verification is what comparing with the whole file had come to when the order was made; Reports are where Pages come
	// from that it has repaired.
	Verification string           `json:"verification"`
	Reports      []session.Object `json:"reports,omitempty"`
}

// errNoFact: the order counts on a page fact that the stream does not give yet.
var errNoFact = errors.New("the fact of an ordered page cannot be read yet")

// newPlan joins an order with the facts of its pages. ordered is when the order was stored.
func newPlan(r session.DocReady, facts map[int]session.PageArchived, ordered time.Time) (Plan, error) {
	p := Plan{
		Session: r.Session, Direction: r.Direction, Revision: r.Revision, Previous: r.Previous, From: r.From, To: r.To, ToToken: r.ToToken,
		Status: r.Status, Reason: r.Reason, Close: r.Close, Missing: r.Missing, Pages: []session.PageArchived{},
		Verification: r.Verification,
	}
	for _, repair := range r.Repairs {
		p.Reports = append(p.Reports, repair.Report)
	}
	for page := range r.Pages.All() {
		f, ok := facts[page]
		if !ok {
			return Plan{}, pageError{page, errNoFact}
		}
		p.Pages = append(p.Pages, f)
	}
	if r.Close != nil {
		p.StartTime = r.Close.StartTime
	}
	if p.StartTime.IsZero() && len(p.Pages) > 0 {
		p.StartTime = p.Pages[0].EventTime
	}
	p.Indexed = p.StartTime
	if p.Indexed.Before(firstFax) || p.Indexed.After(ordered.Add(clocksApart)) {
		p.Indexed = ordered.UTC()
	}
	return p, nil
}

// A start outside of these is a clock's error: the fax is listed under the day of its order, where people look for it.
var firstFax = time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC)

const clocksApart = 48 * time.Hour

// Expected is the number of every page of the document, there or missing, ascending.
func (p Plan) Expected() []int {
	pages := slices.Collect(maps.Keys(p.Missing))
	for _, f := range p.Pages {
		pages = append(pages, f.Page)
	}
	slices.Sort(pages)
	return pages
}

// Manifest is the commit point of a revision and the proof of what it contains.
type Manifest struct {
	Session   string         `json:"session"`
	Direction string         `json:"direction"`
	Revision  int            `json:"revision"`
	From      string         `json:"from"`
	To        string         `json:"to"`
	ToToken   string         `json:"to_token"`
	Status    string         `json:"status"`
	Reason    string         `json:"reason,omitempty"`
	Verified  bool           `json:"verified"` // every page has the pixels of the whole file
	StartTime time.Time      `json:"start_time,omitzero"`
	Facts     []AcceptedFact `json:"facts"` // by subject
	Pages     []ManifestPage `json:"pages"` // ascending
	Plan      session.Object `json:"plan"`

	Verification string           `json:"verification"` // none, pending, verified, differs or unavailable when the revision was ordered
	Reports      []session.Object `json:"reports,omitempty"`

	TIFF     *session.Object `json:"document_tiff,omitempty"` // nil: no usable page
	PDF      session.Object  `json:"document_pdf"`
	Previous string          `json:"previous_manifest_sha256,omitempty"`
	Software string          `json:"software"`

	Signature *Signature `json:"signature,omitempty"` // the last field; nil: no key was configured
}

// AcceptedFact is a webhook that the document rests on.
type AcceptedFact struct {
	Subject    string `json:"subject"`
	BodySHA256 string `json:"body_sha256"`
}

// ManifestPage is one page of the document.
type ManifestPage struct {
	Page         int              `json:"page"`
	Status       string           `json:"status"`           // archived or missing
	Source       string           `json:"source,omitempty"` // fetch or whole_file
	Reason       session.Reason   `json:"reason,omitempty"` // of a missing page
	Original     *session.Object  `json:"original,omitempty"`
	Sidecar      string           `json:"sidecar_sha256,omitempty"` // of what stands beside the original; absent: nothing does
	PNG          *session.Object  `json:"png,omitempty"`
	RasterSHA256 string           `json:"raster_sha256,omitempty"`
	Width        int              `json:"width,omitempty"` // pixels
	Height       int              `json:"height,omitempty"`
	XResolution  float64          `json:"x_resolution,omitempty"` // pixels per inch
	YResolution  float64          `json:"y_resolution,omitempty"`
	Samples      int              `json:"samples,omitempty"` // of 8 bits a pixel: 1 gray, 3 colour (Deflate, plain TIFF 6.0); absent: bilevel (Group 4, TIFF Class F)
	BadRows      int              `json:"bad_rows"`
	LongestBad   int              `json:"longest_bad_run"`
	Quality      *session.Quality `json:"quality,omitempty"`      // absent: the page was archived by a version that did not measure it
	StripSHA256  string           `json:"strip_sha256,omitempty"` // the strip, the same in both documents
	StripSize    int              `json:"strip_size,omitempty"`
	TIFFOffset   int64            `json:"tiff_offset,omitempty"`
	PDFOffset    int64            `json:"pdf_offset,omitempty"`
}

// newManifestPage is what a page's fact says of it; its strip and where that stands come from the documents.
func newManifestPage(f session.PageArchived) ManifestPage {
	return ManifestPage{
		Page: f.Page, Status: session.PageStatusArchived, Source: f.Source, Original: &f.Original, PNG: &f.PNG,
		RasterSHA256: f.RasterSHA256, Width: f.Width, Height: f.Height, XResolution: f.XResolution, YResolution: f.YResolution,
		BadRows: f.BadRows, LongestBad: f.LongestBad, Quality: f.Quality, Samples: f.Samples,
	}
}

// newManifest is what a plan alone says of its revision; pages and documents are added as they are made.
func newManifest(p Plan, plan session.Object, software string) Manifest {
	return Manifest{
		Session: p.Session, Direction: p.Direction, Revision: p.Revision, From: p.From, To: p.To, ToToken: p.ToToken,
		Status: p.Status, Reason: p.Reason, Verified: p.Verification == session.VerificationVerified,
		Verification: p.Verification, Reports: p.Reports, StartTime: p.StartTime, Facts: p.facts(), Pages: []ManifestPage{}, Plan: plan, Software: software,
	}
}

func (m Manifest) missing() int {
	n := 0
	for _, p := range m.Pages {
		if p.Status == session.PageStatusMissing {
			n++
		}
	}
	return n
}

// event is what is published of a manifest; it is a function of it alone.
func (m Manifest) event(self session.Object) session.DocAssembled {
	return session.DocAssembled{
		Session: m.Session, Direction: m.Direction, ToToken: m.ToToken, Revision: m.Revision, From: m.From, To: m.To,
		Status: m.Status, Reason: m.Reason, Pages: len(m.Pages), Missing: m.missing(), TIFF: m.TIFF, PDF: m.PDF, Manifest: self,
	}
}

// commit writes data, the JSON of v, under key, create-only. It returns the bytes that stand there: ours, or the first writer's,
// which v is set to.
func commit[T any](ctx context.Context, a Archive, key string, data []byte, v *T) ([]byte, error) {
	existed, err := create(ctx, a, key, data)
	if err != nil || !existed {
		return data, err
	}
	_, data, err = load(ctx, a, key, v)
	return data, err
}

// load reads JSON into v; ok is false where there is no such object.
func load[T any](ctx context.Context, a Archive, key string, v *T) (ok bool, data []byte, err error) {
	data, err = read(ctx, a, key)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil, nil
	}
	if err != nil {
		return false, nil, err
	}
	var fresh T
	err = bounded(data)
	if err == nil {
		err = json.Unmarshal(data, &fresh)
	}
	if err != nil {
		return false, nil, fmt.Errorf("read %s: %w: %w", key, errUnreadable, err)
	}
	*v = fresh
	return true, data, nil
}

// facts lists the webhooks that the plan rests on, by subject.
func (p Plan) facts() []AcceptedFact {
	facts := []AcceptedFact{}
	if p.Close != nil {
		facts = append(facts, AcceptedFact{p.Close.Subject(), p.Close.BodySHA256})
	}
	for _, f := range p.Pages {
		if f.BodySHA256 != "" {
			facts = append(facts, AcceptedFact{session.PageAnnounced{Session: p.Session, Page: f.Page}.Subject(), f.BodySHA256})
		}
	}
	slices.SortFunc(facts, func(a, b AcceptedFact) int { return cmp.Compare(a.Subject, b.Subject) })
	return facts
}
