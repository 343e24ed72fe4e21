package faxplustest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/faxstream/faxstream/ingest/faxplus"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/pipeline/session"
)

func fax(sess string, pages int) faxplustest.Fax {
	f := faxplustest.Fax{Session: sess, Streamed: true, Whole: []byte("II*\x00whole of " + sess)}
	for p := range pages {
		f.Pages = append(f.Pages, fmt.Appendf(nil, "II*\x00page %d of %s", p+1, sess))
	}
	return f
}

// target takes webhooks and remembers them; answer decides each answer, nil: 200.
type target struct {
	answer func(n int) int
	seen   func(faxplus.Event)
	mu     sync.Mutex
	bodies []string
	n      int
}

func (g *target) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.n++
	if g.answer != nil {
		if status := g.answer(g.n); status != 200 {
			w.WriteHeader(status)
			return
		}
	}
	g.bodies = append(g.bodies, string(body))
	if event, err := faxplus.ParseEvent(body); err == nil && g.seen != nil {
		g.seen(event)
	}
}

// names gives the events as "p1 p2 closed".
func (g *target) names(t *testing.T) string {
	t.Helper()
	var names []string
	for _, b := range g.bodies {
		event, err := faxplus.ParseEvent([]byte(b))
		if err != nil {
			t.Fatalf("%v: %s", err, b)
		}
		name := "closed"
		if event.Page > 0 {
			name = fmt.Sprintf("p%d", event.Page)
		}
		names = append(names, name)
	}
	return strings.Join(names, " ")
}

// run sends faxes with one seed and gives what a target saw and what each try of each page was answered.
func run(t *testing.T, seed uint64, faxes ...faxplustest.Fax) (string, map[string][]int) {
	t.Helper()
	sim := faxplustest.New(faxplustest.Config{Seed: seed, While: time.Millisecond})
	defer sim.Close()
	g := &target{}
	hooks, api := httptest.NewServer(g), httptest.NewServer(sim)
	defer hooks.Close()
	defer api.Close()
	answers := map[string][]int{}
	for _, f := range faxes {
		if err := sim.Send(t.Context(), hooks.URL, f); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range faxes {
		for p := range f.Pages {
			path := fmt.Sprintf("/accounts/self/files/%s/pages/%d", f.Session, p+1)
			for range 6 {
				answers[path] = append(answers[path], get(t, api.URL+path))
			}
		}
	}
	return g.names(t), answers
}

// get gives the status, or -1 where the body was cut.
func get(t *testing.T, url string) int {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return -1
	}
	return resp.StatusCode
}

func TestFilesAreThereWhenTheyAreAnnouncedAndNotBefore(t *testing.T) {
	sim := faxplustest.New(faxplustest.Config{})
	defer sim.Close()
	api := httptest.NewServer(sim)
	defer api.Close()
	f := fax("s", 2)
	var got []string
	look := func(e faxplus.Event) {
		line := fmt.Sprintf("page %d:", e.Page)
		for _, path := range []string{"files/s/pages/1", "files/s/pages/2", "files/s?format=tiff"} {
			line += fmt.Sprint(" ", get(t, api.URL+"/accounts/self/"+path))
		}
		got = append(got, line)
	}
	hooks := httptest.NewServer(&target{seen: look})
	defer hooks.Close()
	if err := sim.Send(t.Context(), hooks.URL, f); err != nil {
		t.Fatal(err)
	}
	want := []string{"page 1: 200 404 404", "page 2: 200 200 404", "page 0: 200 200 200"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if sim.Tries("s", 1) != 3 || sim.Tries("s", 0) != 3 || sim.Served() == 0 {
		t.Errorf("tries %d and %d, %d bytes", sim.Tries("s", 1), sim.Tries("s", 0), sim.Served())
	}
}

func TestReceiverMayRestartDuringAFax(t *testing.T) {
	g := &target{answer: func(n int) int {
		return map[int]int{2: 503, 3: 500, 4: 429}[n] + map[bool]int{true: 200}[n < 2 || n > 4]
	}}
	hooks := httptest.NewServer(g)
	defer hooks.Close()
	sim := faxplustest.New(faxplustest.Config{})
	defer sim.Close()
	if err := sim.Send(t.Context(), hooks.URL, fax("s", 2)); err != nil {
		t.Fatal(err)
	}
	if got := g.names(t); got != "p1 p2 closed" || g.n != 6 {
		t.Errorf("taken: %s after %d requests", got, g.n)
	}
}

func TestSendEndsWithAnErrorThatHidesTheTarget(t *testing.T) {
	sim := faxplustest.New(faxplustest.Config{})
	defer sim.Close()
	refuse := httptest.NewServer(&target{answer: func(int) int { return 403 }})
	defer refuse.Close()
	if err := sim.Send(t.Context(), refuse.URL, fax("s", 1)); err == nil || !strings.Contains(err.Error(), "403") {
		t.Errorf("refused for good: %v", err)
	}
	gone := httptest.NewServer(nil)
	gone.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err := sim.Send(ctx, gone.URL+"/the-secret", fax("s", 1))
	if !errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "the-secret") {
		t.Errorf("nobody there: %v", err)
	}
}

func TestTokenAndAccountAreDemanded(t *testing.T) {
	sim := faxplustest.New(faxplustest.Config{Token: "right", UserID: "u1"})
	sim.Add(fax("s", 1))
	for _, path := range []string{
		"/accounts/self/files/s/pages/1", "/accounts/u1/files/s?format=tiff", "/accounts/self/faxes/s", "/accounts/self/faxes",
		"/hooks?event=fax_sent",
	} {
		for auth, want := range map[string]int{"Bearer right": 200, "Bearer wrong": 401, "": 401} {
			if got, _ := ask(t, sim, auth, path); got != want {
				t.Errorf("%s with %q: got %d, want %d", path, auth, got, want)
			}
		}
	}
	if got, _ := ask(t, sim, "Bearer right", "/accounts/u2/files/s/pages/1"); got != 403 {
		t.Errorf("another account: %d", got)
	}
	if sim.Tries("s", 1) != 4 {
		t.Errorf("%d tries counted, want those refused too", sim.Tries("s", 1))
	}
}

func ask(t *testing.T, sim http.Handler, auth, path string) (int, []byte) {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Header.Set("Authorization", auth)
	w := httptest.NewRecorder()
	sim.ServeHTTP(w, r)
	var problem struct{ Error, Description string }
	if w.Code >= 400 && (json.Unmarshal(w.Body.Bytes(), &problem) != nil || problem.Error == "" || problem.Description == "") {
		t.Errorf("%s: an error of another shape: %s", path, w.Body)
	}
	return w.Code, w.Body.Bytes()
}

func TestRecordsAreListedUnderAnotherID(t *testing.T) {
	sim := faxplustest.New(faxplustest.Config{})
	day := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for i, f := range []faxplustest.Fax{
		fax("a", 1), fax("b", 2), {Session: "c", Spam: true}, {Session: "d", Direction: session.Outgoing},
	} {
		f.StartTime = day.Add(time.Duration(i) * time.Hour)
		sim.Add(f)
	}
	cases := map[string]string{
		"category=inbox": "b a", "category=spam": "c", "category=sent": "d", "": "d c b a", "limit=1": "d",
		"after=2026-03-01+13:00:00&before=2026-03-01+15:00:00": "c b",
	}
	for query, want := range cases {
		_, raw := ask(t, sim, "", "/accounts/self/faxes?"+query)
		var list struct {
			Data struct {
				Records []struct{ ID, File, Status string }
			}
		}
		if err := json.Unmarshal(raw, &list); err != nil {
			t.Fatalf("%v: %s", err, raw)
		}
		var got []string
		for _, rec := range list.Data.Records {
			for _, sess := range []string{"a", "b", "c", "d"} {
				if rec.ID == sess {
					t.Error("listed under its session id")
				}
				if rec.ID == (faxplustest.Fax{Session: sess}).ListedID() {
					got = append(got, sess)
				}
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q: got %v, want %s", query, got, want)
		}
	}
	for _, query := range []string{"limit=0", "limit=x", "after=yesterday"} {
		if got, _ := ask(t, sim, "", "/accounts/self/faxes?"+query); got != 400 {
			t.Errorf("%s: %d", query, got)
		}
	}
	byListed, a := ask(t, sim, "", "/accounts/self/faxes/"+fax("a", 1).ListedID())
	bySession, b := ask(t, sim, "", "/accounts/self/faxes/a")
	if byListed != 200 || bySession != 200 || !bytes.Equal(a, b) {
		t.Errorf("one fax, two records: %s %s", a, b)
	}
}

func TestClosingEventSaysWhatItIsTold(t *testing.T) {
	lie := 7
	f := fax("s", 2)
	f.PageCount, f.Status, f.Direction = &lie, "failed_odd", session.Outgoing
	event, err := faxplus.ParseEvent(faxplustest.ClosedEvent(f, "http://h"))
	if err != nil || event.Pages != 7 || event.Status != "failed_odd" || event.Name != faxplus.EventSent {
		t.Errorf("%+v, %v", event, err)
	}
}
