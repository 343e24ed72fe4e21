package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
)

// simulateCmd is the provider alone.
type simulateCmd struct {
	Addr   string   `default:"127.0.0.1:8090" placeholder:"HOST:PORT" help:"Where the REST API is served. Default ${default}; port 0 takes a free one."`
	Target string   `placeholder:"URL" help:"Where webhooks go, such as http://127.0.0.1:8080/v1/faxplus. Empty: none are sent, and all files are served at once."`
	Faxes  int      `default:"4" help:"How many faxes to make, when no files are given."`
	Seed   uint64   `default:"1" help:"Of generated faxes and of faults: the same seed gives the same."`
	Coding string   `default:"g3-2d" enum:"g3-2d,g3-1d,g4,colour" help:"Of the pages of generated faxes: ${enum}. Default ${default}, which with fill bits and the least significant bit first is what most providers have."`
	Token  string   `help:"Bearer token that the API demands. Empty: none."`
	Files  []string `arg:"" optional:"" type:"existingfile" help:"TIFF files: each is a page of one fax, in this order. Default: generated faxes."`

	Fault []string      `placeholder:"NAME" help:"What goes wrong with every fax: ${faults}."`
	Chaos bool          `help:"One to three faults for each fax, drawn by --seed. A line on stdout says which, and what must become of the fax."`
	Delay time.Duration `help:"Longest random wait before a webhook."`
	While time.Duration `default:"2s" help:"How long a while is, in which a webhook is late or the token dead. Default ${default}."`
}

// Run serves until the first signal; all webhooks are sent before it only waits.
func (c simulateCmd) Run(ctx context.Context, e env) error {
	if err := c.check(); err != nil {
		return err
	}
	faxes, err := c.faxes()
	if err != nil {
		return err
	}
	sim, err := startSimulator(c.Addr, faxplustest.Config{Token: c.Token, Seed: c.Seed, Delay: c.Delay, While: c.While, Logger: e.logger()}, e.logger())
	if err != nil {
		return err
	}
	ready := map[string]any{"ready": true, "api": sim.url, "page_path": faxplustest.PagePath}
	if err := json.NewEncoder(e.stdout).Encode(ready); err != nil {
		return errors.Join(err, sim.stop())
	}
	if err := c.announce(e.stdout, sim, faxes); err != nil {
		return errors.Join(err, sim.stop())
	}
	if c.Target == "" {
		for _, f := range faxes {
			sim.Add(f)
		}
	} else if err := sim.sendAll(ctx, c.Target, faxes); err != nil {
		return errors.Join(err, sim.stop())
	} else if ctx.Err() == nil {
		fmt.Fprintf(e.stderr, "%d faxes sent to %s; serving their files until a signal comes\n", len(faxes), withoutPath(c.Target))
	}
	<-ctx.Done()
	return sim.stop()
}

// faultyFax is the line of one fax with faults.
type faultyFax struct {
	Session  string              `json:"session"`
	Pages    int                 `json:"pages"`
	Faults   []faxplustest.Fault `json:"faults"`
	Usable   []int               `json:"usable"`            // pages that must end usable
	Missing  []int               `json:"missing,omitempty"` // pages that must end missing
	Statuses []string            `json:"statuses"`          // one of these must be the document's
}

// announce says what is about to go wrong with which fax.
func (c simulateCmd) announce(w io.Writer, sim *simulator, faxes []faxplustest.Fax) error {
	if !c.Chaos && len(c.Fault) == 0 {
		return nil
	}
	for _, f := range faxes {
		t := sim.Truth(f)
		line := faultyFax{f.Session, len(f.Pages), f.Faults, slices.Sorted(maps.Keys(t.Pages)), t.Missing, t.Statuses}
		if err := json.NewEncoder(w).Encode(line); err != nil {
			return err
		}
	}
	return nil
}

// check refuses what is no fault, count, wait or URL.
func (c simulateCmd) check() error {
	for _, name := range c.Fault {
		if !slices.Contains(faxplustest.AllFaults(), faxplustest.Fault(name)) {
			return usagef("--fault %q: want one of %s", name, faultNames())
		}
	}
	if c.Chaos && len(c.Fault) > 0 {
		return usagef("--chaos draws the faults itself: give it or --fault")
	}
	if c.Faxes < 0 || c.Delay < 0 || c.While < 0 {
		return usagef("--faxes, --delay and --while must not be negative")
	}
	u, err := url.Parse(c.Target)
	if c.Target != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
		return usagef("--target: want a URL such as http://127.0.0.1:8080/v1/faxplus")
	}
	return nil
}

// withoutPath hides the secret of a webhook's URL.
func withoutPath(target string) string { return hookLine{Target: target}.hidden().Target }

// faultNames lists the names that --fault takes.
func faultNames() string {
	var names []string
	for _, f := range faxplustest.AllFaults() {
		names = append(names, string(f))
	}
	return strings.Join(names, ", ")
}

// faxes makes the faxes and gives them their faults.
func (c simulateCmd) faxes() ([]faxplustest.Fax, error) {
	faxes, err := c.cleanFaxes()
	for i, f := range faxes {
		if f.StartTime.IsZero() { // they come in now: where people look for them, and the reconciler
			faxes[i].StartTime = time.Now().UTC().Truncate(time.Second)
		}
		if c.Chaos {
			faxes[i].Faults = faxplustest.Chaos(c.Seed, f.Session)
		}
		for _, name := range c.Fault {
			faxes[i].Faults = append(faxes[i].Faults, faxplustest.Fault(name))
		}
	}
	return faxes, err
}

func (c simulateCmd) cleanFaxes() ([]faxplustest.Fax, error) {
	if len(c.Files) > 0 {
		f, err := faxOfFiles(c.Files)
		return []faxplustest.Fax{f}, err
	}
	g, err := newFaxGenerator(c.Seed, c.Coding)
	if err != nil {
		return nil, err
	}
	var faxes []faxplustest.Fax
	for n := range c.Faxes {
		f, err := g.fax(n)
		if err != nil {
			return nil, err
		}
		faxes = append(faxes, f)
	}
	return faxes, nil
}

// maxGivenFile bounds a page file that the simulator is given; larger ones than faxstream takes are wanted in tests.
const maxGivenFile = 64 << 20

// faxOfFiles makes one fax of page files as they are; it has no whole file unless it has one page.
func faxOfFiles(files []string) (faxplustest.Fax, error) {
	name := strings.TrimSuffix(filepath.Base(files[0]), filepath.Ext(files[0]))
	token := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return '-'
	}, name)
	f := faxplustest.Fax{Session: fmt.Sprintf("%.40s-%d", token, time.Now().UnixMilli()), Streamed: true, StartTime: time.Now().UTC().Truncate(time.Second)}
	for _, file := range files {
		r, err := os.Open(file)
		if err != nil {
			return f, err
		}
		page, err := io.ReadAll(io.LimitReader(r, maxGivenFile+1))
		if err := errors.Join(err, r.Close()); err != nil {
			return f, fmt.Errorf("read %s: %w", file, err)
		}
		if len(page) > maxGivenFile {
			return f, usagef("%s has more than %d bytes", file, maxGivenFile)
		}
		f.Pages = append(f.Pages, page)
	}
	if len(f.Pages) == 1 {
		f.Whole = f.Pages[0]
	}
	return f, nil
}

// simulator is a provider that is being served.
type simulator struct {
	*faxplustest.Server
	url  string
	srv  *http.Server
	done chan error
}

func startSimulator(addr string, cfg faxplustest.Config, log *slog.Logger) (*simulator, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen for the simulator: %w", err)
	}
	s := &simulator{Server: faxplustest.New(cfg), url: "http://" + l.Addr().String(), done: make(chan error, 1)}
	s.srv = &http.Server{Handler: s.Server, ReadHeaderTimeout: 5 * time.Second, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn)}
	go func() { s.done <- s.srv.Serve(l) }()
	return s, nil
}

// sendAll sends every fax at once, as calls on several lines.
func (s *simulator) sendAll(ctx context.Context, target string, faxes []faxplustest.Fax) error {
	errs := make([]error, len(faxes))
	var wg sync.WaitGroup
	for i, f := range faxes {
		wg.Go(func() {
			if err := s.Send(ctx, target, f); err != nil {
				errs[i] = fmt.Errorf("send fax %s: %w", f.Session, err)
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return errors.Join(errs...)
}

func (s *simulator) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	err := s.srv.Shutdown(ctx)
	s.Close()
	if served := <-s.done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}
