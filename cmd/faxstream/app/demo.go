package app

import (
	"log/slog"
	"net/netip"
	"path/filepath"
	"time"

	"github.com/faxstream/faxstream/ingest/faxplus"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/session"
)

// DemoConfig is the configuration of a whole faxstream on embedded stores in dir, which takes the faxes of a simulated provider at this
// URL. A hurried one shortens every wait, so that a person sees the end of each fax within a minute, whatever the provider does
// wrong.
func DemoConfig(dir, providerURL string, hurried bool, log *slog.Logger) Config {
	c := Config{
		Dir: dir, Archive: Archive{Dir: filepath.Join(dir, "archive")},
		NATS:        bus.Config{Embedded: bus.EmbeddedConfig{Dir: filepath.Join(dir, "nats")}},
		WebhookAddr: "127.0.0.1:0", AllowFrom: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Admin: Admin{Addr: "127.0.0.1:0"},
		Provider:   faxplus.Config{BaseURL: providerURL, User: "self", PagePath: faxplustest.PagePath},
		CloseGrace: 10 * time.Second, IdleAfter: time.Hour, GiveUpAfter: 6 * time.Hour,
		PageDeadline: 5 * time.Minute, WholeFor: time.Minute, Reconcile: session.ReconcileAll, Fetches: 64, Memory: 200_000_000, Log: log,
	}
	if hurried {
		c.CloseGrace, c.IdleAfter, c.GiveUpAfter = 3*time.Second, 6*time.Second, 12*time.Second
		c.PageDeadline, c.WholeFor = 8*time.Second, 8*time.Second
		c.RetryDelays = []time.Duration{250 * time.Millisecond, time.Second}
	}
	return c
}
