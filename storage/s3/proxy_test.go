package s3

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync"
	"testing"

	"github.com/faxstream/faxstream/storage/storagetest"
)

// proxy stands before a real server and does to requests what networks do.
type proxy struct {
	*httputil.ReverseProxy
	mu   sync.Mutex
	seen []string // methods, in order

	// do handles a request, the n-th of its method from 1 on, or nil: pass.
	do func(p *proxy, w http.ResponseWriter, r *http.Request, n int)
}

func newProxy(t *testing.T, endpoint string) *proxy {
	u, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 16}
	t.Cleanup(transport.CloseIdleConnections)
	return &proxy{ReverseProxy: &httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(pr *httputil.ProxyRequest) {
			pr.SetURL(u)
			pr.Out.Host = pr.In.Host // it is signed
		},
	}}
}

// server starts a real one.
type server = func(testing.TB) (endpoint, access, secret string)

var servers = map[string]server{"versitygw": storagetest.VersityGW, "minio": storagetest.MinIO}

// eachServer runs a test with a store that talks to each server through a
// proxy.
func eachServer(t *testing.T, test func(*testing.T, *Store, *proxy)) {
	t.Parallel() // much of it waits between tries
	for name, start := range servers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, p := openBehindProxy(t, start)
			test(t, s, p)
		})
	}
}

func openBehindProxy(t *testing.T, start server) (*Store, *proxy) {
	t.Helper()
	c, p := behindProxy(t, start)
	c.Bucket = storagetest.Bucket
	s := open(t, c)
	s.partSize, s.singlePut = 5<<20, 8<<20
	p.reset()
	return s, p
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.seen = append(p.seen, r.Method)
	do := p.do
	p.mu.Unlock()
	if do == nil {
		p.ReverseProxy.ServeHTTP(w, r)
		return
	}
	do(p, w, r, p.count(r.Method))
}

func (p *proxy) count(method string) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.seen {
		if m == method {
			n++
		}
	}
	return n
}

func (p *proxy) methods() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.seen)
}

// set says what happens to every request from here on; nil: all pass.
func (p *proxy) set(do func(p *proxy, w http.ResponseWriter, r *http.Request, n int)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen, p.do = nil, do
}

func (p *proxy) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen = nil
}

// faults sets what happens to the requests of a method from here on; nil and
// everything beyond the list passes.
func (p *proxy) faults(method string, faults ...func(*proxy, http.ResponseWriter, *http.Request)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen = nil
	p.do = func(p *proxy, w http.ResponseWriter, r *http.Request, n int) {
		if r.Method == method && n <= len(faults) && faults[n-1] != nil {
			faults[n-1](p, w, r)
			return
		}
		p.ReverseProxy.ServeHTTP(w, r)
	}
}

// reset by peer, before the server has seen the request.
func connectionLost(*proxy, http.ResponseWriter, *http.Request) {
	panic(http.ErrAbortHandler)
}

// answerLost lets the server do the request and loses the answer.
func answerLost(p *proxy, _ http.ResponseWriter, r *http.Request) {
	p.ReverseProxy.ServeHTTP(httptest.NewRecorder(), r)
	panic(http.ErrAbortHandler)
}

// repeated sends the request twice, as proxies do when a connection breaks,
// and gives the second answer.
func repeated(p *proxy, w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	p.ReverseProxy.ServeHTTP(httptest.NewRecorder(), r)
	r.Body = io.NopCloser(bytes.NewReader(body))
	p.ReverseProxy.ServeHTTP(w, r)
}

// damaged flips a bit of the body.
func damaged(p *proxy, w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(err)
	}
	body[len(body)/2] ^= 1
	r.Body = io.NopCloser(bytes.NewReader(body))
	p.ReverseProxy.ServeHTTP(w, r)
}

func status(code int) func(*proxy, http.ResponseWriter, *http.Request) {
	return func(_ *proxy, w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(code)
	}
}
