package main

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/session"
)

// command runs a faxstream and returns what it prints.
func command(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("faxstream %q: %v", args, err)
	}
	return strings.TrimSpace(string(out))
}

// A local user without the login is refused at --nats-listen. Whoever has the login of subscribers reads pages, and can neither purge a fax
// in somebody's name nor delete the audit.
func TestTheNATSListenerDemandsALogin(t *testing.T) {
	dir := t.TempDir()
	sim, flags := newSimulator(t, faxplustest.Config{})
	p := serve(t, nil, append(flags, "--nats-listen=127.0.0.1:0", "--dir="+dir, patientGrace)...)
	fax := apptest.SmallFax(t, "fax", 1)
	p.send(sim, fax)
	p.awaitComplete(fax.Session)
	if nc, err := nats.Connect(p.ready.NATS); !errors.Is(err, nats.ErrAuthorization) {
		if err == nil {
			nc.Close()
		}
		t.Fatalf("without a login: %v", err)
	}
	if info, err := os.Stat(filepath.Join(dir, "nats-subscriber.key")); err != nil || info.Mode() != 0o600 {
		t.Errorf("the key: %v, %v; want a file of mode 0600", info, err)
	}
	u, err := url.Parse(p.ready.NATS)
	if err != nil {
		t.Fatal(err)
	}
	login := command(t, "nats-credentials", "--dir="+dir, "--nats-listen="+u.Host)
	s := readStreams(t, login)
	defer s.close()
	ctx := apptest.Context(t)
	cons, err := s.js.CreateOrUpdateConsumer(ctx, bus.StreamPages, jetstream.ConsumerConfig{
		Durable: "ocr", FilterSubject: session.TypePageArchived + ".>", AckPolicy: jetstream.AckExplicitPolicy,
	})
	if err != nil {
		t.Fatal(err)
	}
	for range fax.Pages {
		m, err := cons.Next()
		if err != nil || !strings.Contains(m.Subject(), "."+fax.Session+".") {
			t.Fatalf("a page of the fax: %v, %v", m, err)
		}
		if err := m.DoubleAck(ctx); err != nil {
			t.Error(err)
		}
	}

	entry, err := json.Marshal(session.KeepEntry{Kind: session.ActionPurged, Session: fax.Session, By: "root"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second) // a refused publish has no answer
	defer cancel()
	if _, err := s.js.Publish(ctx, session.TypeAuditKeep+"."+session.ActionPurged+"."+fax.Session, entry); err == nil {
		t.Error("a purge is stored in the audit")
	}
	for _, subject := range []string{session.TypeKept + "." + fax.Session + ".1", "$JS.API.STREAM.DELETE." + bus.StreamAudit} {
		if err := s.nc.Publish(subject, entry); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	if f := p.fax(fax.Session); f.Status != session.StatusComplete {
		t.Errorf("the fax is %s", f.Status)
	}
	if _, err := os.Stat(filepath.Join(dir, "nats", "jetstream", "$G", "streams", bus.StreamAudit)); errors.Is(err, fs.ErrNotExist) {
		t.Error("the audit's directory is gone")
	}
}
