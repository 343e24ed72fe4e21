package hold

import (
	"errors"
	"testing"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/pipelinetest"
	"github.com/faxstream/faxstream/pipeline/session"
)

// A folded session that is purged must still hear of it: what cannot be written down any more keeps no fact from its ledger.
func TestAPurgedSessionIsNotRedirected(t *testing.T) {
	d, _ := pipelinetest.NewDesk(t)
	folded := session.State{Session: "fax", FoldedInto: "other", Close: &session.Closed{File: "file"}}
	d.Objects[keepLog().Key("fax", 1, session.ActionPurged)] = nil
	if _, err := archive.WriteRedirect(t.Context(), &Guard{Store: d}, folded); err != nil || d.Objects[archive.RedirectKey("fax")] != nil {
		t.Errorf("%v; written: %s", err, d.Objects[archive.RedirectKey("fax")])
	}
	d.Before = func(string) (persist, fail bool) { return false, true }
	if _, err := archive.WriteRedirect(t.Context(), d, folded); !errors.Is(err, pipelinetest.ErrDesk) {
		t.Errorf("an archive that fails gives %v", err)
	}
}
