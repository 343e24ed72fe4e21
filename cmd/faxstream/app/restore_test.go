package app

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/session"
)

// JetStream is lost, the archive is there: the webhooks of a fax that has a document come again and make no second one, and a
// page that was missing makes revision 2.
func TestASessionThatIsOnlyInTheArchive(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Start(t, r.Bus, r.Store, apptest.ImpatientPolicy(), apptest.ImpatientRetry())
	pages := apptest.Split(t, apptest.Fixture(t, "three-pages-fine-g4"))
	count := 3
	f := faxplustest.Fax{Session: "fax", Streamed: true, Pages: pages, PageCount: &count}
	r.Sim.Add(f)
	r.Sim.Script(f.Session, 0, apptest.AnswerWith(nil))
	r.Sim.Script(f.Session, 3, apptest.AnswerWith(nil))
	for _, b := range apptest.Bodies(f, "http://x") {
		r.Record(t, b)
	}
	first := r.Await(t, f.Session, func(s session.State) bool { return s.Document != nil })
	if first.Status() != session.StatusPartial {
		t.Fatalf("the fax is %s", first.Status())
	}

	r.loseJetStream(t)
	r.Start(t, r.Bus, r.Store, apptest.ImpatientPolicy(), apptest.ImpatientRetry())
	for _, b := range apptest.Bodies(f, "http://x") {
		r.Record(t, b)
	}
	s := r.Await(t, f.Session, func(s session.State) bool { return s.Usable.Len() == 2 && s.Final.Has(3) })
	if s.Ordered != 1 || s.Document == nil || s.Document.Manifest != first.Document.Manifest {
		t.Errorf("order %d, document %+v; want the one that there was", s.Ordered, s.Document)
	}

	r.Sim.Script(f.Session, 3, apptest.AnswerWith(pages[2]))
	r.Sim.Script(f.Session, 0, apptest.AnswerWith(apptest.Fixture(t, "three-pages-fine-g4")))
	closed := f
	closed.PageCount, closed.FileName = nil, "again.tiff"
	r.loseJetStream(t)
	patient := apptest.ImpatientPolicy() // no page is cut from the whole file because it comes late
	patient.Grace = apptest.Patience
	r.Start(t, r.Bus, r.Store, patient, apptest.ImpatientRetry())
	for _, b := range apptest.Bodies(closed, "http://x") {
		r.Record(t, b)
	}
	s = r.Await(t, f.Session, func(s session.State) bool { return s.Revision() == 2 })
	if s.Status() != session.StatusComplete {
		t.Errorf("the fax is %s (%s)", s.Status(), s.Document.Reason)
	}
	if s.Document.PDF == first.Document.PDF {
		t.Error("revision 2 has the document of revision 1")
	}
}

// loseJetStream stops the bus and starts an empty one.
func (r *rig) loseJetStream(t *testing.T) {
	t.Helper()
	dir := filepath.Join(r.Dir, "nats")
	if err := errors.Join(r.Bus.Close(), os.RemoveAll(dir)); err != nil {
		t.Fatal(err)
	}
	var err error
	r.Bus, err = bus.Open(t.Context(), bus.Config{Embedded: bus.EmbeddedConfig{Dir: dir}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
}
