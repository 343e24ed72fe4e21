package trace

import (
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/faxstream/faxstream/pipeline/session"
)

// memory is a receiver in this process.
type memory struct {
	mu    sync.Mutex
	spans []sdktrace.ReadOnlySpan
	hangs bool // until the request is given up
}

func (m *memory) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	if m.hangs {
		<-ctx.Done()
		return ctx.Err()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.spans = append(m.spans, spans...)
	return nil
}

func (m *memory) Shutdown(context.Context) error { return nil }

// tracer is a Tracer that sends to m.
func tracer(t testing.TB, m *memory, sample float64, counted func(string, int)) *Tracer {
	t.Helper()
	tr, err := newTracer(Config{Sample: sample, Counted: counted, Log: slog.New(slog.DiscardHandler)}, m)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func page(id string, n int) session.PageAnnounced {
	return session.PageAnnounced{Session: id, Page: n, From: "+4930123456", To: "+13343040000"}
}

// described is a span as a person sees it, with the name of its parent.
func (m *memory) described() []string {
	names := map[string]string{}
	for _, s := range m.spans {
		names[s.SpanContext().SpanID().String()] = s.Name()
	}
	var all []string
	for _, s := range m.spans {
		var text []string
		for _, a := range s.Attributes() {
			text = append(text, string(a.Key)+"="+a.Value.String())
		}
		slices.Sort(text)
		parent := "root"
		if s.Parent().IsValid() {
			parent = names[s.Parent().SpanID().String()]
		}
		all = append(all, fmt.Sprintf("%s < %s: %s", s.Name(), parent, strings.Join(text, " ")))
	}
	return all
}

// Two processes, of which one never saw the webhook, make one trace of a fax: the header of the message is all that they share.
func TestAMessageContinuesTheTrace(t *testing.T) {
	m := &memory{}
	first := tracer(t, m, 1, nil)
	ctx, end := first.Webhook(t.Context(), page("s", 2), time.Now(), http.Header{})
	ctx, published := first.Publish(ctx, "FAX_IN", page("s", 2))
	header := map[string][]string{}
	first.Inject(ctx, header)
	published.End("recorded", "")
	end(http.StatusOK, "recorded")
	first.Close()

	second := tracer(t, m, 1, nil)
	work := second.Process(t.Context(), Message{
		Stream: "FAX_IN", Consumer: "page", Subject: page("s", 2).Subject(), Header: header, Delivery: 3, Early: true,
	})
	ctx = work.In(t.Context())
	second.Step(ctx, Step{Stage: "decode", Page: 2, Took: time.Millisecond})
	second.Step(ctx, Step{Stage: "fetch", Page: 2, Attempt: 2, Reason: "not_yet"})
	second.Write(ctx, "faxes/s/pages/0002.0123456789abcdef.tiff", 70).End("written", "")
	work.End("handled", "")
	second.Close()

	want := []string{
		"publish fax.v1.in.page < POST /v1/faxplus: faxstream.outcome=recorded faxstream.page=2 faxstream.session=s " +
			"messaging.destination.name=FAX_IN messaging.destination.template=fax.v1.in.page messaging.operation.name=publish " +
			"messaging.operation.type=send messaging.system=nats",
		"POST /v1/faxplus < root: faxstream.outcome=recorded faxstream.page=2 faxstream.session=s http.request.method=POST " +
			"http.response.status_code=200 http.route=/v1/faxplus",
		"decode < process page: faxstream.page=2",
		"archive tiff < process page: faxstream.object=tiff faxstream.outcome=written faxstream.size=70",
		"process page < publish fax.v1.in.page: error.type=not_yet faxstream.attempt=2 faxstream.delivery=3 faxstream.early=true " +
			"faxstream.outcome=handled faxstream.page=2 faxstream.reason=not_yet faxstream.session=s faxstream.stage=fetch " +
			"messaging.consumer.group.name=page messaging.destination.name=FAX_IN messaging.destination.template=fax.v1.in.page " +
			"messaging.operation.name=process messaging.operation.type=process messaging.system=nats",
	}
	if got := m.described(); !slices.Equal(got, want) {
		t.Errorf("the spans are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for _, s := range m.spans {
		if s.SpanContext().TraceID() != TraceID("s") {
			t.Errorf("%s is in the trace %s", s.Name(), s.SpanContext().TraceID())
		}
	}
}

// The sender's own trace is a link, if it is one, and never the parent: the pages of a fax stay together.
func TestTheSendersTraceIsALink(t *testing.T) {
	theirs := "0af7651916cd43dd8448eb211c80319c"
	for _, c := range []struct {
		name, traceparent, link string
	}{
		{"valid", "00-" + theirs + "-b7ad6b7169203331-01", theirs},
		{"none", "", ""},
		{"all zero", "00-00000000000000000000000000000000-b7ad6b7169203331-01", ""},
		{"cut", "00-" + theirs + "-b7ad", ""},
		{"words", "tell me everything", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := &memory{}
			tr := tracer(t, m, 1, nil)
			header := http.Header{}
			header.Set("traceparent", c.traceparent)
			header.Set("tracestate", "stranger=text")
			_, end := tr.Webhook(t.Context(), page("s", 1), time.Now(), header)
			end(http.StatusServiceUnavailable, "not_recorded")
			tr.Close()
			s := m.spans[0]
			var link string
			for _, l := range s.Links() {
				link += l.SpanContext.TraceID().String() + l.SpanContext.TraceState().String()
			}
			if link != c.link || s.Parent().IsValid() || s.SpanContext().TraceID() != TraceID("s") {
				t.Errorf("the span of trace %s has the parent %v and the links %q, want a root of the session with %q",
					s.SpanContext().TraceID(), s.Parent().SpanID(), link, c.link)
			}
		})
	}
}

// A header of another trace, such as one that an older version wrote, or a stranger's, begins another root with a link.
func TestAForeignHeaderDoesNotTakeTheFaxAway(t *testing.T) {
	m := &memory{}
	tr := tracer(t, m, 1, nil)
	header := map[string][]string{"traceparent": {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}}
	tr.Process(t.Context(), Message{Subject: page("s", 1).Subject(), Header: header}).End("handled", "")
	tr.Close()
	if s := m.spans[0]; s.Parent().IsValid() || s.SpanContext().TraceID() != TraceID("s") || len(s.Links()) != 1 {
		t.Errorf("the span is %v of %v with %d links, want a root of the session with one", s.SpanContext().TraceID(), s.Parent(), len(s.Links()))
	}
}

// A share of the faxes is traced, each as a whole, and by every process that has the same share.
func TestAFaxIsTracedAsAWholeOrNotAtAll(t *testing.T) {
	const faxes, share = 400, 0.25
	seen := map[string]int{}
	for range 2 {
		m := &memory{}
		tr := tracer(t, m, share, nil)
		for i := range faxes {
			f := page(fmt.Sprint("fax-", i), 1)
			ctx, end := tr.Webhook(t.Context(), f, time.Now(), nil)
			_, span := tr.Publish(ctx, "FAX_IN", f)
			span.End("recorded", "")
			end(http.StatusOK, "recorded")
			tr.Process(t.Context(), Message{Subject: f.Subject()}).End("handled", "")
		}
		tr.Close()
		for _, s := range m.spans {
			seen[s.SpanContext().TraceID().String()]++
		}
	}
	for id, n := range seen {
		if n != 6 {
			t.Errorf("of trace %s there are %d spans, want 6", id, n)
		}
	}
	if len(seen) < faxes*share/2 || len(seen) > faxes*share*2 {
		t.Errorf("%d of %d faxes are traced, want about a quarter", len(seen), faxes)
	}
}

// A receiver that hangs costs spans, each of which is counted. It costs neither time, nor the stop.
func TestAReceiverThatHangsHoldsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		counted := map[string]int{}
		tr := tracer(t, &memory{hangs: true}, 1, func(outcome string, n int) {
			mu.Lock()
			defer mu.Unlock()
			counted[outcome] += n
		})
		const ended = 3 * maxWaiting
		before := time.Now()
		for i := range ended {
			_, span := tr.Publish(t.Context(), "FAX_IN", page("s", i+1))
			span.End("recorded", "")
		}
		if took := time.Since(before); took != 0 {
			t.Errorf("the work waited %s for the receiver", took)
		}
		before = time.Now()
		tr.Close()
		if took := time.Since(before); took > closeTimeout {
			t.Errorf("the stop waited %s", took)
		}
		if counted[Dropped] != ended-maxWaiting || counted[Failed] != maxWaiting || counted[Sent] != 0 {
			t.Errorf("of %d spans are counted %v", ended, counted)
		}
	})
}

// Without traces nothing is allocated, and nothing runs.
func TestOffCostsNothing(t *testing.T) {
	var tr *Tracer
	var fact session.Fact = page("s", 1)
	ctx, header := t.Context(), map[string][]string{}
	allocations := testing.AllocsPerRun(100, func() {
		ctx, span := tr.Publish(ctx, "FAX_IN", fact)
		tr.Inject(ctx, header)
		span.End("recorded", "")
		work := tr.Process(ctx, Message{Stream: "FAX_IN", Subject: "fax.v1.in.page.s.1", Header: header})
		ctx = work.In(ctx)
		tr.Step(ctx, Step{Stage: "decode", Took: 1})
		tr.Write(ctx, "faxes/s/pages/0001.0123456789abcdef.tiff", 1).End("written", "")
		work.End("handled", "")
	})
	if allocations != 0 || len(header) != 0 {
		t.Errorf("%v allocations, header %v; want none", allocations, header)
	}
	if next := http.DefaultTransport; tr.Client(next) != next {
		t.Error("requests go through a tracer that is off")
	}
	tr.Close()
}

func TestSubjectsSayNoNumbers(t *testing.T) {
	due := time.UnixMilli(1764460800000)
	for _, c := range []struct{ subject, want string }{
		{page("s", 3).Subject(), "fax.v1.in.page s 3"},
		{"fax.v1.page.archived.13343040000.s.3", "fax.v1.page.archived s 3"},
		{"fax.v1.page.failed.13343040000.s.3.1", "fax.v1.page.failed s 3"},
		{"fax.v1.doc.ready.13343040000.s.1", "fax.v1.doc.ready s "},
		{session.Timer{Kind: session.TimerRetry, Session: "s", Page: 3, Due: due}.DueSubject(), "fax.v1.timer.due s 3"},
		{session.Timer{Kind: session.TimerIdle, Session: "s", Due: due}.DueSubject(), "fax.v1.timer.due s "},
		{"fax.v1.in.closed.s.0123456789abcdef", "fax.v1.in.closed s "},
		{"nothing", "nothing  "},
	} {
		a := about(c.subject)
		if got := strings.Join([]string{a.kind, a.session, a.page}, " "); got != c.want {
			t.Errorf("%s is %q, want %q", c.subject, got, c.want)
		}
	}
}

func TestObjectsAreNamedByTheirKind(t *testing.T) {
	for _, c := range []struct{ key, want string }{
		{"faxes/s/pages/0001.0123456789abcdef.tiff", "tiff"},
		{"faxes/s/pages/0001.0123456789abcdef.cut.tiff.json", "cut.tiff.json"},
		{"faxes/s/original.0123456789abcdef.tiff", "original.tiff"},
		{"faxes/s/r1/plan.json", "plan.json"},
		{"faxes/s/r1/document.0123456789abcdef.pdf", "document.pdf"},
		{"faxes/s/folded/other.json", "folded.json"},
		{"index/2026/11/23/120000-s", "index"},
		{"audit/2026-11-23.json", "json"},
	} {
		if got := objectOf(c.key); got != c.want {
			t.Errorf("%s is %q, want %q", c.key, got, c.want)
		}
	}
}

func TestTheTraceOfASessionNeverChanges(t *testing.T) {
	id := TraceID("s")
	if got := hex.EncodeToString(id[:]); got != "b9f2ec8ca952125dcfe5766fba47849c" {
		t.Errorf("the trace of session s is %s: other processes and older spans have another", got)
	}
}

func TestConfigsThatCannotWorkAreRefused(t *testing.T) {
	good := Config{Endpoint: "https://collector.example.org:4318/otlp", Sample: 0.1}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	for _, endpoint := range []string{
		"", "collector:4318", "ftp://x", "http://", "http://u:secret@x", "http://x?token=secret", "http://[secret",
	} {
		c := good
		c.Endpoint = endpoint
		if err := c.Check(); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v; want an error that does not show it", endpoint, err)
		}
	}
	for _, share := range []float64{-0.1, 1.1, math.NaN()} {
		c := good
		c.Sample = share
		if c.Check() == nil {
			t.Errorf("a share of %v is taken", share)
		}
	}
}

func FuzzReadHeader(f *testing.F) {
	f.Add("Authorization: Bearer secret\n")
	f.Add("a: b\r\nA: c")
	f.Add("no colon\n")
	f.Add("x: \x00\n")
	f.Add("a: " + strings.Repeat("b", maxHeader))
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		header, err := ReadHeader(strings.NewReader(text))
		if (err == nil) != (len(header) > 0) || err == nil && len(text) > maxHeader {
			t.Fatalf("%v, %v", header, err)
		}
		for name, values := range header {
			if line := name + strings.Join(values, ""); strings.ContainsAny(line, "\r\n\x00") {
				t.Fatalf("the header %q has more than a line", line)
			}
		}
	})
}
