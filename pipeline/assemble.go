package pipeline

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/pdf"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// DocFacts is what the assembler needs of JetStream.
type DocFacts interface {
	// RecordFact returns once the fact is durable; stored is the payload that was on its subject before, nil if none was. It may be repeated.
	RecordFact(ctx context.Context, f session.Fact) (seq uint64, stored []byte, err error)
	// PageFacts gives the page.archived facts of a session by page; one that cannot be read yet is absent.
	PageFacts(ctx context.Context, id string, pages session.Ranges) (map[int]session.PageArchived, error)
}

// assembler makes documents: plan, TIFF and PDF, manifest, event, in this order. Each is create-only, so that a crash or a
// second assembler anywhere between them leads to the same result; the manifest is the commit point.
type assembler struct {
	facts   DocFacts
	archive Archive
	builder builder
	observe func(Step)
	log     *slog.Logger
	key     ed25519.PrivateKey // signs manifests; nil: they are not signed
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
			l := a.builder.load(ctx, f, nil)
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
	facts, err := a.facts.PageFacts(ctx, r.Session, r.Pages)
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
	d, err := a.builder.build(ctx, plan, planObject)
	if err != nil {
		return m, nil, err
	}
	defer func() { err = errors.Join(err, d.remove()) }()
	m = d.manifest
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

// repair puts the whole file's images into the facts of an order where its reports say so.
func (a *assembler) repair(ctx context.Context, r session.DocReady, facts map[int]session.PageArchived) error {
	for _, repairs := range r.Repairs {
		data, err := readObject(ctx, a.archive, repairs.Report)
		if err != nil {
			return err
		}
		var report Report
		if err := json.Unmarshal(data, &report); err != nil {
			return fmt.Errorf("read %s: %w", repairs.Report.Key, err)
		}
		for _, v := range report.Pages {
			if v.Repair != nil && repairs.Pages.Has(v.Page) && r.Pages.Has(v.Page) {
				facts[v.Page] = *v.Repair
			}
		}
	}
	return nil
}

// consumptions are the assembler's durables.
func (a *assembler) consumptions() []bus.Consumption {
	return []bus.Consumption{
		{Consumer: bus.Consumer{Stream: bus.StreamDocs, Durable: "assemble", Filter: []string{session.TypeDocReady + ".>"}, Workers: 2}, Handle: a.ready},
	}
}
