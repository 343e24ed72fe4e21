package app

import (
	"testing"

	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
)

// rig is apptest's, with what the tests of this package look at besides.
type rig struct{ *apptest.Rig }

func newRig(t testing.TB) *rig {
	t.Helper()
	return &rig{apptest.NewRig(t)}
}
