package s3

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/faxstream/faxstream/storage"
	"github.com/faxstream/faxstream/storage/storagetest"
)

// An object costs one request, and connections are used again.
func TestAnObjectCostsOneRequest(t *testing.T) {
	endpoint, access, secret := storagetest.VersityGW(t)
	p := newProxy(t, endpoint)
	var connections atomic.Int32
	srv := httptest.NewUnstartedServer(p)
	srv.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	srv.Start()
	t.Cleanup(srv.Close)
	s := open(t, Config{Bucket: storagetest.Bucket, Endpoint: srv.URL, AccessKey: access, SecretKey: secret})
	p.reset()
	const writers, objects = 24, 6
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range objects {
				if err := create(t.Context(), s, fmt.Sprintf("faxes/S%d/%d", w, i), noise(10_000*i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if all, puts := len(p.methods()), p.count(http.MethodPut); all != writers*objects || puts != all {
		t.Errorf("%d requests, %d of them PUTs, for %d objects", all, puts, writers*objects)
	}
	if n := connections.Load(); n >= 2*writers { // net/http dials also if another connection becomes free first
		t.Errorf("%d connections for %d writers", n, writers)
	}
}

// Content-MD5 is sent where the bucket has Object Lock, and after a service has refused a write without it.
func TestContentMD5IsSentWhereItIsDemanded(t *testing.T) {
	c, p := behindProxy(t, storagetest.VersityGW)
	var sent atomic.Int32
	look := func(p *proxy, w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Content-Md5") != "" {
			sent.Add(1)
		}
		p.ReverseProxy.ServeHTTP(w, r)
	}
	want := func(s *Store, key string, n int32) {
		t.Helper()
		sent.Store(0)
		if err := create(t.Context(), s, key, []byte("page")); err != nil || sent.Load() != n {
			t.Errorf("%s: sent %d times, want %d; %v", key, sent.Load(), n, err)
		}
	}
	locked := open(t, c)
	c.Bucket = storagetest.Bucket
	free := open(t, c)
	p.set(always(http.MethodPut, look))
	want(locked, "1", 1)
	want(free, "1", 0)
	p.set(always(http.MethodPut, wantSums(t)))
	if err := create(t.Context(), free, "2", []byte("page")); !errors.Is(err, storage.ErrRefused) {
		t.Errorf("without it: %v", err)
	}
	p.set(always(http.MethodPut, look))
	want(free, "2", 1)
}
