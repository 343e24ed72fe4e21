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
	Addr   string   `default:"127.0.0.1:8090" placeholder:"HOST:PORT" help:"Where the REST API is served. Default ${default}; port 0 takes a free one."`
	Target string   `placeholder:"URL" help:"Where webhooks go, such as http://127.0.0.1:8080/v1/faxplus. Empty: none are sent, and all files are served at once."`
	Faxes  int      `default:"4" help:"How many faxes to make, when no files are given."`
	Seed   uint64   `default:"1" help:"Of generated faxes and of faults: the same seed gives the same."`
	Coding string   `default:"g3-2d" enum:"g3-2d,g3-1d,g4,colour" help:"Of the pages of generated faxes: ${enum}. Default ${default}, which with fill bits and the least significant bit first is what most providers have."`
	Token  string   `help:"Bearer token that the API demands. Empty: none."`
	Files  []string `arg:"" optional:"" type:"existingfile" help:"TIFF files: each is a page of one fax, in this order. Default: generated faxes."`

	Zone  zone          `placeholder:"ZONE" help:"Time zone in which the simulator writes and reads times, such as -05:00 or America/New_York. Default: UTC."`
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
	faxes, err := c.order().Faxes()
	if errors.Is(err, faxgen.ErrTooLarge) {
		return usageError{err}
	}
	if err != nil {
		return err
	}
	sim, err := faxgen.StartSimulator(c.Addr, faxplustest.Config{Token: c.Token, Seed: c.Seed, Delay: c.Delay, While: c.While, Zone: c.Zone.Location, Logger: e.logger()}, e.logger())
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
		fmt.Fprintf(e.stderr, "%d faxes sent to %s; serving their files until a signal comes\n", len(faxes), withoutPath(c.Target))
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

// announce says what is about to go wrong with which fax.
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
