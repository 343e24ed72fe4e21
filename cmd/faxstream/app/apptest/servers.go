package apptest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/nats-io/nats.go"

	"github.com/faxstream/faxstream/storage/storagetest"
)

// Server is a process that faxstream needs. It can be killed and started again on the same port and data.
type Server struct {
	t    testing.TB
	Addr string // HOST:PORT
	make func() *exec.Cmd
	run  func(*exec.Cmd) error // starts its process; nil: storagetest.Start
	up   func() bool           // it answers
	cmd  *exec.Cmd
}

// Start returns once the server answers. One that runs is left alone.
func (s *Server) Start() {
	s.t.Helper()
	s.launch()
	Await(s.t, "an answer of the server at "+s.Addr, s.up)
}

// launch starts the process and does not wait for it.
func (s *Server) launch() {
	s.t.Helper()
	if s.cmd != nil {
		return
	}
	s.cmd = s.make()
	run := storagetest.Start
	if s.run != nil {
		run = s.run
	}
	if err := run(s.cmd); err != nil {
		s.t.Fatal(err)
	}
}

// Signal sends a signal to a server that runs.
func (s *Server) Signal(sig os.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// Terminate ends it in order.
func (s *Server) Terminate() {
	s.t.Helper()
	s.Signal(syscall.SIGTERM)
	_ = s.cmd.Wait() // its code says that it was ended
	s.cmd = nil
}

// Kill ends it at once. It may be dead.
func (s *Server) Kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait() // says that it was killed
	s.cmd = nil
}

// givenPorts are the ports that FixedAddr gave: the server of one may be away.
var givenPorts sync.Map

// FixedAddr gives a free loopback address that no outgoing connection takes while its server is away: those get ports
// from 32768 on.
func FixedAddr(t testing.TB) string {
	t.Helper()
	for range 100 {
		port := 15000 + rand.IntN(17000)
		addr := fmt.Sprintf("127.0.0.1:%d", port)
		// Asked for and not tried by listening: a process that is forked meanwhile would keep the listener for a moment.
		conn, err := net.Dial("tcp", addr)
		if conn != nil {
			conn.Close()
		}
		if _, given := givenPorts.LoadOrStore(port, true); err != nil && !given {
			return addr
		}
	}
	t.Fatal("no free port from 15000 to 31999")
	return ""
}

// StartNATS runs a nats-server that syncs before it acknowledges, as deploy/nats-server.conf has it.
func StartNATS(t testing.TB) *Server {
	t.Helper()
	return StartNATSWith(t, "")
}

// StartNATSWith is StartNATS with more of the configuration.
func StartNATSWith(t testing.TB, more string) *Server {
	t.Helper()
	s := newNATS(t, Host{Addr: FixedAddr(t), Dir: t.TempDir()}, more)
	s.Start()
	return s
}

// Host is where a nats-server of a cluster runs.
type Host struct {
	Addr, Route string // HOST:PORT for clients, and for the other servers
	Dir         string
	Run         func(*exec.Cmd) error // starts its process; nil: storagetest.Start
}

// StartCluster runs a nats-server on each host. They are one cluster, and are named as the hosts are numbered, from n0.
func StartCluster(t testing.TB, hosts []Host) []*Server {
	t.Helper()
	var routes []string
	for _, h := range hosts {
		routes = append(routes, fmt.Sprintf("%q", "nats://"+h.Route))
	}
	var all []*Server
	for i, h := range hosts {
		s := newNATS(t, h, fmt.Sprintf("server_name: n%d\ncluster {\n  name: fax\n  listen: %q\n  routes: [%s]\n}\n",
			i, h.Route, strings.Join(routes, ", ")))
		s.launch()
		all = append(all, s)
	}
	for _, s := range all {
		s.Start()
	}
	return all
}

// newNATS is a nats-server that is not started, with more of its configuration.
func newNATS(t testing.TB, h Host, more string) *Server {
	t.Helper()
	bin, conf := Tool(t, "nats-server", "make tools"), filepath.Join(h.Dir, "nats.conf")
	text := fmt.Sprintf("listen: %q\njetstream {\n  store_dir: %q\n  sync_interval: always\n  max_file_store: 20GB\n}\n%s",
		h.Addr, filepath.Join(h.Dir, "store"), more)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &Server{t: t, Addr: h.Addr, run: h.Run}
	s.make = func() *exec.Cmd { return exec.Command(bin, "-c", conf, "-l", filepath.Join(h.Dir, "nats.log")) }
	s.up = func() bool {
		nc, err := nats.Connect(s.NATSURL())
		if err == nil {
			nc.Close()
		}
		return err == nil || errors.Is(err, nats.ErrAuthorization)
	}
	t.Cleanup(s.Kill)
	return s
}

// NATSURL is the URL of a nats-server.
func (s *Server) NATSURL() string { return "nats://" + s.Addr }

// StartS3 runs a versitygw with an empty bucket, and gives the flags and the environment that make it the archive.
func StartS3(t testing.TB) (s *Server, args, env []string) {
	t.Helper()
	const key = "faxstream-test"
	bin, dir := Tool(t, "versitygw", "make tools"), t.TempDir()
	data, versions := filepath.Join(dir, "data"), filepath.Join(dir, "versions")
	if err := errors.Join(os.Mkdir(data, 0o700), os.Mkdir(versions, 0o700)); err != nil {
		t.Fatal(err)
	}
	s = &Server{t: t, Addr: FixedAddr(t)}
	s.make = func() *exec.Cmd {
		cmd := exec.Command(bin, "--port", s.Addr, "--quiet", "--keep-alive", "posix", "--versioning-dir", versions, data)
		cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+key, "ROOT_SECRET_KEY="+key)
		return cmd
	}
	client, err := minio.New(s.Addr, &minio.Options{Creds: credentials.NewStaticV4(key, key, ""), Region: "us-east-1", MaxRetries: 1})
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
	s.Start()
	t.Cleanup(s.Kill)
	return s, []string{"--archive=s3://" + storagetest.Bucket + "/some/prefix", "--s3-endpoint=http://" + s.Addr},
		[]string{"FAXSTREAM_S3_ACCESS_KEY=" + key, "FAXSTREAM_S3_SECRET_KEY=" + key}
}
