package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/nats-io/nats.go"

	"github.com/faxstream/faxstream/storage/storagetest"
)

// server is a process that faxstream needs. It can be killed and started again on the same port and data.
type server struct {
	t    testing.TB
	addr string
	make func() *exec.Cmd
	up   func() bool // it answers
	cmd  *exec.Cmd
}

// start returns once the server answers.
func (s *server) start() {
	s.t.Helper()
	s.cmd = s.make()
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	await(s.t, s.cmd.Path, s.up)
}

func (s *server) kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait() // says that it was killed
	s.cmd = nil
}

// fixedAddr gives a free loopback address that no outgoing connection takes while its server is away: those get ports
// from 32768 on.
func fixedAddr(t testing.TB) string {
	t.Helper()
	for range 100 {
		addr := fmt.Sprintf("127.0.0.1:%d", 15000+rand.IntN(17000))
		// Asked for and not tried by listening: a process that is forked meanwhile would keep the listener for a moment.
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			return addr
		}
		conn.Close()
	}
	t.Fatal("no free port from 15000 to 31999")
	return ""
}

// startNATS runs a nats-server that syncs before it acknowledges, as deploy/nats-server.conf has it.
func startNATS(t testing.TB) *server {
	t.Helper()
	bin, dir := tool(t, "nats-server", "make tools"), t.TempDir()
	s := &server{t: t, addr: fixedAddr(t)}
	conf := filepath.Join(dir, "nats.conf")
	text := fmt.Sprintf("listen: %q\njetstream {\n  store_dir: %q\n  sync_interval: always\n}\n", s.addr, filepath.Join(dir, "store"))
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s.make = func() *exec.Cmd { return exec.Command(bin, "-c", conf) }
	s.up = func() bool {
		nc, err := nats.Connect(s.natsURL())
		if err != nil {
			return false
		}
		nc.Close()
		return true
	}
	s.start()
	t.Cleanup(s.kill)
	return s
}

func (s *server) natsURL() string { return "nats://" + s.addr }

// natsServer runs a real nats-server process and returns its URL.
func natsServer(t testing.TB) string {
	t.Helper()
	return startNATS(t).natsURL()
}

// startS3 runs a versitygw with an empty bucket, and gives the flags and the environment that make it the archive.
func startS3(t testing.TB) (s *server, args, env []string) {
	t.Helper()
	const key = "faxstream-test"
	bin, dir := tool(t, "versitygw", "make tools"), t.TempDir()
	data, versions := filepath.Join(dir, "data"), filepath.Join(dir, "versions")
	if err := errors.Join(os.Mkdir(data, 0o700), os.Mkdir(versions, 0o700)); err != nil {
		t.Fatal(err)
	}
	s = &server{t: t, addr: fixedAddr(t)}
	s.make = func() *exec.Cmd {
		cmd := exec.Command(bin, "--port", s.addr, "--quiet", "--keep-alive", "posix", "--versioning-dir", versions, data)
		cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+key, "ROOT_SECRET_KEY="+key)
		return cmd
	}
	client, err := minio.New(s.addr, &minio.Options{Creds: credentials.NewStaticV4(key, key, ""), Region: "us-east-1", MaxRetries: 1})
	if err != nil {
		t.Fatal(err)
	}
	s.up = func() bool {
		there, err := client.BucketExists(t.Context(), storagetest.Bucket)
		if err == nil && !there {
			err = client.MakeBucket(t.Context(), storagetest.Bucket, minio.MakeBucketOptions{})
		}
		return err == nil
	}
	s.start()
	t.Cleanup(s.kill)
	return s, []string{"--archive=s3://" + storagetest.Bucket + "/some/prefix", "--s3-endpoint=http://" + s.addr},
		[]string{"FAXSTREAM_S3_ACCESS_KEY=" + key, "FAXSTREAM_S3_SECRET_KEY=" + key}
}
