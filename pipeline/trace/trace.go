package trace

import (
	"context"
	"crypto/sha256"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/faxstream/faxstream/pipeline/session"
)

// Attributes of our own. The others are of the semantic conventions.
const (
	keySession  = attribute.Key("faxstream.session")
	keyPage     = attribute.Key("faxstream.page") // from 1
	keyStage    = attribute.Key("faxstream.stage")
	keyOutcome  = attribute.Key("faxstream.outcome")
	keyReason   = attribute.Key("faxstream.reason") // why an attempt failed, as in facts
	keyAttempt  = attribute.Key("faxstream.attempt")
	keyDelivery = attribute.Key("faxstream.delivery") // of a message, from 1
	keyEarly    = attribute.Key("faxstream.early")    // a copy that overtakes a backlog
	keyObject   = attribute.Key("faxstream.object")   // what is archived, such as tiff or manifest.json
	keySize     = attribute.Key("faxstream.size")     // bytes
	keyError    = attribute.Key("error.type")
)

// Tracer begins the spans of one process. Its methods may be called concurrently.
type Tracer struct {
	tracer   oteltrace.Tracer
	provider *sdktrace.TracerProvider
	queue    *queue
}

// Span is work that goes on. nil: it is not traced.
type Span struct{ span oteltrace.Span }

// TraceID returns the trace of a session, 16 bytes.
func TraceID(id string) [16]byte {
	sum := sha256.Sum256([]byte("faxstream session " + id))
	return [16]byte(sum[:16])
}

// Webhook begins the span of a webhook, of which f is the fact, with the request's headers. end ends it with the status of the answer and
// its code.
func (t *Tracer) Webhook(ctx context.Context, f session.Fact, began time.Time, header http.Header) (
	_ context.Context, end func(status int, code string),
) {
	if t == nil {
		return ctx, func(int, string) {}
	}
	a := about(f.Subject())
	var links []oteltrace.Link
	sender := oteltrace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), propagation.HeaderCarrier(header)))
	if sender.IsValid() {
		links = append(links, linkTo(sender))
	}
	ctx, span := t.start(ctx, a.session, "POST /v1/faxplus", oteltrace.WithTimestamp(began), oteltrace.WithLinks(links...),
		oteltrace.WithSpanKind(oteltrace.SpanKindServer), oteltrace.WithAttributes(append(a.attributes(),
			attribute.String("http.request.method", http.MethodPost), attribute.String("http.route", "/v1/faxplus"))...))
	return ctx, func(status int, code string) {
		span.SetAttributes(attribute.Int("http.response.status_code", status), keyOutcome.String(code))
		if status >= http.StatusInternalServerError {
			fail(span, strconv.Itoa(status))
		}
		span.End()
	}
}

// Publish begins the span of a fact that is published in a stream.
func (t *Tracer) Publish(ctx context.Context, stream string, f session.Fact) (context.Context, *Span) {
	if t == nil {
		return ctx, nil
	}
	a := about(f.Subject())
	ctx, span := t.start(ctx, a.session, "publish "+a.kind, oteltrace.WithSpanKind(oteltrace.SpanKindProducer),
		oteltrace.WithAttributes(append(a.attributes(), messaging(stream, a.kind, "publish", "send")...)...))
	return ctx, &Span{span}
}

// Inject adds the headers traceparent and tracestate of the span in ctx, if there is one.
func (t *Tracer) Inject(ctx context.Context, header map[string][]string) {
	if t != nil {
		propagation.TraceContext{}.Inject(ctx, carrier(header))
	}
}

// Message is what a consumer handles.
type Message struct {
	Stream, Consumer, Subject string
	Header                    map[string][]string
	Delivery                  int  // from 1
	Early                     bool // the message itself comes later
}

// Process begins the span of a message that is handled. nil: no session is known of it.
func (t *Tracer) Process(ctx context.Context, m Message) *Span {
	if t == nil {
		return nil
	}
	a := about(m.Subject)
	if a.session == "" {
		return nil
	}
	attributes := append(a.attributes(), messaging(m.Stream, a.kind, "process", "process")...)
	attributes = append(attributes, attribute.String("messaging.consumer.group.name", m.Consumer), keyDelivery.Int(m.Delivery))
	if m.Early {
		attributes = append(attributes, keyEarly.Bool(true))
	}
	_, span := t.start(propagation.TraceContext{}.Extract(ctx, carrier(m.Header)), a.session, "process "+m.Consumer,
		oteltrace.WithSpanKind(oteltrace.SpanKindConsumer), oteltrace.WithAttributes(attributes...))
	return &Span{span}
}

// In returns ctx with the span in it: what begins there is a child of it.
func (s *Span) In(ctx context.Context) context.Context {
	if s == nil {
		return ctx
	}
	return oteltrace.ContextWithSpan(ctx, s.span)
}

// End ends a span with what happened, and why the work failed; failure is one of a few words, empty if it did not fail.
func (s *Span) End(outcome, failure string) {
	if s == nil {
		return
	}
	s.span.SetAttributes(keyOutcome.String(outcome))
	if failure != "" {
		fail(s.span, failure)
	}
	s.span.End()
}

// Step is a step of the work whose span is in the context: it is done, or an attempt failed.
type Step struct {
	Stage   string
	Page    int           // from 1; 0: no page
	Attempt int           // from 1; 0: not counted
	Took    time.Duration // since the step began; 0: it gets no span of its own
	Reason  string        // why it failed; empty: it did not
}

// Step adds a step to the span in ctx.
func (t *Tracer) Step(ctx context.Context, s Step) {
	if t == nil {
		return
	}
	span := oteltrace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	var attributes []attribute.KeyValue
	if s.Page > 0 {
		attributes = append(attributes, keyPage.Int(s.Page))
	}
	if s.Attempt > 0 {
		span.SetAttributes(keyAttempt.Int(s.Attempt))
		attributes = append(attributes, keyAttempt.Int(s.Attempt))
	}
	if s.Reason != "" {
		span.AddEvent("faxstream.failure", oteltrace.WithAttributes(append(attributes, keyStage.String(s.Stage), keyReason.String(s.Reason))...))
		span.SetAttributes(keyStage.String(s.Stage), keyReason.String(s.Reason))
		fail(span, s.Reason)
		return
	}
	if s.Took > 0 {
		now := time.Now()
		_, own := t.tracer.Start(ctx, s.Stage, oteltrace.WithTimestamp(now.Add(-s.Took)), oteltrace.WithAttributes(attributes...))
		own.End(oteltrace.WithTimestamp(now))
	}
}

// Write begins the span of an object that is archived, as a child of the span in ctx; without one it is nil.
func (t *Tracer) Write(ctx context.Context, key string, size int64) *Span {
	if t == nil || !oteltrace.SpanFromContext(ctx).IsRecording() {
		return nil
	}
	object := objectOf(key)
	_, span := t.tracer.Start(ctx, "archive "+object, oteltrace.WithAttributes(keyObject.String(object), keySize.Int64(size)))
	return &Span{span}
}

// start begins a span in the trace of a session: as a child of the span in ctx if that is in the same trace, else as a root, with a link.
func (t *Tracer) start(ctx context.Context, id, name string, options ...oteltrace.SpanStartOption) (context.Context, oteltrace.Span) {
	want := oteltrace.TraceID(TraceID(id))
	if parent := oteltrace.SpanContextFromContext(ctx); parent.TraceID() != want {
		options = append(options, oteltrace.WithNewRoot())
		if parent.IsValid() {
			options = append(options, oteltrace.WithLinks(linkTo(parent)))
		}
		ctx = context.WithValue(ctx, rootKey{}, want)
	}
	return t.tracer.Start(ctx, name, options...)
}

// linkTo is a link without the tracestate, which may be a stranger's text.
func linkTo(c oteltrace.SpanContext) oteltrace.Link {
	return oteltrace.Link{SpanContext: c.WithTraceState(oteltrace.TraceState{})}
}

func fail(span oteltrace.Span, why string) {
	span.SetAttributes(keyError.String(why))
	span.SetStatus(codes.Error, why)
}

func messaging(stream, kind, operation, operationType string) []attribute.KeyValue {
	return []attribute.KeyValue{
		attribute.String("messaging.system", "nats"), attribute.String("messaging.destination.name", stream),
		attribute.String("messaging.destination.template", kind), attribute.String("messaging.operation.name", operation),
		attribute.String("messaging.operation.type", operationType),
	}
}

// subject is what a span may say of a subject.
type subject struct {
	kind    string // the fixed part: fax.v1.in.page
	session string // empty: unknown
	page    string // empty: it is about no page
}

// about reads a subject.
func about(full string) subject {
	a := subject{session: session.SessionOf(full)}
	parts := strings.SplitN(full, ".", 5)
	a.kind = strings.Join(parts[:min(len(parts), 4)], ".")
	switch a.kind {
	case session.TypePageAnnounced, session.TypePageArchived, session.TypePageAmended, session.TypePageFailed, session.TypeTimerDue:
		_, rest, _ := strings.Cut(full, "."+a.session+".")
		page, due, _ := strings.Cut(rest, ".")
		if a.kind != session.TypeTimerDue || due != "" { // only the timer of a page has a token before its due time
			a.page = page
		}
	}
	return a
}

func (a subject) attributes() []attribute.KeyValue {
	list := make([]attribute.KeyValue, 0, 10)
	list = append(list, keySession.String(a.session))
	if page, err := strconv.Atoi(a.page); err == nil {
		list = append(list, keyPage.Int(page))
	}
	return list
}

// objectOf names the kind of an object without the tokens of its key that differ from fax to fax: tiff, png.json, manifest.json.
func objectOf(key string) string {
	if strings.HasPrefix(key, "index/") {
		return "index"
	}
	var kept []string
	dir, base := path.Split(key)
	if strings.HasSuffix(dir, "/folded/") {
		return "folded.json"
	}
	for part := range strings.SplitSeq(base, ".") {
		if strings.Trim(part, "0123456789-") != "" && (len(part) != hashLen || strings.Trim(part, "0123456789abcdef") != "") {
			kept = append(kept, part)
		}
	}
	return strings.Join(kept, ".")
}

// hashLen is the length of the part of a hash in keys.
const hashLen = 16

// carrier is the header of a NATS message. Its names keep their case.
type carrier map[string][]string

func (c carrier) Get(key string) string {
	if v := c[key]; len(v) > 0 {
		return v[0]
	}
	return ""
}

func (c carrier) Set(key, value string) { c[key] = []string{value} }

// Keys implements [propagation.TextMapCarrier]; the propagator of W3C headers does not ask for them.
func (c carrier) Keys() (keys []string) {
	for k := range c {
		keys = append(keys, k)
	}
	return keys
}
