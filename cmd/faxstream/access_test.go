package main

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
)

// The commands reach a listener that demands TLS and a token, and say what is wrong when they lack one of them.
func TestCommandsSpeakTLSWithAToken(t *testing.T) {
	dir := t.TempDir()
	cert, key := apptest.WritePair(t, dir, "admin")
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer sesame" {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"error":{"code":"unauthorized","message":"show a token"}}`)
			return
		}
		_, _ = io.WriteString(w, `{"faxes":[]}`)
	}))
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	srv.Listener = tls.NewListener(srv.Listener, &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}})
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	srv.Start()
	defer srv.Close()
	file := filepath.Join(dir, "token")
	if err := os.WriteFile(file, []byte("sesame\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		env  string
		args []string
		code int
		says string
	}{
		{"", []string{"--server-ca", cert, "--token-file", file}, exitOK, ""},
		{"sesame", []string{"--server-ca", cert}, exitOK, ""},
		{"", []string{"--server-ca", cert}, exitFailed, "show a token"},
		{"sesame", nil, exitFailed, "certificate"},
		{"", []string{"--server-ca", file}, exitUsage, "no PEM certificate"},
		{"", []string{"--token-file", filepath.Join(dir, "none")}, exitUsage, "--token-file"},
	} {
		var out, errs bytes.Buffer
		getenv := func(name string) string { return map[string]string{"FAXSTREAM_TOKEN": c.env}[name] }
		if code := run(t.Context(), append([]string{"ls", "--server", "https://" + srv.Listener.Addr().String()}, c.args...), getenv, &out, &errs); code != c.code || !strings.Contains(errs.String(), c.says) {
			t.Errorf("%v with FAXSTREAM_TOKEN=%q: %d %s, want %d with %q", c.args, c.env, code, &errs, c.code, c.says)
		}
	}
}

// A token goes to the server that was named and to no other, whatever that one answers.
func TestATokenFollowsNoRedirect(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("asked for %s with %q", r.URL, r.Header.Get("Authorization"))
	}))
	defer other.Close()
	srv := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	defer srv.Close()
	for _, args := range [][]string{{"ls"}, {"get", "abc", "-o", filepath.Join(t.TempDir(), "fax.pdf")}, {"link", "abc"}} {
		var out, errs bytes.Buffer
		getenv := func(name string) string { return map[string]string{"FAXSTREAM_TOKEN": "sesame"}[name] }
		if code := run(t.Context(), append(args, "--server", srv.URL), getenv, &out, &errs); code != exitFailed || !strings.Contains(errs.String(), "307") {
			t.Errorf("%v: %d %s", args, code, &errs)
		}
	}
}

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
	get := func(code int, says string) {
		t.Helper()
		var out, errs bytes.Buffer
		if got := run(t.Context(), []string{"get", "abc", "--server", srv.URL, "-o", output}, func(string) string { return "" }, &out, &errs); got != code || !strings.Contains(errs.String(), says) {
			t.Fatalf("exit code %d: %s, want %d with %q", got, &errs, code, says)
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
	get(exitFailed, "the same command goes on from there")
	holds(nil, 1)
	u.cut = 0
	get(exitOK, "")
	holds(first, 0)
	if last := u.ranges[len(u.ranges)-1]; last != "bytes=12345-" {
		t.Errorf("asked for %q", last)
	}
	// All of it has arrived, but the process ended before it had its name.
	if err := os.Rename(output, partName(output, u.sum)); err != nil {
		t.Fatal(err)
	}
	get(exitOK, "")
	holds(first, 0)
	// Interrupted, and then there is another revision.
	u.cut = 20000
	get(exitFailed, "")
	u.body, u.sum, u.cut = second, sumOf(second), 0
	holds(first, 1)
	get(exitOK, "")
	holds(second, 0)
	// The part was altered, or what is served is not what it is said to be.
	if err := os.WriteFile(partName(output, u.sum), []byte("something else"), 0o600); err != nil {
		t.Fatal(err)
	}
	get(exitFailed, "it was altered")
	holds(second, 0)
	u.sum = sumOf(first)
	get(exitFailed, "it was altered")
	holds(second, 0)
	// Two at once.
	u.cut = 100
	get(exitFailed, "")
	f, err := os.Open(partName(output, u.sum))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lock(t, f)
	get(exitFailed, "another download writes it")
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
	get := func() int {
		var out, errs bytes.Buffer
		return run(t.Context(), []string{"get", "abc", "--server", srv.URL, "-o", output}, func(string) string { return "" }, &out, &errs)
	}
	if err := errors.Join(os.WriteFile(other, []byte("mine"), 0o600), os.Symlink(other, partName(output, u.sum))); err != nil {
		t.Fatal(err)
	}
	if code := get(); code != exitFailed {
		t.Errorf("through a link: exit code %d", code)
	}
	if got, err := os.ReadFile(other); err != nil || string(got) != "mine" {
		t.Errorf("the file behind the link has %q, %v", got, err)
	}
	if err := errors.Join(os.Remove(partName(output, u.sum)), os.WriteFile(partName(output, u.sum), []byte("med"), 0o666)); err != nil {
		t.Fatal(err)
	}
	if code := get(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	if info, err := os.Stat(output); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

// Neither a fax's numbers, which anybody may send, nor a server's words command the terminal.
func TestNoControlCharacterReachesTheTerminal(t *testing.T) {
	const evil = `\u001b]0;owned\u0007\n`
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/api/v1/faxes":
			_, _ = io.WriteString(w, `{"faxes":[{"session":"abc","from":"`+evil+`","to":"`+evil+`","status":"complete"}]}`)
		case "/api/v1/audit":
			_, _ = io.WriteString(w, `{"entry":{"access":"`+evil+`","by":"`+evil+`","session":"`+evil+`","why":"`+evil+`"}}`)
		default:
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, `{"error":{"message":"`+evil+`"}}`)
		}
	}))
	defer srv.Close()
	for _, args := range [][]string{{"ls"}, {"audit"}, {"get", "abc"}} {
		var out, errs bytes.Buffer
		run(t.Context(), append(args, "--server", srv.URL), func(string) string { return "" }, &out, &errs)
		if text := out.String() + errs.String(); !strings.Contains(text, "owned") || strings.ContainsAny(text, "\x1b\x07") {
			t.Errorf("%v: %q", args, text)
		}
	}
}

func lock(t *testing.T, f *os.File) {
	t.Helper()
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
}
