package faxplustest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

func newClient() *http.Client {
	return &http.Client{
		Timeout:   30 * time.Second,
		Transport: &http.Transport{MaxIdleConns: 256, MaxIdleConnsPerHost: 256, IdleConnTimeout: 30 * time.Second},
	}
}

// Close closes idle connections to webhook targets.
func (s *Server) Close() { s.client.CloseIdleConnections() }

// Send tells a fax's story to target: its pages become available one by one, each announced where the fax is streamed,
// then the whole file, announced by the closing event; all with its faults. An answer of 5xx or 429, and no
// answer, are tried again with growing waits until ctx ends, so that a receiver may restart meanwhile. Any other answer
// than 2xx ends the story with an error.
func (s *Server) Send(ctx context.Context, target string, f Fax) error {
	for _, e := range s.story(f, target) {
		if err := sleep(ctx, e.wait); err != nil {
			return fmt.Errorf("sending fax %s: %w", f.Session, err)
		}
		if e.page == 0 {
			s.arrive(f, len(f.Pages), true)
		} else {
			s.arrive(f, e.page, false)
		}
		if e.body == nil {
			continue
		}
		if err := s.deliver(ctx, target, e.body); err != nil {
			return fmt.Errorf("sending fax %s: %w", f.Session, err)
		}
	}
	return nil
}

// deliver posts body until it is answered for good.
func (s *Server) deliver(ctx context.Context, target string, body []byte) error {
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		status, err := s.Post(ctx, target, body)
		switch {
		case err == nil && status >= 200 && status < 300:
			return nil
		case err == nil && status < 500 && status != http.StatusTooManyRequests:
			return fmt.Errorf("webhook answered with HTTP %d", status)
		}
		if err == nil {
			err = fmt.Errorf("answered with HTTP %d", status)
		}
		s.cfg.Logger.Debug("webhook not taken, trying again", "err", err, "wait", wait)
		if ended := sleep(ctx, wait); ended != nil {
			return fmt.Errorf("webhook never taken: %w", errors.Join(ended, err))
		}
	}
}

// Post sends one webhook body once. err is set when there was no answer.
func (s *Server) Post(ctx context.Context, target string, body []byte) (status int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return 0, errors.New("the webhook's target is not a URL")
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := s.client.Do(req)
	if wrapped := (*url.Error)(nil); errors.As(err, &wrapped) {
		err = wrapped.Err // without the target, which has the receiver's secret in it
	}
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	return resp.StatusCode, err
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
