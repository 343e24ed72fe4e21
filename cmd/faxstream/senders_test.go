package main

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// answerWithin is how long a webhook may wait for its answer where one is promised within a second. The rest is for a loaded
// machine, and still less than the 5 s that storing an event may take: that limit must not be what ends the wait.
const answerWithin = 3 * time.Second

// sender sends webhooks as the provider does, from several connections.
type sender struct {
	t      *testing.T
	client *http.Client
}

func newSender(t *testing.T, timeout time.Duration) *sender {
	s := &sender{t, &http.Client{Timeout: timeout, Transport: &http.Transport{MaxIdleConnsPerHost: 8}}}
	t.Cleanup(s.client.CloseIdleConnections)
	return s
}

// send gives the answer's status. A 503 must say when to come again.
func (s *sender) send(url string, body []byte) (int, error) {
	resp, err := s.client.Post(url, "application/json", strings.NewReader(string(body)))
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return 0, err
	}
	if after, err := strconv.Atoi(resp.Header.Get("Retry-After")); resp.StatusCode == http.StatusServiceUnavailable &&
		(err != nil || after < 1) {
		s.t.Errorf("webhook answered 503 with Retry-After %q", resp.Header.Get("Retry-After"))
	}
	return resp.StatusCode, nil
}

// sendAll sends bodies, eight at once, and returns those that were not answered 200 and the errors of those that were not
// answered at all. taken is called with each one that was answered 200, one call at a time.
func (s *sender) sendAll(url string, bodies [][]byte, taken func(body []byte)) (left [][]byte, unanswered []error) {
	queue := make(chan []byte, len(bodies))
	for _, b := range bodies {
		queue <- b
	}
	close(queue)
	var wg sync.WaitGroup
	var mu sync.Mutex
	for range 8 {
		wg.Go(func() {
			for b := range queue {
				status, err := s.send(url, b)
				mu.Lock()
				switch {
				case err != nil:
					left, unanswered = append(left, b), append(unanswered, err)
				case status != http.StatusOK:
					left = append(left, b)
				default:
					taken(b)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return left, unanswered
}
