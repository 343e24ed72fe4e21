package faxplus

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/faxstream/faxstream/pipeline/session"
)

// DefaultBaseURL is where Fax.Plus serves its REST API.
const DefaultBaseURL = "https://restapi.fax.plus/v3"

// tries is how often one call asks, the first try included. A call retries for a few seconds only; later retries are
// scheduled by the pipeline.
const tries = 3

// maxParallel sizes the pool of idle connections: more fetches than the page worker usually has in flight, and as many retries.
const maxParallel = 256

// Config says how to reach Fax.Plus. Usually only Token is needed, and PagePath if single pages are fetched.
type Config struct {
	BaseURL string // default DefaultBaseURL; without query or fragment
	// Token returns the personal access token. Every call asks for it, so that it can be replaced while the process
	// runs. nil: no token is sent.
	Token func() (string, error)
	User  string // {user_id} of paths; default "self"
	// Zone returns the zone of the provider's times, which carry none. Every call asks for it. nil: UTC.
	Zone func() *time.Location
	// PagePath is the path of a single page below BaseURL, with {fax_id}, {page} and, if needed, {user_id}. A query
	// may follow. Empty: single pages cannot be fetched (session.ReasonNoPagePath).
	PagePath     string
	MaxPageBytes int64         // default 32 MiB: a page of raw bits at 400 dpi is a fifth of that
	MaxFileBytes int64         // default 256 MiB: thousands of pages at 75 KB
	Timeout      time.Duration // of one try, from dialling to the last byte; default 30 s
	FileTimeout  time.Duration // the same for a whole file; default 5 min: MaxFileBytes at 1 MB/s
	RetryWaitMin time.Duration // before the second try; default 0.25 s
	RetryWaitMax time.Duration // longest wait inside a call; default 2 s. A longer Retry-After ends the call.
	Logger       *slog.Logger  // nil: silent
	// Wrap goes around what sends the requests, so that each try can be seen; nil: nothing does.
	Wrap func(http.RoundTripper) http.RoundTripper
}

func (c *Config) setDefaults() {
	c.BaseURL = strings.TrimRight(cmp.Or(c.BaseURL, DefaultBaseURL), "/")
	c.User = cmp.Or(c.User, "self")
	c.MaxPageBytes = cmp.Or(c.MaxPageBytes, 32<<20)
	c.MaxFileBytes = cmp.Or(c.MaxFileBytes, 256<<20)
	c.Timeout = cmp.Or(c.Timeout, 30*time.Second)
	c.FileTimeout = cmp.Or(c.FileTimeout, 5*time.Minute)
	c.RetryWaitMin = cmp.Or(c.RetryWaitMin, 250*time.Millisecond)
	c.RetryWaitMax = cmp.Or(c.RetryWaitMax, 2*time.Second)
	if c.Wrap == nil {
		c.Wrap = func(t http.RoundTripper) http.RoundTripper { return t }
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}

func (c *Config) check() error {
	u, err := url.Parse(c.BaseURL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		// The error shows neither the URL nor the error of url.Parse: both may contain a password.
		return errors.New("faxplus: base URL: want http(s)://host[:port][/path] without user, query or fragment")
	}
	if c.MaxPageBytes < 0 || c.MaxFileBytes < 0 || c.Timeout < 0 || c.FileTimeout < 0 ||
		c.RetryWaitMin < 0 || c.RetryWaitMax < c.RetryWaitMin {
		return errors.New("faxplus: limits, timeouts and waits must be positive, and RetryWaitMin at most RetryWaitMax")
	}
	if c.User == "." || c.User == ".." {
		return fmt.Errorf("faxplus: user %q: want self or a user id", c.User)
	}
	return checkPagePath(c.PagePath)
}

func checkPagePath(path string) error {
	if path == "" {
		return nil
	}
	rest := strings.NewReplacer("{user_id}", "", "{fax_id}", "", "{page}", "").Replace(path)
	switch {
	case !strings.HasPrefix(path, "/"):
		return fmt.Errorf("faxplus: page path %q: must begin with '/'", path)
	case !strings.Contains(path, "{fax_id}") || !strings.Contains(path, "{page}"):
		return fmt.Errorf("faxplus: page path %q: must contain {fax_id} and {page}", path)
	case strings.ContainsAny(rest, "{}# "):
		return fmt.Errorf("faxplus: page path %q: only the names {user_id}, {fax_id} and {page} are allowed, and no space and no '#'", path)
	}
	return nil
}

// Client sends requests to the REST API. Many goroutines may use it at once.
type Client struct {
	cfg   Config
	pool  *http.Transport       // shared by all
	retry *retryablehttp.Client // for requests that may be repeated
	file  *retryablehttp.Client // the same for whole files
	once  *retryablehttp.Client // for requests that may not be repeated

	buffers sync.Pool // *[]byte of copyBuffer bytes
}

// NewClient checks cfg and returns a client. It opens no connection.
func NewClient(cfg Config) (*Client, error) {
	cfg.setDefaults()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	c := &Client{cfg: cfg, pool: &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:   true,
		TLSHandshakeTimeout: 10 * time.Second,
		MaxIdleConns:        maxParallel,
		MaxIdleConnsPerHost: maxParallel,
		IdleConnTimeout:     90 * time.Second,
		DisableCompression:  true, // Content-Length must be that of the file
	}}
	c.retry, c.file, c.once = c.newRetry(tries, cfg.Timeout), c.newRetry(tries, cfg.FileTimeout), c.newRetry(1, cfg.Timeout)
	return c, nil
}

// newRetry returns a client that sends a request up to tries times, each try within timeout.
func (c *Client) newRetry(tries int, timeout time.Duration) *retryablehttp.Client {
	r := retryablehttp.NewClient()
	r.Logger = nil // it logs an ordinary "not yet" as an error
	r.HTTPClient = &http.Client{Transport: keepIdle{c.cfg.Wrap(c.pool)}, CheckRedirect: sameHost, Timeout: timeout}
	r.RetryMax = tries - 1
	r.RetryWaitMin, r.RetryWaitMax = c.cfg.RetryWaitMin, c.cfg.RetryWaitMax
	r.CheckRetry, r.Backoff, r.ErrorHandler = c.checkRetry, backoff, closeAndPass
	r.RequestLogHook = func(_ retryablehttp.Logger, req *http.Request, n int) {
		if n > 0 {
			c.cfg.Logger.Debug("repeating a request to Fax.Plus", "path", req.URL.Path, "try", n+1)
		}
	}
	return r
}

func (c *Client) zone() *time.Location {
	if c.cfg.Zone == nil {
		return time.UTC
	}
	return c.cfg.Zone()
}

// Close closes idle connections. Running calls continue.
func (c *Client) Close() { c.pool.CloseIdleConnections() }

// keepIdle hides CloseIdleConnections from retryablehttp, which calls it after every failed call: a page that is not
// ready must not close the connections of other pages.
type keepIdle struct{ http.RoundTripper }

// sameHost stops at a redirect to another scheme or host, so that no other server gets the token; the caller gets the
// redirect as the answer. net/http alone still sends the token to subdomains.
func sameHost(req *http.Request, via []*http.Request) error {
	first := via[0].URL
	if req.URL.Scheme != first.Scheme || req.URL.Host != first.Host || len(via) > 5 {
		return http.ErrUseLastResponse
	}
	return nil
}

// checkRetry decides whether to retry inside a call. It is called first with the plain answer, which it passes to the
// response handler, and then with the handler's error.
func (c *Client) checkRetry(ctx context.Context, _ *http.Response, err error) (bool, error) {
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	if err == nil {
		return false, nil
	}
	var e *Error
	if errors.As(err, &e) {
		return e.temporary() && e.RetryAfter <= c.cfg.RetryWaitMax, nil
	}
	return !isTimeout(err), nil // no answer
}

// backoff returns the wait that the provider asks for, else four times longer for each try. It adds up to a quarter, so
// that pages that were announced together are not fetched again together.
func backoff(least, most time.Duration, attempt int, resp *http.Response) time.Duration {
	if resp != nil {
		if wait := retryAfter(resp.Header); wait > 0 {
			return min(most, wait)
		}
	}
	wait := least << (2 * attempt)
	return min(most, wait+rand.N(wait/4+1))
}

// closeAndPass returns the error of the last try unwrapped.
func closeAndPass(resp *http.Response, err error, _ int) (*http.Response, error) {
	if resp != nil {
		_ = resp.Body.Close() // nothing more is wanted from it
	}
	return nil, err
}

// retryAfter reads Retry-After (RFC 9110, 10.2.3) in both forms: at most a day; 0 if it is absent, past or unreadable.
func retryAfter(h http.Header) time.Duration {
	const most = 24 * time.Hour
	v := strings.TrimSpace(h.Get("Retry-After"))
	if n, err := strconv.ParseInt(v, 10, 64); err == nil {
		return time.Duration(min(max(n, 0), int64(most/time.Second))) * time.Second
	}
	if t, err := http.ParseTime(v); err == nil {
		return min(max(time.Until(t), 0), most)
	}
	return 0
}

// call is one request of the REST API.
type call struct {
	op, method, path string // path below the base URL, escaped
	accept           string
	body             []byte // JSON; nil for none
	limit            int64  // of the answer, bytes
	tiff             bool   // the answer must be a TIFF
	into             Into   // takes the answer
	client           *retryablehttp.Client
	hide             []string // secrets that an answer may repeat but an error must not
}

// do sends a call, with the retries of its client, and returns the answer's body.
func (c *Client) do(ctx context.Context, call call) ([]byte, error) {
	var body bytes.Buffer
	call.into = &body
	if err := c.transfer(ctx, call); err != nil {
		return nil, err
	}
	return body.Bytes(), nil
}

// transfer sends a call, with the retries of its client; call.into takes the answer's body.
func (c *Client) transfer(ctx context.Context, call call) error {
	fail := func(reason session.Reason, err error) error {
		return &Error{Op: call.op, Reason: reason, Err: err}
	}
	var payload any // nil: retryablehttp treats a nil []byte as a body
	if call.body != nil {
		payload = call.body
	}
	req, err := retryablehttp.NewRequestWithContext(ctx, call.method, c.cfg.BaseURL+call.path, payload)
	if err != nil {
		return fail(session.ReasonInternal, err)
	}
	token, err := c.authorize(req.Request)
	call.hide = append(call.hide, token)
	if err != nil {
		return fail(session.ReasonUnauthorized, err)
	}
	req.Header.Set("Accept", call.accept)
	if call.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.SetResponseHandler(func(resp *http.Response) error {
		call.into.Reset()
		if err := c.receive(resp, call); err != nil {
			return err
		}
		return nil
	})
	resp, err := call.client.Do(req)
	if err == nil {
		_ = resp.Body.Close() // read to its end
		return nil
	}
	if e := (*Error)(nil); errors.As(err, &e) {
		return e
	}
	return fail(session.ReasonUnavailable, err)
}

// authorize adds the token to req and returns it, so that an error text can be cleaned of it.
func (c *Client) authorize(req *http.Request) (string, error) {
	if c.cfg.Token == nil {
		return "", nil
	}
	token, err := c.cfg.Token()
	if err != nil {
		return "", fmt.Errorf("read the access token: %w", err)
	}
	token = strings.TrimSpace(token)
	if token == "" || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", errors.New("the access token is empty, or has a space or another character that is not allowed")
	}
	req.Header.Set("Authorization", "Bearer "+token)
	return token, nil
}
