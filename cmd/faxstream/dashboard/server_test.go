package dashboard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/session"
)

// stores is what the handler reads from: two faxes, one of them assembled without a usable page.
type stores struct {
	states map[string]session.State
	facts  map[int]session.PageArchived
	err    error
}

func (s stores) Load(_ context.Context, id string) (session.State, uint64, error) {
	return s.states[id], 1, s.err
}

func (s stores) PageFacts(context.Context, string, session.Ranges) (map[int]session.PageArchived, error) {
	return s.facts, s.err
}

// One dead letter waits.
func (s stores) Letters(context.Context, bus.LetterFilter, int) ([]bus.Letter, bool, error) {
	l, err := s.Letter(context.Background(), 7)
	return []bus.Letter{l}, true, err
}

func (s stores) Letter(_ context.Context, id uint64) (bus.Letter, error) {
	if id != 7 {
		return bus.Letter{}, bus.ErrNoLetter
	}
	return bus.Letter{ID: 7, DeadLetter: session.DeadLetter{Stage: "ingest", Body: []byte{0xff}}}, s.err
}

func (s stores) LiveLetters(context.Context) (uint64, error)         { return 1, s.err }
func (s stores) Act(context.Context, session.Action) (uint64, error) { return 0, s.err }
func (s stores) RemoveLetter(context.Context, uint64) error          { return s.err }

func (s stores) RecordAccess(context.Context, session.Access) error { return s.err }

type object struct{ *strings.Reader }

func (object) Close() error { return nil }

func (s stores) Open(_ context.Context, key string) (io.ReadSeekCloser, int64, error) {
	if strings.HasSuffix(key, "gone") || strings.Contains(key, ".0000000000000000.") {
		return nil, 0, fs.ErrNotExist
	}
	content := "content of " + key
	return object{strings.NewReader(content)}, int64(len(content)), nil
}

func newServer(t *testing.T, s stores) *httptest.Server {
	t.Helper()
	board := &Board{}
	for _, st := range s.states {
		board.put(st)
	}
	srv := httptest.NewServer(NewHandler(Config{
		Gate: local(), Board: board, Ledgers: s, Letters: s, Archive: s, Audit: s, Log: slog.New(slog.DiscardHandler),
		Metrics: http.NotFoundHandler(), PageKey: archive.NamedPageKey,
		Ready: func(context.Context) error { return s.err },
		Thumbnail: func(_ context.Context, original io.Reader) ([]byte, error) {
			data, err := io.ReadAll(original)
			return append([]byte("small "), data...), err
		},
		Events: func(_ context.Context, after *bus.Place, f func(bus.Stored, bus.Place) bool) error {
			page := 1
			if after != nil {
				page = int(after[0]) + 1
			}
			f(bus.Stored{Subject: "fax.v1.page.archived.123.abc.1", Data: fmt.Appendf(nil, `{"page":%d}`, page)}, bus.Place{uint64(page), 2, 3})
			return nil
		},
	}))
	t.Cleanup(srv.Close)
	return srv
}

func twoFaxes() stores {
	opened := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	return stores{
		states: map[string]session.State{
			"abc": {
				Session: "abc", Opened: opened, Announced: session.Span(1, 2), Usable: session.Span(1, 1),
				Failed: map[session.Reason]session.Ranges{session.ReasonEmpty: session.Span(2, 2)},
				Document: &session.DocAssembled{
					Revision: 1, Status: session.StatusPartial, PDF: session.Object{Key: "a.pdf", SHA256: "00ff"}, Manifest: session.Object{Key: "gone"},
				},
			},
			"later": {Session: "later", Opened: opened.Add(time.Second), From: "<script>alert(1)</script>"},
		},
		facts: map[int]session.PageArchived{
			1: {Page: 1, Original: session.Object{Key: "p.tiff", SHA256: "aa"}, PNG: session.Object{Key: "p.png"}, Width: 1728, Height: 2200},
		},
	}
}

func TestAnswers(t *testing.T) {
	srv := newServer(t, twoFaxes())
	for _, c := range []struct {
		path   string
		status int
		want   string
	}{
		{"/api/v1/faxes", 200, `"faxes":[{"session":"later"`},
		{"/api/v1/faxes?limit=0", 400, `"code":"bad_request"`},
		{"/api/v1/faxes?cursor=nonsense", 400, "use `next` of the previous page"},
		{"/api/v1/faxes/abc", 200, `{"page":2,"status":"missing","source":"","reason":"empty"`},
		{"/api/v1/faxes/abc", 200, `{"page":1,"status":"archived","source":"fetch","reason":"","sha256":"aa","width":1728,`},
		{"/api/v1/faxes/abc", 200, `"width":1728,"height":2200,"bad_rows":0}`},
		{"/api/v1/faxes/unknown", 404, `"code":"not_found"`},
		{"/api/v1/faxes/..%2fx", 400, `"code":"bad_request"`},
		{"/api/v1/faxes/abc/document.pdf", 200, "content of a.pdf"},
		{"/api/v1/faxes/abc/document.tiff", 404, "no page of it is usable"},
		{"/api/v1/faxes/abc/manifest.json", 502, `"code":"object_gone"`},
		{"/api/v1/faxes/abc/other", 404, "want document.pdf"},
		{"/api/v1/faxes/later/document.pdf", 404, "no document yet"},
		{"/api/v1/faxes/abc/pages/1.tiff", 200, "content of p.tiff"},
		{"/api/v1/faxes/abc/pages/1.png", 200, "content of p.png"},
		{"/api/v1/faxes/abc/pages/1.thumbnail.png", 200, "small content of p.tiff"},
		{"/api/v1/faxes/abc/pages/2.thumbnail.png", 404, "no archived page 2"},
		{"/api/v1/faxes/abc/pages/2.png", 404, "no archived page 2"},
		{"/api/v1/faxes/abc/pages/0.png", 400, "N from 1"},
		{"/api/v1/faxes/abc/pages/0001.0123456789abcdef.png", 200, "content of faxes/abc/pages/0001.0123456789abcdef.png"},
		{"/api/v1/faxes/abc/pages/0002.0123456789abcdef.cut.tiff", 200, "content of faxes/abc/pages/0002.0123456789abcdef.cut.tiff"},
		{"/api/v1/faxes/abc/pages/0001.0000000000000000.png", 404, "session abc has no object 0001.0000000000000000.png"},
		{"/api/v1/faxes/other/pages/0001.0123456789abcdef.png", 404, "no fax has the session"},
		{"/api/v1/faxes/abc/pages/0001.0123456789abcdef.rejected", 400, "want N.tiff"},
		{"/api/v1/faxes/abc/pages/1.0123456789abcdef.png", 400, "want N.tiff"},
		{"/api/v1/faxes/abc/pages/0001.0123456789abcdef.png.json", 400, "want N.tiff"},
		{"/api/v1/events", 200, `data: {"type":"fax.v1.page.archived"`},
		{"/api/v1/events", 200, "id: 1-2-3\ndata: "},
		{"/api/v1/events?after=7-2-3", 200, `{"page":8}`},
		{"/api/v1/events?after=7", 400, "want three numbers"},
		{"/healthz", 200, `"status":"ok"`},
		{"/readyz", 200, `"status":"ready"`},
		{"/nothing", 404, `"code":"not_found"`},
		{"/", 200, "&lt;script&gt;"},
		{"/", 200, "1 dead letter:"},
		{"/api/v1/dlq", 200, `"next":7`},
		{"/api/v1/dlq/7", 200, `"event_base64":"/w=="`},
		{"/api/v1/dlq/8", 404, `"code":"not_found"`},
		{"/fax/abc", 200, "missing (empty)"},
	} {
		resp, err := http.Get(srv.URL + c.path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != c.status || !strings.Contains(string(body), c.want) {
			t.Errorf("GET %s: %d, %v, want %d with %q:\n%s", c.path, resp.StatusCode, err, c.status, c.want, body)
		}
	}
}

func TestAStoreThatDoesNotAnswerIs503(t *testing.T) {
	s := twoFaxes()
	s.err = errors.New("secret detail")
	srv := newServer(t, s)
	for _, path := range []string{"/api/v1/faxes/abc", "/api/v1/faxes/abc/pages/1.png", "/api/v1/dlq", "/api/v1/dlq/7", "/readyz"} {
		resp, err := http.Get(srv.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 503 {
			t.Errorf("GET %s: %d, want 503", path, resp.StatusCode)
		}
	}
}

// A page on the web must not read faxes by letting its name resolve to loopback.
func TestForeignHostIsRefused(t *testing.T) {
	srv := newServer(t, twoFaxes())
	for host, want := range map[string]int{
		"evil.example:80": 403, "evil.example": 403, "localhost:8081": 200, "127.0.0.1": 200, "[::1]:8081": 200,
	} {
		req, err := http.NewRequest(http.MethodGet, srv.URL+"/api/v1/faxes", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("Host %s: %d, want %d", host, resp.StatusCode, want)
		}
	}
}

func TestRangesAndETag(t *testing.T) {
	srv := newServer(t, twoFaxes())
	for _, c := range []struct {
		header, value, want string
		status              int
	}{
		{"Range", "bytes=0-6", "content", 206},
		{"If-None-Match", `"00ff"`, "", 304},
	} {
		req, err := http.NewRequest(http.MethodGet, srv.URL+"/api/v1/faxes/abc/document.pdf", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set(c.header, c.value)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != c.status || string(body) != c.want {
			t.Errorf("%s: %s: %d %q, want %d %q", c.header, c.value, resp.StatusCode, body, c.status, c.want)
		}
	}
}

// Pages of the list neither repeat nor skip a fax, also while others arrive.
func TestCursorWalksTheWholeList(t *testing.T) {
	s := stores{states: map[string]session.State{}}
	opened := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	for i := range 25 {
		id := fmt.Sprintf("fax-%02d", i)
		s.states[id] = session.State{Session: id, Opened: opened.Add(time.Duration(i/2) * time.Second)} // pairs share their time
	}
	srv := newServer(t, s)
	seen := map[string]int{}
	var order []string
	cursor := ""
	for range 100 {
		resp, err := http.Get(srv.URL + "/api/v1/faxes?limit=4&cursor=" + cursor)
		if err != nil {
			t.Fatal(err)
		}
		var l api.FaxList
		err = json.NewDecoder(resp.Body).Decode(&l)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range l.Faxes {
			seen[f.Session]++
			order = append(order, f.Session)
		}
		if cursor = l.Next; cursor == "" {
			break
		}
	}
	if len(order) != 25 || len(seen) != 25 || order[0] != "fax-24" || order[24] != "fax-00" {
		t.Errorf("walked %v", order)
	}
}
