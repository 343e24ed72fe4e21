package main

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/faxstream/faxstream/cmd/faxstream/client"
	"github.com/faxstream/faxstream/cmd/faxstream/flags"
	"github.com/faxstream/faxstream/cmd/faxstream/watch"
)

type watchCmd struct {
	apiClient
	Filter string `env:"-" placeholder:"WORDS" help:"What the table lists, in the words of ls: 'status=partial done=no', for example. The key / sets another filter."`
	Plain  bool   `help:"Print a line for each event also where stdout is a terminal."`
	JSON   bool   `help:"Print one JSON object a line: type, time and data as published."`
}

func (c watchCmd) Run(ctx context.Context, e env) error {
	if _, err := chosenBy(c.Filter); err != nil {
		return usagef("--filter %q: %w", c.Filter, err)
	}
	if !c.JSON && !c.Plain && isTerminal(e.stdout) && e.getenv("TERM") != "dumb" {
		return watch.Run(ctx, watch.Config{
			Server: c.api, Name: c.Server, Filter: c.Filter, Choose: chosenBy, NoColor: e.getenv("NO_COLOR") != "", Output: e.stdout,
		})
	}
	if c.Filter != "" {
		return usagef("--filter is for the table in a terminal: every event is printed as a line")
	}
	return c.api.Events(ctx, func() { fmt.Fprintln(e.stderr, "watching", c.Server) }, func(line []byte) error {
		text := string(line)
		if !c.JSON {
			var err error
			if text, err = watch.EventText(line); err != nil {
				return fmt.Errorf("event of %s: %w", c.Server, err)
			}
		}
		_, err := fmt.Fprintln(e.stdout, text)
		return err
	})
}

// chosenBy is a filter in the words of ls: status=partial or --status partial. A text with spaces stands in double quotes.
func chosenBy(words string) (client.FaxFilter, error) {
	args := regexp.MustCompile(`(?:[^\s"]|"[^"]*"?)+`).FindAllString(words, -1)
	for i, w := range args {
		args[i] = strings.ReplaceAll(w, `"`, "")
		if !strings.HasPrefix(w, "-") && (strings.Contains(w, "=") || w == "differs") {
			args[i] = "--" + args[i]
		}
	}
	var f faxFlags
	parser, err := kong.New(&f, kong.NoDefaultHelp(), kong.Writers(io.Discard, io.Discard), kong.Vars{"moment": flags.MomentHelp})
	if err == nil {
		_, err = parser.Parse(args)
	}
	return f.filter(), err
}
