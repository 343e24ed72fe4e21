package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/faxstream/faxstream/cmd/faxstream/app"
	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
	"github.com/faxstream/faxstream/cmd/faxstream/client"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/storage/storagetest"
)

// policyBucket is the bucket of the policies in the page about configuration.
const policyBucket = "fax-archive"

// s3Policies are the policies that the page about configuration gives to roles, and to the command verify.
func s3Policies(t *testing.T) map[string]string {
	t.Helper()
	page := string(apptest.ReadFile(t, filepath.Join(root(t), "deploy/docs/configuration.md")))
	policies := map[string]string{}
	for _, found := range regexp.MustCompile("(?s)\n#### Policy: ([a-z, ]+)\n[^#]*?```text\n(.*?)```").FindAllStringSubmatch(page, -1) {
		for role := range strings.SplitSeq(found[1], ", ") {
			policies[role] = found[2]
		}
	}
	want := append(slices.DeleteFunc(app.Roles(), func(role string) bool { return role == app.RoleWebhook }), "verify")
	if got := slices.Sorted(maps.Keys(policies)); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
		t.Fatalf("the page about configuration has policies of %q, want %q", got, want)
	}
	return policies
}

// without is a policy that lacks some actions.
func without(t *testing.T, policy string, actions ...string) string {
	t.Helper()
	for _, a := range actions {
		if !strings.Contains(policy, `"`+a+`"`) {
			t.Fatalf("no %s in\n%s", a, policy)
		}
		policy = strings.ReplaceAll(policy, `"`+a+`"`, `"s3:GetObjectTagging"`) // which nothing needs
	}
	return policy
}

// rightsWorld has a process for each role, and keys for each with the policy of the page.
type rightsWorld struct {
	t         *testing.T
	bucket    bucket // with the keys of its owner
	policies  map[string]string
	nats      string
	grace     string // flag
	sim       *faxplustest.Server
	provider  []string
	processes map[string]*process // that run, by role
}

func newRightsWorld(t *testing.T) *rightsWorld {
	t.Helper()
	w := &rightsWorld{
		t: t, policies: s3Policies(t), nats: apptest.StartNATS(t).NATSURL(), grace: patientGrace,
		processes: map[string]*process{},
	}
	w.bucket.endpoint, w.bucket.access, w.bucket.secret = storagetest.MinIO(t)
	err := w.bucket.client(t).MakeBucket(t.Context(), policyBucket, minio.MakeBucketOptions{ObjectLocking: true})
	if err != nil {
		t.Fatal(err)
	}
	w.sim, w.provider = newSimulator(t, faxplustest.Config{})
	return w
}

// command is `faxstream serve` in a role, with keys of a policy.
func (w *rightsWorld) command(role, policy, retention string) *exec.Cmd {
	w.t.Helper()
	args := []string{"--nats-url=" + w.nats, "--dir=" + w.t.TempDir(), "--roles=" + role, w.grace}
	if role == app.RoleWebhook {
		return serveCommand(nil, args...)
	}
	access, secret := storagetest.MinIOKeys(w.t, w.bucket.endpoint, []byte(policy))
	args = slices.Concat(args, w.provider, []string{
		"--archive=s3://" + policyBucket, "--s3-endpoint=" + w.bucket.endpoint, "--retention=" + retention, "--ocr", "--ocr-at-once=1",
	})
	return serveCommand([]string{"FAXSTREAM_S3_ACCESS_KEY=" + access, "FAXSTREAM_S3_SECRET_KEY=" + secret}, args...)
}

// start starts processes of roles, one after the other, with a policy each.
func (w *rightsWorld) start(retention string, policies map[string]string, roles ...string) {
	w.t.Helper()
	for _, role := range roles {
		p := launch(w.t, w.command(role, policies[role], retention))
		w.processes[role] = p
		p.awaitReady()
	}
}

// stop ends every process, and wants none to have been refused anything.
func (w *rightsWorld) stop() {
	w.t.Helper()
	for role, p := range w.processes {
		if code := p.terminate(); code != 0 {
			w.t.Errorf("%s ends with code %d: %s", role, code, tail(p.log.String(), 20))
		}
	}
	for role, p := range w.processes {
		if log := p.log.String(); strings.Contains(log, "Access Denied") || strings.Contains(log, "legal hold") {
			w.t.Errorf("%s lacks rights:\n%s", role, tail(log, 20))
		}
	}
	clear(w.processes)
}

// want runs a client command, which must end with a code.
func (w *rightsWorld) want(want int, args ...string) {
	w.t.Helper()
	var out bytes.Buffer
	server := "--server=" + w.processes["admin"].ready.Admin
	if code := run(w.t.Context(), append(args, server), func(string) string { return "" }, &out, &out); code != want {
		w.t.Errorf("faxstream %q ends with code %d, want %d: %s", args, code, want, &out)
	}
}

// text sends a text of page 1 to the process that has the role admin.
func (w *rightsWorld) text(session string) {
	w.t.Helper()
	admin := w.processes["admin"]
	var m archive.Manifest
	if err := json.Unmarshal(apptest.Fetch(w.t, admin.api("/faxes/"+session+"/manifest.json")), &m); err != nil {
		w.t.Fatal(err)
	}
	c, err := client.New(client.Config{Server: admin.ready.Admin})
	if err == nil {
		err = c.PutText(w.t.Context(), client.Text{
			Session: session, Page: 1, Raster: m.Pages[0].RasterSHA256, Engine: "by-hand", Format: "plain", Data: []byte("order 4711"),
		})
	}
	if err != nil {
		w.t.Error(err)
	}
}

// versions counts the versions of the objects below a prefix, and those under legal hold.
func (w *rightsWorld) versions(prefix string) (all, held int) {
	w.t.Helper()
	c := w.bucket.client(w.t)
	for v := range c.ListObjects(w.t.Context(), policyBucket, minio.ListObjectsOptions{Prefix: prefix, Recursive: true, WithVersions: true}) {
		if v.Err != nil {
			w.t.Fatal(v.Err)
		}
		all++
		hold, err := c.GetObjectLegalHold(w.t.Context(), policyBucket, v.Key, minio.GetObjectLegalHoldOptions{VersionID: v.VersionID})
		if err == nil && *hold == minio.LegalHoldEnabled {
			held++
		}
	}
	return all, held
}

// With the policies of the page about configuration every role does its work in a process of its own, in a bucket with Object Lock, with a
// retention and without. What lacks a permission says so.
func TestThePoliciesOfRolesAreEnough(t *testing.T) {
	if testing.Short() {
		t.Skip("starts 21 processes and two servers: runs without -short")
	}
	if _, err := exec.LookPath("tesseract"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	t.Parallel()
	w := newRightsWorld(t)
	all := []string{"assembler", "worker", "collector", "reconciler", "ocr", "admin", "webhook"} // who tries out the lock, first
	w.start("6y", w.policies, all...)
	held := apptest.SmallFax(t, "held", 2)
	w.retained(apptest.SmallFax(t, "kept", 1), held)
	w.stop()
	if n, _ := w.versions("audit-parts/"); n == 0 {
		t.Error("the reconciler has stored nothing of the audit")
	}

	lacks := maps.Clone(w.policies)
	lacks["assembler"] = without(t, lacks["assembler"], "s3:DeleteObject", "s3:DeleteObjectVersion")
	w.start("0", lacks, all...)
	w.processes["webhook"].post(held, everyWebhook)
	w.becomes(held)
	w.text("held")
	if n, held := w.versions("faxes/held/"); held != n {
		t.Errorf("of %d versions of the held fax %d are under legal hold", n, held)
	}
	w.purges(apptest.SmallFax(t, "gone", 3))
	w.stop()
	w.grace = "--close-grace=1s"
	w.start("0", w.policies, "collector", "assembler", "worker", "admin", "webhook")
	w.folds(apptest.Silent(t, "late"))
	w.stop()
	w.refusesToStart()
	w.verify()
}

// becomes waits until a fax has a document with all its pages, a comparison with the whole file, and texts.
func (w *rightsWorld) becomes(f faxplustest.Fax) {
	w.t.Helper()
	admin := w.processes["admin"]
	admin.awaitComplete(f.Session)
	checkFax(w.t, admin, f)
	await(w.t, "the comparison", func() bool { n, _ := w.versions("faxes/" + f.Session + "/r1/verified."); return n == 1 })
	await(w.t, "the searchable document", func() bool { return admin.fax(f.Session).Searchable })
}

// retained takes in a fax, which then cannot be purged, and the first page of another one, which is held.
func (w *rightsWorld) retained(kept, held faxplustest.Fax) {
	t := w.t
	t.Helper()
	w.processes["webhook"].send(w.sim, kept)
	w.becomes(kept)
	w.want(exitOK, "note", kept.Session, "call back")
	w.want(exitOK, "assign", kept.Session, "alice")
	await(t, "the note", func() bool { n, _ := w.versions("desk/kept/"); return n == 3 })
	w.want(exitFailed, "purge", kept.Session, "--reason=privacy", "--yes")

	w.sim.Add(held)
	w.processes["webhook"].post(held, 1)
	await(t, "the first page", func() bool { n, _ := w.versions("faxes/held/pages/"); return n == 3 })
	w.want(exitOK, "hold", held.Session, "--reason=case 1")
	await(t, "the hold in the bucket", func() bool { n, held := w.versions("faxes/held/"); return n > 0 && held == n })
}

// folds finds a fax in the provider's list, and then takes its webhooks.
func (w *rightsWorld) folds(late faxplustest.Fax) {
	w.t.Helper()
	w.sim.Add(late)
	w.want(exitOK, "reconcile", "--since=48h")
	w.processes["admin"].awaitDocuments(late.ListedID())
	w.processes["webhook"].post(late, everyWebhook)
	await(w.t, "the session of the webhooks is folded", func() bool {
		there, _ := w.versions("faxes/" + late.ListedID() + "/folded/")
		here, _ := w.versions("faxes/" + late.Session + "/redirect.json")
		return there == 1 && here == 1
	})
}

// purges takes in a fax and orders its purge. An assembler that may not delete says so, and one that may carries it out.
func (w *rightsWorld) purges(gone faxplustest.Fax) {
	t := w.t
	t.Helper()
	w.processes["webhook"].send(w.sim, gone)
	w.becomes(gone)
	w.want(exitOK, "note", gone.Session, "call back")
	await(t, "the note", func() bool { n, _ := w.versions("desk/gone/"); return n == 2 })
	before, _ := w.versions("faxes/gone/")
	w.want(exitOK, "purge", gone.Session, "--reason=privacy", "--yes")
	assembler := w.processes["assembler"]
	await(t, "the assembler says what it lacks", func() bool {
		return strings.Contains(assembler.log.String(), "s3:DeleteObjectVersion is needed")
	})
	if n, _ := w.versions("faxes/gone/"); n != before {
		t.Errorf("without the right to delete %d of %d versions are left", n, before)
	}
	if code := assembler.terminate(); code != 0 {
		t.Errorf("the assembler ends with code %d", code)
	}
	w.start("0", w.policies, "assembler")
	await(t, "the purge", func() bool {
		fax, _ := w.versions("faxes/gone/")
		said, _ := w.versions("desk/gone/")
		index, _ := w.versions("index/")
		return fax+said == 0 && index == 2 // of the other faxes
	})
}

// refusesToStart starts a worker that may not write.
func (w *rightsWorld) refusesToStart() {
	t := w.t
	t.Helper()
	worker := launch(t, w.command("worker", without(t, w.policies["worker"], "s3:PutObject"), "0"))
	<-worker.line // closed at its end
	<-worker.exited
	log := worker.log.String()
	for _, word := range []string{"Access Denied", "write the test object", policyBucket} {
		if !strings.Contains(log, word) {
			t.Errorf("a worker that may not write does not say %q: %s", word, log)
		}
	}
	if code := worker.cmd.ProcessState.ExitCode(); code != exitFailed {
		t.Errorf("a worker that may not write ends with code %d, want %d", code, exitFailed)
	}
}

// verify proves the archive with keys that only read.
func (w *rightsWorld) verify() {
	t := w.t
	t.Helper()
	access, secret := storagetest.MinIOKeys(t, w.bucket.endpoint, []byte(w.policies["verify"]))
	var out bytes.Buffer
	code := run(t.Context(), []string{
		"verify", "--all", "--json", "--archive=s3://" + policyBucket, "--s3-endpoint=" + w.bucket.endpoint,
	}, func(name string) string {
		return map[string]string{"FAXSTREAM_S3_ACCESS_KEY": access, "FAXSTREAM_S3_SECRET_KEY": secret}[name]
	}, &out, t.Output())
	if faxes := strings.Count(out.String(), "\n"); code != exitOK || faxes != 4 {
		t.Errorf("verify ends with code %d, and proves %d faxes, want 4: %s", code, faxes, &out)
	}
}
