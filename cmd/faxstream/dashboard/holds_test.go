package dashboard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/pipeline/session"
)

// holdStub is what is kept, and carries out at once what is ordered.
type holdStub struct {
	stores
	logs     map[string][]session.KeepEntry
	retained time.Time
	ordered  []session.Action
	rest     bool // there is something of a purged fax
}

func (s *holdStub) purged(id string) bool {
	log := s.logs[id]
	return len(log) > 0 && log[len(log)-1].Kind == session.ActionPurged
}

func (s *holdStub) Act(_ context.Context, a session.Action) (uint64, error) {
	s.ordered = append(s.ordered, a)
	n := uint64(len(s.ordered))
	if s.purged(a.Session) {
		s.rest = false
		return n, nil
	}
	entry := session.KeepEntry{Session: a.Session, Kind: a.Kind, By: a.By, Why: a.Why, Asked: fmt.Sprint("a", n)}
	s.logs[a.Session] = append(s.logs[a.Session], entry)
	return n, nil
}

func (s *holdStub) Log(_ context.Context, id string) ([]session.KeepEntry, error) {
	return s.logs[id], nil
}

func (s *holdStub) Purgeable(_ context.Context, id string, now time.Time) error {
	if log := s.logs[id]; len(log) > 0 && log[len(log)-1].Kind == session.ActionHeld || now.Before(s.retained) {
		return fmt.Errorf("%w: case 1, until %s", session.ErrKept, s.retained.Format(time.DateOnly))
	}
	return nil
}

func (s *holdStub) Until(_ context.Context, id string) (time.Time, error) {
	if s.purged(id) && !s.rest || s.states[id].Document == nil {
		return time.Time{}, fmt.Errorf("none: %w", fs.ErrNotExist)
	}
	return s.retained, nil
}

func (s *holdStub) Holds(context.Context) iter.Seq2[session.KeepEntry, error] {
	return func(yield func(session.KeepEntry, error) bool) {
		for _, log := range s.logs {
			if last := log[len(log)-1]; last.Kind == session.ActionHeld && !yield(last, nil) {
				return
			}
		}
		yield(session.KeepEntry{}, errors.New("the archive does not answer"))
	}
}

// The orders about keeping, as they are given one after another: who may, what is refused and why, and what is then told.
func TestOrdersAboutKeeping(t *testing.T) {
	s := &holdStub{stores: twoFaxes(), logs: map[string][]session.KeepEntry{}, retained: time.Now().AddDate(6, 0, 0)}
	d := newListener(t, func(c *Config) { c.Holds, c.Letters, c.Ledgers = s, s, s })
	const because = `{"by":"somebody else","why":"case 1"}`
	for _, c := range []struct {
		who, method, path, body string
		status                  int
		says                    string
	}{
		{"reader", "POST", "/abc/hold", because, 403, "admin"},
		{"operator", "POST", "/abc/purge", because, 403, "admin"},
		{"master", "POST", "/abc/hold", `{"why":" "}`, 400, "reason"},
		{"master", "POST", "/none/hold", because, 404, "no fax"},
		{"master", "POST", "/a%2fb/hold", because, 400, "letters"},
		{"master", "POST", "/abc/release", because, 409, "not under legal hold"},
		{"master", "POST", "/abc/purge", because, 409, "until"},
		{"master", "POST", "/later/purge", because, 409, "not over"},
		{"master", "POST", "/abc/hold", because, 200, `"done":true`},
		{"master", "POST", "/abc/hold", because, 200, `"asked":"a2"`},
		{"reader", "GET", "/abc/keep", "", 200, `"held":true`},
		{"reader", "GET", "/abc/keep", "", 200, `"retained_until":"20`},
		{"reader", "GET", "/later/keep", "", 200, `"log":[]`},
		{"reader", "GET", "/none/keep", "", 404, "no fax"},
		{"master", "POST", "/abc/purge", because, 409, "case 1"},
		{"master", "POST", "/abc/release", because, 200, "released"},
	} {
		if status, body := d.Ask(c.who, c.method, "/api/v1/faxes"+c.path, c.body); status != c.status || !strings.Contains(body, c.says) {
			t.Errorf("%s %s as %s: %d %s, want %d with %q", c.method, c.path, c.who, status, body, c.status, c.says)
		}
	}
	s.retained = time.Time{}
	if status, body := d.Ask("master", "POST", "/api/v1/faxes/abc/purge", because); status != 200 {
		t.Fatalf("purge: %d %s", status, body)
	}
	for _, path := range []string{"/abc/hold", "/abc/purge"} {
		status, body := d.Ask("master", "POST", "/api/v1/faxes"+path, because)
		if status != http.StatusGone || !strings.Contains(body, "purged on") {
			t.Errorf("%s of a purged fax: %d %s", path, status, body)
		}
	}
	s.rest = true // of a purge that was stopped half-way
	if status, body := d.Ask("master", "POST", "/api/v1/faxes/abc/hold", because); status != http.StatusGone {
		t.Errorf("hold of what a purge has left: %d %s", status, body)
	}
	status, body := d.Ask("master", "POST", "/api/v1/faxes/abc/purge", because)
	if status != 200 || !strings.Contains(body, `"done":true`) || s.rest {
		t.Errorf("purge of what a purge has left: %d %s", status, body)
	}
	s.states["abc"] = session.State{Session: "abc", Opened: time.Now(), Purged: true} // as its ledger becomes
	for _, path := range []string{"", "/document.pdf", "/pages/1.png"} {
		if status, body := d.Ask("reader", "GET", "/api/v1/faxes/abc"+path, ""); status != http.StatusGone || !strings.Contains(body, "case 1") {
			t.Errorf("%q of a purged fax: %d %s", path, status, body)
		}
	}
	kinds := []string{}
	for _, a := range s.ordered {
		kinds = append(kinds, a.Kind)
		if a.By != "master" || a.Why != "case 1" || a.Session != "abc" {
			t.Errorf("ordered: %+v", a)
		}
	}
	if want := []string{"held", "held", "released", "purged", "purged"}; !slices.Equal(kinds, want) {
		t.Errorf("ordered: %s, want %s", kinds, want)
	}
}

// After a loss of FAX_AUDIT its sequences begin anew: an order of before is not taken for this one.
func TestAnOrderIsNotDoneByAnOlderOne(t *testing.T) {
	s := &holdStub{logs: map[string][]session.KeepEntry{"abc": {{Session: "abc", Kind: session.ActionHeld, Asked: "a1"}}}}
	server := &server{Config: Config{Holds: s}}
	k := api.HoldStatus{Session: "abc", Log: s.logs["abc"]}
	if server.carriedOut(t.Context(), k, "a1") {
		t.Error("an order with the name of an older one is done before it is in the log")
	}
	s.logs["abc"] = append(s.logs["abc"], session.KeepEntry{Session: "abc", Kind: session.ActionReleased, Asked: "a1"})
	if !server.carriedOut(t.Context(), k, "a1") {
		t.Error("an order that is in the log is not done")
	}
}

// A list of holds that cannot be read to its end is no list: nobody shall take it for all.
func TestHoldsAreAllOrNone(t *testing.T) {
	s := &holdStub{stores: twoFaxes(), logs: map[string][]session.KeepEntry{"abc": {{Session: "abc", Kind: session.ActionHeld}}}}
	d := newListener(t, func(c *Config) { c.Holds = s })
	status, body := d.Ask("reader", "GET", "/api/v1/holds", "")
	var answer struct{ Holds []session.KeepEntry }
	if err := json.Unmarshal([]byte(body), &answer); status != http.StatusServiceUnavailable || err != nil || answer.Holds != nil {
		t.Errorf("%d %s", status, body)
	}
}
