package pipeline

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/pdf"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// PageFacts reads what is known of pages.
type PageFacts interface {
	// PageFacts gives the page.archived facts of a session by page; one that cannot be read yet is absent.
	PageFacts(ctx context.Context, id string, pages session.Ranges) (map[int]session.PageArchived, error)
}

// assembler makes documents: plan, TIFF and PDF, manifest, event, in this order. Each is create-only, so that a crash or a
// second assembler anywhere between them leads to the same result; the manifest is the commit point.
type assembler struct {
	facts    Facts
	pages    PageFacts
	archive  Archive
	decoder  *decoder
	observe  func(Step)
	log      *slog.Logger
	spoolDir string
	software string
	key      ed25519.PrivateKey // signs manifests; nil: they are not signed
}

// maxAssemblies is after how many deliveries an order whose objects are gone or altered is given up.
const maxAssemblies = 4

// pageError says which page keeps a document from being made.
type pageError struct {
	page int
	err  error
}

func (e pageError) Error() string { return fmt.Sprintf("page %d: %v", e.page, e.err) }
func (e pageError) Unwrap() error { return e.err }

func (a *assembler) ready(ctx context.Context, d bus.Delivery) error {
	var r session.DocReady
	if err := json.Unmarshal(d.Data, &r); err != nil {
		return bus.Dead{Reason: session.ReasonBadRequest, Err: fmt.Errorf("order of a document: %w", err)}
	}
	start := time.Now()
	err := a.assemble(ctx, r, d.Time)
	switch {
	case err == nil:
		a.observe(Step{Stage: stageAssemble, Session: r.Session, Took: time.Since(start)})
		return nil
	case unbuildable(err), lost(err) && d.Tries >= maxAssemblies:
		return a.giveUp(ctx, r, err, d.Time)
	default:
		return err
	}
}

// unbuildable reports whether a document can never be made of these inputs.
func unbuildable(err error) bool {
	return errors.Is(err, pdf.ErrInput) || errors.Is(err, tiff.ErrMalformed) || errors.Is(err, tiff.ErrLimit)
}

// lost reports whether something that was archived is not there any more, or not yet.
func lost(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, errAltered) || errors.Is(err, errNoFact)
}

// giveUp says that this revision will never be, and which pages are to blame: the ledger orders another one without them.
// The order goes to the dead letters, for a person to see.
func (a *assembler) giveUp(ctx context.Context, r session.DocReady, cause error, at time.Time) error {
	blamed, err := a.unreadable(ctx, r)
	if err != nil {
		return errors.Join(cause, err)
	}
	if p, ok := errors.AsType[pageError](cause); ok {
		blamed = blamed.Add(p.page)
	}
	_, _, err = a.facts.RecordFact(ctx, session.DocFailed{
		Session: r.Session, ToToken: r.ToToken, Revision: r.Revision, Pages: blamed, Reason: session.ReasonLost, Detail: cause.Error(), At: at,
	})
	if err != nil {
		return err
	}
	return bus.Dead{Reason: session.ReasonLost, Err: fmt.Errorf("session %s revision %d: %w", r.Session, r.Revision, cause)}
}

// unreadable gives the ordered pages whose facts or originals are gone or altered. An archive that does not answer is an error.
func (a *assembler) unreadable(ctx context.Context, r session.DocReady) (session.Ranges, error) {
	facts, err := a.pageFacts(ctx, r)
	if err != nil {
		return nil, err
	}
	var blamed session.Ranges
	for page := range r.Pages.All() {
		f, ok := facts[page]
		if ok {
			l := a.load(ctx, f, nil)
			if l.err != nil && !lost(l.err) && !unbuildable(l.err) {
				return nil, l.err
			}
			ok = l.err == nil
		}
		if !ok {
			blamed = blamed.Add(page)
		}
	}
	return blamed, nil
}

// assemble makes one revision, or finds it made.
func (a *assembler) assemble(ctx context.Context, r session.DocReady, ordered time.Time) error {
	key := revisionKey(r.Session, r.Revision, "manifest.json")
	var m Manifest
	made, data, err := load(ctx, a.archive, key, &m)
	if err != nil {
		return err
	}
	if !made {
		plan, planObject, err := a.plan(ctx, r, ordered)
		if err != nil {
			return err
		}
		if m, data, err = a.make(ctx, plan, planObject); err != nil {
			return fmt.Errorf("session %s revision %d: %w", r.Session, r.Revision, err)
		}
		if data, err = commit(ctx, a.archive, key, data, &m); err != nil {
			return err
		}
	}
	_, _, err = a.facts.RecordFact(ctx, m.event(object(key, int64(len(data)), sha256.Sum256(data))))
	if err == nil {
		a.log.Info("document assembled", "session", m.Session, "revision", m.Revision, "status", m.Status, "pages", len(m.Pages), "missing", m.missing())
	}
	return err
}

// plan reads the revision's plan, or writes it.
func (a *assembler) plan(ctx context.Context, r session.DocReady, ordered time.Time) (Plan, session.Object, error) {
	key := revisionKey(r.Session, r.Revision, "plan.json")
	var plan Plan
	ok, data, err := load(ctx, a.archive, key, &plan)
	if err == nil && !ok {
		var facts map[int]session.PageArchived
		if facts, err = a.pageFacts(ctx, r); err != nil {
			return Plan{}, session.Object{}, err
		}
		if err = a.repair(ctx, r, facts); err != nil {
			return Plan{}, session.Object{}, err
		}
		if plan, err = newPlan(r, facts, ordered); err != nil {
			return Plan{}, session.Object{}, err
		}
		if data, err = indented(plan); err != nil {
			return Plan{}, session.Object{}, fmt.Errorf("write %s: %w", key, err)
		}
		data, err = commit(ctx, a.archive, key, data, &plan)
	}
	return plan, object(key, int64(len(data)), sha256.Sum256(data)), err
}

// pageFacts gives the facts of the ordered pages. Those that FAX_PAGES has let go are taken from the plan of the previous revision.
func (a *assembler) pageFacts(ctx context.Context, r session.DocReady) (map[int]session.PageArchived, error) {
	facts, err := a.pages.PageFacts(ctx, r.Session, r.Pages)
	if err != nil || len(facts) == r.Pages.Len() || r.Previous == 0 {
		return facts, err
	}
	var previous Plan
	if _, _, err := load(ctx, a.archive, revisionKey(r.Session, r.Previous, "plan.json"), &previous); err != nil {
		return nil, err
	}
	for _, f := range previous.Pages {
		if _, ok := facts[f.Page]; !ok && r.Pages.Has(f.Page) {
			facts[f.Page] = f
		}
	}
	return facts, nil
}

// make makes the documents of a plan and stores them, and the index entry. It returns the manifest, which is not stored yet, and
// its bytes. After the pages are written all of it goes on at once: most of that time is spent waiting for the archive.
func (a *assembler) make(ctx context.Context, plan Plan, planObject session.Object) (m Manifest, data []byte, err error) {
	d, err := newDocuments(plan, a.spoolDir, a.software)
	if err != nil {
		return m, nil, err
	}
	defer func() { err = errors.Join(err, d.remove()) }()
	if m, err = a.build(ctx, d, planObject); err != nil {
		return m, nil, err
	}
	all, ctx := errgroup.WithContext(ctx)
	if m.TIFF != nil {
		all.Go(func() error { return d.tiffFile.store(ctx, a.archive, *m.TIFF) })
	}
	all.Go(func() error { return d.pdfFile.store(ctx, a.archive, m.PDF) })
	if plan.Previous == 0 { // the entry comes before the first manifest: what is committed can be listed
		all.Go(func() error {
			_, err := create(ctx, a.archive, indexKey(plan.Indexed, plan.Session), []byte(indexText))
			return err
		})
	}
	all.Go(func() (err error) {
		data, err = m.encode(a.key)
		return err
	})
	err = all.Wait()
	return m, data, err
}

// build writes the documents and says what they contain.
func (a *assembler) build(ctx context.Context, d *documents, planObject session.Object) (Manifest, error) {
	m := newManifest(d.plan, planObject, a.software)
	err := a.write(ctx, d)
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
		previous, err := read(ctx, a.archive, revisionKey(d.plan.Session, d.plan.Previous, "manifest.json"))
		if err != nil {
			return m, err
		}
		m.Previous = fmt.Sprintf("%x", sha256.Sum256(previous))
	}
	return m, nil
}

// write adds every page of the plan, in order, while the next ones are read and decoded.
func (a *assembler) write(ctx context.Context, d *documents) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ahead := make(chan chan loaded, 2*cap(a.decoder.slots)) // bounds the pages in memory
	spare := make(chan []byte, cap(ahead))                  // memory of originals that are written
	go func() {
		defer close(ahead)
		for _, f := range d.plan.Pages {
			c := make(chan loaded, 1)
			select {
			case ahead <- c:
				go func() { c <- a.load(ctx, f, spared(spare)) }()
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
func (a *assembler) load(ctx context.Context, f session.PageArchived, buf []byte) loaded {
	l := a.loadPage(ctx, f, buf)
	if l.err != nil {
		return l
	}
	text, err := read(ctx, a.archive, sidecarKey(f.Original.Key))
	switch {
	case err == nil:
		l.sidecar = fmt.Sprintf("%x", sha256.Sum256(text))
	case !errors.Is(err, fs.ErrNotExist): // a page is not lost for want of its sidecar: what it said is in the plan
		l.err = pageError{f.Page, err}
	}
	return l
}

// loadPage reads an original. A strip that the decoder found clean is copied, anything else decoded again and encoded.
func (a *assembler) loadPage(ctx context.Context, f session.PageArchived, buf []byte) loaded {
	data, err := readObjectInto(ctx, a.archive, f.Original, buf)
	if err != nil {
		return loaded{err: pageError{f.Page, err}}
	}
	if strip := copied(f, data); strip != nil {
		return loaded{fact: f, original: data, strip: tiff.G4Strip(strip), sum: f.CleanStrip.SHA256}
	}
	m, fl, err := a.decoder.page(ctx, data)
	switch {
	case err != nil:
		return loaded{err: err}
	case fl != nil:
		return loaded{err: pageError{f.Page, fmt.Errorf("%s: %w: it was decoded before, now: %s", f.Original.Key, errAltered, fl.detail)}}
	case m.sum != f.RasterSHA256:
		// The bytes are the same: another version of the decoder sees a damaged page differently. The manifest says what is in the document.
		a.log.Warn("page decodes differently than when it was archived", "session", f.Session, "page", f.Page, "key", f.Original.Key)
		now := origin{}.fact(m)
		f.RasterSHA256, f.Width, f.Height, f.BadRows, f.LongestBad = now.RasterSHA256, now.Width, now.Height, now.BadRows, now.LongestBad
		f.XResolution, f.YResolution = now.XResolution, now.YResolution
	}
	strip, err := m.Strip()
	return loaded{fact: f, original: data, strip: strip, sum: fmt.Sprintf("%x", sha256.Sum256(strip.Bytes())), err: err}
}
