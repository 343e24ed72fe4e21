package app

import (
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/trace"
)

// collector is a receiver of OTLP by HTTP.
type collector struct {
	*httptest.Server

	mu       sync.Mutex
	requests int                      // guarded by mu
	spans    map[string]*tracepb.Span // by id; guarded by mu
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{spans: map[string]*tracepb.Span{}}
	c.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.requests++
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			t.Error(err)
			return
		}
		body, err := io.ReadAll(z)
		data := &tracepb.TracesData{}
		if err == nil {
			err = proto.Unmarshal(body, data)
		}
		if err != nil {
			t.Error(err)
		}
		for _, resource := range data.ResourceSpans {
			for _, scope := range resource.ScopeSpans {
				for _, s := range scope.Spans {
					c.spans[string(s.SpanId)] = s
				}
			}
		}
	}))
	t.Cleanup(c.Close)
	return c
}

// of gives the spans of a session in the order of their beginnings.
func (c *collector) of(session string) []*tracepb.Span {
	id := trace.TraceID(session)
	var spans []*tracepb.Span
	for _, s := range c.spans {
		if bytes.Equal(s.TraceId, id[:]) {
			spans = append(spans, s)
		}
	}
	slices.SortFunc(spans, func(a, b *tracepb.Span) int { return int(int64(a.StartTimeUnixNano) - int64(b.StartTimeUnixNano)) })
	return spans
}

// way gives the names from a span up to its root.
func (c *collector) way(s *tracepb.Span) (names []string) {
	for ; s != nil; s = c.spans[string(s.ParentSpanId)] {
		names = append(names, s.Name)
	}
	return names
}

func value(s *tracepb.Span, key string) string {
	for _, a := range s.GetAttributes() {
		if a.Key == key {
			if text := a.Value.GetStringValue(); text != "" {
				return text
			}
			return fmt.Sprint(a.Value.GetIntValue())
		}
	}
	return ""
}

// traced sends faxes through a whole faxstream that sends its traces to endpoint.
func traced(t *testing.T, endpoint string, faxes ...faxplustest.Fax) {
	t.Helper()
	if testing.Short() {
		t.Skip("has deadlines of seconds, which a slow build misses: runs without -short")
	}
	sends := func(c *Config) { c.Traces = &trace.Config{Endpoint: endpoint, Sample: 1} }
	for _, tr := range runTrials(t, t.TempDir(), 1, faxes, sends, patientGrace) {
		if wrong := tr.Wrong(); wrong != "" {
			t.Fatalf("fax %s: %s", tr.Fax.Session, wrong)
		}
	}
}

// Whatever happens to a fax, from its webhooks to its document, is one trace without holes.
func TestAFaxIsOneTrace(t *testing.T) {
	c := newCollector(t)
	f := apptest.SmallFax(t, "traced", 4)
	f.From, f.To = "+4930111222333", "+13343045678"
	traced(t, c.URL, f)
	c.checkParents(t)
	spans := c.of(f.Session)
	if len(spans) != len(c.spans) {
		t.Errorf("%d of %d spans are in the trace of the fax", len(spans), len(c.spans))
	}
	roots, end := 0, []string(nil)
	for _, s := range spans {
		switch {
		case len(s.ParentSpanId) == 0 && s.Name == "POST /v1/faxplus":
			roots++
		case len(s.ParentSpanId) == 0:
			t.Errorf("%s has no parent", s.Name)
		case s.Name == "publish fax.v1.doc.assembled" && end == nil:
			end = c.way(s)
		}
		for _, number := range []string{"4930111222333", "13343045678"} {
			if strings.Contains(s.String(), number) {
				t.Errorf("a span has a number: %s", s)
			}
		}
	}
	if roots != len(f.Pages)+1 {
		t.Errorf("%d roots, want one for each of %d webhooks", roots, len(f.Pages)+1)
	}
	if len(end) < 5 || end[1] != "process assemble" || end[2] != "publish fax.v1.doc.ready" ||
		!strings.HasPrefix(end[3], "process collect-") || end[len(end)-1] != "POST /v1/faxplus" {
		t.Errorf("the document comes from %v", end)
	}
	for page := range f.Pages {
		c.checkPage(t, spans, fmt.Sprint(page+1))
	}
}

// checkParents wants the parent of every span.
func (c *collector) checkParents(t *testing.T) {
	t.Helper()
	for _, s := range c.spans {
		parent := c.spans[string(s.ParentSpanId)]
		if len(s.ParentSpanId) > 0 && (parent == nil || !bytes.Equal(parent.TraceId, s.TraceId)) {
			t.Errorf("the parent %s of %s is not there", hex.EncodeToString(s.ParentSpanId), s.Name)
		}
	}
}

// checkPage wants the stages of a page that came at once, in their order.
func (c *collector) checkPage(t *testing.T, spans []*tracepb.Span, page string) {
	t.Helper()
	want := []string{"GET", "archive tiff", "decode", "archive png", "publish fax.v1.page.archived"}
	for _, work := range spans {
		if work.Name != "process page" || value(work, "faxstream.page") != page {
			continue
		}
		var stages []string
		for _, s := range spans {
			if bytes.Equal(s.ParentSpanId, work.SpanId) && slices.Contains(want, s.Name) {
				stages = append(stages, s.Name)
			}
		}
		way := c.way(work)
		if !slices.Equal(stages, want) || !slices.Equal(way, []string{"process page", "publish fax.v1.in.page", "POST /v1/faxplus"}) ||
			value(work, "faxstream.attempt") != "1" {
			t.Errorf("page %s comes by %v with attempt %q, and its stages are %v; want %v",
				page, way, value(work, "faxstream.attempt"), stages, want)
		}
		return
	}
	t.Errorf("page %s is in no span", page)
}

// An attempt that fails says why, and the next one, which a schedule begins, is a child of it.
func TestAttemptsOfAPageAreInItsTrace(t *testing.T) {
	c := newCollector(t)
	f := apptest.SmallFax(t, "retried", 4)
	f.Faults = []faxplustest.Fault{faxplustest.NotReady}
	traced(t, c.URL, f)
	c.checkParents(t)
	retried := 0
	for _, s := range c.of(f.Session) {
		if s.Name != "process retry" {
			continue
		}
		retried++
		before := c.spans[string(s.ParentSpanId)]
		var number, last int
		_, err := fmt.Sscan(value(s, "faxstream.attempt")+" "+value(before, "faxstream.attempt"), &number, &last)
		if err != nil || number != last+1 || value(before, "faxstream.page") != value(s, "faxstream.page") ||
			value(before, "faxstream.reason") != string(session.ReasonNotYet) || before.GetStatus().GetCode() != tracepb.Status_STATUS_CODE_ERROR {
			t.Errorf("attempt %d of page %s follows %v: attempt %d, %q, %v", number, value(s, "faxstream.page"), c.way(before), last,
				value(before, "faxstream.reason"), err)
		}
	}
	if retried == 0 {
		t.Error("no page was tried again")
	}
}

// A receiver that takes requests and never answers holds neither a fax nor the stop.
func TestTracesThatNobodyTakesHoldNoFax(t *testing.T) {
	over := make(chan struct{})
	hangs := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-over }))
	defer hangs.Close()
	defer close(over)
	traced(t, hangs.URL, apptest.SmallFax(t, "held", 4))
}

// Only the flag begins traces: a variable that another program needs does not.
func TestNothingIsTracedUnlessItIsConfigured(t *testing.T) {
	if testing.Short() {
		t.Skip("has deadlines of seconds, which a slow build misses: runs without -short")
	}
	c := newCollector(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", c.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", c.URL)
	runTrials(t, t.TempDir(), 1, []faxplustest.Fax{apptest.SmallFax(t, "off", 4)})
	if c.requests != 0 {
		t.Errorf("the receiver got %d requests", c.requests)
	}
}
