package app

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/recovery"
	"github.com/faxstream/faxstream/pipeline/session"
)

// JetStream is lost. What the archive knows comes back from it alone, and work goes on: of faxes with one revision and with two,
// complete and partial, of one that was planned and not committed, of one that was still on the line.
func TestRebuild(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Start(t, r.Bus, r.Store, apptest.ImpatientPolicy(), apptest.ImpatientRetry())
	pages := apptest.Split(t, apptest.Fixture(t, "three-pages-fine-g4"))
	events := r.faxesForRebuild(t, pages)
	before := map[string]session.State{}
	for id, revision := range map[string]int{"complete": 1, "partial": 1, "twice": 2, "planned": 1} {
		before[id] = r.Await(t, id, func(s session.State) bool { return s.Revision() == revision })
	}
	r.Await(t, "open", func(s session.State) bool { return s.Usable.Len() == 2 })
	manifest := filepath.Join(r.Dir, "archive", before["planned"].Document.Manifest.Key)
	committed := apptest.ReadFile(t, manifest)

	r.loseJetStream(t)
	if err := os.Remove(manifest); err != nil {
		t.Fatal(err)
	}
	if got := r.rebuild(t); got.Faxes != 4 || got.Open != 1 || got.Ledgers != 5 || got.Facts == 0 || len(got.Silent)+len(got.Broken) > 0 {
		t.Errorf("rebuilt: %+v", got)
	}
	for id, want := range before {
		if id != "planned" {
			r.checkRebuilt(t, want)
		}
	}
	if s, _, err := r.Bus.Load(t.Context(), "open"); err != nil || time.Since(s.Opened) < time.Hour {
		t.Errorf("the open fax of long ago is open since %s, %v: the reconciler would not know it", s.Opened, err)
	}
	if got := r.rebuild(t); got.Ledgers+got.Facts > 0 {
		t.Errorf("the second time: %+v", got)
	}

	asked := r.Asked.Load()
	r.Start(t, r.Bus, r.Store, apptest.ImpatientPolicy(), apptest.ImpatientRetry())
	r.Await(t, "open", func(s session.State) bool { return s.Usable.Len() == 2 })
	r.Await(t, "planned", func(s session.State) bool { return s.Revision() == 1 })
	if now := apptest.ReadFile(t, manifest); string(now) != string(committed) {
		t.Errorf("the manifest of what was planned is\n%s\nwant\n%s", now, committed)
	}
	if n := r.Asked.Load() - asked; n > 0 {
		t.Errorf("the provider was asked %d times for what is in the archive", n)
	}
	r.Record(t, events["open"][2])
	r.Await(t, "open", func(s session.State) bool { return s.Status() == session.StatusComplete && s.Revision() == 1 })

	r.Sim.Script("partial", 3, apptest.AnswerWith(pages[2]))
	r.Record(t, events["partial"][2])
	late := r.Await(t, "partial", func(s session.State) bool { return s.Revision() == 2 })
	var m archive.Manifest
	if err := json.Unmarshal(r.object(t, late.Document.Manifest.Key), &m); err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf(
		"%x", sha256.Sum256(r.object(t, before["partial"].Document.Manifest.Key)),
	); late.Status() != session.StatusComplete || m.Previous != want {
		t.Errorf("with the late page the fax is %s, its manifest follows %s, want %s", late.Status(), m.Previous, want)
	}
	if found := check(t, archived(t, r), "test"); len(kinds(found)) > 0 {
		t.Errorf("faults: %+v", found)
	}
	if got := r.rebuild(t); got.Ledgers+got.Facts > 0 || got.Faxes != 5 {
		t.Errorf("with JetStream alive: %+v", got)
	}
}

// faxesForRebuild takes in five faxes and returns the webhooks of each; those of a fax's late page or close are not recorded.
func (r *rig) faxesForRebuild(t *testing.T, pages [][]byte) map[string][][]byte {
	t.Helper()
	all := map[string][][]byte{}
	for id, f := range map[string]struct {
		pages, count int
		first        []int // of the webhooks, from 0; the close is the last
		missing      int
	}{
		"complete": {3, 3, []int{0, 1, 2, 3}, 0},
		"planned":  {1, 1, []int{0, 1}, 0},
		"partial":  {3, 3, []int{0, 1, 3}, 3},
		"twice":    {3, 2, []int{0, 1, 3}, 0},
		"open":     {2, 2, []int{0, 1}, 0},
	} {
		fax := faxplustest.Fax{Session: id, Streamed: true, Pages: pages[:f.pages], PageCount: &f.count}
		r.Sim.Add(fax)
		if f.missing > 0 {
			r.Sim.Script(id, 0, apptest.AnswerWith(nil))
			r.Sim.Script(id, f.missing, apptest.AnswerWith(nil))
		}
		all[id] = apptest.Bodies(fax, "http://x")
		for _, i := range f.first {
			r.Record(t, all[id][i])
		}
	}
	r.Await(t, "twice", func(s session.State) bool { return s.Revision() == 1 })
	r.Record(t, all["twice"][2])
	return all
}

func (r *rig) rebuild(t *testing.T) recovery.Rebuilt {
	t.Helper()
	done, err := recovery.Rebuild(t.Context(), recovery.Config{
		Bus: r.Bus, Archive: r.Store, Since: time.Now().Add(-time.Hour * 24 * 365 * 50), Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// checkRebuilt compares what people and subscribers see of a fax with what there was.
func (r *rig) checkRebuilt(t *testing.T, want session.State) {
	t.Helper()
	id := want.Session
	got, _, err := r.Bus.Load(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if got.Status() != want.Status() || got.Ordered != want.Ordered ||
		fmt.Sprint(got.Usable, got.Expected()) != fmt.Sprint(want.Usable, want.Expected()) {
		t.Errorf("%s is %+v, want %+v", id, got, want)
	}
	if got.Document == nil || *got.Document.TIFF != *want.Document.TIFF || got.Document.Manifest != want.Document.Manifest {
		t.Errorf("%s has the document %+v, want %+v", id, got.Document, want.Document)
	}
	if owner, err := r.Bus.Claim(t.Context(), session.AliasFile, want.Close.File, "somebody"); err != nil || owner != id {
		t.Errorf("the file of %s belongs to %q, %v", id, owner, err)
	}
	if token, err := r.Bus.Bind(t.Context(), id, "19990000000"); err != nil || token != want.ToToken {
		t.Errorf("%s is bound to %q, %v; want %q", id, token, err, want.ToToken)
	}
	facts, err := r.Bus.PageFacts(t.Context(), id, want.Usable)
	if err != nil || len(facts) != want.Usable.Len() {
		t.Errorf("%s has the facts %v, %v", id, facts, err)
	}
}

// checkVerdicts rebuilds faxes that were compared with the whole file, and one whose plan is spoilt: it is named, and the others come back
// with what the comparison found.
func checkVerdicts(t *testing.T, all objects) {
	r := newRig(t)
	spoilt := maps.Clone(all)
	spoilt["faxes/other/r1/plan.json"] = []byte("{")
	done, err := recovery.Rebuild(
		t.Context(), recovery.Config{Bus: r.Bus, Archive: spoilt, Since: time.Now(), Log: slog.New(slog.DiscardHandler)},
	)
	if err != nil || done.Faxes != 1 || done.Ledgers != 1 || done.Facts != 0 || !slices.Equal(done.Broken, []string{"other"}) {
		t.Errorf("rebuilt: %+v, %v", done, err)
	}
	s, _, err := r.Bus.Load(t.Context(), "fax")
	if err != nil || s.Verification() != session.VerificationVerified || s.Revision() != 2 {
		t.Errorf("the fax is %+v, %v", s, err)
	}
}
