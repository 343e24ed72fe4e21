package app

import (
	"testing"

	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/pipeline/session"
)

// JetStream is lost after a session turned out to be the fax of another one. It makes no document then either: not when it is rebuilt, and
// not when its webhooks come again to a JetStream that nobody has rebuilt.
func TestAFoldedSessionStaysFolded(t *testing.T) {
	for name, rebuild := range map[string]bool{"rebuilt": true, "its webhooks come again": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.Start(t, r.Bus, r.Store, apptest.ImpatientPolicy(), apptest.ImpatientRetry())
			pages := apptest.Split(t, apptest.Fixture(t, "three-pages-fine-g4"))
			owner := faxplustest.Fax{Session: "owner", FileID: "file", Streamed: true, Pages: pages[:1]}
			second := faxplustest.Fax{Session: "second", FileID: "file", Streamed: true, Pages: pages[:1]}
			for _, f := range []faxplustest.Fax{owner, second} {
				r.Sim.Add(f)
			}
			for _, b := range apptest.Bodies(owner, "http://x") {
				r.Record(t, b)
			}
			r.Await(t, "owner", func(s session.State) bool { return s.Revision() == 1 })
			again := apptest.Bodies(second, "http://x")
			r.Record(t, again[0])
			r.Await(t, "second", func(s session.State) bool { return s.Usable.Len() == 1 })
			r.Record(t, again[1])
			r.Await(t, "second", func(s session.State) bool { return s.Status() == session.StatusFolded })

			r.loseJetStream(t)
			if rebuild {
				if got := r.rebuild(t); got.Faxes != 1 || got.Folded != 1 || got.Open != 0 || got.Ledgers != 2 {
					t.Errorf("rebuilt: %+v", got)
				}
				if s, _, err := r.Bus.Load(t.Context(), "second"); err != nil || s.Status() != session.StatusFolded {
					t.Errorf("the rebuilt session is %+v, %v", s, err)
				}
			}
			r.Start(t, r.Bus, r.Store, apptest.ImpatientPolicy(), apptest.ImpatientRetry())
			for _, b := range again {
				r.Record(t, b)
			}
			s := r.Await(t, "second", func(s session.State) bool { return s.Close != nil })
			if s.Status() != session.StatusFolded || s.Ordered > 0 || s.FoldedInto != "owner" {
				t.Errorf("the session is %+v", s)
			}
			if found := check(t, archived(t, r), "test"); len(kinds(found)) > 0 {
				t.Errorf("faults: %+v", found)
			}
		})
	}
}
