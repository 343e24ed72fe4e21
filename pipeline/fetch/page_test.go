package fetch_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"testing"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/fetch"
	"github.com/faxstream/faxstream/pipeline/intake"
	"github.com/faxstream/faxstream/pipeline/pipelinetest"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/stage"
)

// A loss of power may take a sidecar from an original on a file system without a journal. The run that finds the original restores it.
func TestAnOriginalThatIsFoundHasItsSidecar(t *testing.T) {
	store := pipelinetest.LocalArchive(t)
	pages := intake.Pages{Archive: store, Decoder: intake.NewDecoder(1), Observe: func(context.Context, stage.Step) {}}
	o := intake.Origin{
		Session: "s", Page: 1, From: "+15550100", To: "+15550199", EventTime: pipelinetest.BenchStart, Source: session.SourceFetch,
	}
	if have, err := fetch.Lookup(t.Context(), pages, o); have != nil || err != nil {
		t.Fatalf("of a new page there is %v, %v", have, err)
	}
	data := pipelinetest.Testdata(t, "letter-standard-g4.tiff")
	original, err := pipelinetest.ArchiveOriginal(t.Context(), &pages, o, data, archive.KindOriginal)
	if err != nil {
		t.Fatal(err)
	}
	key := archive.SidecarKey(original.Key)
	want, err := archive.Read(t.Context(), store, key, archive.MaxSidecar)
	if err != nil {
		t.Fatal(err)
	}
	remover := store.(interface {
		Delete(ctx context.Context, name string) error
	})
	if err := remover.Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	if _, err := archive.Read(t.Context(), store, key, archive.MaxSidecar); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	have, err := fetch.Lookup(t.Context(), pages, o)
	if err != nil || have == nil || have.Object != original {
		t.Fatalf("found %v, %v", have, err)
	}
	if got, err := archive.Read(t.Context(), store, key, archive.MaxSidecar); err != nil || !bytes.Equal(got, want) {
		t.Errorf("the sidecar is %s, %v\nwant %s", got, err, want)
	}
}
