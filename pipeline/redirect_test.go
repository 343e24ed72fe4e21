package pipeline

import (
	"errors"
	"testing"

	"github.com/faxstream/faxstream/pipeline/session"
)

// A folded session that is purged must still hear of it: what cannot be written down any more keeps no fact from its ledger.
func TestAPurgedSessionIsNotRedirected(t *testing.T) {
	d, _ := newDesk(t)
	folded := session.State{Session: "fax", FoldedInto: "other", Close: &session.Closed{File: "file"}}
	d.objects[keepKey("fax", 1, session.ActionPurged)] = nil
	if _, err := keepRedirect(t.Context(), &guard{Archive: d}, folded); err != nil || d.objects[redirectKey("fax")] != nil {
		t.Errorf("%v; written: %s", err, d.objects[redirectKey("fax")])
	}
	d.before = func(string) (persist, fail bool) { return false, true }
	if _, err := keepRedirect(t.Context(), d, folded); !errors.Is(err, errDesk) {
		t.Errorf("an archive that fails gives %v", err)
	}
}
