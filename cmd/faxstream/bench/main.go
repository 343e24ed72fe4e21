// Command bench measures two builds of faxstream in turn, BASE and the working tree, and prints one table. `make bench` runs it.
//
// The driver is a process of its own: it plays the provider and the sender of webhooks, hears page.archived at NATS, and reads processor
// time and memory of `faxstream serve` from /proc (Linux). So its own time is not the pipeline's, and every build that has serve can be
// measured. A table begins in rows.go; one row of it is a name for --rows.
//
// It writes below $TMPDIR only, and removes all of it at the end. BASE is built in a git worktree there.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	// A reader of the table that ends early must not keep the driver from removing what it has written.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGPIPE)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// order is what is to be measured.
type order struct {
	base string // revision; noBase: none
	rows []row
	page string // file whose figures are replaced; empty: none
	size size
}

// noBase measures the working tree alone.
const noBase = "none"

// parse reads the flags.
func parse(args []string, stderr io.Writer) (o order, err error) {
	var names string
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&o.base, "base", "d4c3bbb", "`revision` to compare with; none: the working tree is measured alone")
	f.StringVar(&names, "rows", "all", "rows to measure, separated by commas: "+strings.Join(rowNames(), ","))
	f.StringVar(&o.page, "page", "", "`file` of the page about costs: its figures are written; the rows are "+strings.Join(pageRows(), ","))
	f.IntVar(&o.size.rounds, "rounds", 5, "rounds; in each one both builds take their turn")
	f.IntVar(&o.size.percent, "size", 100, "work of each row, in `percent` of the usual")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if o.page != "" {
		names = strings.Join(pageRows(), ",")
	}
	o.rows, err = choose(names)
	return o, err
}

// run is the whole program: it measures, and then prints one table.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	b, err := prepare(ctx, o, stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.remove()) }()
	t := &table{}
	for _, r := range o.rows {
		if err := b.rounds(ctx, r, t); err != nil {
			return fmt.Errorf("row %s: %w", r.name, err)
		}
	}
	if err := errors.Join(t.print(stdout), b.describe(stdout)); err != nil || o.page == "" {
		return err
	}
	return b.writePage(o.page, t)
}

// size is how much is measured.
type size struct{ rounds, percent int }

// of is a part of a usual number, at least least.
func (s size) of(usual, least int) int { return max(usual*s.percent/100, least) }

// choose finds rows by their names.
func choose(names string) (chosen []row, err error) {
	all := rows()
	if names == "all" {
		return all, nil
	}
	for _, name := range strings.Split(names, ",") {
		i := slices.IndexFunc(all, func(r row) bool { return r.name == name })
		if i < 0 {
			return nil, fmt.Errorf("no row %q: there are %s", name, strings.Join(rowNames(), ", "))
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

// rounds measures one row. The build that begins changes from round to round: what the first leaves in caches is then no advantage.
func (b *bench) rounds(ctx context.Context, r row, t *table) error {
	for round := range b.size.rounds {
		order := slices.Clone(b.builds)
		if round%2 == 1 {
			slices.Reverse(order)
		}
		for _, of := range order {
			start := time.Now()
			got, err := r.measure(ctx, b, of)
			if err != nil {
				return fmt.Errorf("%s: %w", of.name, err)
			}
			t.add(r, of, got)
			fmt.Fprintf(b.progress, "%s %s, round %d of %d, %.0f s: %s\n",
				r.name, of.name, round+1, b.size.rounds, time.Since(start).Seconds(), got)
		}
	}
	return nil
}
