package dashboard

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/access"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/session"
)

// Streams of events are bounded, since each has consumers of JetStream; one that ends makes room.
func TestStreamsOfEventsAreBounded(t *testing.T) {
	d := newListener(t, func(c *Config) {
		c.Events = func(ctx context.Context, _ *bus.Place, _ func(bus.Stored, bus.Place) bool) error {
			<-ctx.Done()
			return nil
		}
	})
	open := func(ctx context.Context) *http.Response {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.URL+"/api/v1/events", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+d.Secrets["reader"])
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		return resp
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	for n := range maxStreams {
		if resp := open(ctx); resp.StatusCode != http.StatusOK {
			t.Fatalf("stream %d: %s", n+1, resp.Status)
		}
	}
	if resp := open(t.Context()); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("one more: %s, want 503", resp.Status)
	}
	stop()
	for open(t.Context()).StatusCode != http.StatusOK { // the server notices in its own time
		runtime.Gosched()
	}
}

// quiet is a reader of a stream that a test looks at. It takes no more than the comment of the start and most parts.
type quiet struct {
	http.ResponseWriter
	text strings.Builder
	most int
}

func (q *quiet) SetWriteDeadline(time.Time) error { return nil }

func (q *quiet) Flush() {}

func (q *quiet) Write(data []byte) (int, error) {
	if q.most--; q.most < -1 {
		return 0, errors.New("the reader is gone")
	}
	return q.text.Write(data)
}

// A stream in which nothing happens has a comment every liveBeat, so that no proxy takes it for dead, and ends when its reader is gone.
func TestAStreamWithoutEventsIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := listenerConfig(&listener{}, local())
		cfg.Events = func(ctx context.Context, _ *bus.Place, give func(bus.Stored, bus.Place) bool) error {
			pause(ctx, time.After(50*time.Second))
			give(bus.Stored{Subject: "fax.v1.page.archived.1.a.1", Data: []byte("{}")}, bus.Place{})
			<-ctx.Done()
			return nil
		}
		q := &quiet{ResponseWriter: httptest.NewRecorder(), most: 6}
		start := time.Now()
		NewHandler(cfg).As(access.Token{}).ServeHTTP(q, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v1/events", nil))
		if took := time.Since(start); took != 6*liveBeat {
			t.Errorf("the stream ends after %s, want %s", took, 6*liveBeat)
		}
		before, after, ok := strings.Cut(q.text.String(), "id: ")
		if !ok || before != ": listening\n\n: \n\n: \n\n" || strings.Count(after, "\n: \n") != 3 {
			t.Errorf("the stream is %q", q.text.String())
		}
	})
}

// stored is a fact as a stream has it.
func stored(t *testing.T, at time.Time, f session.Fact) bus.Stored {
	t.Helper()
	data, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	return bus.Stored{Subject: f.Subject(), Time: at, Data: data}
}

// What happened to a fax is said in words, the first lines at first and all on request; what did not work stands out.
func TestTimeline(t *testing.T) {
	at := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	object := session.Object{Key: "k", SHA256: strings.Repeat("a", 64)}
	two := session.Span(2, 2)
	var asked []int
	d := officeDesk(t, func(c *Config) {
		c.Facts = func(_ context.Context, id string, most int) (facts []bus.Stored, more bool, err error) {
			asked = append(asked, most)
			for i, f := range []session.Fact{
				session.PageAnnounced{Session: id, Page: 2},
				session.PageFailed{
					Session: id, Page: 2, ToToken: "1", Attempt: 3, Stage: "fetch", Reason: session.ReasonEmpty, Detail: "<0 bytes>", Final: true,
				},
				session.PageArchived{Session: id, Page: 2, ToToken: "1", Source: session.SourceWholeFile, BadRows: 1},
				session.Closed{Session: id, Status: "success", Pages: 2},
				session.WholeOrdered{Session: id, N: 1, Wanted: two, Compare: session.Span(1, 1)},
				session.WholeDone{Session: id, ToToken: "1", N: 1, Object: &object, Pages: 2, Attempts: []session.Attempt{{Reason: "not_yet"}}},
				session.WholeDone{Session: id, ToToken: "1", N: 2, Reason: session.ReasonTooLarge},
				session.DocReady{Session: id, ToToken: "1", Revision: 1, Status: session.StatusPartial},
				session.DocAssembled{Session: id, ToToken: "1", Revision: 1, Status: session.StatusPartial, Pages: 2},
				session.DocFailed{Session: id, ToToken: "1", Revision: 2, Reason: session.ReasonLost, Detail: "page 1"},
				session.DocVerified{Session: id, ToToken: "1", Report: object, Differing: two},
				session.DocVerified{Session: id, ToToken: "1", Report: object},
				session.RecordSaid{Session: id, N: 1, Says: session.RecordOpen},
				session.Desk{Session: id, Work: session.Work{N: 1, By: "ada"}},
				session.Kept{Session: id, Kind: session.ActionHeld, Asked: "a1"},
				session.Again{Session: id, Asked: "a2"},
				session.DocSearchable{Session: id, ToToken: "1", Revision: 1, Record: object},
				session.PageAmended{PageArchived: session.PageArchived{Session: id, Page: 1, ToToken: "1", RasterSHA256: raster}},
				session.RecordAsked{Session: id, N: 1},
			} {
				facts = append(facts, stored(t, at.Add(time.Duration(i)*time.Second), f))
			}
			facts = append(facts, bus.Stored{Subject: "fax.v1.doc.new.1." + id + ".1", Data: []byte("{}")})
			return facts, true, nil
		}
	})
	_, page := d.Ask("clerk", "GET", "/fax/mine/timeline", "")
	last := 0
	for _, want := range []string{
		"2026-11-24 12:00:00.000</td><td>2</td><td>announced by the provider",
		`<td>2</td><td class="differs">attempt 3 failed (fetch): The file of this page is empty. &lt;0 bytes&gt; There is no further attempt`,
		"archived, cut from the whole file, with 1 bad row", "the provider says that the fax is over: success, 2 pages",
		"whole file ordered for page 2 and to compare page 1", "whole file archived, 2 pages (1 attempt failed, the last one: not_yet)",
		"whole file failed: too_large", "revision 1 ordered: partial", "revision 1 is ready: partial, 2 pages",
		`<td class="differs">revision 2 failed: lost: page 1`, "with the whole file: page 2 differs", "with the whole file: no page differs",
		"says of the fax: open", "work on it changed by ada", "held by a person", "a person ordered the work again",
		"revision 1 has a document with text", "came again with another image", "is asked whether the fax is over", "<td>fax.v1.doc.new</td>",
		`These are the first 20 entries. <a href="/fax/mine/timeline?all=yes">`,
	} {
		i := strings.Index(page[last:], want)
		if i < 0 {
			t.Fatalf("no %s after %d in %s", want, last, page)
		}
		last += i
	}
	if _, page := d.Ask("clerk", "GET", "/fax/mine/timeline?all=yes", ""); !strings.Contains(page, "there are more than 20") {
		t.Errorf("all of them: %s", page)
	}
	if !slices.Equal(asked, []int{timelineLines, maxTimeline}) {
		t.Errorf("asked for %v", asked)
	}
	if status, _ := d.Ask("clerk", "GET", "/fax/other/timeline", ""); status != http.StatusNotFound {
		t.Errorf("a fax of another number: %d", status)
	}
	if _, page := newListener(t, nil).Ask("reader", "GET", "/fax/abc/timeline", ""); !strings.Contains(page, "Nothing is known any more") {
		t.Errorf("without facts: %s", page)
	}
}
