package document

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/pdf"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/stage"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// Facts is what the assembler needs of JetStream.
type Facts interface {
	// RecordFact returns when the fact is durable. stored is the payload that was on its subject before, nil if there was none. It may be
	// repeated.
	RecordFact(ctx context.Context, f session.Fact) (seq uint64, stored []byte, err error)
	// PageFacts returns the page.archived facts of a session by page, without those that are not in the stream yet.
	PageFacts(ctx context.Context, id string, pages session.Ranges) (map[int]session.PageArchived, error)
}

// Assembler makes documents: plan, events of chosen pages, TIFF and PDF, manifest, event, in this order. Each is create-only. So
// the result is the same after a crash, or with a second assembler, at any point. The manifest is the commit point.
type Assembler struct {
	Facts   Facts
	Archive archive.Store
	Builder Builder
	Observe stage.Observer
	Log     *slog.Logger
	Key     ed25519.PrivateKey // signs manifests; nil: they are not signed
}

// maxAssemblies is the number of deliveries after which an order fails whose objects are missing or altered.
const maxAssemblies = 4

func (a *Assembler) ready(ctx context.Context, d bus.Delivery) error {
	var r session.DocReady
	if err := json.Unmarshal(d.Data, &r); err != nil {
		return bus.Dead{Reason: session.ReasonBadRequest, Err: fmt.Errorf("order of a document: %w", err)}
	}
	start := time.Now()
	err := a.assemble(ctx, r, d.Time)
	switch {
	case err == nil:
		a.Observe(ctx, stage.Step{Stage: stage.Assemble, Session: r.Session, Took: time.Since(start)})
		return nil
	case Unbuildable(err), archive.Lost(err) && d.Tries >= maxAssemblies:
		return a.giveUp(ctx, r, err, d.Time)
	default:
		return err
	}
}

// Unbuildable reports whether err says that a document can never be made of these inputs.
func Unbuildable(err error) bool {
	return errors.Is(err, pdf.ErrInput) || errors.Is(err, tiff.ErrMalformed) || errors.Is(err, tiff.ErrLimit)
}

// giveUp records that this revision cannot be made, and because of which pages: the ledger orders another one without them. The order
// becomes a dead letter, so that a person sees it.
func (a *Assembler) giveUp(ctx context.Context, r session.DocReady, cause error, at time.Time) error {
	lost, err := a.unreadable(ctx, r)
	if err != nil {
		return errors.Join(cause, err)
	}
	if p, ok := errors.AsType[archive.PageError](cause); ok {
		lost = lost.Add(p.Page)
	}
	_, _, err = a.Facts.RecordFact(ctx, session.DocFailed{
		Session: r.Session, ToToken: r.ToToken, Revision: r.Revision, Pages: lost,
		Reason: session.ReasonLost, Detail: cause.Error(), At: at,
	})
	if err != nil {
		return err
	}
	return bus.Dead{Reason: session.ReasonLost, Err: fmt.Errorf("session %s revision %d: %w", r.Session, r.Revision, cause)}
}

// unreadable returns the ordered pages whose facts or originals are missing or altered. An archive that does not answer is an error.
func (a *Assembler) unreadable(ctx context.Context, r session.DocReady) (session.Ranges, error) {
	facts, err := a.pageFacts(ctx, r)
	if err != nil {
		return nil, err
	}
	var lost session.Ranges
	for page := range r.Pages.All() {
		f, ok := facts[page]
		if ok {
			l := a.Builder.load(ctx, f, nil)
			if l.err != nil && !archive.Lost(l.err) && !Unbuildable(l.err) {
				return nil, l.err
			}
			ok = l.err == nil
		}
		if !ok {
			lost = lost.Add(page)
		}
	}
	return lost, nil
}

// assemble makes one revision, unless it exists already, and records its event.
func (a *Assembler) assemble(ctx context.Context, r session.DocReady, ordered time.Time) error {
	key := archive.RevisionKey(r.Session, r.Revision, "manifest.json")
	var m archive.Manifest
	made, data, err := archive.LoadJSON(ctx, a.Archive, key, &m)
	if err != nil {
		return err
	}
	if !made {
		plan, err := a.plan(ctx, r, ordered)
		if err != nil {
			return err
		}
		if m, data, err = a.make(ctx, plan, key); err != nil {
			return fmt.Errorf("session %s revision %d: %w", r.Session, r.Revision, err)
		}
	}
	_, _, err = a.Facts.RecordFact(ctx, m.Event(archive.NewObject(key, int64(len(data)), sha256.Sum256(data))))
	if err == nil {
		a.Log.Info("document assembled",
			"session", m.Session, "revision", m.Revision, "status", m.Status, "pages", len(m.Pages), "missing", m.Missing())
	}
	return err
}

// make makes the documents of a plan and archives both, the index entry, and at last the manifest. It returns the manifest that counts, and
// its bytes.
func (a *Assembler) make(ctx context.Context, p planned, key string) (m archive.Manifest, data []byte, err error) {
	d, p, err := a.build(ctx, p)
	if err != nil {
		return m, nil, err
	}
	defer func() { err = errors.Join(err, d.Remove()) }()
	if err := a.amend(ctx, p.Plan); err != nil {
		return m, nil, err
	}
	m = d.Manifest
	var objects []archive.Item
	if m.TIFF != nil {
		objects = append(objects, d.tiffFile.item(*m.TIFF))
	}
	objects = append(objects, d.pdfFile.item(m.PDF))
	if p.Previous == 0 { // the entry comes before the first manifest, so that every fax with a manifest is listed
		objects = append(objects, archive.NewItem(archive.IndexKey(p.Indexed, p.Session), []byte(archive.IndexText)))
	}
	if data, err = m.Encode(a.Key); err == nil {
		data, err = archive.CommitJSON(ctx, a.Archive, key, data, &m, objects...)
	}
	return m, data, err
}

// amend records page.amended for each page whose image a person chose from the whole file since the previous revision: whoever read the
// streamed image must read this one too. It comes before the manifest, so that an order that is delivered again repeats it.
func (a *Assembler) amend(ctx context.Context, plan archive.Plan) error {
	chosen := map[int]bool{}
	for _, c := range plan.Choices {
		chosen[c.Page] = c.Image == session.ImageFile
	}
	if len(chosen) == 0 {
		return nil
	}
	var previous archive.Plan
	if _, _, err := archive.LoadJSON(ctx, a.Archive, archive.RevisionKey(plan.Session, plan.Previous, "plan.json"), &previous); err != nil {
		return err
	}
	before := map[int]string{}
	for _, f := range previous.Pages {
		before[f.Page] = f.RasterSHA256
	}
	for _, f := range plan.Pages {
		if !chosen[f.Page] || before[f.Page] == f.RasterSHA256 {
			continue
		}
		f.ToToken = plan.ToToken
		if _, _, err := a.Facts.RecordFact(ctx, session.PageAmended{PageArchived: f}); err != nil {
			return err
		}
	}
	return nil
}

// Consumptions are the assembler's durables.
func (a *Assembler) Consumptions() []bus.Consumption {
	return []bus.Consumption{
		{
			Consumer: bus.Consumer{
				Stream: bus.StreamDocs, Durable: "assemble",
				Filter:  []string{session.TypeDocReady + ".>"},
				Workers: 2,
			},
			Handle: a.ready,
		},
	}
}
