package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/cmd/faxstream/app"
	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
	"github.com/faxstream/faxstream/ingest"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/session"
)

// desk is a whole faxstream in this process, with a simulated provider and whoever sits at its command line.
type desk struct {
	*app.App
	t   *testing.T
	cfg app.Config
	sim *faxplustest.Server
	bus *bus.Bus // a connection beside the app's
	nc  *nats.Conn
	js  jetstream.JetStream
}

// newDesk waits long for pages that come by themselves; a hasty one gives up soon what does not come.
func newDesk(t *testing.T, hasty bool) *desk {
	t.Helper()
	return newDeskWith(t, hasty, func(*app.Config) {})
}

// newDeskWith changes the configuration.
func newDeskWith(t *testing.T, hasty bool, change func(*app.Config)) *desk {
	t.Helper()
	if testing.Short() {
		t.Skip("a whole program and several documents: runs without -short")
	}
	sim, flags := newSimulator(t, faxplustest.Config{})
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError}))
	d := &desk{t: t, sim: sim, cfg: app.DemoConfig(t.TempDir(), strings.TrimPrefix(flags[0], "--faxplus-url="), false, log)}
	d.cfg.CloseGrace = time.Hour
	if hasty {
		d.cfg.CloseGrace, d.cfg.PageDeadline, d.cfg.WholeFor = 2*time.Second, 2*time.Second, 2*time.Second
		d.cfg.RetryDelays = []time.Duration{200 * time.Millisecond}
	}
	d.cfg.NATS.Embedded.Listen, d.cfg.NATS.Embedded.Insecure, d.cfg.Reconcile = "127.0.0.1:0", true, session.ReconcileOff
	change(&d.cfg)
	d.open()
	t.Cleanup(func() {
		if err := d.stop(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func (d *desk) open() {
	d.t.Helper()
	var err error
	if d.App, err = app.Start(d.t.Context(), d.cfg); err != nil {
		d.t.Fatal(err)
	}
	if d.bus, err = bus.Open(d.t.Context(), bus.Config{URL: d.NATSURL(), Log: d.cfg.Log}); err != nil {
		d.t.Fatal(errors.Join(err, d.Stop()))
	}
	if d.nc, err = nats.Connect(d.NATSURL(), nats.Timeout(apptest.Patience)); err == nil {
		d.js, err = jetstream.New(d.nc)
	}
	if err != nil {
		d.t.Fatal(err)
	}
}

// stop leaves before the app ends.
func (d *desk) stop() error {
	d.nc.Close()
	return errors.Join(d.bus.Close(), d.Stop())
}

func (d *desk) restart() {
	d.t.Helper()
	if err := d.stop(); err != nil {
		d.t.Fatal(err)
	}
	d.open()
}

// do runs a command, which must end with this code, and gives its output.
func (d *desk) do(code int, args ...string) string {
	d.t.Helper()
	var out, errs bytes.Buffer
	args = append(args, "--server="+d.AdminURL())
	if got := run(d.t.Context(), args, func(string) string { return "" }, &out, &errs); got != code {
		d.t.Fatalf("faxstream %s: exit code %d, want %d: %s", strings.Join(args, " "), got, code, &errs)
	}
	return out.String()
}

// letters lists what `dlq ls` prints.
func (d *desk) letters(args ...string) []api.Letter {
	d.t.Helper()
	var all []api.Letter
	for dec := json.NewDecoder(strings.NewReader(d.do(0, append([]string{"dlq", "ls", "--json"}, args...)...))); ; {
		var l api.Letter
		if err := dec.Decode(&l); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			d.t.Fatal(err)
		}
		all = append(all, l)
	}
}

// awaitLetters waits until the live letters are those of these stages, with their page.
func (d *desk) awaitLetters(want ...string) []api.Letter {
	d.t.Helper()
	var all []api.Letter
	await(d.t, "dead letters "+strings.Join(want, ", "), func() bool {
		all = d.letters()
		got := map[string]int{}
		for _, l := range all {
			got[strings.TrimSpace(l.Stage+" "+pageText(l.Page))]++
		}
		for _, w := range want {
			got[w]--
			if got[w] == 0 {
				delete(got, w)
			}
		}
		return len(got) == 0
	})
	return all
}

// send posts webhooks.
func (d *desk) send(bodies ...[]byte) {
	d.t.Helper()
	for _, b := range bodies {
		if status := apptest.Post(d.t, d.WebhookURL()+ingest.Path, b); status != 200 {
			d.t.Fatalf("a webhook was answered %d", status)
		}
	}
}

// awaitFax waits until a fax is as wanted.
func (d *desk) awaitFax(id string, want func(session.State) bool) (s session.State) {
	d.t.Helper()
	await(d.t, "fax "+id, func() bool {
		var err error
		if s, _, err = d.bus.Load(d.t.Context(), id); err != nil {
			d.t.Fatal(err)
		}
		return want(s)
	})
	return s
}

// quiet waits until nothing is under way on these durables.
func (d *desk) quiet(durables map[string]string) {
	d.t.Helper()
	for durable, stream := range durables {
		await(d.t, "nothing left on "+durable, func() bool {
			cons, err := d.js.Consumer(d.t.Context(), stream, durable)
			if err != nil {
				d.t.Fatal(err)
			}
			info := cons.CachedInfo()
			return info.NumPending == 0 && info.NumAckPending == 0
		})
	}
}

var letterDurables = map[string]string{"letters-pages": "FAX_PAGES", "letters-docs": "FAX_DOCS", "actions": "FAX_AUDIT"}

// audit gives the actions of one kind, oldest first.
func (d *desk) audit(kind string) []session.Action {
	d.t.Helper()
	s, err := d.js.Stream(d.t.Context(), "FAX_AUDIT")
	if err != nil {
		d.t.Fatal(err)
	}
	var all []session.Action
	for seq := uint64(1); seq <= s.CachedInfo().State.LastSeq; seq++ {
		m, err := s.GetMsg(d.t.Context(), seq)
		var a session.Action
		if err == nil {
			err = json.Unmarshal(m.Data, &a)
		}
		if err != nil {
			d.t.Fatal(err)
		}
		if a.Kind == kind {
			all = append(all, a)
		}
	}
	return all
}

// threePages is a fax of which the provider gives page 1 only: not the others, and not the whole file.
func (d *desk) threePages(id string) faxplustest.Fax {
	f := faxplustest.Fax{Session: id, Streamed: true, Pages: apptest.Split(d.t, apptest.Fixture(d.t, "three-pages-fine-g4"))}
	d.sim.Add(f)
	for _, page := range []int{0, 2, 3} {
		d.sim.Script(id, page, apptest.AnswerWith(nil))
	}
	return f
}

func (d *desk) metric(line string) bool {
	d.t.Helper()
	return strings.Contains("\n"+string(apptest.Fetch(d.t, d.AdminURL()+"/metrics")), "\n"+line+"\n")
}

func hasDocument(s session.State) bool { return s.Document != nil }
