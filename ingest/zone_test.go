package ingest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/faxstream/faxstream/ingest"
	"github.com/faxstream/faxstream/ingest/faxplus"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/pipeline/session"
)

func parsedZone(t testing.TB, name string) *time.Location {
	t.Helper()
	zone, err := ingest.ParseZone(name)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func newZone(t testing.TB, cfg ingest.ZoneConfig) *ingest.Zone {
	t.Helper()
	z, err := ingest.NewZone(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func TestZonesOnTheCommandLine(t *testing.T) {
	summer := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	for name, want := range map[string]int{
		"UTC": 0, "+00:00": 0, "-05:00": -18000, "-5": -18000, "+2": 7200, "UTC+9": 32400, "+0530": 19800, "+14": 50400, "-14:00": -50400,
		"America/New_York": -14400, "Europe/Zurich": 7200, "Asia/Tokyo": 32400,
	} {
		if _, got := summer.In(parsedZone(t, name)).Zone(); got != want {
			t.Errorf("%s is %d s from UTC, want %d", name, got, want)
		}
	}
	for _, name := range []string{"", "Local", "EST5", "5", "+15", "+14:15", "+5:75", "+5:3", "Mars/Olympus", "../../etc/passwd", "+", "--5"} {
		if zone, err := ingest.ParseZone(name); err == nil {
			t.Errorf("%q is %s", name, zone)
		}
	}
}

func FuzzParseZone(f *testing.F) {
	for _, s := range []string{"-05:00", "UTC+9", "America/New_York", "+1400", "/etc/passwd"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		zone, err := ingest.ParseZone(s)
		if err != nil {
			return
		}
		at := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
		if _, offset := at.In(zone).Zone(); offset < -14*3600 || offset > 14*3600 {
			t.Errorf("%q is %d s from UTC", s, offset)
		}
		if back := faxplus.FromWall(faxplus.ToWall(at, zone), zone); !back.Equal(at) {
			t.Errorf("%q: %s comes back as %s", s, at, back)
		}
	})
}

// webhooks is a number of webhooks that come a while after their events, from a provider with this offset.
type webhooks struct {
	n, faxes int
	offset   time.Duration
	late     time.Duration
}

func (w webhooks) learn(z *ingest.Zone, first int) {
	arrived := time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)
	for i := range w.n {
		z.Learn(fmt.Sprint("fax", first+i%w.faxes), arrived.Add(w.offset-w.late), arrived)
	}
}

func TestTheOffsetIsLearnedFromManyWebhooks(t *testing.T) {
	const h, m = time.Hour, time.Minute
	for name, row := range map[string]struct {
		waves []webhooks
		want  time.Duration
	}{
		"UTC":                          {[]webhooks{{n: 50, faxes: 20}}, 0},
		"five hours behind":            {[]webhooks{{n: 12, faxes: 3, offset: -5 * h, late: 20 * time.Second}}, -5 * h},
		"nine hours ahead, slow":       {[]webhooks{{n: 12, faxes: 3, offset: 9 * h, late: 9 * m}}, 9 * h},
		"our clock is behind":          {[]webhooks{{n: 12, faxes: 3, offset: 2 * h, late: -4 * m}}, 2 * h},
		"a zone with a quarter":        {[]webhooks{{n: 12, faxes: 3, offset: 5*h + 45*m}}, 5*h + 45*m},
		"too few":                      {[]webhooks{{n: 9, faxes: 9, offset: -5 * h}}, 0},
		"one fax with many pages":      {[]webhooks{{n: 300, faxes: 1, offset: -5 * h}}, 0},
		"two faxes":                    {[]webhooks{{n: 300, faxes: 2, offset: -5 * h}}, 0},
		"many late ones, some in time": {[]webhooks{{n: 30, faxes: 8, late: 5 * h}, {n: 10, faxes: 3}}, 0},
		"a backlog after an outage":    {[]webhooks{{n: 10, faxes: 3}, {n: 30, faxes: 20, late: 3 * h}}, 0},
		"summer time begins":           {[]webhooks{{n: 60, faxes: 20, offset: -5 * h}, {n: 12, faxes: 3, offset: -4 * h}}, -4 * h},
		"summer time ends":             {[]webhooks{{n: 60, faxes: 20, offset: -4 * h}, {n: 45, faxes: 20, offset: -5 * h}}, -5 * h},
		"webhooks of years ago":        {[]webhooks{{n: 60, faxes: 20, late: 20000 * h}}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			z := newZone(t, ingest.ZoneConfig{Logger: slog.New(slog.NewTextHandler(&log, nil))})
			for i, w := range row.waves {
				w.learn(z, 100*i)
			}
			_, got := time.Now().In(z.Location()).Zone()
			if time.Duration(got)*time.Second != row.want {
				t.Errorf("learned %d s, want %s; %s", got, row.want, &log)
			}
			warned := strings.Contains(strings.Join(z.Warnings(), ""), "--faxplus-zone")
			if warned != (row.want != 0) || row.want != 0 && !strings.Contains(log.String(), "level=WARN") {
				t.Errorf("warnings: %q; log %s", z.Warnings(), &log)
			}
		})
	}
}

func TestAConfiguredZoneStaysAndAWrongOneIsSaid(t *testing.T) {
	ny := parsedZone(t, "America/New_York")
	z := newZone(t, ingest.ZoneConfig{Configured: ny})
	webhooks{n: 20, faxes: 5, offset: -5 * time.Hour}.learn(z, 0)
	if w := z.Warnings(); len(w) != 0 || z.Location() != ny {
		t.Errorf("in winter, %s: %q", z.Location(), w)
	}
	z = newZone(t, ingest.ZoneConfig{Configured: ny})
	webhooks{n: 20, faxes: 5, offset: 2 * time.Hour}.learn(z, 0)
	w := strings.Join(z.Warnings(), "")
	if !strings.Contains(w, "America/New_York may be wrong") || !strings.Contains(w, "7h0m0s ahead") || z.Location() != ny {
		t.Errorf("%s, webhooks from Zurich: %q", z.Location(), w)
	}
}

// What one process learned, the next one and the others know.
func TestTheOffsetSurvivesARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		notes := &here{}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		one, other := newZone(t, ingest.ZoneConfig{Notes: notes}), newZone(t, ingest.ZoneConfig{Notes: notes})
		go one.Run(ctx)
		go other.Run(ctx)
		webhooks{n: 12, faxes: 3, offset: -5 * time.Hour}.learn(one, 0)
		time.Sleep(6 * time.Minute)
		next := newZone(t, ingest.ZoneConfig{Notes: notes})
		if err := next.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, z := range []*ingest.Zone{one, other, next} {
			if z.Location().String() != "UTC-05:00" {
				t.Errorf("the zone is %s", z.Location())
			}
		}
		webhooks{n: 39, faxes: 20, offset: -5 * time.Hour, late: 4 * time.Hour}.learn(next, 0)
		if next.Location().String() != "UTC-05:00" {
			t.Errorf("a backlog after the restart made it %s", next.Location())
		}
		notes.note = []byte(`{"offset_seconds":999999,"known":true}`)
		if err := newZone(t, ingest.ZoneConfig{Notes: notes}).Load(t.Context()); err == nil {
			t.Error("an offset that no zone has was taken")
		}
	})
}

func TestFactsHaveUTCOnceTheZoneIsLearned(t *testing.T) {
	for _, name := range []string{"-05:00", "+02:00", "+09:00", "America/New_York"} {
		t.Run(name, func(t *testing.T) {
			z := newZone(t, ingest.ZoneConfig{})
			s := newSender(t, func(c *ingest.Config) { c.Zone = z })
			post := func(body []byte) {
				t.Helper()
				if status, code := s.send(request(body)); status != 200 {
					t.Fatalf("HTTP %d %s", status, code)
				}
			}
			start := time.Now().UTC().Truncate(time.Second)
			var early, late session.Closed
			for i := range 4 {
				f := faxplustest.Fax{Session: fmt.Sprint("s", i), Pages: make([][]byte, 3), StartTime: start, Zone: parsedZone(t, name)}
				for page := range f.Pages {
					post(faxplustest.PageEvent(f, page+1, target))
				}
				post(faxplustest.ClosedEvent(f, target))
				for _, fact := range s.facts {
					if c, ok := fact.(session.Closed); ok && c.Session == "s0" && i == 0 {
						early = c
					} else if ok && c.Session == "s3" {
						late = c
					}
				}
			}
			if !late.StartTime.Equal(start) || late.EventTime.Before(start) || late.EventTime.After(start.Add(time.Minute)) {
				t.Errorf("started %s, event %s; it started %s", late.StartTime, late.EventTime, start)
			}
			again := early
			again.StartTime = start
			if early.StartTime.Equal(start) || !again.Same(jsonOf(t, early)) {
				t.Errorf("a repeat after the zone is learned is another fact: %s and %s", early.StartTime, start)
			}
			if again.StartTime = start.Add(time.Minute); again.Same(jsonOf(t, early)) {
				t.Error("a start that is a minute off is the same fact")
			}
		})
	}
}

// A reconciler that asked in the wrong zone has seen nothing: what it missed since its first start is looked for again.
func TestWindowsThatWereReadInTheWrongZoneAreReadAgain(t *testing.T) {
	for _, offset := range []time.Duration{-5 * time.Hour, 2 * time.Hour, 9 * time.Hour} {
		t.Run(offset.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				z := newZone(t, ingest.ZoneConfig{})
				b := newBench(t, func(c *ingest.ReconcilerConfig) {
					c.Zone, c.Provider = z, zoned{c.Provider, z, parsedZone(t, fmt.Sprintf("%+03d", int(offset.Hours())))}
				})
				time.Sleep(24 * time.Hour)
				before := listed("before", time.Now().UTC().Add(-4*time.Hour)) // older than the first start looks back
				lost := listed("lost", time.Now().UTC().Add(time.Minute))
				b.records["inbox"] = []faxplus.Record{before, lost}
				b.run(t, 26*time.Hour)
				b.restart(t)
				webhooks{n: 12, faxes: 3, offset: offset}.learn(z, 0)
				b.run(t, 30*time.Minute)
				if _, found := b.facts[mustClose(t, lost).Subject()]; !found {
					t.Fatalf("the lost fax was not found; fed in %v, log %s", b.order, b.log)
				}
				if fact := b.facts[mustClose(t, lost).Subject()]; offset < 0 && !fact.StartTime.Equal(lost.StartTime) {
					t.Errorf("it started %s, want %s", fact.StartTime, lost.StartTime)
				}
				n := len(b.requests)
				b.run(t, time.Hour)
				if len(b.order) > 2 || len(b.requests)-n > 10 {
					t.Errorf("afterwards: fed in %v, %d requests", b.order, len(b.requests)-n)
				}
			})
		})
	}
}

func mustClose(t testing.TB, r faxplus.Record) session.Closed {
	t.Helper()
	c, ok := r.Closed()
	if !ok {
		t.Fatalf("%q is no session id", r.ID)
	}
	return c
}

// zoned is a provider in another zone than faxstream knows.
type zoned struct {
	ingest.Lister
	known *ingest.Zone
	truly *time.Location
}

func (z zoned) List(ctx context.Context, category string, after, before time.Time, limit int) ([]faxplus.Record, error) {
	meant := func(t time.Time) time.Time { return faxplus.FromWall(faxplus.ToWall(t, z.known.Location()), z.truly) }
	records, err := z.Lister.List(ctx, category, meant(after), meant(before), limit)
	for i := range records {
		records[i] = z.read(records[i])
	}
	return records, err
}

func (z zoned) Record(ctx context.Context, id string) (faxplus.Record, error) {
	r, err := z.Lister.Record(ctx, id)
	return z.read(r), err
}

func (z zoned) read(r faxplus.Record) faxplus.Record {
	r.StartTime = faxplus.FromWall(faxplus.ToWall(r.StartTime, z.truly), z.known.Location())
	return r
}

func jsonOf(t testing.TB, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
