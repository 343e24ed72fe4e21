package main

import (
	"testing"

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
			r.start(t, r.bus, r.store, impatientPolicy, impatientRetry)
			pages := split(t, fixture(t, "three-pages-fine-g4"))
			owner := faxplustest.Fax{Session: "owner", FileID: "file", Streamed: true, Pages: pages[:1]}
			second := faxplustest.Fax{Session: "second", FileID: "file", Streamed: true, Pages: pages[:1]}
			for _, f := range []faxplustest.Fax{owner, second} {
				r.sim.Add(f)
			}
			for _, b := range bodies(owner, "http://x") {
				r.record(t, b)
			}
			r.await(t, "owner", func(s session.State) bool { return s.Revision() == 1 })
			again := bodies(second, "http://x")
			r.record(t, again[0])
			r.await(t, "second", func(s session.State) bool { return s.Usable.Len() == 1 })
			r.record(t, again[1])
			r.await(t, "second", func(s session.State) bool { return s.Status() == session.StatusFolded })

			r.loseJetStream(t)
			if rebuild {
				if got := r.rebuild(t); got.Faxes != 1 || got.Folded != 1 || got.Open != 0 || got.Ledgers != 2 {
					t.Errorf("rebuilt: %+v", got)
				}
				if s, _, err := r.bus.Load(t.Context(), "second"); err != nil || s.Status() != session.StatusFolded {
					t.Errorf("the rebuilt session is %+v, %v", s, err)
				}
			}
			r.start(t, r.bus, r.store, impatientPolicy, impatientRetry)
			for _, b := range again {
				r.record(t, b)
			}
			s := r.await(t, "second", func(s session.State) bool { return s.Close != nil })
			if s.Status() != session.StatusFolded || s.Ordered > 0 || s.FoldedInto != "owner" {
				t.Errorf("the session is %+v", s)
			}
			if found := check(t, archived(t, r), "test"); len(kinds(found)) > 0 {
				t.Errorf("faults: %+v", found)
			}
		})
	}
}
