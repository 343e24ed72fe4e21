package dashboard

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/faxstream/faxstream/cmd/faxstream/access"
	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/subscribers"
)

// claimDesk is a desk with a real JetStream, a subscriber ocr of the office with its token, and tokens of others.
func claimDesk(t *testing.T) (*listener, *bus.Bus) {
	t.Helper()
	b, err := bus.Open(t.Context(), bus.Config{Embedded: bus.EmbeddedConfig{Dir: t.TempDir()}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	d := newListener(t, func(c *Config) {
		c.Subscribers = &subscribers.Service{Bus: b, Key: func() ([]byte, error) { return []byte("key"), nil }}
	})
	d.admit(t, "ocr", []access.Scope{access.ScopeRead, access.ScopeText}, office)
	d.admit(t, "thief", []access.Scope{access.ScopeRead}, "222")
	d.admit(t, "reader", []access.Scope{access.ScopeRead})
	d.admit(t, "root", []access.Scope{access.ScopeAdmin, access.ScopeRead})
	return d, b
}

// order sends an order that must be answered so, and gives the answer.
func (d *listener) order(t *testing.T, token, path, body string, want int) string {
	t.Helper()
	status, answer := d.Ask(token, "POST", "/api/v1/subscribers"+path, body)
	if status != want {
		t.Errorf("%s as %s: %d %s, want %d", path, token, status, answer, want)
	}
	return answer
}

func claimed(t *testing.T, answer string) (events []api.ClaimedEvent) {
	t.Helper()
	var given api.Claimed
	if err := json.Unmarshal([]byte(answer), &given); err != nil {
		t.Fatalf("%v: %s", err, answer)
	}
	return given.Events
}

// A worker claims the events of its subscriber and settles them; then none is left.
func TestAWorkerClaimsAndSettles(t *testing.T) {
	d, b := claimDesk(t)
	d.order(t, "root", "", `{"name":"ocr","to":["+1 (334) 304-0000"]}`, 200)
	for _, to := range []string{session.NumberToken(office), "222"} {
		if _, err := b.Record(t.Context(), session.PageArchived{Session: "s" + to, Page: 1, ToToken: to}); err != nil {
			t.Fatal(err)
		}
	}
	events := claimed(t, d.order(t, "ocr", "/ocr/claim", `{"max":8,"wait":"5s"}`, 200))
	if len(events) != 1 || events[0].Type != session.TypePageArchived ||
		!strings.Contains(string(events[0].Data), `"session":"s13343040000"`) {
		t.Fatalf("claimed %+v, want the page of the office", events)
	}
	answer := d.order(t, "ocr", "/ocr/settle", fmt.Sprintf(
		`{"events":[{"lease":%q,"as":"done"},{"lease":"none","as":"done"},{"lease":%q,"as":"done","delay":"soon"}]}`,
		events[0].Lease, events[0].Lease), 200)
	var done api.Settled
	if err := json.Unmarshal([]byte(answer), &done); err != nil || len(done.Errors) != 3 || done.Errors[0] != "" ||
		!strings.Contains(done.Errors[1], "the lease is not one of ocr") || !strings.Contains(done.Errors[2], `delay "soon"`) {
		t.Errorf("settled: %s, %v", answer, err)
	}
	if status, answer := d.Ask("reader", "GET", "/api/v1/subscribers", ""); status != 200 ||
		!strings.Contains(answer, `"name":"ocr","to":["13343040000"]`) || !strings.Contains(answer, `"waiting":0,"in_work":0`) {
		t.Errorf("the list: %d %s", status, answer)
	}
}

// Nobody claims, settles or orders what is not his, and nothing of what he tries changes anything.
func TestAHostileSubscriber(t *testing.T) {
	d, b := claimDesk(t)
	d.order(t, "root", "", `{"name":"ocr","to":["13343040000"]}`, 200)
	d.order(t, "root", "", `{"name":"thief"}`, 200) // of all numbers, and its token sees one
	if _, err := b.Record(t.Context(), session.PageArchived{Session: "s", Page: 1, ToToken: "13343040000"}); err != nil {
		t.Fatal(err)
	}
	events := claimed(t, d.order(t, "ocr", "/ocr/claim", `{"wait":"5s"}`, 200))
	if len(events) != 1 {
		t.Fatalf("claimed %+v", events)
	}
	stolen := fmt.Sprintf(`{"events":[{"lease":%q,"as":"done"}]}`, events[0].Lease)
	for _, row := range []struct {
		token, path, body string
		status            int
	}{
		{"", "/ocr/claim", `{}`, 401},
		{"thief", "/ocr/claim", `{}`, 403},
		{"thief", "/ocr/settle", stolen, 403},
		{"thief", "/thief/claim", `{}`, 403}, // it would see other numbers
		{"reader", "/ocr/claim", `{}`, 403},
		{"thief", "", `{"name":"mine"}`, 403},
		{"ocr", "/ocr/rewind", `{"since":"2026-01-01T00:00:00Z"}`, 403},
		{"root", "", `{"name":"ocr"}`, 409},
		{"root", "", `{"name":"a.b"}`, 400},
		{"root", "", `{"name":"x","lease":"1s"}`, 400},
		{"root", "", `{"name":"x","lease":"long"}`, 400},
		{"root", "", `{"name":"x","to":["*"]}`, 200}, // a number in an odd form is text, and never a wildcard
		{"root", "/ocr/rewind", `{}`, 400},
		{"root", "/ocr/rewind", `{"since":"2026-01-01T00:00:00Z","session":"abc"}`, 400},
		{"root", "/ocr/rewind", `{"session":"*"}`, 400},
		{"root", "/nobody/rewind", `{"since":"2026-01-01T00:00:00Z"}`, 404},
		{"ocr", "/ocr/claim", `{"max":1000}`, 400},
		{"ocr", "/ocr/claim", `{"wait":"1h"}`, 400},
		{"ocr", "/ocr/claim", `{"wait":"long"}`, 400},
		{"ocr", "/ocr/claim", `[]`, 400},
		{"ocr", "/ocr/settle", `{"events":[` + strings.Repeat(`{},`, 256) + `{}]}`, 400},
	} {
		d.order(t, row.token, row.path, row.body, row.status)
	}
	if status, answer := d.Ask("thief", "DELETE", "/api/v1/subscribers/ocr", `{}`); status != 403 {
		t.Errorf("removed by a thief: %d %s", status, answer)
	}
	if _, answer := d.Ask("reader", "GET", "/api/v1/subscribers", ""); !strings.Contains(answer, `"in_work":1`) {
		t.Errorf("the event is not claimed any more: %s", answer)
	}
	if status, answer := d.Ask("root", "DELETE", "/api/v1/subscribers/ocr", `{}`); status != 200 {
		t.Errorf("removed: %d %s", status, answer)
	}
	status, answer := d.Ask("root", "DELETE", "/api/v1/subscribers/ocr", `{}`)
	if status != 404 || !strings.Contains(answer, "no such subscriber") {
		t.Errorf("removed again: %d %s", status, answer)
	}
}
