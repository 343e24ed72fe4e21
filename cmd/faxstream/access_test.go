package main

import (
	"bytes"
	"crypto/tls"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

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
		if code := run(
			t.Context(), append([]string{"ls", "--server", "https://" + srv.Listener.Addr().String()}, c.args...), getenv, &out, &errs,
		); code != c.code || !strings.Contains(errs.String(), c.says) {
			t.Errorf("%v with FAXSTREAM_TOKEN=%q: %d %s, want %d with %q", c.args, c.env, code, &errs, c.code, c.says)
		}
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
