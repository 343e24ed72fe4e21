package s3

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/faxstream/faxstream/storage"
	"github.com/faxstream/faxstream/storage/storagetest"
)

func TestConformanceVersityGW(t *testing.T) {
	endpoint, access, secret := storagetest.VersityGW(t)
	conformance(t, Config{Bucket: storagetest.Bucket, Endpoint: endpoint, AccessKey: access, SecretKey: secret})
}

func TestConformanceMinIO(t *testing.T) {
	endpoint, access, secret := storagetest.MinIO(t)
	conformance(t, Config{Bucket: storagetest.Bucket, Endpoint: endpoint, AccessKey: access, SecretKey: secret})
}

// conformance gives each subtest a prefix of its own, which also shows that
// prefixes do not see each other.
func conformance(t *testing.T, c Config) {
	n := 0
	storagetest.Run(t, func(t *testing.T) storage.Archive {
		n++
		c.Prefix = fmt.Sprintf("suite/%d", n)
		return open(t, c)
	})
}

func open(t testing.TB, c Config) *Store {
	t.Helper()
	s, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func create(ctx context.Context, s *Store, key string, body []byte) error {
	return s.Create(ctx, key, bytes.NewReader(body), int64(len(body)), sha256.Sum256(body))
}

func wantObject(t *testing.T, s *Store, key string, want []byte) {
	t.Helper()
	r, _, err := s.Open(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("read %d bytes, %v, that are not the %d written", len(got), err, len(want))
	}
}

func wantNothing(t *testing.T, s *Store, key string) {
	t.Helper()
	if _, _, err := s.Open(t.Context(), key); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("something is there: %v", err)
	}
}

func TestParseURL(t *testing.T) {
	for _, tc := range []struct{ url, bucket, prefix, err string }{
		{"s3://faxes", "faxes", "", ""},
		{"s3://faxes/", "faxes", "", ""},
		{"s3://faxes/a/b/", "faxes", "a/b", ""},
		{"https://faxes/a", "", "", "s3://bucket/prefix"},
		{"s3://key:secret@faxes/a", "", "", "s3://bucket/prefix"},
		{"s3://faxes?x=y", "", "", "s3://bucket/prefix"},
		{"s3:///a", "", "", "bucket name"},
		{"s3://Faxes!", "", "", "bucket name"},
		{"s3://faxes/../b", "", "", "prefix"},
		{"s3://faxes/" + strings.Repeat("x", 101), "", "", "100"},
		{"/var/lib/faxes", "", "", "s3://bucket/prefix"},
	} {
		bucket, prefix, err := ParseURL(tc.url)
		if tc.err != "" {
			if err == nil || !strings.Contains(err.Error(), tc.err) || strings.Contains(err.Error(), "key:secret") {
				t.Errorf("%s: error %v, want one with %q and without keys", tc.url, err, tc.err)
			}
			continue
		}
		if err != nil || bucket != tc.bucket || prefix != tc.prefix {
			t.Errorf("%s: %q, %q, %v", tc.url, bucket, prefix, err)
		}
	}
}

func TestOpenSaysWhatIsWrongWithTheConfiguration(t *testing.T) {
	ok := Config{Bucket: "faxes", AccessKey: "a", SecretKey: "s", Endpoint: "http://127.0.0.1:1"}
	for want, change := range map[string]func(*Config){
		"bucket name": func(c *Config) { c.Bucket = "" },
		"access key":  func(c *Config) { c.SecretKey = "" },
		"endpoint":    func(c *Config) { c.Endpoint = "ftp://host" },
		"https://":    func(c *Config) { c.Endpoint = "https://host/path" },
		"addressing":  func(c *Config) { c.Addressing = "dns" },
		"certificate": func(c *Config) { c.CA = []byte("none") },
		"prefix":      func(c *Config) { c.Prefix = "/a" },
	} {
		c := ok
		change(&c)
		if _, err := Open(t.Context(), c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
}

func TestOpenRefusesWrongKeysAndBucket(t *testing.T) {
	endpoint, access, secret := storagetest.VersityGW(t)
	ok := Config{Bucket: storagetest.Bucket, Endpoint: endpoint, AccessKey: access, SecretKey: secret}
	for name, change := range map[string]func(*Config){
		"unknown user": func(c *Config) { c.AccessKey = "nobody" },
		"wrong secret": func(c *Config) { c.SecretKey = "wrong" },
		"no bucket":    func(c *Config) { c.Bucket = "no-such-bucket" },
	} {
		c := ok
		change(&c)
		_, err := Open(t.Context(), c)
		if !errors.Is(err, storage.ErrRefused) {
			t.Errorf("%s: got %v, want ErrRefused", name, err)
		}
	}
	// Keys that are withdrawn later.
	s := open(t, ok)
	core, err := Config{Bucket: ok.Bucket, Endpoint: endpoint, AccessKey: access, SecretKey: "wrong"}.core()
	if err != nil {
		t.Fatal(err)
	}
	s.core = core
	if err := create(t.Context(), s, "x", nil); !errors.Is(err, storage.ErrRefused) {
		t.Errorf("create: got %v, want ErrRefused", err)
	}
	if _, _, err := s.Open(t.Context(), "x"); !errors.Is(err, storage.ErrRefused) {
		t.Errorf("open: got %v, want ErrRefused", err)
	}
}

func TestServiceThatIsDownIsWaitedFor(t *testing.T) {
	s := open(t, Config{Bucket: "faxes", Endpoint: "http://127.0.0.1:1", AccessKey: "a", SecretKey: "s"})
	_, _, oerr := s.Open(t.Context(), "x")
	var lerr error
	for _, lerr = range s.List(t.Context(), "", "") {
		break
	}
	for name, err := range map[string]error{
		"check": s.Check(t.Context()), "create": create(t.Context(), s, "x", []byte("x")), "open": oerr, "list": lerr,
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
		for _, not := range []error{storage.ErrRefused, storage.ErrFull, fs.ErrExist, fs.ErrNotExist} {
			if errors.Is(err, not) {
				t.Errorf("%s: %v matches %v", name, err, not)
			}
		}
	}
}

func TestOwnCertificateAuthority(t *testing.T) {
	endpoint, access, secret := storagetest.VersityGW(t)
	p := newProxy(t, endpoint)
	srv := httptest.NewTLSServer(p)
	t.Cleanup(srv.Close)
	srv.Config.ErrorLog = nil
	c := Config{Bucket: storagetest.Bucket, Endpoint: srv.URL, AccessKey: access, SecretKey: secret}
	if _, err := Open(t.Context(), c); !errors.Is(err, storage.ErrRefused) {
		t.Fatalf("an unknown authority: got %v, want ErrRefused", err)
	}
	c.CA = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	s := open(t, c)
	p.reset()
	if err := create(t.Context(), s, "x", []byte("over TLS")); err != nil {
		t.Fatal(err)
	}
	wantObject(t, s, "x", []byte("over TLS"))
	if got := p.count(http.MethodPut); got != 1 {
		t.Fatalf("%d PUTs", got)
	}
}

func TestVirtualHostAddressing(t *testing.T) {
	c := Config{Bucket: "faxes", Endpoint: "http://s3.example", AccessKey: "a", SecretKey: "s"}
	for addressing, want := range map[Addressing]string{
		Auto: "s3.example/faxes/x", Path: "s3.example/faxes/x", VirtualHost: "faxes.s3.example/x",
	} {
		c.Addressing = addressing
		core, err := c.core()
		if err != nil {
			t.Fatal(err)
		}
		u, err := core.PresignedGetObject(t.Context(), "faxes", "x", 60e9, nil)
		if err != nil || u.Host+u.Path != want {
			t.Errorf("%q: %v, %v, want %s", addressing, u, err, want)
		}
	}
}
