package main

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/pipeline/bus"
)

// natsAccount is the account that the page about operations gives to roles, with passwords.
func natsAccount(t *testing.T) string {
	t.Helper()
	page := string(apptest.ReadFile(t, filepath.Join(root(t), "deploy/docs/operations.md")))
	_, block, found := strings.Cut(page, "```text\naccounts {")
	block, _, closed := strings.Cut(block, "```")
	if !found || !closed {
		t.Fatal("the page about operations has no account of NATS servers")
	}
	return "NATS_PASSWORD: work\nWEBHOOK_PASSWORD: hook\naccounts {" + block
}

// With the rights that the page about operations gives it, a process that takes webhooks stores them, also what differs from a webhook
// before, is answered after its server was away, and is refused nothing that it asks for. Whoever has its login can do nothing else.
func TestTheRightsOfWebhooksAreEnough(t *testing.T) {
	if testing.Short() {
		t.Skip("starts two processes and two servers: runs without -short")
	}
	t.Parallel()
	server := apptest.StartNATSWith(t, natsAccount(t))
	as := func(login string) string { return "nats://" + login + "@" + server.Addr }
	_, archive, env := apptest.StartS3(t)
	sim, provider := newSimulator(t, faxplustest.Config{})
	webhook := launch(t, serveCommand(nil, "--nats-url="+as("webhook:hook"), "--dir="+t.TempDir(), "--roles=webhook"))
	work := serve(t, env, slices.Concat(archive, provider, []string{
		"--nats-url=" + as("faxstream:work"), "--dir=" + t.TempDir(), patientGrace, "--roles=worker,collector,assembler,admin",
	})...)
	webhook.awaitReady()
	send := func(f faxplustest.Fax) {
		t.Helper()
		if err := sim.Send(apptest.Context(t), webhook.target(), f); err != nil {
			t.Fatal(err)
		}
		work.awaitComplete(f.Session)
	}
	send(apptest.SmallFax(t, "first", 1))
	twice := apptest.SmallFax(t, "collides", 2)
	twice.Faults = []faxplustest.Fault{faxplustest.Collision, faxplustest.Duplicate}
	send(twice)
	if status := apptest.Post(t, webhook.target(), []byte("{}")); status != 400 {
		t.Errorf("a webhook that says nothing is answered %d", status)
	}
	server.Kill()
	body := apptest.Bodies(twice, webhook.target())[0]
	if status := apptest.Post(t, webhook.target(), body); status != 503 {
		t.Errorf("without the server a webhook is answered %d", status)
	}
	server.Start()
	await(t, "the process is ready again", func() bool { status, _ := webhook.readyz(); return status == 200 })
	send(apptest.SmallFax(t, "last", 3))
	if strings.Contains(strings.ToLower(webhook.log.String()), "permission") {
		t.Errorf("the process that takes webhooks lacks rights:\n%s", webhook.log)
	}
	checkStranger(t, as("webhook:hook"))
}

// checkStranger wants the login of the process that takes webhooks to read and change nothing.
func checkStranger(t *testing.T, url string) {
	t.Helper()
	refused := make(chan error, 16)
	hear := func(_ *nats.Conn, _ *nats.Subscription, err error) {
		if strings.Contains(err.Error(), "Subscription") {
			refused <- err
		}
	}
	s := readStreams(t, url, nats.CustomInboxPrefix("_INBOX.webhook"), nats.ErrorHandler(hear))
	defer s.close()
	ctx := apptest.Context(t)
	stream := s.stream(ctx, bus.StreamIn)
	brief := t.Context() // nats.go gives up after some seconds what the server does not answer
	_, published := s.js.Publish(brief, "fax.v1.page.archived.1.first.1", nil)
	for what, err := range map[string]error{
		"purge a stream": stream.Purge(brief), "delete a stream": s.js.DeleteStream(brief, bus.StreamIn),
		"say that a page is archived": published,
	} {
		if err == nil {
			t.Errorf("with the login of webhooks somebody may %s", what)
		}
	}
	if _, err := s.nc.SubscribeSync("fax.v1.>"); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-refused:
		if !errors.Is(err, nats.ErrPermissionViolation) {
			t.Error(err)
		}
	case <-ctx.Done():
		t.Error("with the login of webhooks somebody may read everything")
	}
}
