package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// writePair makes a certificate of its own authority for 127.0.0.1.
func writePair(t *testing.T, dir, name string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if err := errors.Join(
		os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600),
		os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600),
	); err != nil {
		t.Fatal(err)
	}
	return cert, key
}

// A renewed certificate is spoken with at the next connection; a half-renewed one leaves the old one in use.
func TestACertificateIsReadAgainWhenItChanges(t *testing.T) {
	dir := t.TempDir()
	cert, key := writePair(t, dir, "first")
	c := adminAccess{AdminCert: cert, AdminKey: key}.tls(slog.New(slog.DiscardHandler))
	name := func() string {
		t.Helper()
		pair, err := c.GetCertificate(nil)
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := x509.ParseCertificate(pair.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		return leaf.Subject.CommonName
	}
	later := func(file string, by time.Duration) { // a clock that ticks slower than the test runs must not hide the change
		t.Helper()
		if err := os.Chtimes(file, time.Time{}, time.Now().Add(by)); err != nil {
			t.Fatal(err)
		}
	}
	if got := name(); got != "first" {
		t.Errorf("the certificate is %q", got)
	}
	old, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	writePair(t, dir, "second")
	fresh, err := os.ReadFile(key)
	if err == nil {
		err = os.WriteFile(key, old, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	later(cert, time.Second)
	if got := name(); got != "first" {
		t.Errorf("with the old key the certificate is %q", got)
	}
	if err := os.WriteFile(key, fresh, 0o600); err != nil {
		t.Fatal(err)
	}
	later(key, time.Second)
	if got := name(); got != "second" {
		t.Errorf("after the renewal the certificate is %q", got)
	}
}

// The commands reach a listener that demands TLS and a token, and say what is wrong when they lack one of them.
func TestCommandsSpeakTLSWithAToken(t *testing.T) {
	dir := t.TempDir()
	cert, key := writePair(t, dir, "admin")
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer sesame" {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"error":{"code":"unauthorized","message":"show a token"}}`)
			return
		}
		_, _ = io.WriteString(w, `{"faxes":[]}`)
	}))
	srv.Listener = tls.NewListener(srv.Listener, adminAccess{AdminCert: cert, AdminKey: key}.tls(slog.New(slog.DiscardHandler)))
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
