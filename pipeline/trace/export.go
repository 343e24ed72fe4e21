package trace

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	oteltrace "go.opentelemetry.io/otel/trace"
	"golang.org/x/net/http/httpguts"
)

// Config says where spans are sent, and which.
type Config struct {
	Endpoint string                          // http or https URL of an OTLP receiver; spans are posted to /v1/traces below it
	Header   http.Header                     // of every request, such as a token; nil: none
	Sample   float64                         // share of the faxes that are traced, 0 to 1
	Version  string                          // of this program
	Counted  func(outcome string, spans int) // called with each outcome, which is one of the constants below; nil: not called
	Log      *slog.Logger                    // required
}

// What becomes of a span that has ended.
const (
	Sent    = "sent"    // the receiver has it
	Failed  = "failed"  // the receiver did not take it
	Dropped = "dropped" // too many waited
)

const (
	maxWaiting   = 4096             // spans, a few MB
	batchSize    = 512              // spans in a request
	batchDelay   = time.Second      // the longest time that an ended span waits for others
	sendTimeout  = 10 * time.Second // of a batch, with its retries
	closeTimeout = 3 * time.Second  // for the last spans at the stop
)

// Check returns what is wrong with the endpoint or with the share of faxes.
func (c Config) Check() error {
	u, err := url.Parse(c.Endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		// The error does not show the URL, because it may contain a password.
		return errors.New("endpoint of traces: want http(s)://host[:port][/path] without user, query or fragment")
	}
	if math.IsNaN(c.Sample) || c.Sample < 0 || c.Sample > 1 {
		return fmt.Errorf("share of faxes that are traced: %v is not between 0 and 1", c.Sample)
	}
	return nil
}

// maxHeader bounds a file of headers, bytes.
const maxHeader = 16 << 10

// ReadHeader reads headers for Config.Header, one a line. Its errors do not show what it read: there may be a secret in it.
func ReadHeader(r io.Reader) (http.Header, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxHeader+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxHeader {
		return nil, fmt.Errorf("it has more than %d bytes", maxHeader)
	}
	header, err := textproto.NewReader(bufio.NewReader(bytes.NewReader(append(text, "\n\n"...)))).ReadMIMEHeader()
	if err != nil || len(header) == 0 {
		return nil, errors.New("want lines such as Authorization: Bearer TOKEN")
	}
	for name, values := range header {
		for _, value := range values {
			if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
				return nil, errors.New("a header has a character that is not allowed")
			}
		}
	}
	return http.Header(header), nil
}

// New returns a Tracer. It asks nobody: a receiver that is not there yet, or not any more, costs spans and nothing else. The caller must
// call Close once.
func New(c Config) (*Tracer, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	pool := &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, IdleConnTimeout: 90 * time.Second}
	options := []otlptracehttp.Option{
		otlptracehttp.WithEndpointURL(strings.TrimRight(c.Endpoint, "/") + "/v1/traces"),
		otlptracehttp.WithEncoding(otlptracehttp.EncodingProtobuf), otlptracehttp.WithCompression(otlptracehttp.GzipCompression),
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{
			Enabled: true, InitialInterval: 250 * time.Millisecond, MaxInterval: 2 * time.Second, MaxElapsedTime: sendTimeout,
		}),
		otlptracehttp.WithHTTPClient(&http.Client{
			Transport:     pool,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // another host must not get the headers
		}),
	}
	if c.Header != nil { // else those of OTEL_EXPORTER_OTLP_HEADERS
		header := map[string]string{}
		for name, values := range c.Header {
			header[name] = strings.Join(values, ", ")
		}
		options = append(options, otlptracehttp.WithHeaders(header))
	}
	exporter, err := otlptracehttp.New(context.Background(), options...)
	if err != nil {
		return nil, fmt.Errorf("exporter of traces: %w", err)
	}
	return newTracer(c, pooled{exporter, pool})
}

// pooled is an exporter that leaves no connections.
type pooled struct {
	sdktrace.SpanExporter
	pool *http.Transport
}

// Shutdown implements [sdktrace.SpanExporter].
func (p pooled) Shutdown(ctx context.Context) error {
	defer p.pool.CloseIdleConnections()
	return p.SpanExporter.Shutdown(ctx)
}

func newTracer(c Config, exporter sdktrace.SpanExporter) (*Tracer, error) {
	if c.Counted == nil {
		c.Counted = func(string, int) {}
	}
	named, err := resource.Merge(resource.NewSchemaless(
		attribute.String("service.name", "faxstream"), attribute.String("service.version", c.Version),
	), resource.Environment()) // OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES count
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	q := &queue{log: c.Log, counted: c.Counted, exporter: exporter, closed: make(chan struct{})}
	q.life, q.abort = context.WithCancel(context.Background())
	q.SpanProcessor = sdktrace.NewBatchSpanProcessor(
		reporter{q}, sdktrace.WithMaxQueueSize(maxWaiting), sdktrace.WithMaxExportBatchSize(batchSize),
		sdktrace.WithBatchTimeout(batchDelay), sdktrace.WithExportTimeout(sendTimeout),
	)
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithSpanProcessor(q), sdktrace.WithResource(named), sdktrace.WithIDGenerator(ids{}),
		sdktrace.WithSampler(sdktrace.TraceIDRatioBased(c.Sample)),
	)
	return &Tracer{tracer: provider.Tracer("github.com/faxstream/faxstream/pipeline/trace"), provider: provider, queue: q}, nil
}

// Close sends the spans that wait, for closeTimeout at most. Spans that end later are lost.
func (t *Tracer) Close() {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		t.queue.log.Warn("the last traces are not all sent before the stop", "err", err)
	}
	t.queue.abort()
	<-t.queue.closed
}

// queue bounds the spans that wait for the receiver or are on their way to it. The processor of the SDK has a bound too, but does not say
// how often it drops a span; it never comes to that bound.
type queue struct {
	sdktrace.SpanProcessor
	log      *slog.Logger
	counted  func(outcome string, spans int)
	exporter sdktrace.SpanExporter
	life     context.Context // ends the request that is on its way
	abort    context.CancelFunc
	closed   chan struct{} // closed when nothing is sent any more

	waiting atomic.Int64
	failing bool // the last batch failed; only the processor's goroutine uses it
}

// OnEnd implements [sdktrace.SpanProcessor]. It does not wait.
func (q *queue) OnEnd(s sdktrace.ReadOnlySpan) {
	if q.waiting.Add(1) > maxWaiting {
		q.waiting.Add(-1)
		q.counted(Dropped, 1)
		return
	}
	q.SpanProcessor.OnEnd(s)
}

// reporter is the exporter of a queue.
type reporter struct{ q *queue }

// ExportSpans sends a batch, and notes what became of it.
func (r reporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	q := r.q
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(q.life, cancel)()
	err := q.exporter.ExportSpans(ctx, spans)
	q.waiting.Add(-int64(len(spans)))
	outcome := Sent
	if err != nil {
		outcome = Failed
	}
	q.counted(outcome, len(spans))
	switch {
	case err != nil && !q.failing:
		q.log.Warn("sending traces failed: their spans are lost until the receiver takes them again", "err", err)
	case err == nil && q.failing:
		q.log.Info("the receiver takes traces again")
	}
	q.failing = err != nil
	return nil // it is counted and logged; the SDK would write it to stderr
}

// Shutdown is called once, after the last batch.
func (r reporter) Shutdown(ctx context.Context) error {
	defer close(r.q.closed)
	return r.q.exporter.Shutdown(ctx)
}

// rootKey is the key of the trace id that a root span gets, in a context.
type rootKey struct{}

// ids gives a root span the trace that its context names, and every span an id of its own.
type ids struct{}

func (i ids) NewIDs(ctx context.Context) (oteltrace.TraceID, oteltrace.SpanID) {
	id, _ := ctx.Value(rootKey{}).(oteltrace.TraceID)
	return id, i.NewSpanID(ctx, id)
}

func (ids) NewSpanID(context.Context, oteltrace.TraceID) (id oteltrace.SpanID) {
	for !id.IsValid() {
		binary.NativeEndian.PutUint64(id[:], rand.Uint64())
	}
	return id
}
