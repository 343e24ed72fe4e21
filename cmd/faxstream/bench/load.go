package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
)

// rig is a running pipeline with its provider, its senders and its subscriber.
type rig struct {
	setting
	*process
	provider *faxplustest.Server
	provided []string // flags of a serve that uses the provider
	events   *events
	prefix   string // of the sessions of this run
	client   *http.Client
	closers  []func() error // beside those of the setting
}

// start starts serve of a build in a setting. around, if it is not nil, stands before the provider.
func (b *bench) start(of build, s setting, around func(http.Handler) http.Handler, args ...string) (_ *rig, err error) {
	b.runs++
	r := &rig{setting: s, prefix: fmt.Sprintf("bench%d", b.runs), provider: faxplustest.New(faxplustest.Config{})}
	r.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: senders}}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.close())
		}
	}()
	var h http.Handler = r.provider
	if around != nil {
		h = around(h)
	}
	url, closeProvider, err := listen(h)
	r.closers = append(r.closers, closeProvider)
	if err != nil {
		return nil, err
	}
	// The grace is long: no page is to be taken from the whole file because a build is slow.
	r.provided = []string{"--faxplus-url=" + url, "--faxplus-page-path=" + faxplustest.PagePath, "--close-grace=15m"}
	if r.process, err = serve(of, s, slices.Concat(r.provided, args)...); err != nil {
		return nil, err
	}
	if r.natsURL == "" {
		r.natsURL = r.ready.NATS
	}
	r.events, err = hear(r.natsURL, r.prefix)
	return r, err
}

// close ends everything.
func (r *rig) close() error {
	var errs []error
	if r.events != nil {
		r.events.close()
	}
	if r.process != nil {
		errs = append(errs, r.kill())
	}
	r.client.CloseIdleConnections()
	r.provider.Close()
	for _, f := range r.closers {
		errs = append(errs, f())
	}
	return errors.Join(append(errs, r.setting.close())...)
}

// senders is how many webhooks are on their way at once.
const senders = 64

// webhooks are the bodies of the pages of faxes, and of their closes.
func (r *rig) webhooks(faxes []faxplustest.Fax) (all [][]byte) {
	for _, f := range faxes {
		r.provider.Add(f)
		for page := range f.Pages {
			all = append(all, faxplustest.PageEvent(f, page+1, r.ready.target()))
		}
		all = append(all, faxplustest.ClosedEvent(f, r.ready.target()))
	}
	return all
}

// post sends webhooks from n senders, in order, and returns how long each answer took. An answer other than 200 is an error.
func (r *rig) post(ctx context.Context, n int, work [][]byte) ([]time.Duration, error) {
	queue := make(chan []byte, len(work))
	for _, body := range work {
		queue <- body
	}
	close(queue)
	var mu sync.Mutex
	var took []time.Duration
	var errs []error
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			for body := range queue {
				d, err := r.postOne(ctx, body)
				mu.Lock()
				took, errs = append(took, d), append(errs, err)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return took, errors.Join(errs...)
}

func (r *rig) postOne(ctx context.Context, body []byte) (time.Duration, error) {
	return r.postTo(ctx, r.ready.target(), body, http.StatusOK)
}

// postTo sends a body and returns how long the answer took. One that is not as wanted is an error.
func (r *rig) postTo(ctx context.Context, url string, body []byte, want int) (time.Duration, error) {
	start := time.Now()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := r.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return 0, err
	}
	if resp.StatusCode != want {
		return 0, fmt.Errorf("a webhook is answered %s\n%s", resp.Status, tail(r.log.String()))
	}
	return time.Since(start), nil
}
