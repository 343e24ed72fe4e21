package document

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"strconv"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/session"
)

// Deriving carries out orders of derived documents: TIFF and PDF, record, event, in this order, each create-only.
type Deriving struct {
	Facts   Recorder
	Archive archive.Store // refuses objects of purged faxes
	Made    *Derivations
	Deriver Deriver
	Log     *slog.Logger
}

// Recorder records facts.
type Recorder interface {
	// RecordFact is that of Facts.
	RecordFact(ctx context.Context, f session.Fact) (seq uint64, stored []byte, err error)
}

// ordered carries out an order. What can never be made becomes a dead letter.
func (v *Deriving) ordered(ctx context.Context, d bus.Delivery) error {
	a, err := bus.ParseOrder(d, func(a session.Action) error {
		if a.Derive == nil {
			return errors.New("it does not say which pages")
		}
		return a.Derive.Check()
	})
	if err != nil {
		return err
	}
	// The name has the time too: sequences begin again if FAX_AUDIT was lost.
	r := archive.Derived{
		Session: a.Session, Revision: a.Derive.Revision, Order: *a.Derive, By: a.By, At: d.Time.UTC(),
		Asked: "a" + strconv.FormatUint(d.Sequence, 10) + "-" + strconv.FormatInt(d.Time.UnixNano(), 10),
	}
	if err = v.derive(ctx, r); err == nil {
		return nil
	}
	err = fmt.Errorf("derive %s of revision %d of session %s: %w", r.Order.Text(), r.Revision, r.Session, err)
	switch {
	case errors.Is(err, archive.ErrPurged):
		return bus.Dead{Reason: session.ReasonPurged, Err: err}
	case errors.Is(err, errUnderivable):
		return bus.Dead{Reason: session.ReasonBadRequest, Err: err}
	case Unbuildable(err), archive.Broken(err), archive.Lost(err) && d.Tries >= maxAssemblies:
		return bus.Dead{Reason: session.ReasonLost, Err: err}
	}
	return err
}

// errUnderivable: an order is about something that is not there, or asks for too much.
var errUnderivable = errors.New("this cannot be derived")

// derive makes, archives and announces a document, unless it is there already: then somebody has ordered it twice, or a crash has come
// before its event.
func (v *Deriving) derive(ctx context.Context, r archive.Derived) error {
	all, there, err := v.made(ctx, r)
	if err != nil || there {
		return err
	}
	n := 0
	for _, made := range all {
		if made.Revision == r.Revision {
			n++
		}
	}
	if n >= session.MaxDerived {
		return fmt.Errorf("%w: the revision has %d derived documents, and may have no more", errUnderivable, n)
	}
	var m archive.Manifest
	key := archive.RevisionKey(r.Session, r.Revision, "manifest.json")
	archived, data, err := archive.LoadJSON(ctx, v.Archive, key, &m)
	switch {
	case err != nil:
		return err
	case !archived:
		return fmt.Errorf("%w: the archive does not have %s", errUnderivable, key)
	}
	if _, err := derivable(m, r.Order); err != nil {
		return fmt.Errorf("%w: %w", errUnderivable, err)
	}
	r.Manifest = archive.NewObject(key, int64(len(data)), sha256.Sum256(data))
	return v.commit(ctx, r)
}

// made returns the derived documents of the fax. If the ordered one is among them, its event is published.
func (v *Deriving) made(ctx context.Context, r archive.Derived) (all []session.Derived, there bool, err error) {
	if all, err = v.Made.Documents(ctx, r.Session); err != nil {
		return nil, false, err
	}
	for _, made := range all {
		if made.Derivation.Same(r.Order) {
			_, _, err := v.Facts.RecordFact(ctx, made.DocDerived)
			return all, true, err
		}
	}
	return all, false, nil
}

// commit makes and archives a document, and publishes its event.
func (v *Deriving) commit(ctx context.Context, r archive.Derived) (err error) {
	d, err := v.Deriver.Make(ctx, r)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Remove()) }()
	if _, err := archive.CreateAll(ctx, v.Archive, d.tiffFile.item(d.Record.TIFF), d.pdfFile.item(d.Record.PDF)); err != nil {
		return err
	}
	if _, there, err := v.made(ctx, r); err != nil || there { // somebody else was quicker, while this took minutes
		return err
	}
	data, self, err := d.Record.Encode()
	if err != nil {
		return err
	}
	if _, err := archive.Create(ctx, v.Archive, self.Key, data); err != nil {
		return err
	}
	if _, _, err := v.Facts.RecordFact(ctx, d.Record.Event(self)); err != nil {
		return err
	}
	v.Log.Info("document derived", "session", r.Session, "revision", r.Revision, "pages", len(d.Record.Pages))
	return nil
}

// Consumptions are the durables of derived documents.
func (v *Deriving) Consumptions() []bus.Consumption {
	return []bus.Consumption{{
		Consumer: bus.Consumer{Stream: bus.StreamAudit, Durable: "derive", Filter: []string{session.TypeAuditDerive + ".>"}, Workers: 2},
		Handle:   v.ordered,
	}}
}
