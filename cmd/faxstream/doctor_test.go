package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// examine runs doctor beside a running server, and returns its exit code and lines.
func (d *desk) examine(t *testing.T, args ...string) (int, string) {
	t.Helper()
	var out, errs bytes.Buffer
	args = append([]string{
		"doctor", "--admin-addr=" + strings.TrimPrefix(d.AdminURL(), "http://"), "--dir=" + d.cfg.Dir, "--faxplus-url=" + d.cfg.Provider.BaseURL,
		"--faxplus-page-path=none",
		"--webhook-addr=" + strings.TrimPrefix(d.WebhookURL(), "http://"),
	}, args...)
	code := run(t.Context(), args, func(string) string { return "" }, &out, &errs)
	return code, out.String()
}

// has reports whether a line of doctor has a status, a check and some words.
func has(lines, status, check, words string) bool {
	for line := range strings.Lines(lines) {
		found, rest, _ := strings.Cut(line, " ")
		if rest = strings.TrimSpace(rest); found == status && strings.HasPrefix(rest, check+"  ") && strings.Contains(rest, words) {
			return true
		}
	}
	return false
}

// Doctor finds nothing that does not work where everything does, says what could be safer, and names each thing that is broken with what
// to do about it.
func TestDoctor(t *testing.T) {
	t.Parallel()
	d := newDesk(t, true)
	command(t, "hooks", "add", "https://fax.example.org", "--faxplus-url="+d.cfg.Provider.BaseURL)
	code, well := d.examine(t)
	if code != exitOK || strings.Contains(well, "fail ") {
		t.Errorf("a healthy server: code %d\n%s", code, well)
	}
	for _, want := range [][3]string{
		{"ok", "running server", "ready"},
		{"ok", "provider", "answers without a token"},
		{"ok", "webhooks at the provider", "fax.example.org"},
		{"ok", "clock", "provider"},
		{"ok", "disk", "room"},
		{"ok", "archive", "running server uses the archive"},
		{"warn", "webhook secret", "--webhook-secret-file"},
		{"warn", "signatures", "faxstream keys"},
		{"warn", "who gets in", "--admin-tokens"},
		{"warn", "page path", "--faxplus-page-path"},
		{"warn", "senders of webhooks", "--trusted-proxies"},
		{"unknown", "reachable from outside", "send a fax to yourself"},
	} {
		if !has(well, want[0], want[1], want[2]) {
			t.Errorf("no line %q in\n%s", want, well)
		}
	}

	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("another-secret-of-the-webhook-1234\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		want [3]string
	}{
		"a provider that does not answer": {[]string{"--faxplus-url=http://127.0.0.1:9"}, [3]string{"fail", "provider", "--faxplus-url"}},
		"another secret": {
			[]string{"--webhook-secret-file=" + secret}, [3]string{"fail", "webhooks at the provider", "faxstream hooks add"},
		},
		"everybody's webhooks":   {[]string{"--allow-from=0.0.0.0/0"}, [3]string{"warn", "who gets in", "--allow-from is for every address"}},
		"no NATS server":         {[]string{"--nats-url=nats://127.0.0.1:9"}, [3]string{"fail", "nats", "--nats-url"}},
		"no S3 service":          {s3Flags(t, "http://127.0.0.1:9"), [3]string{"fail", "archive", "--archive"}},
		"a flag that is missing": {[]string{"--faxplus-page-path="}, [3]string{"fail", "configuration", "--faxplus-page-path is required"}},
		"no Tesseract":           {[]string{"--ocr", "--ocr-tesseract=none-such"}, [3]string{"fail", "tesseract", "none-such"}},
		"a certificate that has ended": {
			ended(t, -time.Hour), [3]string{"fail", "certificate", "ended on"},
		},
		"a certificate that ends soon": {ended(t, 24*time.Hour), [3]string{"warn", "certificate", "ends on"}},
		"no server":                    {[]string{"--server=http://127.0.0.1:9"}, [3]string{"unknown", "running server", "faxstream serve"}},
	} {
		t.Run(name, func(t *testing.T) {
			code, out := d.examine(t, c.args...)
			if !has(out, c.want[0], c.want[1], c.want[2]) || (code == exitFailed) != (c.want[0] == "fail") {
				t.Errorf("code %d, no line %q in\n%s", code, c.want, out)
			}
		})
	}
}

// s3Flags name a bucket.
func s3Flags(t *testing.T, endpoint string) []string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte("0123456789abcdef\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"--archive=s3://bucket/p", "--s3-endpoint=" + endpoint, "--s3-access-key-file=" + file, "--s3-secret-key-file=" + file}
}

// ended are the flags of a certificate that ends after some time.
func ended(t *testing.T, after time.Duration) []string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotAfter: time.Now().Add(after)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile := filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	for file, block := range map[string]*pem.Block{
		certFile: {Type: "CERTIFICATE", Bytes: cert}, keyFile: {Type: "EC PRIVATE KEY", Bytes: der},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return []string{"--admin-cert=" + certFile, "--admin-key=" + keyFile}
}

// What config show prints is a configuration that says the same again, without a password.
func TestConfigShowCanBeReadAgain(t *testing.T) {
	show := func(args ...string) string {
		var out, errs bytes.Buffer
		if code := run(t.Context(), append([]string{"config", "show"}, args...), func(string) string { return "" }, &out, &errs); code != exitOK {
			t.Fatalf("config show %v: code %d, %s", args, code, &errs)
		}
		return out.String()
	}
	first := show("--faxplus-page-path=none", "--retention=90d", "--faxplus-zone=-05:00", "--allow-from=10.0.0.0/8,192.0.2.1", "--ocr",
		"--close-grace=45s", "--dir=/var/lib/faxstream", "--views=Lab=label=lab&done=no,New=read=no")
	for _, line := range []string{
		`retention: "2160h"`, `faxplus-zone: "UTC-05:00"`, `allow-from: ["10.0.0.0/8","192.0.2.1"]`, "ocr: true", `close-grace: "45s"`,
		`views: ["Lab=label=lab\u0026done=no","New=read=no"]`,
	} {
		if !strings.Contains(first, line+"\n") {
			t.Errorf("no line %s in\n%s", line, first)
		}
	}
	file := filepath.Join(t.TempDir(), "faxstream.yaml")
	if err := os.WriteFile(file, []byte(first), 0o600); err != nil {
		t.Fatal(err)
	}
	if again := show("--config=" + file); again != first {
		t.Errorf("read again it is\n%s, it was\n%s", again, first)
	}
	if said := command(t, "config", "check", "--config="+file); !strings.Contains(said, "is right") {
		t.Errorf("config check says %q", said)
	}
	for _, urls := range []string{
		"nats://fax:hidden@127.0.0.1:4222, nats://b:hidden@b:4222", "fax:hidden@127.0.0.1:4222", "nats://hidden@127.0.0.1:4222",
		"nats://fax:hi%dden%hidden@127.0.0.1:4222",
	} {
		if text := show("--nats-url=" + urls); strings.Contains(text, "hidden") || !strings.Contains(text, "127.0.0.1:4222") {
			t.Errorf("the login of %s is shown: %s", urls, text)
		}
	}
	if text := show("--dir=/srv/Fax Data@x"); !strings.Contains(text, `dir: "/srv/Fax Data@x"`) {
		t.Errorf("a directory is another one: %s", text)
	}
	for _, bad := range [][]string{
		{"--numbers=+1=a,x"},
		{"--webhook-addr=0.0.0.0:8080"},
		{"--idle-after=0s"},
		{"--memory=1"},
		{"--faxplus-page-path=/no/number"},
		{"--views=Lab=colour=red"},
		{"--views=Lab=text=order", "--no-search"},
	} {
		args := append([]string{"config", "check", "--faxplus-page-path=none"}, bad...)
		if code := run(t.Context(), args, func(string) string { return "" }, io.Discard, io.Discard); code != exitUsage {
			t.Errorf("config check with %v: code %d", bad, code)
		}
	}
}
