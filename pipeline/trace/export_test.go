package trace

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"go.opentelemetry.io/otel/codes"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// A receiver gets spans where it expects them, with the headers of the configuration, and again when it was busy.
func TestSpansArePosted(t *testing.T) {
	var requests atomic.Int64
	got := make(chan *tracepb.TracesData, 1)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if requests.Add(1) == 1 {
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		h := r.Header
		if r.URL.Path != "/otlp/v1/traces" || h.Get("Content-Type") != "application/x-protobuf" || h.Get("Authorization") != "Bearer x" {
			t.Errorf("request for %s with %v", r.URL.Path, r.Header)
		}
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			t.Error(err)
			return
		}
		body, err := io.ReadAll(z)
		data := &tracepb.TracesData{}
		if err = errors.Join(err, proto.Unmarshal(body, data)); err != nil {
			t.Error(err)
		}
		got <- data
	}))
	defer receiver.Close()
	header, err := ReadHeader(strings.NewReader("authorization: Bearer x"))
	if err != nil {
		t.Fatal(err)
	}
	sent := 0
	tr, err := New(Config{
		Endpoint: receiver.URL + "/otlp/", Header: header, Sample: 1, Version: "v1", Log: slog.New(slog.DiscardHandler),
		Counted: func(outcome string, n int) {
			if outcome == Sent {
				sent += n
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, span := tr.Publish(t.Context(), "FAX_IN", page("s", 1))
	span.End("recorded", "")
	spans := (<-got).ResourceSpans[0] // Close would wait only for seconds
	tr.Close()
	if name := spans.ScopeSpans[0].Spans[0].Name; name != "publish fax.v1.in.page" || sent != 1 {
		t.Errorf("got the span %s, %d are counted as sent", name, sent)
	}
	if r := spans.Resource.String(); !strings.Contains(r, "service.name") || !strings.Contains(r, "faxstream") || !strings.Contains(r, "v1") {
		t.Errorf("the resource is %s", r)
	}
}

// Headers may have a token: another host must not get them.
func TestARedirectGetsNoHeaders(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("the other host got a request with %v", r.Header)
	}))
	defer other.Close()
	receiver := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	defer receiver.Close()
	counted := map[string]int{}
	tr, err := New(Config{
		Endpoint: receiver.URL, Header: http.Header{"X-Key": {"x"}}, Sample: 1, Log: slog.New(slog.DiscardHandler),
		Counted: func(outcome string, n int) { counted[outcome] += n },
	})
	if err != nil {
		t.Fatal(err)
	}
	_, span := tr.Publish(t.Context(), "FAX_IN", page("s", 1))
	span.End("recorded", "")
	tr.Close()
	if counted[Failed] != 1 || counted[Sent] != 0 {
		t.Errorf("%v are counted, want one that failed", counted)
	}
}

// A request to the provider is seen with its status and size. The provider does not get our trace.
func TestRequestsOfTracedWorkAreSpans(t *testing.T) {
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("traceparent") != "" {
			t.Error("the provider got a traceparent")
		}
		if r.URL.Path != "/there" {
			http.NotFound(w, r)
			return
		}
		_, _ = io.WriteString(w, "12345") // fails only if the test is gone
	}))
	defer provider.Close()
	m := &memory{}
	tr := tracer(t, m, 1, nil)
	client := &http.Client{Transport: tr.Client(provider.Client().Transport)}
	work := tr.Process(t.Context(), Message{Consumer: "page", Subject: "fax.v1.in.page.s.1"})
	for _, get := range []struct {
		ctx  context.Context
		path string
	}{{work.In(t.Context()), "/there"}, {work.In(t.Context()), "/not"}, {t.Context(), "/there"}} {
		req, err := http.NewRequestWithContext(get.ctx, http.MethodGet, provider.URL+get.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.Copy(io.Discard, resp.Body)
		if err := errors.Join(err, resp.Body.Close()); err != nil {
			t.Fatal(err)
		}
	}
	work.End("handled", "")
	tr.Close()
	got := m.described()
	const first = "GET < process page: http.request.method=GET http.response.body.size=5 http.response.status_code=200 " +
		"server.address=127.0.0.1"
	if len(got) != 3 || !strings.HasPrefix(got[0], first) ||
		!strings.Contains(got[1], "error.type=404") || m.spans[1].Status().Code != codes.Error {
		t.Errorf("the spans are\n%s", strings.Join(got, "\n"))
	}
	for _, s := range got {
		if strings.Contains(s, "there") {
			t.Errorf("the span has the path: %s", s)
		}
	}
}
