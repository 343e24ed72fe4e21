package faxgen

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
)

// Simulator is a provider that is being served.
type Simulator struct {
	*faxplustest.Server
	URL  string // of the REST API
	srv  *http.Server
	done chan error
}

// StartSimulator serves a provider at addr, HOST:PORT; port 0 takes a free one. The caller calls Stop.
func StartSimulator(addr string, cfg faxplustest.Config, log *slog.Logger) (*Simulator, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("simulator: %w (stop the program that listens there, or give another address)", err)
	}
	s := &Simulator{Server: faxplustest.New(cfg), URL: "http://" + l.Addr().String(), done: make(chan error, 1)}
	s.srv = &http.Server{Handler: s.Server, ReadHeaderTimeout: 5 * time.Second, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn)}
	go func() { s.done <- s.srv.Serve(l) }()
	return s, nil
}

// SendAll sends every fax at once, as calls on several lines.
func (s *Simulator) SendAll(ctx context.Context, target string, faxes []faxplustest.Fax) error {
	errs := make([]error, len(faxes))
	var wg sync.WaitGroup
	for i, f := range faxes {
		wg.Go(func() {
			if err := s.Send(ctx, target, f); err != nil {
				errs[i] = fmt.Errorf("send fax %s: %w", f.Session, err)
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return errors.Join(errs...)
}

// stopTimeout is how long requests in flight may go on.
const stopTimeout = 5 * time.Second

// Stop ends the server.
func (s *Simulator) Stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	err := s.srv.Shutdown(ctx)
	s.Close()
	if served := <-s.done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}
