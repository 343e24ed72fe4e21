package main

import (
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/storage/storagetest"
)

// copyIn copies the objects of a directory into the bucket, as rclone does.
func (b bucket) copyIn(t *testing.T, dir string) (objects int) {
	t.Helper()
	c := b.client(t)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() && d.Name() == "+tmp" {
			return filepath.SkipDir // unfinished writes
		}
		if err != nil || d.IsDir() {
			return err
		}
		key, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		objects++
		for range 3 { // a connection that the server closes meanwhile is no fault of either
			_, err = c.FPutObject(t.Context(), storagetest.Bucket, b.prefix+"/"+filepath.ToSlash(key), path, minio.PutObjectOptions{})
			if !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, io.EOF) {
				break
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

// copyOut copies the objects of the bucket into a directory, without the test objects of the service.
func (b bucket) copyOut(t *testing.T, dir string) (objects int) {
	t.Helper()
	c := b.client(t)
	for o := range c.ListObjects(t.Context(), storagetest.Bucket, minio.ListObjectsOptions{Prefix: b.prefix + "/", Recursive: true}) {
		key := strings.TrimPrefix(o.Key, b.prefix+"/")
		if o.Err != nil {
			t.Fatal(o.Err)
		}
		if strings.HasPrefix(key, "checks/") {
			continue
		}
		objects++
		if err := c.FGetObject(t.Context(), storagetest.Bucket, o.Key, filepath.Join(dir, key), minio.GetObjectOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	return objects
}

// post sends the first webhooks of a fax that the provider has.
func (p *process) post(f faxplustest.Fax, most int) {
	p.t.Helper()
	bodies := apptest.Bodies(f, p.target())
	for _, b := range bodies[:min(most, len(bodies))] {
		if status := apptest.Post(p.t, p.target(), b); status != http.StatusOK {
			p.t.Fatalf("a webhook is answered %d", status)
		}
	}
}

const everyWebhook = 100 // no fax of a test has as many

// One machine with everything embedded becomes several processes on a NATS server and an S3 service, and one machine again, as
// deploy/docs/scaling.md says. A fax that is over stays as it is, also when its webhooks come again; one that is on the line goes on.
func TestOneMachineToManyAndBack(t *testing.T) {
	if testing.Short() {
		t.Skip("starts two servers and four processes: runs without -short")
	}
	t.Parallel()
	sim, flags := newSimulator(t, faxplustest.Config{})
	flags = append(flags, patientGrace)
	over, open := apptest.SmallFax(t, "over", 1), apptest.SmallFax(t, "open", 2)
	start := func(env []string, args ...string) *process { return serve(t, env, append(args, flags...)...) }
	stop := func(p *process) {
		t.Helper()
		if code := p.terminate(); code != 0 {
			t.Fatalf("a process ends with code %d: %s", code, tail(p.log.String(), 20))
		}
	}
	dir := t.TempDir()
	alone := start(nil, "--dir="+dir)
	alone.send(sim, over)
	alone.awaitComplete("over")
	sim.Add(open)
	alone.post(open, 1)
	await(t, "the first page of the open fax", func() bool {
		status, body := alone.ask(alone.api("/faxes/open"))
		return status == 200 && strings.Contains(body, `"status":"`+session.PageStatusArchived+`"`)
	})
	stop(alone)

	b := bucket{prefix: "moved"}
	b.endpoint, b.access, b.secret = storagetest.VersityGW(t)
	in := b.copyIn(t, filepath.Join(dir, "archive"))
	if code, _, found := b.verify(t); code != 0 || len(found) > 0 {
		t.Fatalf("of %d objects in the bucket: exit %d, %v", in, code, found)
	}
	url := "--nats-url=" + apptest.StartNATS(t).NATSURL()
	if code, out := b.command(t, "rebuild", url, "--dir="+t.TempDir()); code != 0 {
		t.Fatalf("rebuild ends with code %d: %s", code, out)
	}
	key := []string{"FAXSTREAM_S3_ACCESS_KEY=" + b.access, "FAXSTREAM_S3_SECRET_KEY=" + b.secret}
	shared := []string{url, "--archive=s3://" + storagetest.Bucket + "/" + b.prefix, "--s3-endpoint=" + b.endpoint, "--retention=0"}
	first := start(key, append(shared, "--dir="+t.TempDir())...)
	second := start(key, append(shared, "--dir="+t.TempDir())...)
	first.post(open, everyWebhook)
	second.post(over, everyWebhook)
	second.awaitComplete("open")
	stop(first)
	stop(second)
	if code, _, found := b.verify(t); code != 0 || len(found) > 0 {
		t.Fatalf("after the move: exit %d, %v", code, found)
	}

	home := t.TempDir()
	if out := b.copyOut(t, filepath.Join(home, "archive")); out <= in {
		t.Errorf("%d objects came back of %d and those of another fax", out, in)
	}
	command(t, "verify", "--all", "--dir="+home)
	command(t, "rebuild", "--dir="+home)
	back := start(nil, "--dir="+home)
	for _, f := range []faxplustest.Fax{over, open} {
		back.post(f, everyWebhook)
		back.awaitComplete(f.Session)
		checkFax(t, back, f)
		if got := back.fax(f.Session); got.Revision != 1 {
			t.Errorf("fax %s has revision %d: something counted twice", f.Session, got.Revision)
		}
	}
	stop(back)
	command(t, "verify", "--all", "--dir="+home)
	if entries, err := os.ReadDir(filepath.Join(home, "archive", "faxes")); err != nil || len(entries) != 2 {
		t.Errorf("%d faxes are in the archive, %v; want 2", len(entries), err)
	}
}
