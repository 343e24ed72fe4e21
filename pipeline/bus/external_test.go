package bus

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/faxstream/faxstream/pipeline/session"
)

// natsServer is a real nats-server process on a fixed port and store.
type natsServer struct {
	t    testing.TB
	bin  string
	addr string
	conf string
	cmd  *exec.Cmd
}

func startNATS(t testing.TB) *natsServer {
	t.Helper()
	return startServer(t, "nats-server", "")
}

// startServer starts a server of some version; more is added to its configuration of JetStream.
func startServer(t testing.TB, name, more string) *natsServer {
	t.Helper()
	s := &natsServer{t: t, bin: tool(t, name), addr: freeAddr(t)}
	dir := t.TempDir()
	s.conf = filepath.Join(dir, "nats.conf")
	conf := fmt.Sprintf(
		"listen: %q\njetstream {\n  store_dir: %q\n  sync_interval: always\n  %s\n}\n", s.addr, filepath.Join(dir, "store"), more,
	)
	if err := os.WriteFile(s.conf, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	s.start()
	t.Cleanup(s.kill)
	return s
}

func (s *natsServer) url() string { return "nats://" + s.addr }

// start returns once the server takes connections.
func (s *natsServer) start() {
	s.t.Helper()
	s.cmd = exec.Command(s.bin, "-c", s.conf)
	s.cmd.Stderr = s.t.Output()
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	nc, err := nats.Connect(s.url(), nats.RetryOnFailedConnect(true), nats.ReconnectWait(20*time.Millisecond), nats.MaxReconnects(-1))
	if err != nil {
		s.t.Fatal(err)
	}
	defer nc.Close()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	if err := nc.FlushWithContext(ctx); err != nil {
		s.t.Fatal(err)
	}
}

// kill ends the process as a power cut would.
func (s *natsServer) kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait() // says that it was killed
	s.cmd = nil
}

func (s *natsServer) open() *Bus {
	s.t.Helper()
	b, err := Open(s.t.Context(), Config{URL: s.url(), Log: logTo(s.t)})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { closeBus(s.t, b) })
	return b
}

func freeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// tool finds a server's binary or skips the test; with CI=true it must be there.
func tool(t testing.TB, name string) string {
	t.Helper()
	dirs := append([]string{os.Getenv("FAXSTREAM_TOOLS")}, filepath.SplitList(os.Getenv("PATH"))...)
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; wd != filepath.Dir(wd); wd = filepath.Dir(wd) {
		if _, err := os.Stat(filepath.Join(wd, "go.mod")); err == nil {
			dirs = append(dirs, filepath.Join(wd, ".tools", "bin"))
		}
	}
	for _, dir := range dirs {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); dir != "" && err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return path
		}
	}
	const format = "%s is not in $FAXSTREAM_TOOLS, on PATH or in .tools/bin: run `make tools`"
	if strings.EqualFold(os.Getenv("CI"), "true") {
		t.Fatalf(format, name)
	}
	t.Skipf(format, name)
	return ""
}

// An external server is as good as the embedded one, and two processes may share it.
func TestExternalServer(t *testing.T) {
	t.Parallel()
	s := startNATS(t)
	b, other := s.open(), s.open()
	seq := mustRecord(t, b, page("s", 1))
	if again, stored, err := other.RecordFact(t.Context(), page("s", 1)); err != nil || stored == nil || again != seq {
		t.Errorf("the other process: seq %d, stored %s, %v", again, stored, err)
	}
	fired := timers(t, b)
	timer := session.Timer{Kind: session.TimerGrace, Session: "s", Due: time.Now().UTC().Truncate(time.Millisecond)}
	if err := other.Schedule(t.Context(), timer, []byte("body")); err != nil {
		t.Fatal(err)
	}
	if d := receive(t, fired); d.Subject != timer.DueSubject() {
		t.Errorf("fired on %s", d.Subject)
	}
	if url := b.ClientURL(); url != "" {
		t.Errorf("an external server is offered as ours: %s", url)
	}
}

// If the server dies during a publish, the publish fails at once and not after its timeout.
func TestAPublishInFlightFailsWithItsServer(t *testing.T) {
	t.Parallel()
	s := startNATS(t)
	b := s.open()
	mustRecord(t, b, page("s", 1))
	if err := s.cmd.Process.Signal(syscall.SIGSTOP); err != nil { // it takes nothing any more, but the connection stands
		t.Fatal(err)
	}
	awaitStopped(t, s.cmd.Process.Pid)
	sent := b.nc.Stats().OutMsgs
	failed := make(chan error, 1)
	go func() {
		_, err := b.Record(t.Context(), page("s", 2))
		failed <- err
	}()
	for b.nc.Stats().OutMsgs == sent {
		time.Sleep(time.Millisecond)
	}
	s.kill()
	if err := receive(t, failed); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the publish ended with %v, want an error before its time was over", err)
	}
}

// awaitStopped returns when every thread of a process stands still: kill(2) returns before that.
func awaitStopped(t *testing.T, pid int) {
	t.Helper()
	for running := true; running; {
		files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
		if err != nil || len(files) == 0 {
			t.Fatal(files, err)
		}
		running = false
		for _, file := range files {
			stat, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			running = running || !strings.Contains(string(stat), ") T ")
		}
	}
}

// While the server is away every write fails at once, so that the webhook gets its 503. After the server is back, all acknowledged
// messages are there and work continues without help.
func TestExternalServerThatIsKilledAndComesBack(t *testing.T) {
	t.Parallel()
	s := startNATS(t)
	b := s.open()
	seen := make(chan string, 256)
	consume(t, b, pageConsumer, func(_ context.Context, d Delivery) error { seen <- d.Subject; return nil })
	caught, ledgers := make(chan struct{}), make(chan string, 16)
	go func() {
		if err := b.Ledgers(t.Context(), func(s session.State) { ledgers <- s.Session }, func() { close(caught) }); err != nil {
			t.Error(err)
		}
	}()
	receive(t, caught)
	for i := range 20 {
		mustRecord(t, b, page("s", i+1))
		receive(t, seen)
	}
	cons, err := b.durable(t.Context(), pageConsumer)
	if err != nil {
		t.Fatal(err)
	}
	s.kill()
	for b.nc.IsConnected() { // until the client has seen it
		time.Sleep(time.Millisecond)
	}
	subscriptions := b.nc.NumSubscriptions()
	for i := range 100 {
		began := time.Now()
		if _, err := b.Record(t.Context(), page("down", i+1)); err == nil {
			t.Fatal("a fact was recorded while the server is gone")
		}
		if took := time.Since(began); took > requestTimeout/2 {
			t.Fatalf("it took %s to say so", took)
		}
	}
	if b.Ready(t.Context()) == nil {
		t.Error("ready while the server is gone")
	}
	for range 2 {
		b.fetch(newDurable(pageConsumer, cons), 1)
	}
	if n := b.nc.NumSubscriptions(); n > subscriptions {
		t.Errorf("%d subscriptions after pulls without a server, %d before: they pile up", n, subscriptions)
	}
	s.start()
	for { // until the client is back
		if _, err := b.Record(t.Context(), page("back", 1)); err == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	for subject := range seen {
		if subject == "fax.v1.in.page.back.1" {
			break
		}
	}
	for i := range 20 {
		if repeat, err := b.Record(t.Context(), page("s", i+1)); err != nil || !repeat {
			t.Fatalf("page %d was answered before the kill and is not there: repeat %t, %v", i+1, repeat, err)
		}
	}
	if n := count(t, b, StreamIn); n != 21 {
		t.Errorf("%d facts, want 21: what was refused is not stored", n)
	}
	if _, err := b.Save(t.Context(), session.State{Session: "new"}, 0); err != nil {
		t.Fatal(err)
	}
	for receive(t, ledgers) != "new" {
		t.Log("an older ledger again")
	}
}

// Servers that do not answer, and those that have no streams yet, are away; a wrong URL and a wrong login are mistakes.
func TestAway(t *testing.T) {
	t.Parallel()
	s := startServer(t, "nats-server", "")
	nobody := freeAddr(t)
	for _, c := range []struct {
		cfg  Config
		away bool
	}{
		{Config{URL: "nats://" + nobody}, true},
		{Config{URL: "nats://nobody.invalid:4222"}, true},
		{Config{URL: "nats://" + nobody + ":x"}, false},
		{Config{URL: s.url(), Creds: "/nowhere"}, false},
	} {
		c.cfg.Log = logTo(t)
		if _, err := Open(t.Context(), c.cfg); err == nil || errors.Is(err, ErrAway) != c.away {
			t.Errorf("%s: %v, away: want %t", c.cfg.URL, err, c.away)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, Config{URL: s.url(), Join: true, Log: logTo(t)}); err == nil {
		t.Error("streams that nobody has created are there")
	}
	if err := awayOr(fmt.Errorf("stream FAX_IN: %w", errNotCreated)); !errors.Is(err, ErrAway) {
		t.Errorf("streams that another process is to create: %v", err)
	}
}

// The store of a server that was one of a cluster is left as it is.
func TestTheStoreOfAClusterIsRefused(t *testing.T) {
	t.Parallel()
	route := freeAddr(t)
	s := startServer(t, "nats-server",
		fmt.Sprintf("}\nserver_name: one\ncluster {\n  name: fax\n  listen: %q\n  routes: [\"nats://%[1]s\"]", route))
	store := filepath.Join(filepath.Dir(s.conf), "store")
	for { // until it has written what a cluster agrees on
		if found, err := filepath.Glob(filepath.Join(store, "jetstream", "*", "_js_", "_meta_")); len(found) > 0 || err != nil {
			break
		}
		if t.Context().Err() != nil {
			t.Fatal("the server makes no cluster")
		}
		time.Sleep(10 * time.Millisecond)
	}
	s.kill()
	b, err := Open(t.Context(), Config{Embedded: EmbeddedConfig{Dir: store}, Log: logTo(t)})
	if err == nil {
		closeBus(t, b)
	}
	if !errors.Is(err, errOfCluster) || !strings.Contains(err.Error(), store) {
		t.Errorf("opened: %v; want an error that says why not", err)
	}
	if _, err := os.Stat(filepath.Join(store, "lock")); err == nil {
		t.Error("it was locked")
	}
}
