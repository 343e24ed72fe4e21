package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/faxstream/faxstream/cmd/faxstream/app"
	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/storage/storagetest"
)

// A fax goes through processes that have one or two roles each, on one NATS server and one S3 service. The process that takes webhooks has
// no key of the archive and no login at the provider. Each may be gone for a while: nothing is lost, and what it does is done when it is
// back.
func TestRolesInProcessesOfTheirOwn(t *testing.T) {
	if testing.Short() {
		t.Skip("starts five processes and two servers: runs without -short")
	}
	t.Parallel()
	url := "--nats-url=" + apptest.StartNATS(t).NATSURL()
	endpoint, access, secret := storagetest.VersityGW(t)
	line := newCable(t, endpoint)
	sim, provider := newSimulator(t, faxplustest.Config{})
	start := func(roles string) *process {
		t.Helper()
		args := append([]string{
			url, "--dir=" + t.TempDir(), "--roles=" + roles, patientGrace, "--list-every=0",
			"--archive=s3://" + storagetest.LockedBucket + "/roles", "--retention=6y", "--s3-endpoint=http://" + line.Addr().String(),
		}, provider...)
		return serve(t, []string{"FAXSTREAM_S3_ACCESS_KEY=" + access, "FAXSTREAM_S3_SECRET_KEY=" + secret}, args...)
	}
	// It starts first, and waits for the streams, which it may not create.
	webhook := launch(t, serveCommand(nil, url, "--dir="+t.TempDir(), "--roles=webhook"))
	worker, maker, admin := start("worker"), start("collector,assembler"), start("admin,reconciler")
	webhook.awaitReady()
	for roles, p := range map[string]*process{
		`["webhook"]`: webhook, `["worker"]`: worker, `["collector","assembler"]`: maker, `["admin","reconciler"]`: admin,
	} {
		p.wantRoles(roles)
	}
	fax := func(id string) faxplustest.Fax {
		whole := apptest.Fixture(t, "three-pages-fine-g4")
		return faxplustest.Fax{Session: id, Streamed: true, Pages: apptest.Split(t, whole), Whole: whole}
	}
	done := func(id string) {
		t.Helper()
		admin.awaitDocuments(id)
		checkFax(t, admin, fax(id))
	}
	webhook.send(sim, fax("first"))
	done("first")

	worker.kill()
	webhook.send(sim, fax("without-worker"))
	await(t, "the fax in the list", func() bool {
		_, body := admin.ask(admin.api("/faxes?status=receiving"))
		return strings.Contains(body, `"session":"without-worker"`)
	})
	if n := sim.Tries("without-worker", 1); n > 0 {
		t.Errorf("without a worker, page 1 was requested %d times", n)
	}
	worker = start("worker")
	done("without-worker")

	maker.kill()
	webhook.send(sim, fax("without-assembler"))
	admin.kill()
	webhook.send(sim, fax("without-admin"))
	maker, admin = start("collector"), start("admin,assembler")
	done("without-assembler")
	done("without-admin")

	line.cut()
	await(t, "the worker says that the archive is away", func() bool {
		status, body := worker.readyz()
		return status == 503 && strings.Contains(body, "not ready: worker: ")
	})
	if status, body := webhook.readyz(); status != 200 {
		t.Errorf("without the archive the process that takes webhooks says %d %s", status, body)
	}
	webhook.send(sim, fax("without-archive"))
	line.join()
	done("without-archive")
	for _, p := range []*process{webhook, worker, maker, admin} {
		if code := p.terminate(); code != 0 {
			t.Errorf("a process ends with code %d: %s", code, tail(p.log.String(), 20))
		}
	}
}

// The archive is away for the worker alone, longer than the grace after the close: the collector hears of it, waits until it is over, and
// every page is the streamed one. It makes no difference whether one process has both roles.
func TestACollectorHearsOfAnOutageThatOnlyWorkersMeet(t *testing.T) {
	if testing.Short() {
		t.Skip("starts four processes and two servers, and has an outage of half a minute: runs without -short")
	}
	t.Parallel()
	server := apptest.StartNATS(t)
	_, archive, env := apptest.StartS3(t)
	cut, line := newS3Switch(t, archive)
	sim, provider := newSimulator(t, faxplustest.Config{})
	start := func(roles string, archive []string) *process {
		t.Helper()
		return serve(t, env, slices.Concat(archive, provider, []string{
			"--nats-url=" + server.NATSURL(), "--dir=" + t.TempDir(), "--roles=" + roles, "--close-grace=40s", "--list-every=0",
		})...)
	}
	worker, _, admin := start("worker", cut), start("collector,assembler", archive), start("admin", archive)
	webhook := serve(t, nil, "--nats-url="+server.NATSURL(), "--dir="+t.TempDir(), "--roles=webhook")
	line.set(s3Refuses)
	await(t, "the worker knows that the archive is away", func() bool { status, _ := worker.readyz(); return status == 503 })
	s := readStreams(t, server.NATSURL())
	defer s.close()
	notes, err := s.js.KeyValue(t.Context(), bus.BucketAliases)
	if err != nil {
		t.Fatal(err)
	}
	seen := uint64(0)
	noted := func(what string) {
		t.Helper()
		await(t, what, func() bool {
			e, err := notes.Get(t.Context(), "note.outage")
			if err != nil || e.Revision() == seen {
				return false
			}
			seen = e.Revision()
			return true
		})
	}
	noted("the worker notes the outage")
	fax := apptest.SmallFax(t, "in-an-outage", 1)
	webhook.send(sim, fax)
	for range 6 { // every five seconds: longer than the grace
		noted("the worker notes that the outage goes on")
	}
	line.set(nil)
	admin.awaitComplete(fax.Session)
	checkFax(t, admin, fax)
}

// wantRoles checks that a process has these roles, and serves nothing that is of others.
func (p *process) wantRoles(roles string) {
	p.t.Helper()
	if status, body := p.readyz(); status != 200 || !strings.Contains(body, `"roles":`+roles) {
		p.t.Errorf("a process with the roles %s says %d %s", roles, status, body)
	}
	shown := metrics(p.t, p)
	for _, role := range app.Roles() {
		reads := slices.Contains([]string{app.RoleWorker, app.RoleCollector, app.RoleAssembler}, role)
		if _, ok := shown[`faxstream_backlog_pages{role="`+role+`"}`]; ok != (reads && strings.Contains(roles, role)) {
			p.t.Errorf("a process with the roles %s shows the backlog of %s: %v", roles, role, ok)
		}
	}
	status, body := p.ask(p.ready.Admin + "/")
	admin, webhook := strings.Contains(roles, "admin"), strings.Contains(roles, "webhook")
	if (p.ready.Webhook != "") != webhook || (status == 200) != admin || !admin && !strings.Contains(body, "does not have the role admin") {
		p.t.Errorf("a process with the roles %s takes webhooks at %q, and answers %d %s", roles, p.ready.Webhook, status, body)
	}
}
