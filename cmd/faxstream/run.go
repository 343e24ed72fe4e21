package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/alecthomas/kong"
	"golang.org/x/term"

	"github.com/faxstream/faxstream/cmd/faxstream/app"
	"github.com/faxstream/faxstream/cmd/faxstream/calm"
	"github.com/faxstream/faxstream/cmd/faxstream/client"
	"github.com/faxstream/faxstream/cmd/faxstream/flags"
)

// Exit codes, the same for every command.
const (
	exitOK       = 0 // done
	exitFailed   = 1 // the command failed; the last line on stderr says why
	exitUsage    = 2 // a flag, an argument, the environment or the configuration file is wrong
	exitNotFound = 3 // the fax, page or document is not there (yet)
)

// envPrefix begins the names of the variables that stand for flags.
const envPrefix = "FAXSTREAM"

const description = `Turns Fax.Plus webhooks into archived pages while the fax is still on the line, and into documents when it is over.

You can also set most flags in the environment as FAXSTREAM_... (--webhook-addr is FAXSTREAM_WEBHOOK_ADDR; COMMAND --help names
the variables) and every flag, under its own name, in the YAML file of --config. A flag overrides the environment,
the environment overrides the file. Data goes to stdout, messages for people go to stderr.

Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 not there (yet).`

// cli is the command line.
type cli struct {
	Config kong.ConfigFlag `placeholder:"FILE" help:"YAML file with any of the flags below; unknown keys are errors."`

	Serve      serveCmd      `cmd:"" help:"Run the pipeline: webhooks in, pages and documents out."`
	Demo       demoCmd       `cmd:"" help:"Run everything in one process with a simulated Fax.Plus that sends faxes."`
	Simulate   simulateCmd   `cmd:"" help:"Run the Fax.Plus simulator alone: its REST API, and webhooks to a target."`
	Hooks      hooksCmd      `cmd:"" help:"List, register or remove the webhooks at Fax.Plus."`
	Ls         lsCmd         `cmd:"" help:"List faxes, newest first."`
	Search     searchCmd     `cmd:"" help:"Find faxes by the text of their pages, by numbers and dates."`
	Get        getCmd        `cmd:"" help:"Fetch a document or a page of a fax."`
	Link       linkCmd       `cmd:"" help:"Make a link to a document or a page. It needs no login, and it expires."`
	Token      tokenCmd      `cmd:"" help:"Make a token for the admin API and dashboard."`
	User       userCmd       `cmd:"" help:"Add, list or remove people who log in to the dashboard with a password."`
	Audit      auditCmd      `cmd:"" help:"Show who read, linked, replayed, held or purged what, and prove that nobody changed the record."`
	OCR        ocrCmd        `cmd:"" name:"ocr" help:"Read pages with Tesseract as they come, and send the texts back."`
	Subscriber subscriberCmd `cmd:"" help:"Add, list, rewind or remove services that claim events of pages over HTTP."`
	Watch      watchCmd      `cmd:"" help:"Watch faxes come: a live table in a terminal, elsewhere a line for each event."`
	Dlq        dlqCmd        `cmd:"" help:"List, show, retry or drop dead letters: webhooks that were refused, pages and messages that failed."`
	Replay     replayCmd     `cmd:"" help:"Make documents again from the archive, without fetching anything."`
	Reconcile  reconcileCmd  `cmd:"" help:"Ask the provider for faxes that no webhook announced, and process them."`
	Choose     chooseCmd     `cmd:"" help:"Choose one of two images of a page that differs from the same page of the whole file."`
	Assign     assignCmd     `cmd:"" help:"Assign a fax to a person, or to nobody."`
	Label      labelCmd      `cmd:"" help:"Add labels to a fax, or remove them."`
	Note       noteCmd       `cmd:"" help:"Write a note about a fax."`
	Read       readCmd       `cmd:"" help:"Mark a fax as read."`
	Done       doneCmd       `cmd:"" help:"Mark a fax as done."`
	Desk       deskCmd       `cmd:"" help:"Show who has a fax, its labels and its note, and who changed them."`
	Derive     deriveCmd     `cmd:"" help:"Make documents of chosen pages of a fax: turned, split, without blank pages."`
	Derived    derivedCmd    `cmd:"" help:"List the documents that were made of chosen pages of a fax."`
	Hold       holdCmd       `cmd:"" help:"Put a fax under legal hold: it cannot be purged until it is released."`
	Release    releaseCmd    `cmd:"" help:"Release a fax from legal hold."`
	Holds      holdsCmd      `cmd:"" help:"List the faxes under legal hold, or show the holds and the retention of one fax."`
	Purge      purgeCmd      `cmd:"" help:"Delete a fax for good, with all its objects. Refused while the fax is held or retained."`
	Verify     verifyCmd     `cmd:"" help:"Prove from the archive alone that nobody changed the faxes in it."`
	Rebuild    rebuildCmd    `cmd:"" help:"Restore an empty JetStream from the archive, after its directory or cluster was lost."`
	Reindex    reindexCmd    `cmd:"" help:"Make the search index again from the archive."`
	Spool      spoolCmd      `cmd:"" help:"Look into the spool of webhooks that a process left behind, or send it to the NATS servers."`
	NATS       natsCmd       `cmd:"" name:"nats-credentials" help:"Show the login of subscribers at --nats-listen."`
	Doctor     doctorCmd     `cmd:"" help:"Look for what does not work, or is less safe than it could be, and say what to do. It takes the flags of serve."`
	Check      configCmd     `cmd:"" name:"config" help:"Check or show the configuration of serve."`
	Keys       keysCmd       `cmd:"" help:"Make a key to sign manifests and seals."`
	Schema     schemaCmd     `cmd:"" help:"Print the JSON Schema of an event or of an object in the archive, or describe all events as AsyncAPI."`
	Tiff       tiffCmd       `cmd:"" help:"Inspect TIFF files: describe the pages, export one page as an image, measure decoding."`
	Version    versionCmd    `cmd:"" help:"Print the version."`
}

// env is what a command may use of the process.
type env struct {
	getenv         func(string) string
	stdout, stderr io.Writer
}

// logger writes text where people read and JSON where machines do. Many lines with the same words become a few.
func (e env) logger() *slog.Logger {
	if e.interactive() {
		return slog.New(calm.New(slog.NewTextHandler(e.stderr, nil)))
	}
	return slog.New(calm.New(slog.NewJSONHandler(e.stderr, nil)))
}

func (e env) interactive() bool { return isTerminal(e.stderr) }

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// usageError is a mistake on the command line or in the configuration: exit code 2.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

func usagef(format string, a ...any) error { return usageError{fmt.Errorf(format, a...)} }

// errNotFound: the fax, page or document does not exist (yet): exit code 3.
var errNotFound = errors.New("not found")

// exit stops kong from ending the process on --help.
type exit int

// run is the whole program; ctx ends with the first signal. It returns the exit code.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) (code int) {
	defer func() {
		p := recover()
		if e, ok := p.(exit); ok {
			code = int(e)
		} else if p != nil {
			panic(p)
		}
	}()
	var c cli
	e := env{getenv: getenv, stdout: stdout, stderr: stderr}
	parser, err := kong.New(&c,
		kong.Name("faxstream"),
		kong.Description(description),
		kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { panic(exit(code)) }),
		kong.DefaultEnvars(envPrefix),
		kong.Vars{"faults": faultNames(), "server": defaultServer, "moment": flags.MomentHelp},
		kong.Configuration(flags.ReadFile),
		flags.Durations(),
		kong.Bind(e),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)
	if err != nil {
		return exitCode(stderr, nil, err)
	}
	k, err := parser.Parse(args)
	if err == nil {
		k.BindTo(ctx, (*context.Context)(nil))
		err = k.Run(e)
	} else {
		if failed, ok := errors.AsType[*kong.ParseError](err); ok {
			k = failed.Context
		}
		err = usageError{err}
	}
	return exitCode(stderr, k, err)
}

// helpLine says where the help is of the command that was given; k is nil if none is known.
func helpLine(k *kong.Context) string {
	if k != nil {
		if command := k.Selected(); command != nil {
			return fmt.Sprintf("`%s --help` explains the command and its flags.", command.FullPath())
		}
	}
	return "`faxstream --help` lists the commands, `faxstream COMMAND --help` lists the flags of one command."
}

// exitCode is the one table from an error to an exit code.
func exitCode(stderr io.Writer, k *kong.Context, err error) int {
	if err == nil {
		return exitOK
	}
	fmt.Fprintf(stderr, "faxstream: %v\n", err)
	switch {
	case errors.As(err, new(usageError)), errors.As(err, new(*app.ConfigError)), errors.Is(err, client.ErrServer),
		errors.Is(err, client.ErrRequest):
		fmt.Fprintln(stderr, helpLine(k))
		return exitUsage
	case errors.Is(err, errNotFound), errors.Is(err, client.ErrNotFound):
		return exitNotFound
	default:
		return exitFailed
	}
}
