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

// maxErrorText is how much of an error answer is read, bytes.
const maxErrorText = 4 << 10

// Page fetches page n, from 1, of a session: the bytes of one TIFF as served. It asks up to three times within seconds
// where the provider fails with 5xx or the connection breaks. Its error is an *Error.
func (c *Client) Page(ctx context.Context, sess string, n int) ([]byte, error) {
	op := fmt.Sprintf("page %d of session %.*q", n, session.MaxTokenLen, sess)
	if c.cfg.PagePath == "" {
		return nil, &Error{Op: op, Reason: session.ReasonNoPagePath, Err: errors.New("no path for single pages is configured")}
	}
	if !session.ValidToken(sess) || n < 1 || n > MaxPages {
		return nil, &Error{Op: op, Reason: session.ReasonBadRequest, Err: fmt.Errorf("not a session id and a page from 1 to %d", MaxPages)}
	}
	path := strings.NewReplacer("{user_id}", escape(c.cfg.User), "{fax_id}", escape(sess), "{page}", strconv.Itoa(n)).
		Replace(c.cfg.PagePath)
	return c.do(ctx, call{op: op, method: http.MethodGet, path: path, accept: "image/tiff", limit: c.cfg.MaxPageBytes, tiff: true, client: c.retry})
}

// File fetches a whole fax as one TIFF of all its pages; faxID is a session id or the id of a listed fax.
// It asks again as Page does. Its error is an *Error.
func (c *Client) File(ctx context.Context, faxID string) ([]byte, error) {
	op := fmt.Sprintf("whole file of fax %.*q", session.MaxTokenLen, faxID)
	if !session.ValidToken(faxID) {
		return nil, &Error{Op: op, Reason: session.ReasonBadRequest, Err: errors.New("not a fax id")}
	}
	path := "/accounts/" + escape(c.cfg.User) + "/files/" + escape(faxID) + "?format=tiff"
	return c.do(ctx, call{op: op, method: http.MethodGet, path: path, accept: "image/tiff", limit: c.cfg.MaxFileBytes, tiff: true, client: c.file})
}

// probeTimeout is long for an answer of a few hundred bytes.
const probeTimeout = 10 * time.Second

// Probe asks once for the account's own list of faxes. nil: the provider answers and takes our token, so that what
// cannot be had of one fax is that fax's own matter. Otherwise an *Error: an outage (session.ReasonUnavailable) or a
// token that is refused (session.ReasonUnauthorized).
func (c *Client) Probe(ctx context.Context) error {
	const op = "probe of the account's list"
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	body, err := c.do(ctx, call{
		op: op, method: http.MethodGet, path: "/accounts/" + escape(c.cfg.User) + "/faxes?category=inbox&limit=1",
		accept: "application/json", limit: maxAnswer, client: c.once,
	})
	if err == nil && !json.Valid(body) { // a captive portal or a proxy's page
		return &Error{Op: op, Reason: session.ReasonWrongType, Status: http.StatusOK, Err: errors.New("the answer is not JSON")}
	}
	return err
}

// escape makes s one part of a path or of a query.
func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// receive reads and judges one answer. It leaves the body open.
func receive(resp *http.Response, call call) ([]byte, *Error) {
	fail := func(reason session.Reason, body []byte, err error) ([]byte, *Error) {
		return nil, &Error{Op: call.op, Reason: reason, Status: resp.StatusCode, RetryAfter: retryAfter(resp.Header), Body: body, Err: err}
	}
	if reason := statusReason(resp.StatusCode); reason != "" {
		return fail(reason, nil, errorText(resp, call.hide))
	}
	if resp.ContentLength > call.limit {
		return fail(session.ReasonTooLarge, nil, fmt.Errorf("%d bytes announced, the limit is %d", resp.ContentLength, call.limit))
	}
	body, err := readUpTo(resp.Body, resp.ContentLength, call.limit)
	switch {
	case isTimeout(err):
		return fail(session.ReasonUnavailable, nil, fmt.Errorf("after %d bytes: %w", len(body), err))
	case call.tiff && len(body) >= 4 && int64(len(body)) <= call.limit && !isTIFF(body): // even where it is cut
		return fail(session.ReasonWrongType, body, fmt.Errorf("not a TIFF: Content-Type %.64q, begins with % x", resp.Header.Get("Content-Type"), body[:min(8, len(body))]))
	case err != nil:
		return fail(session.ReasonTruncated, body, fmt.Errorf("ended after %d bytes of %s: %w", len(body), announced(resp), err))
	case int64(len(body)) > call.limit:
		return fail(session.ReasonTooLarge, nil, fmt.Errorf("more bytes than the limit of %d", call.limit))
	case !call.tiff:
		return body, nil
	case len(body) == 0:
		return fail(session.ReasonEmpty, body, errors.New("a body of no bytes"))
	case len(body) < 4:
		return fail(session.ReasonWrongType, body, fmt.Errorf("not a TIFF: %d bytes", len(body)))
	}
	return body, nil
}

// statusReason gives why there is no body to judge; empty when there is one.
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

// readUpTo reads at most limit+1 bytes, so that the caller can see that there were more; size is what was announced,
// -1 if nothing, and allocated at once only within limit.
func readUpTo(r io.Reader, size, limit int64) ([]byte, error) {
	if size < 0 {
		return io.ReadAll(io.LimitReader(r, limit+1))
	}
	body := make([]byte, min(size, limit))
	n, err := io.ReadFull(r, body)
	if errors.Is(err, io.EOF) { // nothing came, though something was announced
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

// errorText gives what the provider says about a refusal: its JSON is {error, description}.
func errorText(resp *http.Response, hide []string) error {
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		return errors.New("a redirect that is not followed: to another host, without a target, or one too many")
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxErrorText))
	if err != nil {
		return fmt.Errorf("refused, and the reason could not be read: %w", err)
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
