package app

import (
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
	"github.com/faxstream/faxstream/storage/s3"
)

// A Config that is open to everybody or cannot work is refused before anything is made or listens, and the error names the flag.
func TestAWrongConfigStartsNothing(t *testing.T) {
	for flag, change := range map[string]func(*Config){
		"--webhook-secret-file": func(c *Config) { c.WebhookAddr = "0.0.0.0:0" },
		"--admin-tokens":        func(c *Config) { c.Admin.Addr = "0.0.0.0:0" },
		"--admin-cert":          func(c *Config) { c.Admin.Key = "key.pem" },
		"--nats-listen":         func(c *Config) { c.NATS.Embedded.Listen = "0.0.0.0:0" },
		"--nats-cert":           func(c *Config) { c.NATS.Embedded.Listen, c.NATSCert = "127.0.0.1:0", "cert.pem" },
		"--nats-cert has":       func(c *Config) { c.NATSCert, c.NATSKey = "cert.pem", "key.pem" },
		"--nats-listen-insecure": func(c *Config) {
			c.NATS.Embedded.Listen, c.NATS.Embedded.Insecure, c.NATSCert, c.NATSKey = "0.0.0.0:0", true, "cert.pem", "key.pem"
		},
		"--pprof-addr":             func(c *Config) { c.PprofAddr = "0.0.0.0:6060" },
		"--pprof-addr :6060":       func(c *Config) { c.PprofAddr = ":6060" },
		"--nats-url":               func(c *Config) { c.NATS.URL, c.NATS.Embedded.Listen = "nats://127.0.0.1:1", "127.0.0.1:0" },
		"--list-every":             func(c *Config) { c.ListEvery = time.Minute },
		"--ledger-age 720h":        func(c *Config) { c.LedgerAge = 720 * time.Hour },
		"--fetches":                func(c *Config) { c.Fetches = 0 },
		"--roles needs --nats-url": func(c *Config) { c.Roles = []string{RoleWorker} },
		"--archive s3://":          func(c *Config) { c.Roles, c.NATS.URL = []string{RoleWorker, RoleWebhook}, "nats://127.0.0.1:1" },
		"--roles burn":             func(c *Config) { c.Roles, c.NATS.URL = []string{"burn"}, "nats://127.0.0.1:1" },
		"--roles ocr needs --ocr": func(c *Config) {
			c.Roles, c.NATS.URL, c.Archive = []string{RoleOCR}, "nats://127.0.0.1:1", Archive{S3: &s3.Config{}}
		},
	} {
		dir := filepath.Join(t.TempDir(), "state")
		c := DemoConfig(dir, "http://127.0.0.1:1", false, slog.New(slog.DiscardHandler))
		change(&c)
		a, err := Start(t.Context(), c)
		if _, ok := errors.AsType[*ConfigError](err); !ok || a != nil || !strings.Contains(err.Error(), flag) {
			t.Errorf("%s: %v, want a ConfigError that names it", flag, err)
		}
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: the state directory was made: %v", flag, err)
		}
	}
}

// A part that cannot start takes the others down with it: the same directory and addresses are free again.
func TestAFailedStartLeavesNothingRunning(t *testing.T) {
	c := DemoConfig(t.TempDir(), "http://127.0.0.1:1", false, slog.New(slog.DiscardHandler))
	taken, err := Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	other := DemoConfig(t.TempDir(), "http://127.0.0.1:1", false, c.Log)
	other.WebhookAddr = strings.TrimPrefix(taken.WebhookURL(), "http://")
	if _, err := Start(t.Context(), other); err == nil || !strings.Contains(err.Error(), "--webhook-addr "+other.WebhookAddr) {
		t.Errorf("on an address in use: %v", err)
	}
	if err := taken.Stop(); err != nil {
		t.Fatal(err)
	}
	a, err := Start(t.Context(), other)
	if err != nil {
		t.Fatalf("after the address is free, in the same directory: %v", err)
	}
	if body := apptest.Fetch(t, a.AdminURL()+"/readyz"); len(body) == 0 {
		t.Error("/readyz says nothing")
	}
	if err := a.Stop(); err != nil {
		t.Error(err)
	}
	if resp, err := http.Get(a.AdminURL() + "/readyz"); err == nil {
		resp.Body.Close()
		t.Error("the admin listener answers after Stop")
	}
}
