package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
)

// s3Switch stands between faxstream and an S3 service, and answers in its place while it is told to.
type s3Switch struct {
	mu      sync.Mutex
	answer  s3Answer      // guarded by mu; nil: the service answers
	changed chan struct{} // guarded by mu; it is closed when answer changes
}

// s3Answer answers a request, or reports that the service is to answer it. Its channel is closed when the switch gets another answer.
type s3Answer func(w http.ResponseWriter, r *http.Request, changed <-chan struct{}) (answered bool)

// newS3Switch puts a switch before the S3 service of these arguments, and gives the arguments with its address.
func newS3Switch(t *testing.T, args []string) ([]string, *s3Switch) {
	t.Helper()
	const flag = "--s3-endpoint="
	at := slices.IndexFunc(args, func(arg string) bool { return strings.HasPrefix(arg, flag) })
	if at < 0 {
		t.Fatalf("no %s in %q", flag, args)
	}
	target, err := url.Parse(strings.TrimPrefix(args[at], flag))
	if err != nil {
		t.Fatal(err)
	}
	s := &s3Switch{changed: make(chan struct{})}
	proxy := &httputil.ReverseProxy{
		Transport: &http.Transport{MaxIdleConnsPerHost: 64},
		ErrorLog:  log.New(io.Discard, "", 0), // a service that is killed in a test is expected
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host // it is signed
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }, // as if there were no switch
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		answer, changed := s.answer, s.changed
		s.mu.Unlock()
		if answer == nil || !answer(w, r, changed) {
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(func() { s.set(nil); srv.Close() })
	args = slices.Clone(args)
	args[at] = flag + srv.URL
	return args, s
}

// set gives the switch another answer; nil: the service answers.
func (s *s3Switch) set(answer s3Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
	close(s.changed)
	s.changed = make(chan struct{})
}

// s3Hangs takes requests and does not answer them.
func s3Hangs(_ http.ResponseWriter, r *http.Request, changed <-chan struct{}) bool {
	_, _ = io.Copy(io.Discard, r.Body) // else the end of the connection is not seen
	select {
	case <-r.Context().Done():
	case <-changed:
	}
	panic(http.ErrAbortHandler)
}

// s3Refuses ends every connection.
func s3Refuses(http.ResponseWriter, *http.Request, <-chan struct{}) bool { panic(http.ErrAbortHandler) }

// s3Error answers with an error.
func s3Error(status int, code string) s3Answer {
	return func(w http.ResponseWriter, _ *http.Request, _ <-chan struct{}) bool {
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, "<Error><Code>%s</Code><Message>as the test says</Message></Error>", code) // fails only if the client is gone
		return true
	}
}

// s3Writes answers requests that write, and leaves the others to the service.
func s3Writes(answer s3Answer) s3Answer {
	return func(w http.ResponseWriter, r *http.Request, changed <-chan struct{}) bool {
		return (r.Method == http.MethodPut || r.Method == http.MethodPost) && answer(w, r, changed)
	}
}
