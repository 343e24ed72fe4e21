package main

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/recovery"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/verify"
	"github.com/faxstream/faxstream/storage/s3"
	"github.com/faxstream/faxstream/storage/storagetest"
)

// bucket is an S3 service with an archive for commands.
type bucket struct {
	endpoint, access, secret string
	prefix                   string
}

// command runs faxstream with the bucket as its archive, and gives the exit code and stdout.
func (b bucket) command(t *testing.T, args ...string) (int, []byte) {
	t.Helper()
	var out bytes.Buffer
	args = append(args, "--archive=s3://"+storagetest.Bucket+"/"+b.prefix, "--s3-endpoint="+b.endpoint)
	code := run(t.Context(), args, func(name string) string {
		return map[string]string{"FAXSTREAM_S3_ACCESS_KEY": b.access, "FAXSTREAM_S3_SECRET_KEY": b.secret}[name]
	}, &out, t.Output())
	return code, out.Bytes()
}

// verify gives the kinds of faults that `faxstream verify --all` finds.
func (b bucket) verify(t *testing.T) (code, faxes int, found []verify.FaultKind) {
	t.Helper()
	code, out := b.command(t, "verify", "--all", "--json")
	for line := range bytes.Lines(out) {
		var f verify.Finding
		if err := json.Unmarshal(line, &f); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		faxes++
		for _, fault := range f.Faults {
			found = append(found, fault.Kind)
		}
	}
	return code, faxes, found
}

// client changes what is in the bucket behind faxstream's back.
func (b bucket) client(t *testing.T) *minio.Client {
	t.Helper()
	u, err := url.Parse(b.endpoint)
	if err != nil {
		t.Fatal(err)
	}
	c, err := minio.New(u.Host, &minio.Options{Creds: credentials.NewStaticV4(b.access, b.secret, ""), Region: "us-east-1", MaxRetries: 1})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// An archive in a bucket is proven, and JetStream rebuilt from it, by the commands; what is done to the bucket is found.
func TestVerifyAndRebuildOverS3(t *testing.T) {
	t.Parallel()
	for name, service := range map[string]func(testing.TB) (
		string, string, string,
	){"versitygw": storagetest.VersityGW, "minio": storagetest.MinIO} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := bucket{prefix: "some/prefix"}
			b.endpoint, b.access, b.secret = service(t)
			written := faxesInBucket(t, b)
			if code, faxes, found := b.verify(t); code != 0 || faxes != 3 || len(found) > 0 {
				t.Fatalf("exit %d; of %d faxes: %v", code, faxes, found)
			}
			rebuildFromBucket(t, b, written)

			c, ctx := b.client(t), t.Context()
			removed, altered := written["streamed"].Document.PDF.Key, written["whole"].Document.TIFF.Key
			if err := c.RemoveObject(ctx, storagetest.Bucket, b.prefix+"/"+removed, minio.RemoveObjectOptions{}); err != nil {
				t.Fatal(err)
			}
			text := "another document"
			if _, err := c.PutObject(
				ctx, storagetest.Bucket, b.prefix+"/"+altered, strings.NewReader(text), int64(len(text)), minio.PutObjectOptions{},
			); err != nil {
				t.Fatal(err)
			}
			code, _, found := b.verify(t)
			if code != 1 || !slices.Contains(found, verify.FaultMissing) || !slices.Contains(found, verify.FaultAltered) || len(found) != 2 {
				t.Errorf("exit %d, found %v; want one object missing and one altered", code, found)
			}
		})
	}
}

// faxesInBucket takes in a fax that streamed, one that came whole, and one that stays open, and gives their ledgers.
func faxesInBucket(t *testing.T, b bucket) map[string]session.State {
	t.Helper()
	store, err := s3.Open(
		t.Context(), s3.Config{Bucket: storagetest.Bucket, Prefix: b.prefix, Endpoint: b.endpoint, AccessKey: b.access, SecretKey: b.secret},
	)
	if err != nil {
		t.Fatal(err)
	}
	r := apptest.NewRig(t)
	r.Start(t, r.Bus, store, apptest.ImpatientPolicy(), apptest.ImpatientRetry())
	pages := apptest.Split(t, apptest.Fixture(t, "three-pages-fine-g4"))
	for _, f := range []faxplustest.Fax{
		{Session: "streamed", Streamed: true, Pages: pages},
		{Session: "whole", Pages: pages[:2]},
		{Session: "open", Streamed: true, Pages: pages[:2]},
	} {
		r.Sim.Add(f)
		events := apptest.Bodies(f, "http://x")
		if f.Session == "open" {
			events = events[:1]
		}
		for _, body := range events {
			r.Record(t, body)
		}
	}
	written := map[string]session.State{"open": r.Await(t, "open", func(s session.State) bool { return s.Usable.Len() == 1 })}
	for _, id := range []string{"streamed", "whole"} {
		written[id] = r.Await(t, id, func(s session.State) bool { return s.Revision() == 1 })
	}
	return written
}

// rebuildFromBucket wants the ledgers back in an empty JetStream, and nothing new from a second run.
func rebuildFromBucket(t *testing.T, b bucket, written map[string]session.State) {
	t.Helper()
	dir := t.TempDir()
	for _, ledgers := range []int{3, 0} {
		code, out := b.command(t, "rebuild", "--json", "--publish-again=438000h", "--dir="+dir)
		var done recovery.Rebuilt
		if err := json.Unmarshal(out, &done); err != nil || code != 0 {
			t.Fatalf("exit %d: %v: %s", code, err, out)
		}
		if done.Faxes != 2 || done.Open != 1 || done.Ledgers != ledgers || len(done.Silent)+len(done.Broken) > 0 {
			t.Errorf("rebuilt: %+v", done)
		}
	}
	rebuilt, err := bus.Open(
		t.Context(), bus.Config{Embedded: bus.EmbeddedConfig{Dir: filepath.Join(dir, "nats")}, Log: slog.New(slog.DiscardHandler)},
	)
	if err != nil {
		t.Fatal(err)
	}
	defer rebuilt.Close()
	for id, want := range written {
		got, _, err := rebuilt.Load(t.Context(), id)
		if err != nil || got.Status() != want.Status() || got.Revision() != want.Revision() ||
			got.Usable.Len() != want.Usable.Len() && id != "open" {
			t.Errorf("%s is %+v, %v; want %+v", id, got, err, want)
		}
	}
}
