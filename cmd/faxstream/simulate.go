package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/faxgen"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
)

// simulateCmd is the provider alone.
type simulateCmd struct {
	Addr   string   `default:"127.0.0.1:8090" placeholder:"HOST:PORT" help:"Address of the REST API. Default ${default}; port 0 takes a free port."`
	Target string   `placeholder:"URL" help:"URL that webhooks are sent to, such as http://127.0.0.1:8080/v1/faxplus. Empty: no webhooks, and all files are available at once."`
	Faxes  int      `default:"4" help:"How many faxes to make when no files are given."`
	Seed   uint64   `default:"1" help:"Seed of generated faxes and of faults: the same seed gives the same faxes and faults."`
	Coding string   `default:"g3-2d" enum:"g3-2d,g3-1d,g4,colour" help:"Coding of generated pages: ${enum}. Default ${default}, with fill bits and the least significant bit first, as most providers send it."`
	Token  string   `env:"-" help:"Bearer token that the REST API requires. Empty: none."`
	Files  []string `arg:"" optional:"" type:"existingfile" help:"TIFF files: each is a page of one fax, in this order. Default: generated faxes."`

	Zone  zone          `placeholder:"ZONE" help:"Time zone in which the simulator writes and reads times, such as -05:00 or America/New_York. Default: UTC."`
	Fault []string      `placeholder:"NAME" help:"Fault of every fax: ${faults}."`
	Chaos bool          `help:"One to three random faults for each fax, chosen by --seed. A line on stdout shows the faults and the expected result."`
	Delay time.Duration `help:"Maximum random delay before a webhook."`
	While time.Duration `default:"2s" help:"How long a late webhook is late, and how long a dead token is dead. Default ${default}."`
}

// Run serves until the first signal; all webhooks are sent before it only waits.
func (c simulateCmd) Run(ctx context.Context, e env) error {
	if err := c.check(); err != nil {
		return err
	}
	faxes, err := c.order().Faxes()
	if errors.Is(err, faxgen.ErrTooLarge) {
		return usageError{err}
	}
	if err != nil {
		return err
	}
	log := e.logger()
	cfg := faxplustest.Config{Token: c.Token, Seed: c.Seed, Delay: c.Delay, While: c.While, Zone: c.Zone.Location, Logger: log}
	sim, err := faxgen.StartSimulator(c.Addr, cfg, log)
	if err != nil {
		return err
	}
	ready := map[string]any{"ready": true, "api": sim.URL, "page_path": faxplustest.PagePath}
	if err := json.NewEncoder(e.stdout).Encode(ready); err != nil {
		return errors.Join(err, sim.Stop())
	}
	if err := c.announce(e.stdout, sim, faxes); err != nil {
		return errors.Join(err, sim.Stop())
	}
	if c.Target == "" {
		for _, f := range faxes {
			sim.Add(f)
		}
	} else if err := sim.SendAll(ctx, c.Target, faxes); err != nil {
		return errors.Join(err, sim.Stop())
	} else if ctx.Err() == nil {
		fmt.Fprintf(e.stderr, "%d faxes sent to %s; serving their files until the process is stopped\n", len(faxes), withoutPath(c.Target))
	}
	<-ctx.Done()
	return sim.Stop()
}

func (c simulateCmd) order() faxgen.Order {
	o := faxgen.Order{Count: c.Faxes, Files: c.Files, Seed: c.Seed, Coding: c.Coding, Chaos: c.Chaos}
	for _, name := range c.Fault {
		o.Faults = append(o.Faults, faxplustest.Fault(name))
	}
	return o
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

// announce prints the faults of each fax and its expected result.
func (c simulateCmd) announce(w io.Writer, sim *faxgen.Simulator, faxes []faxplustest.Fax) error {
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

// check refuses wrong values of flags.
func (c simulateCmd) check() error {
	for _, name := range c.Fault {
		if !slices.Contains(faxplustest.AllFaults(), faxplustest.Fault(name)) {
			return usagef("--fault %q: want one of %s", name, faultNames())
		}
	}
	if c.Chaos && len(c.Fault) > 0 {
		return usagef("--chaos chooses the faults itself: give either --chaos or --fault")
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
