package faxplus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/faxstream/faxstream/pipeline/session"
)

// maxErrorText is how many bytes of an error answer are read.
const maxErrorText = 4 << 10

// Into takes the bytes of a file. Reset empties it; it is called before each answer is read.
type Into = interface {
	io.Writer
	Reset()
}

// Page fetches page n, from 1 to MaxPages, of a session: the bytes of one TIFF as the provider sends it, at most
// Config.MaxPageBytes. It makes up to three tries within seconds if the provider answers 5xx or the connection breaks.
// Its error is an *Error, also where into fails.
func (c *Client) Page(ctx context.Context, sess string, n int, into Into) error {
	op := fmt.Sprintf("page %d of session %.*q", n, session.MaxTokenLen, sess)
	if c.cfg.PagePath == "" {
		return &Error{Op: op, Reason: session.ReasonNoPagePath, Err: errors.New("no path for single pages is configured")}
	}
	if !session.ValidToken(sess) || n < 1 || n > MaxPages {
		return &Error{Op: op, Reason: session.ReasonBadRequest, Err: fmt.Errorf("want a session id and a page from 1 to %d", MaxPages)}
	}
	path := strings.NewReplacer("{user_id}", escape(c.cfg.User), "{fax_id}", escape(sess), "{page}", strconv.Itoa(n)).
		Replace(c.cfg.PagePath)
	return c.transfer(ctx, call{
		op: op, method: http.MethodGet, path: path, accept: "image/tiff", limit: c.cfg.MaxPageBytes, tiff: true, client: c.retry, into: into,
	})
}

// File fetches a whole fax as one TIFF with all its pages, at most Config.MaxFileBytes. faxID is a session id or the id of
// a listed fax. It retries as Page does, and has its errors.
func (c *Client) File(ctx context.Context, faxID string, into Into) error {
	op := fmt.Sprintf("whole file of fax %.*q", session.MaxTokenLen, faxID)
	if !session.ValidToken(faxID) {
		return &Error{Op: op, Reason: session.ReasonBadRequest, Err: errors.New("not a fax id")}
	}
	path := "/accounts/" + escape(c.cfg.User) + "/files/" + escape(faxID) + "?format=tiff"
	return c.transfer(ctx, call{
		op: op, method: http.MethodGet, path: path, accept: "image/tiff", limit: c.cfg.MaxFileBytes, tiff: true, client: c.file, into: into,
	})
}

// probeTimeout is more than enough for an answer of a few hundred bytes.
const probeTimeout = 10 * time.Second

// Probe requests the account's own list of faxes, without a retry. nil: the provider answers and accepts our token, so a
// failed fetch of one fax is a problem of that fax only. Otherwise its error is an *Error: an outage
// (session.ReasonUnavailable) or a refused token (session.ReasonUnauthorized).
func (c *Client) Probe(ctx context.Context) error {
	const op = "probe of the account's list"
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	body, err := c.do(ctx, call{
		op: op, method: http.MethodGet, path: "/accounts/" + escape(c.cfg.User) + "/faxes?category=inbox&limit=1",
		accept: "application/json", limit: maxAnswer, client: c.once,
	})
	if err == nil && !json.Valid(body) { // a login page of the network or a page of a proxy
		return &Error{Op: op, Reason: session.ReasonWrongType, Status: http.StatusOK, Err: errors.New("the answer is not JSON")}
	}
	return err
}

// escape escapes s as one part of a path or a query.
func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// receive checks one answer and copies its body. It leaves the body open.
func (c *Client) receive(resp *http.Response, call call) *Error {
	fail := func(reason session.Reason, kept bool, err error) *Error {
		return &Error{Op: call.op, Reason: reason, Status: resp.StatusCode, RetryAfter: retryAfter(resp.Header), Kept: kept, Err: err}
	}
	if reason := statusReason(resp.StatusCode); reason != "" {
		return fail(reason, false, errorText(resp, call.hide))
	}
	if resp.ContentLength > call.limit {
		return fail(session.ReasonTooLarge, false, fmt.Errorf("Content-Length is %d bytes, the limit is %d", resp.ContentLength, call.limit))
	}
	body := counted{Writer: call.into}
	err := c.copy(&body, resp, call.limit)
	switch {
	case body.err != nil:
		return fail(session.ReasonInternal, false, body.err)
	case isTimeout(err):
		return fail(session.ReasonUnavailable, false, fmt.Errorf("after %d bytes: %w", body.n, err))
	case call.tiff && body.n >= 4 && body.n <= call.limit && !isTIFF(body.head[:]): // also if it is cut
		return fail(session.ReasonWrongType, true,
			fmt.Errorf("not a TIFF: Content-Type %.64q, begins with % x", resp.Header.Get("Content-Type"), body.head[:min(8, body.n)]))
	case err != nil:
		return fail(session.ReasonTruncated, true, fmt.Errorf("ended after %d bytes of %s: %w", body.n, announced(resp), err))
	case body.n > call.limit:
		return fail(session.ReasonTooLarge, false, fmt.Errorf("the body is larger than the limit of %d bytes", call.limit))
	case !call.tiff:
		return nil
	case body.n == 0:
		return fail(session.ReasonEmpty, true, errors.New("the body is empty"))
	case body.n < 4:
		return fail(session.ReasonWrongType, true, fmt.Errorf("not a TIFF: %d bytes", body.n))
	}
	return nil
}

// counted counts what is written, and keeps its beginning and the error of the writer.
type counted struct {
	io.Writer
	n    int64
	head [8]byte
	err  error
}

func (c *counted) Write(p []byte) (int, error) {
	if c.n < int64(len(c.head)) {
		copy(c.head[c.n:], p)
	}
	n, err := c.Writer.Write(p)
	if c.n += int64(n); err != nil {
		c.err = err
	}
	return n, err
}

// copyBuffer holds a usual page.
const copyBuffer = 128 << 10

// copy copies at most limit+1 bytes, so that the caller sees that there were more.
func (c *Client) copy(dst io.Writer, resp *http.Response, limit int64) error {
	buf, ok := c.buffers.Get().(*[]byte)
	if !ok {
		b := make([]byte, copyBuffer)
		buf = &b
	}
	defer c.buffers.Put(buf)
	n, err := io.CopyBuffer(dst, io.LimitReader(resp.Body, limit+1), *buf)
	if err == nil && n < resp.ContentLength { // a reader of net/http says so itself, but for a body that never began
		err = io.ErrUnexpectedEOF
	}
	return err
}

// statusReason returns why there is no body to check; empty if there is one.
func statusReason(status int) session.Reason {
	switch {
	case status == http.StatusAccepted, status == http.StatusNotFound, status == http.StatusConflict,
		status == http.StatusTooEarly, status == http.StatusTooManyRequests:
		return session.ReasonNotYet
	case status >= 200 && status < 300:
		return ""
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return session.ReasonUnauthorized
	case status == http.StatusRequestTimeout, status >= 500:
		return session.ReasonUnavailable
	}
	return session.ReasonRefused
}

// isTIFF looks at the first four bytes: TIFF 6.0 section 2 and BigTIFF, in either byte order.
func isTIFF(b []byte) bool {
	if len(b) < 4 {
		return false
	}
	switch string(b[:4]) {
	case "II*\x00", "MM\x00*", "II+\x00", "MM\x00+":
		return true
	}
	return false
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.As(err, &n) && n.Timeout()
}

func announced(resp *http.Response) string {
	if resp.ContentLength < 0 {
		return "an unknown length"
	}
	return strconv.FormatInt(resp.ContentLength, 10)
}

// errorText returns the provider's text for a refusal: its JSON is {error, description}.
func errorText(resp *http.Response, hide []string) error {
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		return errors.New("the redirect is not followed: it goes to another host, has no target, or there were too many")
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxErrorText))
	if err != nil {
		return fmt.Errorf("refused, and reading the reason failed: %w", err)
	}
	var said struct {
		Error       string `json:"error"`
		Description string `json:"description"`
	}
	if json.Unmarshal(raw, &said) != nil || said.Error == "" && said.Description == "" {
		return errors.New(http.StatusText(resp.StatusCode))
	}
	text := said.Error + ": " + said.Description
	for _, secret := range hide {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, removed)
		}
	}
	return fmt.Errorf("%.200q", text)
}
