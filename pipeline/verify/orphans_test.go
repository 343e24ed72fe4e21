package verify

import (
	"log/slog"
	"maps"
	"testing"

	"github.com/faxstream/faxstream/pipeline/pipelinetest"
)

// An object that nothing explains is an orphan; bytes that were received, and that no revision uses, are none.
func TestOrphansAreWhatNothingExplains(t *testing.T) {
	count := func(d *pipelinetest.Desk) (unused, orphans int) {
		t.Helper()
		c := Checker{Archive: d, Software: "v1", ScratchDir: t.TempDir(), Log: slog.New(slog.DiscardHandler)}
		err := c.All(t.Context(), func(f Finding) error {
			unused, orphans = unused+f.Unused, orphans+f.Orphans
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return unused, orphans
	}
	clean := pipelinetest.OddDesk(t)
	unused, orphans := count(clean)
	if orphans > 0 {
		t.Errorf("%d orphans in an archive as it was written", orphans)
	}
	for key, want := range map[string][2]int{
		"faxes/fax/r1/document.0123456789abcdef.pdf": {0, 1},
		"faxes/fax/note.txt":                         {0, 1},
		"faxes/fax/pages/0001.0123456789abcdef.png":  {0, 1}, // the second PNG of one page
		"faxes/fax/pages/0001.e3b0c44298fc1c14.tiff": {0, 1}, // it has no sidecar
	} {
		d := &pipelinetest.Desk{Objects: maps.Clone(clean.Objects), Pages: clean.Pages}
		d.Objects[key] = []byte{}
		u, o := count(d)
		if u-unused != want[0] || o-orphans != want[1] {
			t.Errorf("%s: %d more unused and %d more orphans, want %v", key, u-unused, o-orphans, want)
		}
	}
	d := &pipelinetest.Desk{Objects: maps.Clone(clean.Objects), Pages: clean.Pages}
	const page = "faxes/fax/pages/0001.e3b0c44298fc1c14.rejected"
	d.Objects[page], d.Objects[page+".json"] = []byte{}, []byte("{}")
	if u, o := count(d); u-unused != 1 || o != orphans {
		t.Errorf("rejected bytes: %d more unused and %d more orphans, want 1 and 0", u-unused, o-orphans)
	}
}
