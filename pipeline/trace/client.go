package trace

import (
	"io"
	"net/http"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	oteltrace "go.opentelemetry.io/otel/trace"
)

// Client makes a span of each request that next sends for traced work: until its answer is read, or closed. The other side gets no
// traceparent: it is another company.
func (t *Tracer) Client(next http.RoundTripper) http.RoundTripper {
	if t == nil {
		return next
	}
	return client{next, t}
}

type client struct {
	next http.RoundTripper
	t    *Tracer
}

// RoundTrip implements [http.RoundTripper].
func (c client) RoundTrip(req *http.Request) (*http.Response, error) {
	if !oteltrace.SpanFromContext(req.Context()).IsRecording() {
		return c.next.RoundTrip(req)
	}
	attributes := []attribute.KeyValue{
		attribute.String("http.request.method", req.Method), attribute.String("server.address", req.URL.Hostname()),
	}
	if port, err := strconv.Atoi(req.URL.Port()); err == nil {
		attributes = append(attributes, attribute.Int("server.port", port))
	}
	_, span := c.t.tracer.Start(
		req.Context(), req.Method, oteltrace.WithSpanKind(oteltrace.SpanKindClient), oteltrace.WithAttributes(attributes...),
	)
	resp, err := c.next.RoundTrip(req)
	if err != nil {
		fail(span, "no_answer")
		span.End()
		return resp, err
	}
	span.SetAttributes(attribute.Int("http.response.status_code", resp.StatusCode))
	if resp.StatusCode >= http.StatusBadRequest {
		fail(span, strconv.Itoa(resp.StatusCode))
	}
	resp.Body = &answer{ReadCloser: resp.Body, span: span}
	return resp, nil
}

// answer is a body that ends a span when it is closed.
type answer struct {
	io.ReadCloser
	span oteltrace.Span
	size int64
}

func (a *answer) Read(p []byte) (int, error) {
	n, err := a.ReadCloser.Read(p)
	a.size += int64(n)
	return n, err
}

func (a *answer) Close() error {
	err := a.ReadCloser.Close()
	a.span.SetAttributes(attribute.Int64("http.response.body.size", a.size))
	a.span.End() // the second time has no effect
	return err
}
