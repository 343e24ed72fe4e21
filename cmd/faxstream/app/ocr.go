package app

import (
	"context"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/access"
	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/cmd/faxstream/client"
	"github.com/faxstream/faxstream/cmd/faxstream/dashboard"
	"github.com/faxstream/faxstream/cmd/faxstream/tesseract"
)

// OCR is a worker with Tesseract in this process.
type OCR struct {
	Find   func(ctx context.Context) (tesseract.Program, error) // looks for Tesseract
	AtOnce int                                                  // pages
}

const (
	// ocrName is the worker's subscriber, which it shares with others of `faxstream ocr`.
	ocrName  = "ocr"
	ocrAgain = time.Minute
)

// startOCR starts the worker of c, if it has one. It uses the API, as workers in other processes do. If its subscriber is not there, it is
// added with the pages since a time, that of this start. Without Tesseract everything else goes on.
func (a *App) startOCR(ctx context.Context, c Config, h *dashboard.Handler, since time.Time) error {
	if c.OCR == nil {
		return nil
	}
	own, err := client.New(client.Config{Server: insideURL, By: ocrName, Transport: inside{h.As(access.Token{Name: ocrName})}})
	if err != nil {
		return err
	}
	w := &tesseract.Worker{API: own, Name: ocrName, AtOnce: c.OCR.AtOnce, Log: a.log}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	a.running.Go(func() {
		defer close(done)
		for ctx.Err() == nil {
			var err error
			if w.Program, err = c.OCR.Find(ctx); err == nil {
				err = w.RunAdded(ctx, api.SubscriberOrder{Order: api.Order{By: ocrName}, Since: since})
			}
			if err == nil || ctx.Err() != nil {
				return
			}
			a.log.Error("no pages are read: the OCR worker has stopped; it is started again in a minute", "err", err)
			select {
			case <-time.After(ocrAgain):
			case <-ctx.Done():
			}
		}
	})
	a.closers = append(a.closers, func() error {
		cancel()
		<-done // before what it uses is closed
		return nil
	})
	return nil
}
