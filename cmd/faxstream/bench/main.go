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
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run is the whole program.
func run(ctx context.Context, args []string) (err error) {
	var base, names string
	var s size
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.StringVar(&base, "base", "d4c3bbb", "`revision` to compare with")
	f.StringVar(&names, "rows", "all", "rows to measure, separated by commas: "+strings.Join(rowNames(), ","))
	f.IntVar(&s.rounds, "rounds", 5, "rounds; in each one both builds take their turn")
	f.IntVar(&s.percent, "size", 100, "work of each row, in `percent` of the usual")
	if err := f.Parse(args); err != nil {
		return err
	}
	chosen, err := choose(names)
	if err != nil {
		return err
	}
	b, err := prepare(ctx, base, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.remove()) }()
	t := &table{builds: b.builds}
	for _, r := range chosen {
		if err := b.rounds(ctx, r, t); err != nil {
			return fmt.Errorf("row %s: %w", r.name, err)
		}
	}
	return errors.Join(t.print(os.Stdout), b.describe(os.Stdout, s))
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
			fmt.Fprintf(os.Stderr, "%s %s, round %d of %d, %.0f s: %s\n", r.name, of.name, round+1, b.size.rounds, time.Since(start).Seconds(), got)
		}
	}
	return nil
}
