package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
)

const (
	openTabs  = 50
	tabsViews = 10 // different lists in them; tabs with the same list share what is rendered
)

// measureTabs measures embedded without and with 50 dashboards that show every change. A build without a live dashboard has no figures.
func measureTabs(ctx context.Context, b *bench, of build) (figures, error) {
	if !of.has("--views") {
		return figures{}, nil
	}
	f := figures{}
	for name, tabs := range map[string]int{"none": 0, "open": openTabs} {
		s, err := b.embedded(of)
		if err != nil {
			return nil, err
		}
		got, err := b.watched(ctx, of, s, tabs)
		if err != nil {
			return nil, err
		}
		f[name] = got["cpu"]
	}
	f["growth"] = f["open"] / f["none"]
	return f, nil
}

// watched has a build process faxes of 20 pages while some tabs are open.
func (b *bench) watched(ctx context.Context, of build, s setting, tabs int) (f figures, err error) {
	r, err := b.start(of, s, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	leave, err := r.openTabs(ctx, tabs)
	if err != nil {
		return nil, err
	}
	defer leave()
	return r.process20(ctx, b, b.size.of(60, 2))
}

// openTabs opens lists that fill in live, as browsers do, until leave is called.
func (r *rig) openTabs(ctx context.Context, n int) (leave func(), err error) {
	ctx, stop := context.WithCancel(ctx)
	var readers sync.WaitGroup
	leave = func() {
		stop()
		readers.Wait()
	}
	for i := range n {
		url := fmt.Sprintf("%s/live?since=2020-01-%02d", r.ready.Admin, 1+i%tabsViews)
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		var resp *http.Response
		if err == nil {
			resp, err = r.client.Do(req)
		}
		if err == nil && resp.StatusCode != http.StatusOK {
			err = errors.Join(fmt.Errorf("%s: %s", url, resp.Status), resp.Body.Close())
		}
		if err != nil {
			leave()
			return nil, err
		}
		readers.Go(func() {
			defer resp.Body.Close()
			_, _ = io.Copy(io.Discard, resp.Body) // it ends when the tab is closed
		})
	}
	return leave, nil
}
