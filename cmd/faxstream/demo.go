package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/cmd/faxstream/app"
	"github.com/faxstream/faxstream/cmd/faxstream/faxgen"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/stage"
)

// demoCmd is everything in one process: the pipeline on embedded stores, and a simulated provider.
type demoCmd struct {
	Exit  bool   `help:"Exit when every fax has its document. Exit code 0: all faxes are complete, or with --chaos as expected."`
	Chaos bool   `help:"The simulated provider makes one to three faults with each fax. A table at the end shows the faults, and whether the document is as expected."`
	JSON  bool   `help:"With --exit: print one JSON object to stdout, with the paths of the documents."`
	Faxes int    `default:"6" help:"How many faxes to send. Each has 1 to 12 pages."`
	Seed  uint64 `default:"1" help:"Seed of the random faxes: the same seed makes the same faxes."`
	Dir   string `type:"path" help:"Directory for state and documents. Default: a new directory in the system's temporary directory; it is not deleted."`
}

// demoTimeout is far more than the faxes need; a demo that hangs is a failed one.
const demoTimeout = 10 * time.Minute

// demoAdmin is where the commands look for a server by default.
const demoAdmin = "127.0.0.1:8081"

// demoReport is the JSON object of --exit --json.
type demoReport struct {
	Faxes     int            `json:"faxes"`
	Pages     int            `json:"pages"`
	Documents []demoDocument `json:"documents"`
	Errors    []string       `json:"errors"`
}

type demoDocument struct {
	Session  string `json:"session"`
	From     string `json:"from"`
	To       string `json:"to"`
	Status   string `json:"status"`
	Pages    int    `json:"pages"`
	TIFF     string `json:"document_tiff"`
	PDF      string `json:"document_pdf"`
	Manifest string `json:"manifest"`

	Faults []faxplustest.Fault `json:"faults,omitempty"`

	// Differing are the pages that differ from the whole file: a person should choose an image.
	Differing session.Ranges `json:"pages_differing,omitempty"`
}

func (c demoCmd) Run(ctx context.Context, e env) (err error) {
	if c.Faxes < 1 {
		return usagef("--faxes %d: want 1 or more", c.Faxes)
	}
	if c.JSON && !c.Exit {
		return usagef("--json needs --exit: the JSON object is printed at the end")
	}
	if c.Dir == "" {
		if c.Dir, err = os.MkdirTemp("", "faxstream-demo-"); err != nil {
			return fmt.Errorf("make a directory for the demo: %w", err)
		}
	}
	if err := c.claim(); err != nil {
		return err
	}
	faxes, err := faxgen.Order{Count: c.Faxes, Seed: c.Seed, Chaos: c.Chaos}.Faxes()
	if err != nil {
		return err
	}
	live := e.interactive()
	e.stderr = &inTurn{w: e.stderr}
	show := &progress{env: e, live: live, pages: map[string]int{}}
	for _, f := range faxes {
		show.pages[f.Session] = len(f.Pages)
	}
	level := slog.LevelWarn
	if c.Chaos { // what goes wrong stands in the table
		level = slog.LevelError
	}
	log := slog.New(slog.NewTextHandler(e.stderr, &slog.HandlerOptions{Level: level}))
	sim, err := faxgen.StartSimulator("127.0.0.1:0", faxplustest.Config{Seed: c.Seed, Delay: 300 * time.Millisecond, Logger: log}, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sim.Stop()) }()
	cfg := app.DemoConfig(c.Dir, sim.URL, c.Chaos, log)
	cfg.Admin.Addr, cfg.Admin.AnyPort = demoAdmin, true
	cfg.Software, cfg.Observe = softwareName(), show.step
	began := time.Now()
	a, err := app.Start(ctx, cfg)
	if err != nil {
		return err
	}
	if !c.Exit {
		fmt.Fprintf(e.stderr, "Watch:     %s (the faxes arrive now)\n", a.AdminURL())
	}
	limited, cancel := context.WithTimeoutCause(ctx, demoTimeout, fmt.Errorf("some faxes have no document after %s", demoTimeout))
	trials, err := app.RunTrials(limited, a, sim, faxes, 2*cfg.WholeFor, show.assembled)
	cancel()
	if err != nil {
		return errors.Join(err, a.Stop())
	}
	report := c.report(trials)
	if c.Chaos {
		err = printTrials(e.stderr, trials)
	}
	if c.JSON {
		err = errors.Join(err, json.NewEncoder(e.stdout).Encode(report))
	}
	fmt.Fprintf(e.stderr, "\n%d faxes with %d pages assembled.\n", report.Faxes, report.Pages)
	if !c.Exit {
		fmt.Fprintf(e.stderr, "Dashboard: %s (until Ctrl-C)\n", a.AdminURL())
	}
	fmt.Fprintf(e.stderr, "Folder:    %s\n", c.Dir)
	if !c.Exit {
		reading, stop := context.WithCancel(ctx)
		done := readDemo(reading, e, a.AdminURL(), began)
		err = errors.Join(err, a.Wait(ctx))
		stop()
		return errors.Join(err, <-done)
	}
	if len(report.Errors) > 0 {
		err = errors.Join(err, fmt.Errorf("%d of %d faxes are not as expected: %s", len(report.Errors), report.Faxes, report.Errors[0]))
	}
	return errors.Join(err, a.Stop())
}

// claim marks the directory as a demo's. An archive forgets nothing: invented faxes must not get into an archive with real ones.
func (c demoCmd) claim() error {
	mark := filepath.Join(c.Dir, "demo")
	_, err := os.Stat(mark)
	if err == nil {
		return nil
	}
	if entries, err := os.ReadDir(c.Dir); err == nil && len(entries) > 0 {
		return usagef("--dir %s is not empty and was not made by a demo: give an empty directory", c.Dir)
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return fmt.Errorf("make the demo's directory: %w", err)
	}
	return os.WriteFile(mark, []byte("The faxes in this directory are invented.\n"), 0o600)
}

func (c demoCmd) report(trials []*app.Trial) demoReport {
	r := demoReport{Faxes: len(trials), Documents: []demoDocument{}, Errors: []string{}}
	local := func(o session.Object) string { return filepath.Join(c.Dir, "archive", filepath.FromSlash(o.Key)) }
	for _, t := range trials {
		if wrong := t.Wrong(); wrong != "" {
			r.Errors = append(r.Errors, fmt.Sprintf("fax %s: %s", t.Fax.Session, wrong))
		}
		d := t.State.Document
		if d == nil {
			continue
		}
		doc := demoDocument{
			Session: d.Session, From: d.From, To: d.To, Status: d.Status, Pages: d.Pages, PDF: local(d.PDF), Manifest: local(d.Manifest),
			Faults: t.Fax.Faults, Differing: t.State.Disputed(),
		}
		if d.TIFF != nil {
			doc.TIFF = local(*d.TIFF)
		}
		r.Pages += d.Pages
		r.Documents = append(r.Documents, doc)
	}
	return r
}

// printTrials prints a line for each fax: what went wrong with it, and what became of it.
func printTrials(w io.Writer, trials []*app.Trial) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\nSESSION\tPAGES\tFAULTS\tSTATUS\tEXPECTED\t")
	for _, tr := range trials {
		var faults []string
		for _, f := range tr.Fax.Faults {
			faults = append(faults, string(f))
		}
		verdict := tr.Wrong()
		if verdict == "" {
			verdict = "ok"
		}
		status := tr.State.Status()
		if text := api.DifferText(tr.State.Disputed()); text != "" {
			status += ", " + text
		}
		fmt.Fprintf(t, "%.8s\t%d\t%s\t%s\t%s\t%s\n",
			tr.Fax.Session, len(tr.Fax.Pages), strings.Join(faults, " "), status, strings.Join(tr.Truth.Statuses, "|"), verdict)
	}
	return t.Flush()
}

// progress tells people what happens: each step on a terminal, else a line for each fax.
type progress struct {
	env   env
	live  bool
	pages map[string]int // by session; only read after the start
}

// inTurn writes what several goroutines say, such as the log, one after another.
type inTurn struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *inTurn) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

// stepWords are the steps of a page that a person wants to see.
var stepWords = map[string]string{"announce": "announced", "fetch": "fetched", "decode": "decoded", "publish": "archived and published"}

func (p *progress) step(s stage.Step) {
	word := stepWords[s.Stage]
	if s.Reason != "" {
		word = "failed: " + string(s.Reason)
	}
	if !p.live || s.Page == 0 || word == "" {
		return
	}
	took := ""
	if s.Took > 0 {
		took = fmt.Sprintf(" in %.1f ms", s.Took.Seconds()*1000)
	}
	p.print("%.8s  page %2d of %2d  %s%s\n", s.Session, s.Page, p.pages[s.Session], word, took)
}

func (p *progress) assembled(d session.DocAssembled) {
	p.print("%.8s  from %s to %s: %d pages, %s\n", d.Session, d.From, d.To, d.Pages, d.Status)
}

func (p *progress) print(format string, a ...any) {
	fmt.Fprintf(p.env.stderr, format, a...)
}
