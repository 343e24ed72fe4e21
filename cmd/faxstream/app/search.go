package app

import (
	"context"
	"errors"
	"log/slog"

	"github.com/faxstream/faxstream/cmd/faxstream/dashboard"
	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/indexing"
	"github.com/faxstream/faxstream/pipeline/search"
	"github.com/faxstream/faxstream/pipeline/session"
)

// searcher is the search index of this process, and what keeps it up to date.
type searcher struct {
	*search.Index
	*indexing.Follower
}

// startSearch opens the index and keeps it up to date until the App stops. It returns nil if there is to be none.
func (a *App) startSearch(ctx context.Context, c Config) (*searcher, error) {
	if c.NoSearch {
		return nil, nil
	}
	x, _, err := search.Open(ctx, c.path("search"))
	if err != nil {
		return nil, err
	}
	a.closers = append(a.closers, x.Close)
	f := &indexing.Follower{Index: x, Archive: a.archive, Events: a.bus, Log: c.Log}
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		profiled(ctx, "search", f.Run)
	}()
	a.closers = append(a.closers, func() error {
		stop()
		<-ended // before the index is closed
		return nil
	})
	return &searcher{x, f}, nil
}

// seen takes a ledger: a purged fax must not be found.
func (s *searcher) seen(st session.State) {
	if s != nil && st.Purged {
		s.Purged(st.Session)
	}
}

// asSearch is what the dashboard asks; nil if there is no index.
func (s *searcher) asSearch() dashboard.Search {
	if s == nil {
		return nil
	}
	return s
}

// reindexAtOnce is how many faxes Reindex reads at the same time: it has nothing else to do.
const reindexAtOnce = 8

// Reindex makes the search index in a directory again from an archive. A `faxstream serve` with the same directory may run meanwhile. It
// calls progress after each transaction.
func Reindex(
	ctx context.Context, a archive.Reader, dir string, log *slog.Logger, progress func(indexing.Refreshed),
) (done indexing.Refreshed, err error) {
	x, _, err := search.Open(ctx, dir)
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, x.Close()) }()
	return indexing.Refresh(ctx, x, a, reindexAtOnce, log, progress)
}
