package app

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"time"
)

// inside is where requests to http://inside go that this process makes to its own API: to its handler, without a network.
type inside struct{ handler http.Handler }

const insideURL = "http://inside"

// RoundTrip implements http.RoundTripper. The answer is in memory.
func (i inside) RoundTrip(req *http.Request) (resp *http.Response, err error) {
	r := req.Clone(req.Context()) // the handler changes it
	if r.Body == nil {
		r.Body = http.NoBody
	}
	defer func() {
		if p := recover(); p != nil { // as net/http's server does: one request fails
			err = fmt.Errorf("the handler of %s %s stopped: %v", r.Method, r.URL.Path, p)
		}
		_ = r.Body.Close() // it is in memory
	}()
	w := &answer{status: http.StatusOK, header: http.Header{}}
	i.handler.ServeHTTP(w, r)
	return &http.Response{
		Status: http.StatusText(w.status), StatusCode: w.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: w.header,
		Body: io.NopCloser(&w.body), ContentLength: int64(w.body.Len()), Request: req,
	}, nil
}

// answer is what a handler answers.
type answer struct {
	status int
	header http.Header
	body   bytes.Buffer
	wrote  bool
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	if !a.wrote {
		a.status, a.wrote = status, true
	}
}

func (a *answer) Write(p []byte) (int, error) {
	a.wrote = true
	return a.body.Write(p)
}

// SetWriteDeadline is for http.ResponseController: nobody is slow to read.
func (a *answer) SetWriteDeadline(time.Time) error { return nil }
