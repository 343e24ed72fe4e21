package s3

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/signer"

	"github.com/faxstream/faxstream/storage"
	"github.com/faxstream/faxstream/storage/storagetest"
)

// without passes requests on without some headers, as a service does that accepts and ignores them.
func without(c Config, headers ...string) fault {
	return func(p *proxy, w http.ResponseWriter, r *http.Request) {
		for _, h := range append(headers, "Authorization") {
			r.Header.Del(h)
		}
		signed := *r
		signed.URL.Scheme, signed.URL.Host = "http", r.Host
		p.ReverseProxy.ServeHTTP(w, signer.SignV4(signed, c.AccessKey, c.SecretKey, "", "us-east-1"))
	}
}

// A service that ignores If-None-Match would lose archived pages: the start fails, or the first write where the service was away.
func TestAServiceThatOverwritesIsRefused(t *testing.T) {
	t.Parallel()
	for name, start := range servers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, p := behindProxy(t, start)
			c.Bucket = storagetest.Bucket
			ignores := always(http.MethodPut, without(c, "If-None-Match"))
			p.set(ignores)
			for range 2 {
				if _, err := Open(t.Context(), c); !errors.Is(err, storage.ErrRefused) || !strings.Contains(err.Error(), "overwrites objects") {
					t.Errorf("got %v, want ErrRefused and why", err)
				}
			}
			p.set(always("", status(503)))
			s := open(t, c)
			p.set(ignores)
			if err := create(t.Context(), s, "x", []byte("x")); !errors.Is(err, storage.ErrRefused) {
				t.Errorf("create: got %v, want ErrRefused", err)
			}
			if err := s.Check(t.Context()); !errors.Is(err, storage.ErrRefused) {
				t.Errorf("check: got %v, want ErrRefused", err)
			}
			p.set(nil)
			wantNothing(t, s, "x")
			// Another start finds the object of the first and makes one request.
			open(t, c)
			p.reset()
			open(t, c)
			if n := p.count(http.MethodPut); n != 1 {
				t.Errorf("%d PUTs at another start, want 1", n)
			}
		})
	}
}

// The bucket can be listed and read, but writes are refused: the check finds it, and it leaves nothing, also where every object is
// locked for years.
func TestCheckWritesAndLeavesNothing(t *testing.T) {
	t.Parallel()
	for name, start := range servers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, p := behindProxy(t, start)
			c.Retention, c.Mode = year, Governance
			s := open(t, c)
			before := len(versions(t, s, ""))
			for code, want := range map[int]error{403: storage.ErrRefused, 507: storage.ErrFull, 503: errPassing} {
				p.set(always(http.MethodPut, status(code)))
				wantOutcome(t, s.Check(t.Context()), want)
				p.set(always(http.MethodPost, status(code)))
				wantOutcome(t, s.Check(t.Context()), want)
				p.set(nil)
				for range 3 {
					if err := s.Check(t.Context()); err != nil {
						t.Errorf("after %d: %v", code, err)
					}
				}
			}
			p.set(always(http.MethodDelete, status(403)))
			if err := s.Check(t.Context()); !errors.Is(err, storage.ErrRefused) {
				t.Errorf("uploads cannot be aborted: got %v, want ErrRefused", err)
			}
			p.set(nil)
			if after := len(versions(t, s, "")); after != before {
				t.Errorf("%d versions, there were %d before the checks", after, before)
			}
			uploads := 0
			for up := range s.core.ListIncompleteUploads(t.Context(), s.bucket, "", true) {
				if up.Err != nil {
					t.Fatal(up.Err)
				}
				uploads++
			}
			if uploads > 1 {
				t.Errorf("%d uploads are left, want at most the one that could not be aborted", uploads)
			}
		})
	}
}

// Keys that may only read stop a start that writes; a reader opens with them and writes nothing.
func TestKeysThatMayNotWriteStopTheStart(t *testing.T) {
	c, p := behindProxy(t, storagetest.VersityGW)
	c.Bucket = storagetest.Bucket
	p.set(always(http.MethodPut, status(403)))
	if _, err := Open(t.Context(), c); !errors.Is(err, storage.ErrRefused) || !strings.Contains(err.Error(), "test object") {
		t.Errorf("got %v, want ErrRefused and what was tried", err)
	}
	c.ReadOnly = true
	p.reset()
	open(t, c)
	if n := p.count(http.MethodPut); n != 0 {
		t.Errorf("a reader made %d PUTs", n)
	}
	// A full service is waited for.
	c.ReadOnly = false
	p.set(always(http.MethodPut, status(507)))
	s := open(t, c)
	wantOutcome(t, create(t.Context(), s, "x", []byte("x")), storage.ErrFull)
	p.set(nil)
	wantOutcome(t, create(t.Context(), s, "x", []byte("x")), nil)
}

// A browser that opens an object with a presigned URL shows it.
func TestObjectsHaveTheirContentType(t *testing.T) {
	eachServer(t, func(t *testing.T, s *Store, _ *proxy) {
		for key, want := range map[string]string{
			"faxes/S1/pages/0001.0123456789abcdef.tiff":        "image/tiff",
			"faxes/S1/pages/0001.0123456789abcdef.tiff.json":   "application/json",
			"faxes/S1/pages/0001.0123456789abcdef.png":         "image/png",
			"faxes/S1/r1/document.0123456789abcdef.pdf":        "application/pdf",
			"faxes/S1/pages/0001.0123456789abcdef.rejected":    "application/octet-stream",
			"audit/2026/11/24.jsonl":                           "application/x-ndjson",
			"faxes/S1/r1/document-large.0123456789abcdef.tiff": "image/tiff",
		} {
			size := 10
			if strings.Contains(key, "large") {
				size = 9 << 20 // in parts
			}
			if err := create(t.Context(), s, key, noise(size)); err != nil {
				t.Fatal(err)
			}
			info, err := s.core.StatObject(t.Context(), s.bucket, s.prefix+key, minio.StatObjectOptions{})
			if err != nil || info.ContentType != want {
				t.Errorf("%s: %q, %v, want %q", key, info.ContentType, err, want)
			}
		}
	})
}
