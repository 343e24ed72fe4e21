package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
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

	Duplicate float64       `help:"Probability (0 to 1) that a webhook is sent twice."`
	Reorder   bool          `help:"Send the webhooks of a fax in random order."`
	Delay     time.Duration `help:"Longest random wait before a webhook."`
	Drop      float64       `help:"Probability (0 to 1) that a page's webhook is never sent."`
	NotReady  int           `help:"So many first tries of each page are answered 404."`
	Error5xx  float64       `name:"error-5xx" help:"Probability (0 to 1) that a request for a file is answered 503."`
	Truncate  float64       `help:"Probability (0 to 1) that a file's body ends early."`
}

func (c simulateCmd) faults() faxplustest.Faults {
	return faxplustest.Faults{
		Duplicate: c.Duplicate, Reorder: c.Reorder, Delay: c.Delay, Drop: c.Drop,
		NotReady: c.NotReady, Error5xx: c.Error5xx, Truncate: c.Truncate,
	}
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
	sim, err := startSimulator(c.Addr, faxplustest.Config{Token: c.Token, Seed: c.Seed, Faults: c.faults(), Logger: e.logger()}, e.logger())
	if err != nil {
		return err
	}
	ready := map[string]any{"ready": true, "api": sim.url, "page_path": faxplustest.PagePath}
	if err := json.NewEncoder(e.stdout).Encode(ready); err != nil {
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

// check refuses what is no probability, count, wait or URL.
func (c simulateCmd) check() error {
	for name, p := range map[string]float64{"duplicate": c.Duplicate, "drop": c.Drop, "error-5xx": c.Error5xx, "truncate": c.Truncate} {
		if !(p >= 0 && p <= 1) {
			return usagef("--%s %v: want a probability from 0 to 1", name, p)
		}
	}
	if c.Faxes < 0 || c.NotReady < 0 || c.Delay < 0 {
		return usagef("--faxes, --not-ready and --delay must not be negative")
	}
	u, err := url.Parse(c.Target)
	if c.Target != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
		return usagef("--target: want a URL such as http://127.0.0.1:8080/v1/faxplus")
	}
	return nil
}

// withoutPath hides the secret of a webhook's URL.
func withoutPath(target string) string { return hookLine{Target: target}.hidden().Target }

func (c simulateCmd) faxes() ([]faxplustest.Fax, error) {
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
