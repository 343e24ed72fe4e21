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

// Send plays the history of a fax for the receiver at target, with its faults. Its pages become available one by one; if
// the fax is streamed, a webhook announces each. Then the whole file is available, and the closing event announces it. An
// answer of 5xx or 429, or no answer, is tried again with growing waits until ctx ends, so that the receiver may restart.
// Any other answer than 2xx ends the history with an error.
func (s *Server) Send(ctx context.Context, target string, f Fax) error {
	for _, e := range s.story(f, target) {
		if err := sleep(ctx, e.wait); err != nil {
			return fmt.Errorf("send fax %s: %w", f.Session, err)
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
			return fmt.Errorf("send fax %s: %w", f.Session, err)
		}
	}
	return nil
}

// deliver posts body until it gets a final answer.
func (s *Server) deliver(ctx context.Context, target string, body []byte) error {
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		status, err := s.Post(ctx, target, body)
		busy := err != nil || status >= 500 || status == http.StatusTooManyRequests
		if !busy {
			s.refused.Store(false)
		}
		switch {
		case err == nil && status >= 200 && status < 300:
			return nil
		case !busy:
			return fmt.Errorf("the receiver answered the webhook with HTTP %d", status)
		}
		if err == nil {
			err = fmt.Errorf("the answer is HTTP %d", status)
		}
		if !s.refused.Swap(true) && ctx.Err() == nil {
			s.cfg.Logger.Warn("webhook not accepted; trying again (does the receiver run, and is this its address?)",
				"receiver", hostOf(target), "err", err)
		}
		if ended := sleep(ctx, wait); ended != nil {
			return fmt.Errorf("webhook never accepted: %w", errors.Join(ended, err))
		}
	}
}

// hostOf is the receiver without the path, which contains its secret.
func hostOf(target string) string {
	u, err := url.Parse(target)
	if err != nil {
		return ""
	}
	return u.Host
}

// Post sends one webhook body once. It returns an error if there was no answer.
func (s *Server) Post(ctx context.Context, target string, body []byte) (status int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return 0, errors.New("the webhook's target is not a URL")
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := s.client.Do(req)
	if wrapped := (*url.Error)(nil); errors.As(err, &wrapped) {
		err = wrapped.Err // without the target, which contains the receiver's secret
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
