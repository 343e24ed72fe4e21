package s3

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/faxstream/faxstream/storage"
	"github.com/faxstream/faxstream/storage/storagetest"
)

const year = 366 * 24 * time.Hour

// behindProxy starts a server and a proxy before it; the configuration goes through the proxy.
func behindProxy(t *testing.T, start server) (Config, *proxy) {
	t.Helper()
	endpoint, access, secret := start(t)
	p := newProxy(t, endpoint)
	srv := httptest.NewServer(p)
	t.Cleanup(srv.Close)
	return Config{Bucket: storagetest.LockedBucket, Endpoint: srv.URL, AccessKey: access, SecretKey: secret}, p
}

// versions are all that a bucket has, newest first, by key.
func versions(t *testing.T, s *Store, prefix string) (all []minio.ObjectInfo) {
	t.Helper()
	for v := range s.core.ListObjectsIter(
		t.Context(), s.bucket, minio.ListObjectsOptions{Prefix: prefix, Recursive: true, WithVersions: true},
	) {
		if v.Err != nil {
			t.Fatal(v.Err)
		}
		all = append(all, v)
	}
	return all
}

// wantSums passes writes on that have what services demand of those that will be locked, and refuses others as moto does; the body must
// be signed for.
func wantSums(t *testing.T) fault {
	return func(p *proxy, w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Content-Md5") == "" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		if len(r.Header.Get("X-Amz-Content-Sha256")) != hex.EncodedLen(sha256.Size) {
			t.Errorf("%s %s: the SHA-256 of the body is not sent: %q", r.Method, r.URL, r.Header.Get("X-Amz-Content-Sha256"))
		}
		p.ReverseProxy.ServeHTTP(w, r)
	}
}

func TestWhatIsRetainedCannotBeDeleted(t *testing.T) {
	t.Parallel()
	for name, start := range servers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, p := behindProxy(t, start)
			p.set(always(http.MethodPut, wantSums(t)))
			c.Prefix = "a/b"
			for _, mode := range []Mode{Governance, Compliance} {
				c.Retention, c.Mode, c.Unretained = 6*year, mode, []string{"desk/"}
				s := open(t, c)
				free := "desk/" + string(mode)
				if err := create(t.Context(), s, free, []byte("a note")); err != nil {
					t.Fatal(err)
				}
				if all := versions(t, s, s.prefix+free); len(all) != 1 || s.remove(t.Context(), s.prefix+free, all[0].VersionID) != nil {
					t.Errorf("what is not to be retained cannot be deleted: %v", all)
				}
				s.partSize, s.singlePut = 5<<20, 8<<20
				for key, size := range map[string]int{"small": 75_000, "in-parts": 12 << 20} {
					key = string(mode) + "/" + key
					body := noise(size)
					if err := create(t.Context(), s, key, body); err != nil {
						t.Fatal(err)
					}
					all := versions(t, s, s.prefix+key)
					if len(all) != 1 {
						t.Fatalf("%s: %d versions", key, len(all))
					}
					if err := s.remove(t.Context(), s.prefix+key, all[0].VersionID); err == nil {
						t.Errorf("%s: was deleted", key)
					}
					wantObject(t, s, key, body)
					info, err := s.stat(t.Context(), s.prefix+key, "")
					if err != nil {
						t.Fatal(err)
					}
					until, err := time.Parse(time.RFC3339, info.Headers.Get("X-Amz-Object-Lock-Retain-Until-Date"))
					if left := time.Until(until); err != nil || left > 6*year || left < 6*year-time.Hour {
						t.Errorf("%s: retained until %v, %v, want six years from now", key, until, err)
					}
					if got := info.Headers.Get("X-Amz-Object-Lock-Mode"); got != strings.ToUpper(string(mode)) {
						t.Errorf("%s: locked by %q", key, got)
					}
				}
				// It was tried out once; another start asks only whether it was.
				p.reset()
				open(t, c)
				others := slices.DeleteFunc(p.methods(), func(m string) bool { return m == http.MethodGet || m == http.MethodHead })
				if !slices.Equal(others, []string{http.MethodPut}) { // it tries to overwrite an object
					t.Errorf("a second start made %q", others)
				}
			}
			// The check leaves what it must, locked for a day, and nothing else.
			if n := len(versions(t, open(t, c), "a/b/checks/")); n != 4+1 {
				t.Errorf("%d versions are left of two checks, want two objects and two records, and the object that cannot be overwritten", n)
			}
		})
	}
}

// unlocking passes writes on without their locks, as a service does that takes Object Lock and ignores it.
func unlocking(c Config) fault {
	return without(c, "X-Amz-Object-Lock-Mode", "X-Amz-Object-Lock-Retain-Until-Date")
}

// lockedWrites does f to the writes that ask for a lock.
func lockedWrites(f fault) func(*proxy, http.ResponseWriter, *http.Request, int) {
	return func(p *proxy, w http.ResponseWriter, r *http.Request, _ int) {
		if r.Method == http.MethodPut && r.Header.Get("X-Amz-Object-Lock-Mode") != "" {
			f(p, w, r)
			return
		}
		p.ReverseProxy.ServeHTTP(w, r)
	}
}

// otherMode says that an object is locked by the other mode.
func otherMode(p *proxy, w http.ResponseWriter, r *http.Request) {
	answer := httptest.NewRecorder()
	p.ReverseProxy.ServeHTTP(answer, r)
	const header = "X-Amz-Object-Lock-Mode"
	for name, values := range answer.Header() {
		w.Header()[name] = values
	}
	if other := map[string]string{"GOVERNANCE": "COMPLIANCE", "COMPLIANCE": "GOVERNANCE"}[answer.Header().Get(header)]; other != "" {
		w.Header().Set(header, other)
	}
	w.WriteHeader(answer.Code)
}

func always(method string, f fault) func(*proxy, http.ResponseWriter, *http.Request, int) {
	return func(p *proxy, w http.ResponseWriter, r *http.Request, _ int) {
		if method == "" || r.Method == method {
			f(p, w, r)
			return
		}
		p.ReverseProxy.ServeHTTP(w, r)
	}
}

// lockConfig answers the question for the bucket's Object Lock.
func lockConfig(code int, body string) func(*proxy, http.ResponseWriter, *http.Request, int) {
	return func(p *proxy, w http.ResponseWriter, r *http.Request, _ int) {
		if r.URL.Query().Has("object-lock") {
			w.WriteHeader(code)
			_, _ = io.WriteString(w, body) // a client that is gone fails its own test
			return
		}
		p.ReverseProxy.ServeHTTP(w, r)
	}
}

// A retention that was not shown to hold is not promised: the start fails and says why.
func TestARetentionThatDoesNotHoldIsRefused(t *testing.T) {
	t.Parallel()
	for name, start := range servers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			locked, p := behindProxy(t, start)
			unlocked := locked
			unlocked.Bucket = storagetest.Bucket
			for _, tc := range []struct {
				name string
				c    Config
				do   func(*proxy, http.ResponseWriter, *http.Request, int)
				want string
				none bool // there is no Object Lock: NoRetention decides
			}{
				{"the bucket has no lock", unlocked, nil, "no Object Lock", true},
				{"locks are accepted and ignored", locked, always(http.MethodPut, unlocking(locked)), "accepts Object Lock but ignores it", false},
				{"the mode is another one", locked, always(http.MethodHead, otherMode), "the retention that was asked for", false},
				{"nothing can be deleted, locked or not", locked, always(http.MethodDelete, status(403)), "s3:DeleteObjectVersion", false},
				{"locks are refused", locked, lockedWrites(status(403)), "write a test object", false},
				{"locked writes are malformed", locked, lockedWrites(status(400)), "write a test object", false},
				{"nobody knows what a lock is", locked, lockConfig(501, ""), "does not know Object Lock", true},
				{"nobody may know", locked, lockConfig(403, ""), "Object Lock", false},
				{"the answer is empty", locked, lockConfig(200, ""), "does not know Object Lock", true},
				{"the answer is a list", locked, lockConfig(200, "<ListBucketResult></ListBucketResult>"), "does not know Object Lock", true},
				{"the answer is no XML", locked, lockConfig(200, "<html"), "does not know Object Lock", true},
			} {
				for _, mode := range []Mode{Governance, Compliance} {
					tc.c.Retention, tc.c.Mode = 6*year, mode
					p.set(tc.do)
					_, err := Open(t.Context(), tc.c)
					if !errors.Is(err, storage.ErrRefused) || !strings.Contains(err.Error(), tc.want) {
						t.Errorf("%s, %s: got %v, want ErrRefused with %q", tc.name, mode, err, tc.want)
					}
				}
				// With NoRetention set, the store calls it and works, but only where nobody can expect a lock.
				var told []error
				tc.c.NoRetention = func(err error) { told = append(told, err) }
				p.set(tc.do)
				if !tc.none {
					if _, err := Open(t.Context(), tc.c); !errors.Is(err, storage.ErrRefused) || len(told) > 0 {
						t.Errorf("%s: a bucket with Object Lock is used without: %v, told %v", tc.name, err, told)
					}
					continue
				}
				s := open(t, tc.c)
				p.set(nil)
				for i := range 2 {
					key := fmt.Sprintf("%x/%d", sha256.Sum256([]byte(tc.name)), i)
					if err := create(t.Context(), s, key, nil); err != nil {
						t.Fatal(err)
					}
					if err := s.remove(t.Context(), key, versions(t, s, key)[0].VersionID); err != nil {
						t.Errorf("%s: a lock was set that nobody promised: %v", tc.name, err)
					}
				}
				if len(told) != 1 || !strings.Contains(told[0].Error(), tc.want) {
					t.Errorf("%s: told %v", tc.name, told)
				}
			}
			for v := range s3Records(t, locked) {
				t.Errorf("a check that failed is remembered as %s", v)
			}
		})
	}
}

// A bucket that locks every object by its own rule has no version without a lock to compare with; retention works there too.
func TestABucketWithARuleOfItsOwn(t *testing.T) {
	t.Parallel()
	for name, start := range servers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, p := behindProxy(t, start)
			mode, days, unit := minio.Governance, uint(1), minio.Days
			if err := open(t, c).core.SetBucketObjectLockConfig(t.Context(), c.Bucket, &mode, &days, &unit); err != nil {
				t.Fatal(err)
			}
			c.Retention, c.Mode = year, Compliance
			s := open(t, c)
			if err := create(t.Context(), s, "x", nil); err != nil {
				t.Fatal(err)
			}
			info, err := s.stat(t.Context(), "x", "")
			if got := info.Headers.Get("X-Amz-Object-Lock-Mode"); err != nil || got != "COMPLIANCE" {
				t.Errorf("%v: locked by %q, want what was asked for and not the rule", err, got)
			}
			c.Mode = Governance
			p.set(always(http.MethodPut, unlocking(c)))
			if _, err := Open(t.Context(), c); !errors.Is(err, storage.ErrRefused) {
				t.Errorf("locks are ignored, and the rule's day hides it: got %v, want ErrRefused", err)
			}
			p.set(always(http.MethodDelete, status(204)))
			if _, err := Open(t.Context(), c); !errors.Is(err, storage.ErrRefused) {
				t.Errorf("a version that was said to be deleted: got %v, want ErrRefused", err)
			}
		})
	}
}

// s3Records are the results of checks in the bucket.
func s3Records(t *testing.T, c Config) map[string]bool {
	records := map[string]bool{}
	for _, v := range versions(t, open(t, c), "checks/") {
		if strings.HasSuffix(v.Key, ".json") {
			records[v.Key] = true
		}
	}
	return records
}

// While the service is away at the start, nothing is written before the retention was shown to hold.
func TestARetentionIsShownLaterWhenTheServiceWasAway(t *testing.T) {
	c, p := behindProxy(t, storagetest.VersityGW)
	c.Retention = year
	p.set(always("", status(503)))
	s := open(t, c)
	if err := create(t.Context(), s, "x", []byte("x")); err == nil || errors.Is(err, storage.ErrRefused) {
		t.Fatalf("while it is away: %v", err)
	}
	p.set(always(http.MethodPut, unlocking(c)))
	for range 2 {
		if err := create(t.Context(), s, "x", []byte("x")); !errors.Is(err, storage.ErrRefused) {
			t.Fatalf("locks are ignored: %v", err)
		}
	}
	if n := p.count(http.MethodPut); n != 3 {
		t.Errorf("%d PUTs, want two that overwrite nothing and one of one check: a refusal stands for a while", n)
	}
	if n := len(versions(t, s, "checks/")); n != 1 {
		t.Errorf("%d objects are left, want the one that cannot be overwritten", n)
	}
	wantNothing(t, s, "x")
	p.set(nil)
	s = open(t, c)
	if err := create(t.Context(), s, "x", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := s.remove(t.Context(), "x", versions(t, s, "x")[0].VersionID); err == nil {
		t.Error("it was deleted")
	}
}

// Those who wait while the service is away do not add up: one check speaks for all.
func TestWritersThatWaitForACheckDoNotRepeatIt(t *testing.T) {
	c, p := behindProxy(t, storagetest.VersityGW)
	c.Retention = year
	p.set(always("", status(503)))
	s := open(t, c)
	p.reset()
	const writers = 8
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			if err := create(t.Context(), s, "x", []byte("x")); err == nil {
				t.Error("written before the check")
			}
		})
	}
	wg.Wait()
	if n := p.count(http.MethodHead); n >= writers*tries {
		t.Errorf("%d HEADs: every one of %d writers made a check of its own", n, writers)
	}
}

// The answers of a check get lost; what is there is looked at, not guessed.
func TestACheckThroughFaults(t *testing.T) {
	c, p := behindProxy(t, storagetest.VersityGW)
	c.Retention = year
	for i, tc := range []struct {
		method string
		faults []fault
		want   error
	}{
		{http.MethodPut, []fault{answerLost, connectionLost, status(503), answerLost}, nil},
		{http.MethodDelete, []fault{answerLost, status(500), nil, answerLost}, nil},
		{http.MethodHead, []fault{status(502), nil, connectionLost, nil}, nil},
		{http.MethodDelete, []fault{status(503), status(503), status(503)}, errPassing},
	} {
		c.Prefix = fmt.Sprintf("p%d", i)
		c.Retention = 0
		s := open(t, c)
		c.Retention = year
		s.agreement.agreed = false
		s.agreement.asked, _ = c.terms()
		p.faults(tc.method, tc.faults...)
		_, err := s.agree(t.Context())
		wantOutcome(t, err, tc.want)
		p.set(nil)
	}
}

func TestEncryption(t *testing.T) {
	c, _ := behindProxy(t, storagetest.MinIO)
	c.Bucket = storagetest.Bucket
	for encryption, want := range map[string][2]string{
		"s3":                     {"AES256", ""},
		"kms:" + storagetest.Key: {"aws:kms", storagetest.Key},
	} {
		c.Encryption, c.Prefix = encryption, strings.ReplaceAll(encryption, ":", "-")
		s := open(t, c)
		s.partSize, s.singlePut = 5<<20, 8<<20
		for _, size := range []int{75_000, 12 << 20} {
			key, body := fmt.Sprint("x", size), noise(size)
			if err := create(t.Context(), s, key, body); err != nil {
				t.Fatal(err)
			}
			wantObject(t, s, key, body)
			info, err := s.stat(t.Context(), s.prefix+key, "")
			if err != nil {
				t.Fatal(err)
			}
			got := info.Headers.Get("X-Amz-Server-Side-Encryption")
			if key := info.Headers.Get("X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id"); got != want[0] || !strings.HasSuffix(key, want[1]) {
				t.Errorf("%s, %d bytes: encrypted %q with key %q", encryption, size, got, key)
			}
			if err := create(t.Context(), s, key, body); !errors.Is(err, fs.ErrExist) {
				t.Errorf("again: %v", err)
			}
		}
	}
	c.Encryption = "kms:no-such-key"
	if _, err := Open(t.Context(), c); !errors.Is(err, storage.ErrRefused) {
		t.Errorf("a key that is not there: got %v, want ErrRefused", err)
	}
	c, _ = behindProxy(t, storagetest.VersityGW)
	c.Encryption = "s3"
	if _, err := Open(t.Context(), c); !errors.Is(err, storage.ErrRefused) || !strings.Contains(err.Error(), "does not say") {
		t.Errorf("a service that takes the request and does not encrypt: got %v, want ErrRefused", err)
	}
}
