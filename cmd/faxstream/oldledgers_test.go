package main

import (
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/faxstream/faxstream/cmd/faxstream/app"
	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
	"github.com/faxstream/faxstream/ingest"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/pipeline/recovery"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/storage/local"
)

// newOldDesk is a desk at which faxes are finished soon: no timer waits long for another webhook.
func newOldDesk(t *testing.T) *desk {
	return newDeskWith(t, false, func(c *app.Config) { c.IdleAfter = 2 * time.Second })
}

// finished takes in a fax of three pages and waits until nothing of it is open.
func (d *desk) finished(id string) (f faxplustest.Fax, s session.State) {
	d.t.Helper()
	f = faxplustest.Fax{
		Session: id, From: "+15550111", Streamed: true, Pages: apptest.Split(d.t, apptest.Fixture(d.t, "three-pages-fine-g4")), FileName: id,
	}
	d.pagesFirst(f)
	return f, d.awaitFax(id, func(s session.State) bool { return s.Finished() && s.Status() == session.StatusComplete })
}

// pagesFirst sends the close of a fax when its pages are there: so no timer waits for one.
func (d *desk) pagesFirst(f faxplustest.Fax) {
	d.t.Helper()
	d.sim.Add(f)
	bodies := apptest.Bodies(f, d.WebhookURL()+ingest.Path)
	d.send(bodies[:len(f.Pages)]...)
	d.awaitFax(f.Session, func(s session.State) bool { return s.Usable.Len() == len(f.Pages) })
	d.send(bodies[len(f.Pages):]...)
}

// monthLater is when the streams have forgotten all facts and timers.
func (d *desk) monthLater() {
	d.t.Helper()
	d.quiet(map[string]string{
		"page": "FAX_IN", "collect-in": "FAX_IN", "collect-pages": "FAX_PAGES", "collect-docs": "FAX_DOCS", "letters-docs": "FAX_DOCS",
	})
	for _, name := range []string{"FAX_IN", "FAX_PAGES", "FAX_DOCS", "FAX_TIMERS"} {
		s, err := d.js.Stream(d.t.Context(), name)
		if err == nil {
			err = s.Purge(d.t.Context())
		}
		if err != nil {
			d.t.Fatal(err)
		}
	}
}

// clean removes the ledgers that may leave, whatever their age.
func (d *desk) clean() recovery.Cleaned {
	d.t.Helper()
	a, err := local.OpenReader(filepath.Join(d.cfg.Dir, "archive"))
	if err != nil {
		d.t.Fatal(err)
	}
	defer a.Close()
	done, err := recovery.Cleaner{
		Bus: d.bus, Archive: a, Policy: session.Policy{Streaming: true}, Log: slog.New(slog.NewTextHandler(d.t.Output(), nil)),
	}.Clean(d.t.Context())
	if err != nil {
		d.t.Fatal(err)
	}
	return done
}

// gone reports whether JetStream has no ledger of a fax.
func (d *desk) gone(id string) bool {
	d.t.Helper()
	_, revision, err := d.bus.Load(d.t.Context(), id)
	if err != nil {
		d.t.Fatal(err)
	}
	return revision == 0
}

// seen wants people to see a fax in the list, its page, and its document.
func (d *desk) seen(ids ...string) {
	d.t.Helper()
	list := d.do(0, "ls")
	for _, id := range ids {
		if !strings.Contains(list, id+" ") {
			d.t.Errorf("the list does not have %s:\n%s", id, list)
		}
		for _, path := range []string{"/api/v1/faxes/" + id, "/fax/" + id, "/api/v1/faxes/" + id + "/document.pdf"} {
			resp, err := http.Get(d.AdminURL() + path)
			if err != nil {
				d.t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				d.t.Errorf("%s: %s", path, resp.Status)
			}
		}
	}
}

// revisions lists the manifests of a fax.
func (d *desk) revisions(id string) []string {
	d.t.Helper()
	all, err := filepath.Glob(filepath.Join(d.cfg.Dir, "archive", "faxes", id, "r*", "manifest.json"))
	if err != nil {
		d.t.Fatal(err)
	}
	return all
}

// The ledgers of faxes that ended long ago leave JetStream. People see these faxes as before, what comes late or is ordered finds them, and
// what was known makes no second document.
func TestOldLedgersLeaveAndComeBack(t *testing.T) {
	t.Parallel()
	d := newOldDesk(t)
	faxes, before := map[string]faxplustest.Fax{}, map[string]session.State{}
	ids := []string{"again", "longer", "replayed", "noted", "held", "purged", "derived"}
	for _, id := range ids {
		faxes[id], before[id] = d.finished(id)
	}
	d.do(0, "assign", "noted", "ada")
	open := d.threePages("open")
	d.send(apptest.Bodies(open, d.WebhookURL()+ingest.Path)[:1]...)
	d.awaitFax("open", func(s session.State) bool { return s.Usable.Len() == 1 })
	d.awaitFax("noted", func(s session.State) bool { return s.Work.Assignee == "ada" })
	d.monthLater()
	if done := d.clean(); done.Removed != len(ids) || len(done.Stay) > 0 {
		t.Fatalf("%+v, want %d ledgers removed", done, len(ids))
	}
	d.seen(ids...)
	d.restart()
	if s, _, err := d.bus.Load(t.Context(), "open"); err != nil || s.Opened.IsZero() {
		t.Errorf("the ledger of an open fax left: %+v, %v", s, err)
	}
	for _, id := range ids {
		if !d.gone(id) {
			t.Errorf("%s has its ledger", id)
		}
	}
	d.seen(ids...)
	if out := d.do(0, "ls", "--assignee=ada"); !strings.Contains(out, "noted ") {
		t.Errorf("the list of ada has\n%s", out)
	}
	d.comeBack(faxes, before)
	d.leaveAgain()
}

// comeBack lets each fax get something new.
func (d *desk) comeBack(faxes map[string]faxplustest.Fax, before map[string]session.State) {
	d.t.Helper()
	target := d.WebhookURL() + ingest.Path
	back := func(id string, want func(session.State) bool) {
		d.t.Helper()
		d.awaitFax(id, func(s session.State) bool { return !s.Opened.IsZero() && want(s) })
	}
	d.send(apptest.Bodies(faxes["again"], target)...)
	longer := faxes["longer"]
	longer.Pages = append(slices.Clone(longer.Pages), longer.Pages[0])
	d.pagesFirst(longer)
	d.do(0, "replay", "replayed", "--stage=assemble")
	d.do(0, "note", "noted", "call them")
	d.do(0, "hold", "held", "--reason=case 1")
	d.do(0, "purge", "purged", "--reason=privacy", "--yes")
	d.do(0, "derive", "derived", "1")

	back("again", func(s session.State) bool { return s.Usable.Len() == 3 && s.Finished() })
	back("longer", func(s session.State) bool { return s.Revision() >= 2 && s.Document.Pages == 4 })
	back("replayed", func(s session.State) bool { return s.Revision() == 2 && s.Document.Pages == 3 })
	back("noted", func(s session.State) bool { return s.Work.Note == "call them" && s.Work.Assignee == "ada" })
	back("held", func(s session.State) bool { return s.Held })
	back("purged", func(s session.State) bool { return s.Purged })
	await(d.t, "nothing of the purged fax in the archive", func() bool { return len(d.objects("purged")) == 0 })
	d.do(exitFailed, "purge", "held", "--reason=privacy", "--yes")
	s := d.awaitFax("again", hasDocument)
	if s.Document.Manifest != before["again"].Document.Manifest || s.Ordered != 1 || len(d.revisions("again")) != 1 {
		d.t.Errorf("the webhooks that came again made revision %d with %+v, was %+v; documents %v",
			s.Ordered, s.Document.Manifest, before["again"].Document.Manifest, d.revisions("again"))
	}
	if letters := d.letters(); len(letters) > 0 {
		d.t.Errorf("letters: %+v", letters)
	}
}

// leaveAgain wants the faxes that came back to leave a second time, but for one that the archive would not give back, a purged one, and one
// that got another page: it has two closes, and its grace may go on for an hour.
func (d *desk) leaveAgain() {
	d.t.Helper()
	for _, id := range []string{"again", "replayed", "noted", "held"} {
		d.awaitFax(id, func(s session.State) bool { return s.Finished() })
	}
	d.monthLater()
	if err := os.RemoveAll(filepath.Join(d.cfg.Dir, "archive", "desk", "noted")); err != nil {
		d.t.Fatal(err)
	}
	done := d.clean()
	delete(done.Stay, "other closes") // of longer, if nothing of it is open any more
	if done.Removed != 3 || !maps.Equal(done.Stay, map[string]int{"work": 1}) || d.gone("noted") || d.gone("purged") {
		d.t.Errorf("%+v, want all but the noted one removed, and its work as the reason", done)
	}
	d.do(exitFailed, "purge", "held", "--reason=privacy", "--yes")
	if out := d.do(0, "holds"); !strings.Contains(out, "held ") {
		d.t.Errorf("holds lists\n%s", out)
	}
	s, err := d.js.Stream(d.t.Context(), "KV_FAX_SESSIONS")
	if err != nil {
		d.t.Fatal(err)
	}
	info, err := s.Info(d.t.Context(), jetstream.WithSubjectFilter("$KV.FAX_SESSIONS.*"))
	if err != nil || len(info.State.Subjects) != 4 {
		d.t.Errorf("the ledgers are %v, %v; want those of open, noted, longer and purged", info.State.Subjects, err)
	}
}
