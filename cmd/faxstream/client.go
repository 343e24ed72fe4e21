package main

import (
	"bufio"
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
	"os"
	"strings"

	"github.com/faxstream/faxstream/cmd/faxstream/dashboard"
)

// client speaks the admin API, never the stores behind it.
type client struct {
	Server    string `default:"http://127.0.0.1:8081" placeholder:"URL" help:"Admin address of a running faxstream. Default ${default}."`
	ServerCA  string `name:"server-ca" type:"path" placeholder:"FILE" help:"PEM file of authorities to trust for an https --server besides the system's."`
	TokenFile string `type:"path" placeholder:"FILE" help:"Token for --server, one line. Empty: FAXSTREAM_TOKEN in the environment, if it is there."`

	token string
	http  *http.Client
}

// AfterApply reads the token and the authorities before a command runs; kong calls it.
func (c *client) AfterApply(e env) error {
	c.token = strings.TrimSpace(e.getenv("FAXSTREAM_TOKEN"))
	if c.TokenFile != "" {
		var err error
		if c.token, err = readLine(c.TokenFile); err != nil {
			return usagef("--token-file: %w", err)
		}
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if c.ServerCA != "" {
		pool, err := x509.SystemCertPool()
		if err != nil {
			return fmt.Errorf("the system's certificates: %w", err)
		}
		text, err := os.ReadFile(c.ServerCA)
		if err != nil {
			return usagef("--server-ca: %w", err)
		}
		if !pool.AppendCertsFromPEM(text) {
			return usagef("--server-ca %s: no PEM certificate in it", c.ServerCA)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	// A redirect would lead to a page for people, or with the token to somebody else.
	c.http = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return nil
}

// endpoint is the URL of a path below /api/v1.
func (c client) endpoint(path string, query url.Values) (string, error) {
	u, err := url.Parse(strings.TrimSuffix(c.Server, "/") + "/api/v1" + path)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return "", usagef("--server %q: want a URL such as http://127.0.0.1:8081", c.Server)
	}
	u.RawQuery = query.Encode()
	return u.String(), nil
}

// do sends a request with the token, and with the user of this process for where there is no login.
func (c client) do(req *http.Request) (*http.Response, error) {
	req.Header.Set(dashboard.HeaderBy, whoAsks(""))
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return nil, fmt.Errorf("%w (the certificate of %s is not trusted: give its authority, or itself if it signed itself, with --server-ca)", err, req.URL.Host)
	}
	if err != nil {
		return nil, fmt.Errorf("%w (is faxstream running, and is --server its admin address?)", err)
	}
	return resp, nil
}

// get asks for a path below /api/v1. The caller closes the body. 404 is errNotFound.
func (c client) get(ctx context.Context, path string, query url.Values) (io.ReadCloser, error) {
	return c.request(ctx, http.MethodGet, path, query, nil)
}

// postJSON sends an order as JSON to a path below /api/v1 and reads the answer into v.
func (c client) postJSON(ctx context.Context, path string, order, v any) error {
	data, err := json.Marshal(order)
	if err != nil {
		return err
	}
	body, err := c.request(ctx, http.MethodPost, path, nil, data)
	if err != nil {
		return err
	}
	defer body.Close()
	if err := json.NewDecoder(body).Decode(v); err != nil {
		return fmt.Errorf("answer of %s: %w", c.Server, err)
	}
	return nil
}

// request sends a JSON body where order is not nil.
func (c client) request(ctx context.Context, method, path string, query url.Values, order []byte) (io.ReadCloser, error) {
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
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	return nil, refusal(resp)
}

// refusal is the error of an answer that is not what was asked for. 404 and 410 are errNotFound.
func refusal(resp *http.Response) error {
	var e struct {
		Error struct{ Message string }
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil || json.Unmarshal(body, &e) != nil || e.Error.Message == "" {
		e.Error.Message = resp.Status
	}
	if resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusGone {
		return fmt.Errorf("%w: %s", errNotFound, oneLine(e.Error.Message))
	}
	return errors.New(oneLine(e.Error.Message))
}

func (c client) getJSON(ctx context.Context, path string, query url.Values, v any) error {
	body, err := c.get(ctx, path, query)
	if err != nil {
		return err
	}
	defer body.Close()
	if err := json.NewDecoder(body).Decode(v); err != nil {
		return fmt.Errorf("answer of %s: %w", c.Server, err)
	}
	return nil
}

// maxEvent bounds one event of the stream, in bytes.
const maxEvent = 1 << 20

// events calls f with the JSON of each event until ctx ends or the server stops. ready is called when the server listens.
func (c client) events(ctx context.Context, ready func(), f func([]byte) error) error {
	body, err := c.get(ctx, "/events", nil)
	if err != nil {
		return err
	}
	defer body.Close()
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, maxEvent)
	for lines.Scan() {
		if bytes.HasPrefix(lines.Bytes(), []byte(":")) {
			ready()
		}
		if data, ok := bytes.CutPrefix(lines.Bytes(), []byte("data: ")); ok {
			if err := f(data); err != nil {
				return err
			}
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("event stream of %s: %w", c.Server, err)
	}
	return fmt.Errorf("event stream of %s ended: the server stopped", c.Server)
}
