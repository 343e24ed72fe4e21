package app

import (
	"crypto/x509"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
)

// A renewed certificate is spoken with at the next connection; a half-renewed one leaves the old one in use.
func TestACertificateIsReadAgainWhenItChanges(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key := apptest.WritePair(t, dir, "first")
	c := Admin{Cert: cert, Key: key}.tls(slog.New(slog.DiscardHandler))
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
	apptest.WritePair(t, dir, "second")
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
