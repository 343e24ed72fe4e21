package app

import (
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
	"github.com/faxstream/faxstream/pipeline/recovery"
	"github.com/faxstream/faxstream/pipeline/verify"
	"github.com/faxstream/faxstream/storage/local"
)

// An archive that an older version wrote (testdata/README.md) is proven and rebuilt by this one: documents stay for years.
func TestAnArchiveWrittenBeforeIsProvenAndRebuilt(t *testing.T) {
	old, err := local.OpenReader(filepath.Join(apptest.Root(t), "testdata", "archive"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := old.Close(); err != nil {
			t.Error(err)
		}
	}()
	faxes := 0
	c := verify.Checker{Archive: old, Software: "faxstream test", ScratchDir: t.TempDir(), Log: slog.New(slog.DiscardHandler)}
	err = c.All(t.Context(), func(f verify.Finding) error {
		faxes++
		if len(f.Faults) > 0 || f.Revisions != 1 || f.Pages != 2 {
			t.Errorf("%+v", f)
		}
		return nil
	})
	if err != nil || faxes != 1 {
		t.Errorf("%d faxes, %v", faxes, err)
	}
	r := newRig(t)
	done, err := recovery.Rebuild(t.Context(), recovery.Config{Bus: r.Bus, Archive: old, Log: slog.New(slog.DiscardHandler)})
	if err != nil || done.Faxes != 1 || done.Ledgers != 1 || len(done.Broken) > 0 {
		t.Fatalf("%+v, %v", done, err)
	}
	s, revision, err := r.Bus.Load(t.Context(), "fca7bac5-58f7-4f48-80bc-07d4a8f80045")
	if err != nil || revision == 0 || s.Status() != "recovered" || s.Usable.Len() != 2 {
		t.Errorf("the ledger is %+v, %v", s, err)
	}
}
