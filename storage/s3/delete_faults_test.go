package s3

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/faxstream/faxstream/storage"
	"github.com/faxstream/faxstream/storage/storagetest"
)

// eachLocked runs a test with a store in [storagetest.LockedBucket] of each server, behind a proxy.
func eachLocked(t *testing.T, test func(*testing.T, *Store, *proxy)) {
	t.Parallel()
	for name, start := range servers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, p := behindProxy(t, start)
			s := open(t, c)
			s.versionPage = 2
			test(t, s, p)
		})
	}
}

// group makes three keys with four versions and a delete marker.
func group(t *testing.T, s *Store) {
	t.Helper()
	for _, key := range []string{"a/1", "a/2", "a/3"} {
		if err := create(t.Context(), s, key, []byte(key)); err != nil {
			t.Fatal(err)
		}
	}
	overwrite(t, s, "a/2")
	mark(t, s, "a/2")
}

// Network faults never make Delete report a wrong result: after nil nothing is left, and after an error it can be called again.
func TestDeleteThroughFaults(t *testing.T) {
	eachLocked(t, testDeleteThroughFaults)
}

func testDeleteThroughFaults(t *testing.T, s *Store, p *proxy) {
	for _, tc := range []struct {
		name, method string
		faults       []fault
		want         error
	}{
		{"nothing happens", "", nil, nil},
		{"connections lost", http.MethodDelete, []fault{connectionLost, nil, connectionLost}, nil},
		{"answers lost", http.MethodDelete, []fault{answerLost, answerLost, nil, answerLost}, nil},
		{"unavailable", http.MethodDelete, []fault{status(503), status(500), status(429)}, nil},
		{"repeated", http.MethodDelete, []fault{repeated, repeated, repeated, repeated, repeated}, nil},
		{"unavailable for ever", http.MethodDelete, times(3*5, status(503)), errPassing},
		{"refused", http.MethodDelete, times(5, status(403)), storage.ErrRefused},
		{"taken and ignored", http.MethodDelete, times(10*5, status(204)), errPassing},
		{"looks lost", http.MethodHead, []fault{connectionLost, nil, status(502)}, nil},
		{"looks lost for ever", http.MethodHead, times(3*5, status(503)), errPassing},
		{"lists lost", http.MethodGet, []fault{nil, connectionLost, status(503), nil, nil, answerLost}, nil},
		{"lists lost for ever", http.MethodGet, times(20, status(500)), errPassing},
	} {
		t.Run(tc.name, func(t *testing.T) {
			group(t, s)
			p.faults(tc.method, tc.faults...)
			wantOutcome(t, s.Delete(t.Context(), "a/"), tc.want)
			if n := p.count(http.MethodDelete); n > 5*5 { // versitygw lists some twice
				t.Errorf("%d DELETEs of 5 versions and markers", n)
			}
			p.faults("")
			if tc.want != nil {
				wantOutcome(t, s.Delete(t.Context(), "a/"), nil)
			}
			if left := versions(t, s, "a/"); len(left) != 0 {
				t.Errorf("%d versions and markers are left", len(left))
			}
		})
	}
}

func times(n int, f fault) (faults []fault) {
	for range n {
		faults = append(faults, f)
	}
	return faults
}

func TestHoldThroughFaults(t *testing.T) {
	eachLocked(t, testHoldThroughFaults)
}

func testHoldThroughFaults(t *testing.T, s *Store, p *proxy) {
	group(t, s)
	for _, tc := range []struct {
		name, method string
		faults       []fault
		want         error
	}{
		{"nothing happens", "", nil, nil},
		{"connections lost", http.MethodPut, []fault{connectionLost, nil, connectionLost}, nil},
		{"answers lost", http.MethodPut, []fault{answerLost, answerLost, nil, answerLost}, nil},
		{"repeated", http.MethodPut, []fault{repeated, repeated, repeated, repeated}, nil},
		{"unavailable for ever", http.MethodPut, times(3*4, status(503)), errPassing},
		{"refused", http.MethodPut, times(4, status(403)), storage.ErrRefused},
		{"taken and ignored", http.MethodPut, times(4, status(200)), storage.ErrRefused},
		{"looks lost", http.MethodHead, []fault{connectionLost, nil, status(502)}, nil},
		{"second page of the list lost", http.MethodGet, []fault{nil, status(503)}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, on := range []bool{true, false} {
				p.faults(tc.method, tc.faults...)
				wantOutcome(t, s.Hold(t.Context(), "a/", on), tc.want)
				if n := p.count(http.MethodPut); n > 3*atOnce {
					t.Errorf("%d PUTs for 4 versions, of which a list may repeat some", n)
				}
				p.faults("")
				if tc.want != nil {
					wantOutcome(t, s.Hold(t.Context(), "a/", on), nil)
				}
				for _, v := range versions(t, s, "a/") {
					if v.IsDeleteMarker {
						continue
					}
					if k, err := s.lock(t.Context(), v); err != nil || k.Held != on {
						t.Errorf("%s: held is %v, %v, want %v", v.Key, k.Held, err, on)
					}
				}
			}
		})
	}
}

// A lock that is set between the check and the deletion is ErrProtected, and not a missing permission.
func TestDeleteMeetsALockThatItDidNotSee(t *testing.T) {
	eachLocked(t, func(t *testing.T, s *Store, p *proxy) {
		group(t, s)
		p.set(func(p *proxy, w http.ResponseWriter, r *http.Request, _ int) {
			if r.Method == http.MethodDelete && strings.HasSuffix(r.URL.Path, "/a/1") {
				on := minio.LegalHoldEnabled
				opts := minio.PutObjectLegalHoldOptions{VersionID: r.URL.Query().Get("versionId"), Status: &on}
				if err := s.core.PutObjectLegalHold(t.Context(), s.bucket, "a/1", opts); err != nil {
					t.Error(err)
				}
			}
			p.ReverseProxy.ServeHTTP(w, r)
		})
		if err := s.Delete(t.Context(), "a/"); !errors.Is(err, storage.ErrProtected) || errors.Is(err, storage.ErrRefused) {
			t.Errorf("got %v, want ErrProtected", err)
		}
	})
}

// For keys that may not see locks the service leaves the headers out. That must not look like no lock.
func TestLocksThatMustNotBeSeen(t *testing.T) {
	eachLocked(t, func(t *testing.T, s *Store, p *proxy) {
		for _, key := range []string{"a/1", "a/2"} {
			if err := create(t.Context(), s, key, nil); err != nil {
				t.Fatal(err)
			}
		}
		for query, permission := range map[string]string{"legal-hold": "s3:GetObjectLegalHold", "retention": "s3:GetObjectRetention"} {
			p.set(refuse(query))
			_, err := s.Protection(t.Context(), "a/")
			if !errors.Is(err, storage.ErrRefused) || !strings.Contains(err.Error(), permission) {
				t.Errorf("Protection without %s: %v", permission, err)
			}
			if err := s.Delete(t.Context(), "a/"); !errors.Is(err, storage.ErrRefused) {
				t.Errorf("Delete without %s: %v", permission, err)
			}
		}
		p.set(nil)
		if n := len(versions(t, s, "a/")); n != 2 {
			t.Errorf("%d of 2 versions are left", n)
		}
	})
}

// If the bucket has Object Lock, the store asks for that once. Keys that may not ask still see the locks of objects.
func TestWhetherTheBucketLocksIsAskedOnce(t *testing.T) {
	eachLocked(t, func(t *testing.T, s *Store, p *proxy) {
		group(t, s)
		p.set(refuse("object-lock"))
		if k, err := s.Protection(t.Context(), "a/"); err != nil || k.Objects != 2 {
			t.Errorf("who may not ask: %+v, %v", k, err)
		}
		if err := s.Hold(t.Context(), "a/", true); !errors.Is(err, storage.ErrRefused) || errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("who may not ask: Hold gives %v, want ErrRefused", err)
		}
		p.set(nil)
		if err := s.Hold(t.Context(), "a/", true); err != nil {
			t.Fatal(err)
		}
		p.set(refuse("object-lock"))
		if k, err := s.Protection(t.Context(), "a/"); err != nil || !k.Held {
			t.Errorf("afterwards: %+v, %v", k, err)
		}
		if err := s.Hold(t.Context(), "a/", false); err != nil {
			t.Errorf("it was asked again: %v", err)
		}
	})
}

// A service that has no versions, and says so, has objects.
func TestRemoverOfAServiceWithoutVersions(t *testing.T) {
	c, p := behindProxy(t, storagetest.VersityGW)
	c.Bucket = storagetest.Bucket
	s := open(t, c)
	for _, key := range []string{"a/1", "a/2", "ab"} {
		if err := create(t.Context(), s, key, nil); err != nil {
			t.Fatal(err)
		}
	}
	p.set(func(p *proxy, w http.ResponseWriter, r *http.Request, _ int) {
		if q := r.URL.Query(); q.Has("versions") || q.Has("object-lock") {
			w.WriteHeader(http.StatusNotImplemented)
			return
		}
		if r.Header.Get("X-Amz-Bypass-Governance-Retention") != "" || r.URL.Query().Has("versionId") {
			t.Errorf("%s %s: asks for what the service does not have", r.Method, r.URL)
		}
		p.ReverseProxy.ServeHTTP(w, r)
	})
	if k, err := s.Protection(t.Context(), "a/"); err != nil || k.Objects != 2 || k.Written.IsZero() {
		t.Errorf("%+v, %v", k, err)
	}
	if err := s.Hold(t.Context(), "a/", true); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Hold: %v", err)
	}
	if err := s.Delete(t.Context(), "a/"); err != nil {
		t.Fatal(err)
	}
	wantNothing(t, s, "a/1")
	wantNothing(t, s, "a/2")
	wantObject(t, s, "ab", nil)
}

// refuse answers 403 to requests for a subresource.
func refuse(query string) func(*proxy, http.ResponseWriter, *http.Request, int) {
	return func(p *proxy, w http.ResponseWriter, r *http.Request, _ int) {
		if r.URL.Query().Has(query) {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		p.ReverseProxy.ServeHTTP(w, r)
	}
}
