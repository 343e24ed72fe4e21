package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/cmd/faxstream/client"
	"github.com/faxstream/faxstream/cmd/faxstream/tesseract"
)

// ocrCmd is an OCR worker.
type ocrCmd struct {
	apiClient
	ocrProgram
	Name string `default:"ocr" placeholder:"NAME" help:"Subscriber for which it claims pages. If there is none it is added, which needs the scope admin where tokens are configured. Default ${default}."`
}

// ocrProgram says how pages are read.
type ocrProgram struct {
	Languages []string      `default:"eng" placeholder:"LANG" help:"Languages of Tesseract, separated by commas. Default ${default}."`
	AtOnce    int           `placeholder:"N" help:"Pages at once. Default: one for each core, and one in serve."`
	Timeout   time.Duration `default:"2m" help:"How long a page may take. Default ${default}."`
	Memory    int64         `default:"1000" placeholder:"MB" help:"Memory that Tesseract may have for one page, in 10^6 bytes. Default ${default}."`
	Tesseract string        `default:"tesseract" placeholder:"PROGRAM" help:"Tesseract to run."`
}

// leastMemory is what Tesseract needs to start, in MB.
const leastMemory = 200

// check refuses what cannot work.
func (c ocrProgram) check() error {
	if c.Timeout < time.Second || c.Memory < leastMemory || c.AtOnce < 0 {
		return usagef("Tesseract: want --timeout (of serve: --ocr-timeout) of 1s or more, --memory of %d MB or more, --at-once of 1 or more",
			leastMemory)
	}
	return nil
}

// find looks for Tesseract.
func (c ocrProgram) find(ctx context.Context) (tesseract.Program, error) {
	program, err := tesseract.Find(ctx, c.Tesseract, c.Languages)
	program.Timeout, program.Memory = c.Timeout, c.Memory*1e6
	return program, err
}

// Run reads pages until a signal comes.
func (c ocrCmd) Run(ctx context.Context, e env) error {
	if err := c.check(); err != nil {
		return err
	}
	program, err := c.find(ctx)
	if err != nil {
		return err
	}
	w := &tesseract.Worker{API: c.api, Name: c.Name, Program: program, AtOnce: cmp.Or(c.AtOnce, runtime.GOMAXPROCS(0)), Log: e.logger()}
	return w.RunAdded(ctx, api.SubscriberOrder{Order: api.Order{By: whoAsks("")}})
}

// readDemo reads the pages of a demo since a time with Tesseract, if it is installed, until ctx ends. done has the error then.
func readDemo(ctx context.Context, e env, server string, since time.Time) (done <-chan error) {
	ended := make(chan error, 1)
	program, err := tesseract.Find(ctx, "tesseract", []string{"eng"})
	if err != nil {
		fmt.Fprintf(e.stderr, "Text:      none: %v. Then `make demo` reads the pages\n", err)
		ended <- nil
		return ended
	}
	program.Timeout, program.Memory = 2*time.Minute, 1e9
	fmt.Fprintln(e.stderr, "Text:      bin/faxstream get SESSION --as txt (Tesseract reads the pages now)")
	go func() { ended <- readPages(ctx, program, server, since) }()
	return ended
}

func readPages(ctx context.Context, program tesseract.Program, server string, since time.Time) error {
	c, err := client.New(client.Config{Server: server, By: "demo"})
	if err != nil {
		return err
	}
	w := &tesseract.Worker{API: c, Name: "ocr", Program: program, AtOnce: runtime.GOMAXPROCS(0), Log: slog.New(slog.DiscardHandler)}
	return w.RunAdded(ctx, api.SubscriberOrder{Order: api.Order{By: "demo"}, Since: since})
}
