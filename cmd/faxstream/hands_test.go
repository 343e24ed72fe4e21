package main

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/session"
)

// readyz is the status and text of /readyz.
func (p *process) readyz() (int, string) {
	p.t.Helper()
	return p.ask(p.ready.Admin + "/readyz")
}

// ask returns the status and the text of an answer.
func (p *process) ask(url string) (int, string) {
	p.t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// send sends every webhook of a fax.
func (p *process) send(sim *faxplustest.Server, f faxplustest.Fax) {
	p.t.Helper()
	sim.Add(f)
	for _, b := range apptest.Bodies(f, p.target()) {
		if status := apptest.Post(p.t, p.target(), b); status != http.StatusOK {
			p.t.Fatalf("a webhook is answered %d", status)
		}
	}
}

// awaitComplete waits until a fax has a document that has all its pages.
func (p *process) awaitComplete(id string) {
	p.t.Helper()
	if f := p.awaitDocuments(id)[id]; f.Status != session.StatusComplete {
		p.t.Errorf("fax %s is %s (%s), want complete", id, f.Status, f.Reason)
	}
}

// Somebody deletes every durable consumer on the external server: faxes become documents all the same. Somebody pauses one: /readyz and
// the metrics say so until it is resumed.
func TestOtherHandsAtTheConsumers(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("has a real server and looks of 10 s: runs without -short")
	}
	server := apptest.StartNATS(t)
	sim, flags := newSimulator(t, faxplustest.Config{})
	p := serve(t, nil, append(flags, "--nats-url="+server.NATSURL(), "--dir="+t.TempDir(), patientGrace)...)
	hands := readStreams(t, server.NATSURL())
	defer hands.close()
	ctx := apptest.Context(t)
	for _, name := range []string{bus.StreamIn, bus.StreamPages, bus.StreamDocs, bus.StreamTimers, bus.StreamAudit} {
		stream := hands.stream(ctx, name)
		list := stream.ConsumerNames(ctx)
		for durable := range list.Name() {
			if err := stream.DeleteConsumer(ctx, durable); err != nil {
				t.Fatal(err)
			}
		}
		if err := list.Err(); err != nil {
			t.Fatal(err)
		}
	}
	first := apptest.SmallFax(t, "first", 1)
	p.send(sim, first)
	p.awaitComplete(first.Session)
	if status, text := p.readyz(); status != http.StatusOK {
		t.Errorf("/readyz: %d %s", status, text)
	}
	if n := strings.Count(p.log.String(), "work cannot be read from NATS"); n > 20 {
		t.Errorf("%d warnings, want one for each consumer", n)
	}

	if _, err := hands.js.PauseConsumer(apptest.Context(t), bus.StreamIn, "page", time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	second := apptest.SmallFax(t, "second", 2)
	p.send(sim, second)
	await(t, "/readyz names the paused consumer", func() bool {
		status, text := p.readyz()
		return status == http.StatusServiceUnavailable && strings.Contains(text, "consumer page of FAX_IN") && strings.Contains(text, "paused")
	})
	await(t, "the metrics count what waits", func() bool {
		m := metrics(t, p)
		return m[`faxstream_consumer_pending{consumer="page"}`] == float64(len(second.Pages)) &&
			m[`faxstream_consumer_oldest_seconds{consumer="page"}`] > 0 &&
			m[`faxstream_backlog_pages{role="worker"}`] >= float64(len(second.Pages)) &&
			m[`faxstream_backlog_oldest_seconds{role="worker"}`] > 0
	})
	if _, err := hands.js.ResumeConsumer(apptest.Context(t), bus.StreamIn, "page"); err != nil {
		t.Fatal(err)
	}
	p.awaitComplete(second.Session)
	await(t, "/readyz is green", func() bool { status, _ := p.readyz(); return status == http.StatusOK })
	await(t, "nothing waits for any role", func() bool {
		m := metrics(t, p)
		return m[`faxstream_backlog_pages{role="worker"}`]+m[`faxstream_backlog_pages{role="collector"}`]+
			m[`faxstream_backlog_pages{role="assembler"}`] == 0
	})
}
