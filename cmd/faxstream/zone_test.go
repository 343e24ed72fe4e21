package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
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
				flags = append(flags, "--dir="+t.TempDir(), "--list-every=1s", "--list-rate=6000", "--close-grace=1s")
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
				if want := fmt.Sprintf("\nfaxstream_provider_utc_offset_seconds %d\n", seconds); !strings.Contains(string(apptest.Fetch(t, p.ready.Admin+"/metrics")), want) {
					t.Errorf("metrics without %s", want)
				}
				day := filepath.Join(strings.TrimPrefix(flags[2], "--dir="), "archive", "index", lost.StartTime.Format("2006/01/02"))
				entries, err := os.ReadDir(day)
				if err != nil {
					t.Fatal(err)
				}
				filed := ""
				for _, e := range entries {
					if strings.Contains(e.Name(), lost.ListedID()) {
						filed = e.Name()
					}
				}
				if want := lost.StartTime.Format("150405"); !strings.HasPrefix(strings.ReplaceAll(filed, ":", ""), want) {
					t.Errorf("%s has %q, want a name that begins with %s", day, filed, want)
				}
			})
		}
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
