package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"unicode"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
)

// Config says where the admin API is and who asks.
type Config struct {
	Server string // URL of the admin listener, such as http://127.0.0.1:8081
	CA     []byte // PEM certificates of authorities to trust for https besides the system's; nil: none
	Token  string // empty: without a login
	By     string // who asks, for FAX_AUDIT; with a login the token's name counts

	Transport http.RoundTripper // nil: the network
}

// Client speaks the admin API, never the stores behind it. It is safe for concurrent use.
type Client struct {
	server, token, by string
	http              *http.Client
}

// Errors of answers and of the configuration.
var (
	ErrNotFound = errors.New("not found")   // 404 and 410: what was asked for is not there (yet), or no more
	ErrRequest  = errors.New("wrong value") // 400: the server says in the same text what it wants instead
	ErrServer   = errors.New("want a URL such as http://127.0.0.1:8081")
	ErrCA       = errors.New("no PEM certificate in the file")
)

// New makes a client and asks nothing yet. Errors: ErrCA.
func New(c Config) (*Client, error) {
	if c.Transport == nil {
		var err error
		if c.Transport, err = network(c.CA); err != nil {
			return nil, err
		}
	}
	// A redirect would lead to a page for people, or would give the token to somebody else.
	follow := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{server: c.Server, token: c.Token, by: c.By, http: &http.Client{Transport: c.Transport, CheckRedirect: follow}}, nil
}

// network reaches servers whose certificates the system's authorities have signed, or those of ca.
func network(ca []byte) (http.RoundTripper, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if ca == nil {
		return transport, nil
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("read the system's certificates: %w", err)
	}
	if !pool.AppendCertsFromPEM(ca) {
		return nil, ErrCA
	}
	transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	return transport, nil
}

// apiPath is the path of the API.
const apiPath = "/api/v1"

// endpoint is the URL of a path below apiPath.
func (c *Client) endpoint(path string, query url.Values) (string, error) {
	u, err := url.Parse(strings.TrimSuffix(c.server, "/") + apiPath + path)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return "", fmt.Errorf("--server %q: %w", c.server, ErrServer)
	}
	u.RawQuery = query.Encode()
	return u.String(), nil
}

// do sends a request with the token, and with the name of the person who asks for servers without a login.
func (c *Client) do(req *http.Request) (*http.Response, error) {
	req.Header.Set(api.HeaderBy, c.by)
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return nil, fmt.Errorf("%w (the certificate of %s is not trusted: give the certificate of its authority with --server-ca, "+
			"or the certificate itself if it is self-signed)", err, req.URL.Host)
	}
	if err != nil {
		return nil, fmt.Errorf("%w (is faxstream running, and is --server its admin address?)", err)
	}
	return resp, nil
}

// get reads the answer of a path below /api/v1 into v.
func (c *Client) get(ctx context.Context, path string, query url.Values, v any) error {
	body, err := c.request(ctx, http.MethodGet, path, query, nil)
	if err != nil {
		return err
	}
	return c.decode(body, v)
}

// post sends an order as JSON to a path below /api/v1 and reads the answer into v.
func (c *Client) post(ctx context.Context, path string, order, v any) error {
	data, err := json.Marshal(order)
	if err != nil {
		return err
	}
	body, err := c.request(ctx, http.MethodPost, path, nil, data)
	if err != nil {
		return err
	}
	return c.decode(body, v)
}

func (c *Client) decode(body io.ReadCloser, v any) error {
	defer body.Close()
	if err := json.NewDecoder(body).Decode(v); err != nil {
		return c.badAnswer(err)
	}
	return nil
}

// notOurs is what a person may have done when an answer is not one of this API.
const notOurs = "this is not the answer of a faxstream API: is --server its admin address?"

func (c *Client) badAnswer(err error) error {
	if errors.As(err, new(*json.SyntaxError)) || errors.As(err, new(*json.UnmarshalTypeError)) {
		err = fmt.Errorf("%w (%s)", err, notOurs)
	}
	return fmt.Errorf("answer of %s: %w", c.server, err)
}

// request sends a JSON body where order is not nil. The caller closes the answer.
func (c *Client) request(ctx context.Context, method, path string, query url.Values, order []byte) (io.ReadCloser, error) {
	u, err := c.endpoint(path, query)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, u, bytes.NewReader(order))
	if err != nil {
		return nil, err
	}
	if order != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusCreated {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	return nil, refusal(resp)
}

// maxRefusal bounds the body of an answer that is an error, bytes.
const maxRefusal = 64 << 10

// refusal is the error of an answer that is not what was asked for. The words of faxstream alone are ErrNotFound (404 and 410) or
// ErrRequest (400): a 404 of another program says nothing about a fax.
func refusal(resp *http.Response) error {
	var answer api.ErrorAnswer
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxRefusal))
	if err != nil || json.Unmarshal(body, &answer) != nil || answer.Error == nil || answer.Error.Message == "" {
		return fmt.Errorf("%s: %s", OneLine(resp.Status), notOurs)
	}
	message := OneLine(answer.Error.Message)
	switch resp.StatusCode {
	case http.StatusNotFound, http.StatusGone:
		return fmt.Errorf("%w: %s", ErrNotFound, message)
	case http.StatusBadRequest:
		return fmt.Errorf("%w: %s", ErrRequest, message)
	default:
		return errors.New(message)
	}
}

// OneLine makes a text that somebody else wrote, a provider, a server or a colleague, safe to print as a part of a line: no control
// character reaches the terminal, and nothing changes the direction of what stands beside it. What is left out becomes a space, or U+FFFD
// where the bytes are no UTF-8.
func OneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp) || r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069' {
			return ' '
		}
		return r
	}, s)
}
