package tesseract

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/cmd/faxstream/client"
	"github.com/faxstream/faxstream/pipeline/session"
)

// API is what the worker needs of a running faxstream: a *client.Client.
type API interface {
	Claim(ctx context.Context, name string, o api.ClaimOrder) (api.Claimed, error)
	Settle(ctx context.Context, name string, o api.SettleOrder) error
	Stored(ctx context.Context, key string) ([]byte, error)
	PutText(ctx context.Context, t client.Text) error
	AddSubscriber(ctx context.Context, o api.SubscriberOrder) (api.Subscriber, error)
}

// Worker reads the pages of a subscriber.
type Worker struct {
	API     API
	Name    string // of the subscriber
	Program Program
	AtOnce  int // pages
	Log     *slog.Logger

	worked atomic.Bool // a claim worked: the subscriber was there
}

const (
	claimWait = 20 * time.Second
	retryWait = 5 * time.Second // after an error of the API
	beatEvery = 2 * time.Second // while a page is read, its lease begins anew; a lease has 5 s at least
	tries     = 2               // of a page that Tesseract does not read
	tryAgain  = "10s"           // after the first one
	maxGone   = 12              // claims in a row that find no subscriber where there was one: somebody may add it again
)

// Run claims and reads pages until ctx ends; then it returns nil. An error: it cannot work. It matches client.ErrNotFound where there is no
// such subscriber and was none: one that was there is waited for a minute, and is never to be added from now on, which would miss pages.
func (w *Worker) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for range max(w.AtOnce, 1) {
		group.Go(func() error {
			dir, err := os.MkdirTemp("", "faxstream-ocr-*")
			if err != nil {
				return fmt.Errorf("make a directory for a page: %w", err)
			}
			return errors.Join(w.loop(ctx, dir), os.RemoveAll(dir))
		})
	}
	return group.Wait()
}

// RunAdded is Run that adds the subscriber first, as o says, unless it is there.
func (w *Worker) RunAdded(ctx context.Context, o api.SubscriberOrder) error {
	err := w.Run(ctx)
	if !errors.Is(err, client.ErrNotFound) {
		return err
	}
	o.Name = w.Name
	_, notAdded := w.API.AddSubscriber(ctx, o)
	if err = w.Run(ctx); errors.Is(err, client.ErrNotFound) && notAdded != nil { // else another worker has added it
		return notAdded
	}
	return err
}

func (w *Worker) loop(ctx context.Context, dir string) error {
	gone := 0
	for ctx.Err() == nil {
		given, err := w.API.Claim(ctx, w.Name, api.ClaimOrder{Max: 1, Wait: claimWait.String()})
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, client.ErrNotFound) && !w.worked.Load(), errors.Is(err, client.ErrRequest):
			return err
		case errors.Is(err, client.ErrNotFound):
			if gone++; gone > maxGone {
				return fmt.Errorf("the subscriber %s was removed: add it again with --since, so that no page is missed", w.Name)
			}
			fallthrough
		case err != nil:
			w.Log.Warn("claiming pages failed; it is tried again", "err", err)
			select {
			case <-time.After(retryWait):
			case <-ctx.Done():
			}
			continue
		}
		gone = 0
		w.worked.Store(true)
		for _, e := range given.Events {
			w.handle(ctx, e, dir)
		}
	}
	return nil
}

// page is what the worker needs of an event.
type page struct {
	Session      string           `json:"session"`
	Page         int              `json:"page"`
	PNG          session.Object   `json:"png"`
	RasterSHA256 string           `json:"raster_sha256"`
	Quality      *session.Quality `json:"quality"`
}

// handle reads the page of an event, and settles the event.
func (w *Worker) handle(ctx context.Context, e api.ClaimedEvent, dir string) {
	var p page
	err := json.Unmarshal(e.Data, &p)
	if err == nil {
		still := w.beat(ctx, e)
		err = w.read(ctx, p, dir)
		still()
	}
	verdict := api.Settlement{Lease: e.Lease, As: "done"}
	if err != nil {
		verdict.Why = err.Error()
		if verdict.As = "later"; hopeless(err) && e.Tries >= tries {
			verdict.As = "fail"
		} else {
			verdict.Delay = tryAgain
		}
		w.Log.Warn("a page was not read", "session", p.Session, "page", p.Page, "tries", e.Tries, "then", verdict.As, "err", err)
	}
	// Also when the worker stops: the page is free for others at once.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), retryWait)
	defer cancel()
	if err := w.API.Settle(ctx, w.Name, api.SettleOrder{Events: []api.Settlement{verdict}}); err != nil {
		w.Log.Warn("settling a page failed: it comes again when its lease is over", "session", p.Session, "page", p.Page, "err", err)
	}
}

// hopeless reports whether an error is the page's own: Tesseract does not read it, or what it reads, or where it is, is refused.
func hopeless(err error) bool {
	return errors.Is(err, errPage) || errors.Is(err, client.ErrRequest) || errors.Is(err, client.ErrNotFound)
}

// beat lets the lease of an event begin anew until still is called.
func (w *Worker) beat(ctx context.Context, e api.ClaimedEvent) (still func()) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		for t := time.NewTicker(beatEvery); ; {
			select {
			case <-t.C:
			case <-ctx.Done():
				t.Stop()
				return
			}
			order := api.SettleOrder{Events: []api.Settlement{{Lease: e.Lease, As: "extend"}}}
			if err := w.API.Settle(ctx, w.Name, order); err != nil && ctx.Err() == nil {
				w.Log.Warn("extending a lease failed: the page may be read twice", "err", err)
			}
		}
	}()
	return cancel
}

// read reads a page and sends its text. A blank page is not given to Tesseract: its text is empty.
func (w *Worker) read(ctx context.Context, p page, dir string) error {
	t := client.Text{
		Session: p.Session, Page: p.Page, Raster: p.RasterSHA256, Engine: Engine, Version: w.Program.Version, Languages: w.Program.Languages,
		Format: "plain",
	}
	if p.Quality == nil || !p.Quality.Blank {
		image, err := w.API.Stored(ctx, p.PNG.Key)
		if err != nil {
			return err
		}
		if t.Data, err = w.Program.read(ctx, image, dir); err != nil {
			return err
		}
		t.Format, t.Orientation = "tsv", w.Program.orientation(ctx, dir)
	}
	if err := w.API.PutText(ctx, t); err != nil {
		return err
	}
	w.Log.Info("page read", "session", p.Session, "page", p.Page, "bytes", len(t.Data))
	return nil
}
