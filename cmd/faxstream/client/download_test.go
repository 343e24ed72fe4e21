package client

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// unreliable serves versions of one object and cuts answers short.
type unreliable struct {
	body   []byte
	sum    string // as the ETag says
	cut    int    // bytes after which the connection breaks; 0: never
	ranges []string
}

func (u *unreliable) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	u.ranges = append(u.ranges, r.Header.Get("Range"))
	w.Header().Set("ETag", strconv.Quote(u.sum))
	if u.cut > 0 {
		w = &cutting{w, u.cut}
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(u.body))
}

type cutting struct {
	http.ResponseWriter
	left int
}

func (c *cutting) Write(p []byte) (int, error) {
	if c.left < len(p) {
		_, _ = c.ResponseWriter.Write(p[:c.left])
		_ = http.NewResponseController(c.ResponseWriter).Flush()
		panic(http.ErrAbortHandler)
	}
	c.left -= len(p)
	return c.ResponseWriter.Write(p)
}

// An interrupted download goes on where it stopped; what is altered, or of another revision, never gets the file's name.
func TestDownloadsGoOn(t *testing.T) {
	sumOf := func(b []byte) string { s := sha256.Sum256(b); return hex.EncodeToString(s[:]) }
	first, second := bytes.Repeat([]byte("first "), 5000), bytes.Repeat([]byte("second"), 5000)
	u := &unreliable{body: first, sum: sumOf(first)}
	srv := httptest.NewServer(u)
	defer srv.Close()
	dir := t.TempDir()
	output := filepath.Join(dir, "fax.pdf")
	c := newClient(t, Config{Server: srv.URL})
	get := func(says string) {
		t.Helper()
		err := c.Save(t.Context(), Object{Session: "abc", Kind: "pdf"}, output)
		if says == "" && err != nil || says != "" && (err == nil || !strings.Contains(err.Error(), says)) {
			t.Fatalf("%v, want %q", err, says)
		}
	}
	holds := func(want []byte, parts int) {
		t.Helper()
		got, err := os.ReadFile(output)
		if want == nil && !errors.Is(err, os.ErrNotExist) || want != nil && !bytes.Equal(got, want) {
			t.Errorf("the file has %d bytes, %v, want %d", len(got), err, len(want))
		}
		left, err := filepath.Glob(output + ".*")
		if err != nil || len(left) != parts {
			t.Errorf("%v are left, want %d", left, parts)
		}
	}
	u.cut = 12345
	get("run the same command again")
	holds(nil, 1)
	u.cut = 0
	get("")
	holds(first, 0)
	if last := u.ranges[len(u.ranges)-1]; last != "bytes=12345-" {
		t.Errorf("asked for %q", last)
	}
	// All of it has arrived, but the process ended before it had its name.
	if err := os.Rename(output, partName(output, u.sum)); err != nil {
		t.Fatal(err)
	}
	get("")
	holds(first, 0)
	// Interrupted, and then there is another revision.
	u.cut = 20000
	get("stopped after")
	u.body, u.sum, u.cut = second, sumOf(second), 0
	holds(first, 1)
	get("")
	holds(second, 0)
	// The part was altered, or what is served is not what it is said to be.
	if err := os.WriteFile(partName(output, u.sum), []byte("something else"), 0o600); err != nil {
		t.Fatal(err)
	}
	get("they were changed")
	holds(second, 0)
	u.sum = sumOf(first)
	get("they were changed")
	holds(second, 0)
	// Two at once.
	u.cut = 100
	get("stopped after")
	f, err := os.Open(partName(output, u.sum))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lock(t, f)
	get("another download is writing")
	holds(second, 1)
}

// In a directory for all nobody else gets what is downloaded: not by a link that waits for it, nor by a file that all may read.
func TestADownloadIsForItsOwnerOnly(t *testing.T) {
	body := []byte("medical")
	sum := sha256.Sum256(body)
	u := &unreliable{body: body, sum: hex.EncodeToString(sum[:])}
	srv := httptest.NewServer(u)
	defer srv.Close()
	dir := t.TempDir()
	output, other := filepath.Join(dir, "fax.pdf"), filepath.Join(dir, "other")
	c := newClient(t, Config{Server: srv.URL})
	get := func() error { return c.Save(t.Context(), Object{Session: "abc", Kind: "pdf"}, output) }
	if err := errors.Join(os.WriteFile(other, []byte("mine"), 0o600), os.Symlink(other, partName(output, u.sum))); err != nil {
		t.Fatal(err)
	}
	if err := get(); err == nil {
		t.Error("through a link: no error")
	}
	if got, err := os.ReadFile(other); err != nil || string(got) != "mine" {
		t.Errorf("the file behind the link has %q, %v", got, err)
	}
	if err := errors.Join(os.Remove(partName(output, u.sum)), os.WriteFile(partName(output, u.sum), []byte("med"), 0o666)); err != nil {
		t.Fatal(err)
	}
	if err := get(); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(output); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

func lock(t *testing.T, f *os.File) {
	t.Helper()
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
}
