package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/faxstream/faxstream/ingest"
	"github.com/faxstream/faxstream/ingest/faxplus"
)

// doorPatience is how long the door waits for the answer of a process. Then the sender has to come again.
const doorPatience = 6 * time.Second

// door is what load balancers are: it gives webhooks to several processes in turn. It notes what became of each.
type door struct {
	t      *testing.T
	url    string // where the provider sends webhooks
	client *http.Client

	mu       sync.Mutex
	targets  []string                   // guarded by mu, as all below
	turn     int                        // of targets
	webhooks map[string]*delivery       // by the hash of the body
	kept     map[string]map[string]bool // what was answered 200: subject of the fact, hashes of the bodies that say it
	answers  map[string]int             // since the last reset, by status
}

// delivery is a webhook and what became of it.
type delivery struct {
	first time.Time // when it came first
	taken time.Time // when it was answered 200; zero: it was not
	tries int
}

func newDoor(t *testing.T) *door {
	d := &door{
		t: t, client: &http.Client{Timeout: doorPatience, Transport: &http.Transport{MaxIdleConnsPerHost: 32}},
		webhooks: map[string]*delivery{}, kept: map[string]map[string]bool{}, answers: map[string]int{},
	}
	srv := httptest.NewServer(d)
	d.url = srv.URL + ingest.Path
	t.Cleanup(func() { srv.Close(); d.client.CloseIdleConnections() })
	return d
}

// ServeHTTP asks one process.
func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the sender is gone
	}
	hash := fmt.Sprintf("%x", sha256.Sum256(body))
	status := d.forward(r.Context(), d.next(hash), r.URL.Path, body)
	d.note(hash, body, status)
	w.WriteHeader(status)
}

// next begins a try and chooses who gets it.
func (d *door) next(hash string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.webhooks[hash] == nil {
		d.webhooks[hash] = &delivery{first: time.Now()}
	}
	d.webhooks[hash].tries++
	d.turn++
	return d.targets[d.turn%len(d.targets)]
}

func (d *door) forward(ctx context.Context, target, path string, body []byte) int {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target+path, bytes.NewReader(body))
	if err != nil {
		d.t.Error(err)
		return http.StatusInternalServerError
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := d.client.Do(req)
	if err != nil {
		return http.StatusBadGateway
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body) // the status is the answer
	return resp.StatusCode
}

// note keeps what was promised.
func (d *door) note(hash string, body []byte, status int) {
	subject := ""
	if status == http.StatusOK {
		subject = factSubject(d.t, body, hash)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.answers[http.StatusText(status)]++
	if status != http.StatusOK {
		return
	}
	if d.webhooks[hash].taken.IsZero() {
		d.webhooks[hash].taken = time.Now()
	}
	if d.kept[subject] == nil {
		d.kept[subject] = map[string]bool{}
	}
	d.kept[subject][hash] = true
}

// factSubject is the subject of the fact that a webhook becomes.
func factSubject(t *testing.T, body []byte, hash string) string {
	e, err := faxplus.ParseEvent(body)
	if err != nil {
		t.Error(err)
		return ""
	}
	f, _ := e.Fact(hash)
	return f.Subject()
}

// lead says which processes get webhooks.
func (d *door) lead(targets ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.targets = targets
}

// reset begins a new count of answers and webhooks. What was promised stays so.
func (d *door) reset() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.webhooks, d.answers = map[string]*delivery{}, map[string]int{}
}

// availability is what senders see who come again for a minute.
type availability struct {
	webhooks, taken, atOnce int // all, those that were taken within a minute, those that were taken at the first try
	longest                 time.Duration
}

func (d *door) availability() availability {
	d.mu.Lock()
	defer d.mu.Unlock()
	a := availability{webhooks: len(d.webhooks)}
	for _, w := range d.webhooks {
		long := w.taken.Sub(w.first)
		switch {
		case w.taken.IsZero():
			continue
		case long <= time.Minute:
			a.taken++
		}
		if w.tries == 1 {
			a.atOnce++
		}
		a.longest = max(a.longest, long)
	}
	return a
}

// promises are the subjects of all facts that were answered 200, sorted, and the hashes of the bodies that may stand for each.
func (d *door) promises() (subjects []string, hashes map[string]map[string]bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	hashes = map[string]map[string]bool{}
	for subject, bodies := range d.kept {
		subjects, hashes[subject] = append(subjects, subject), maps.Clone(bodies)
	}
	slices.Sort(subjects)
	return subjects, hashes
}
