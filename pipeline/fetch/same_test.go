package fetch_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/fetch"
	"github.com/faxstream/faxstream/pipeline/intake"
	"github.com/faxstream/faxstream/pipeline/pipelinetest"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/stage"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// faxFiles returns the project's test files and, if it is there, the corpus beside the project.
func faxFiles(t *testing.T) (files [][]byte) {
	t.Helper()
	for _, dir := range []string{"../../testdata", "../../../shared/corpus"} {
		err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() || !strings.Contains(filepath.Ext(name), ".tif") {
				return err
			}
			data, err := os.ReadFile(name)
			files = append(files, data)
			return err
		})
		if err != nil && dir == "../../testdata" {
			t.Fatal(err)
		}
	}
	return files
}

// streamedPages archives each page of a file as if it was streamed.
func streamedPages(t testing.TB, p *intake.Pages, singles [][]byte) (facts []session.PageArchived) {
	t.Helper()
	for i, data := range singles {
		o := intake.Origin{Session: "fax", Page: i + 1, Source: session.SourceFetch}
		m, err := p.Decoder.Page(t.Context(), data)
		if err != nil {
			continue
		}
		f := o.Fact(m)
		if f.Original, err = pipelinetest.ArchiveOriginal(t.Context(), p, o, data, archive.KindOriginal); err != nil {
			t.Fatal(err)
		}
		facts = append(facts, f)
	}
	return facts
}

// Pages with the same bytes are not decoded, and the report says of each page what it says when all are decoded. Here each page of every
// test file, and its damaged copies, are compared with the page of the file.
func TestTheReportIsTheSameWithoutDecoding(t *testing.T) {
	decoded := 0
	vault := pipelinetest.Vault{}
	desk, _ := pipelinetest.NewDesk(t)
	p := intake.Pages{Facts: desk, Archive: vault, Decoder: intake.NewDecoder(2), Observe: func(_ context.Context, s stage.Step) {
		if s.Stage == stage.Decode {
			decoded++
		}
	}}
	w := fetch.New(fetch.Config{Bus: claiming{desk}, Pages: p, Provider: wholeOnly{}, Log: slog.New(slog.DiscardHandler)})
	pages, skipped, changes := 0, 0, 8
	if testing.Short() {
		changes = 1 // the race detector needs no damage
	}
	for _, data := range faxFiles(t) {
		file, err := tiff.ParseFile(bytes.NewReader(data), int64(len(data)), tiff.Limits{MaxPages: session.MaxPages}) // it is a file on disk
		if err != nil {
			continue
		}
		singles := pipelinetest.SinglePages(t, data)
		for change := range changes {
			for _, f := range streamedPages(t, &p, changed(singles, change)) {
				decoded = 0
				got := verdict(t, w.Judge, f, file)
				if change == 0 {
					pages++
				}
				if change == 0 && decoded == 0 {
					skipped++
				}
				if want := verdict(t, w.JudgeDecoded, f, file); got != want {
					t.Errorf("page %d of %d, change %d: %s\nwith decoding: %s", f.Page, file.NumPages(), change, got, want)
				}
			}
		}
	}
	t.Logf("%d of %d pages were not decoded", skipped, pages)
	if skipped < pages*3/4 { // the others have something else behind their strips than in the file
		t.Errorf("%d of %d pages were not decoded, want most", skipped, pages)
	}
}

// changed returns copies of files with one other byte each, somewhere in the strips or in the fields; 0: as they are.
func changed(files [][]byte, change int) (all [][]byte) {
	for _, data := range files {
		data = slices.Clone(data)
		if change > 0 {
			data[len(data)*(2*change-1)/14] ^= byte(change)
		}
		all = append(all, data)
	}
	return all
}

// verdict is the JSON of one page in a report.
func verdict(
	t *testing.T, judge func(context.Context, session.PageArchived, *tiff.File) (archive.PageVerdict, error),
	f session.PageArchived, file *tiff.File,
) string {
	t.Helper()
	v, err := judge(t.Context(), f, file)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
