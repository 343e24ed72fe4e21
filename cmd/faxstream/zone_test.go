package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
	"github.com/faxstream/faxstream/ingest"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/pipeline/session"
)

// A provider whose times are of another zone: a fax without any webhook is found and filed under its day, and people are told.
func TestLostFaxesOfAProviderInAnotherZoneAreFound(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes and makes documents")
	}
	for _, zone := range []string{"-05:00", "+02:00", "+09:00"} {
		for _, configured := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, configured %t", zone, configured), func(t *testing.T) {
				t.Parallel()
				there, err := ingest.ParseZone(zone)
				if err != nil {
					t.Fatal(err)
				}
				sim, flags := newSimulator(t, faxplustest.Config{Zone: there})
				lost := apptest.Silent(t, "lost")
				sim.Add(lost)
				dir := t.TempDir()
				flags = append(flags, "--dir="+dir, "--list-every=1s", "--list-rate=6000", "--close-grace=1s")
				if configured {
					flags = append(flags, "--faxplus-zone="+zone)
				}
				p := serve(t, nil, flags...)
				for i := range 3 {
					f := apptest.Silent(t, fmt.Sprint("fax", i))
					f.StartTime = time.Now().UTC().Truncate(time.Second)
					if err := sim.Send(t.Context(), p.ready.Webhook+ingest.Path, f); err != nil {
						t.Fatal(err)
					}
				}
				if got := p.awaitDocuments(lost.ListedID())[lost.ListedID()]; got.Status != session.StatusComplete {
					t.Errorf("the fax is %+v", got)
				}
				p.wantZoneWarning(t, !configured)
				_, seconds := time.Now().In(there).Zone()
				metrics := string(apptest.Fetch(t, p.ready.Admin+"/metrics"))
				want := fmt.Sprintf("\nfaxstream_provider_utc_offset_seconds %d\n", seconds)
				if !strings.Contains(metrics, want) {
					t.Errorf("metrics without %s", want)
				}
				wantFiled(t, filepath.Join(dir, "archive"), lost)
			})
		}
	}
}

// wantFiled looks for a fax in the archive's index, under its true start.
func wantFiled(t *testing.T, archive string, f faxplustest.Fax) {
	t.Helper()
	day := filepath.Join(archive, "index", f.StartTime.Format("2006/01/02"))
	entries, err := os.ReadDir(day)
	if err != nil {
		t.Fatal(err)
	}
	want := f.StartTime.Format("150405") + "-" + f.ListedID()
	if !slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.Name() == want }) {
		t.Errorf("%s has %v, want %s", day, entries, want)
	}
}

func (p *process) wantZoneWarning(t *testing.T, want bool) {
	t.Helper()
	var state api.Readiness
	if err := json.Unmarshal(apptest.Fetch(t, p.ready.Admin+"/readyz"), &state); err != nil {
		t.Fatal(err)
	}
	if got := strings.Contains(strings.Join(state.Warnings, "\n"), "--faxplus-zone"); got != want {
		t.Errorf("warnings: %q", state.Warnings)
	}
}
