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

// Page fetches page n, from 1 to MaxPages, of a session: the bytes of one TIFF as the provider sends it, at most
// Config.MaxPageBytes. It makes up to three tries within seconds if the provider answers 5xx or the connection breaks.
// Its error is an *Error.
func (c *Client) Page(ctx context.Context, sess string, n int) ([]byte, error) {
	op := fmt.Sprintf("page %d of session %.*q", n, session.MaxTokenLen, sess)
	if c.cfg.PagePath == "" {
		return nil, &Error{Op: op, Reason: session.ReasonNoPagePath, Err: errors.New("no path for single pages is configured")}
	}
	if !session.ValidToken(sess) || n < 1 || n > MaxPages {
		return nil, &Error{Op: op, Reason: session.ReasonBadRequest, Err: fmt.Errorf("want a session id and a page from 1 to %d", MaxPages)}
	}
	path := strings.NewReplacer("{user_id}", escape(c.cfg.User), "{fax_id}", escape(sess), "{page}", strconv.Itoa(n)).
		Replace(c.cfg.PagePath)
	return c.do(ctx, call{
		op: op, method: http.MethodGet, path: path, accept: "image/tiff", limit: c.cfg.MaxPageBytes, tiff: true, client: c.retry,
	})
}

// File fetches a whole fax as one TIFF with all its pages, at most Config.MaxFileBytes. faxID is a session id or the id of
// a listed fax. It retries as Page does. Its error is an *Error.
func (c *Client) File(ctx context.Context, faxID string) ([]byte, error) {
	op := fmt.Sprintf("whole file of fax %.*q", session.MaxTokenLen, faxID)
	if !session.ValidToken(faxID) {
		return nil, &Error{Op: op, Reason: session.ReasonBadRequest, Err: errors.New("not a fax id")}
	}
	path := "/accounts/" + escape(c.cfg.User) + "/files/" + escape(faxID) + "?format=tiff"
	return c.do(ctx, call{
		op: op, method: http.MethodGet, path: path, accept: "image/tiff", limit: c.cfg.MaxFileBytes, tiff: true, client: c.file,
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

// receive reads and checks one answer. It leaves the body open.
func receive(resp *http.Response, call call) ([]byte, *Error) {
	fail := func(reason session.Reason, body []byte, err error) ([]byte, *Error) {
		return nil, &Error{Op: call.op, Reason: reason, Status: resp.StatusCode, RetryAfter: retryAfter(resp.Header), Body: body, Err: err}
	}
	if reason := statusReason(resp.StatusCode); reason != "" {
		return fail(reason, nil, errorText(resp, call.hide))
	}
	if resp.ContentLength > call.limit {
		return fail(session.ReasonTooLarge, nil, fmt.Errorf("Content-Length is %d bytes, the limit is %d", resp.ContentLength, call.limit))
	}
	body, err := readUpTo(resp.Body, resp.ContentLength, call.limit)
	switch {
	case isTimeout(err):
		return fail(session.ReasonUnavailable, nil, fmt.Errorf("after %d bytes: %w", len(body), err))
	case call.tiff && len(body) >= 4 && int64(len(body)) <= call.limit && !isTIFF(body): // also if it is cut
		return fail(session.ReasonWrongType, body,
			fmt.Errorf("not a TIFF: Content-Type %.64q, begins with % x", resp.Header.Get("Content-Type"), body[:min(8, len(body))]))
	case err != nil:
		return fail(session.ReasonTruncated, body, fmt.Errorf("ended after %d bytes of %s: %w", len(body), announced(resp), err))
	case int64(len(body)) > call.limit:
		return fail(session.ReasonTooLarge, nil, fmt.Errorf("the body is larger than the limit of %d bytes", call.limit))
	case !call.tiff:
		return body, nil
	case len(body) == 0:
		return fail(session.ReasonEmpty, body, errors.New("the body is empty"))
	case len(body) < 4:
		return fail(session.ReasonWrongType, body, fmt.Errorf("not a TIFF: %d bytes", len(body)))
	}
	return body, nil
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

// readUpTo reads at most limit+1 bytes, so that the caller sees that there were more. size is the Content-Length, -1 if
// unknown; it allocates size bytes at once only up to limit.
func readUpTo(r io.Reader, size, limit int64) ([]byte, error) {
	if size < 0 {
		return io.ReadAll(io.LimitReader(r, limit+1))
	}
	body := make([]byte, min(size, limit))
	n, err := io.ReadFull(r, body)
	if errors.Is(err, io.EOF) { // no byte came, although Content-Length is not 0
		err = io.ErrUnexpectedEOF
	}
	return body[:n], err
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
