package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
	"github.com/faxstream/faxstream/ingest"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/storage/storagetest"
)

// asProgram makes the test binary behave as faxstream, so that tests can start, stop and kill real processes.
const asProgram = "FAXSTREAM_TEST_AS_PROGRAM"

// process is a faxstream that runs as a process of its own.
type process struct {
	t      testing.TB
	cmd    *exec.Cmd
	log    *syncBuffer
	line   chan string // the first one on stdout
	ready  readyLine
	exited chan struct{}
}

type syncBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// serve starts `faxstream serve` on free ports and waits for its ready line. It is killed at the end of the test.
func serve(t testing.TB, env []string, args ...string) *process {
	t.Helper()
	p := launch(t, serveCommand(env, args...))
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of faxstream:\n%s", tail(p.log.String(), 60))
		}
	})
	p.awaitReady()
	return p
}

// serveCommand is `faxstream serve` on free ports.
func serveCommand(env []string, args ...string) *exec.Cmd {
	args = append([]string{"serve", "--webhook-addr=127.0.0.1:0", "--admin-addr=127.0.0.1:0", "--allow-from=127.0.0.0/8"}, args...)
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(append(os.Environ(), asProgram+"=1"), env...)
	return cmd
}

// launch starts a faxstream and does not wait for it. It is killed at the end of the test.
func launch(t testing.TB, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{t: t, cmd: cmd, log: &syncBuffer{}, line: make(chan string, 1), exited: make(chan struct{})}
	p.cmd.Stderr = p.log
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := storagetest.Start(p.cmd); err != nil {
		t.Fatal(err)
	}
	go func() {
		r := bufio.NewReader(out)
		s, _ := r.ReadString('\n')
		p.line <- s
		_, _ = io.Copy(io.Discard, r)
		_ = p.cmd.Wait()
		close(p.exited)
	}()
	t.Cleanup(func() {
		p.kill()
		if err := removeStages(p.cmd); err != nil {
			t.Error(err)
		}
	})
	return p
}

// removeStages removes what a process that was killed has left in memory. The next one with the same stores would, but there is none.
func removeStages(cmd *exec.Cmd) error {
	var errs []error
	for _, arg := range cmd.Args {
		dir, ok := strings.CutPrefix(arg, "--dir=")
		if !ok {
			continue
		}
		links, err := filepath.Glob(filepath.Join(dir, "nats", "jetstream", "*", "streams", "*", "batches"))
		errs = append(errs, err)
		for _, link := range links {
			target, err := os.Readlink(link)
			if stage := filepath.Dir(target); err == nil && filepath.Dir(stage) == "/dev/shm" {
				errs = append(errs, os.RemoveAll(stage))
			}
		}
	}
	return errors.Join(errs...)
}

// awaitReady returns once the process takes webhooks.
func (p *process) awaitReady() {
	p.t.Helper()
	select {
	case s := <-p.line:
		if err := json.Unmarshal([]byte(s), &p.ready); err != nil || !p.ready.Ready {
			p.t.Fatalf("first line %q is no ready line: %v\n%s", s, err, p.log)
		}
	case <-time.After(apptest.Patience):
		p.t.Fatalf("no ready line within %s\n%s", apptest.Patience, p.log)
	}
}

func tail(s string, lines int) string {
	all := strings.Split(s, "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.exited
}

// terminate sends SIGTERM and returns the exit code.
func (p *process) terminate() int {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	select {
	case <-p.exited:
	case <-time.After(apptest.Patience):
		p.t.Fatalf("still running %s after SIGTERM\n%s", apptest.Patience, p.log)
	}
	return p.cmd.ProcessState.ExitCode()
}

func (p *process) target() string { return p.ready.Webhook + ingest.Path }

// newSimulator serves a provider on loopback and returns the flags that point at it.
func newSimulator(t testing.TB, cfg faxplustest.Config) (*faxplustest.Server, []string) {
	t.Helper()
	sim := faxplustest.New(cfg)
	srv := httptest.NewServer(sim)
	t.Cleanup(func() {
		srv.Close()
		sim.Close()
	})
	return sim, []string{"--faxplus-url=" + srv.URL, "--faxplus-page-path=" + faxplustest.PagePath}
}

func (p *process) api(path string) string { return p.ready.Admin + "/api/v1" + path }

func (p *process) fax(session string) api.FaxDetail {
	p.t.Helper()
	var d api.FaxDetail
	if err := json.Unmarshal(apptest.Fetch(p.t, p.api("/faxes/"+session)), &d); err != nil {
		p.t.Fatal(err)
	}
	return d
}

// awaitStatus waits for the status of a fax's newest document: its ledger hears of that a moment after its event.
func (p *process) awaitStatus(id, status string) {
	p.t.Helper()
	var last api.FaxDetail
	await(p.t, "fax "+id+" is "+status, func() bool {
		last = p.fax(id)
		return last.Status == status || last.Revision > 0
	})
	if last.Status != status {
		p.t.Errorf("fax %s is %s (%s), want %s", id, last.Status, last.Reason, status)
	}
}

// awaitDocuments waits until every session has a document and returns their status.
func (p *process) awaitDocuments(sessions ...string) map[string]api.Fax {
	p.t.Helper()
	got := map[string]api.Fax{}
	await(p.t, fmt.Sprintf("documents of %d faxes", len(sessions)), func() bool {
		var list struct{ Faxes []api.Fax }
		if err := json.Unmarshal(apptest.Fetch(p.t, p.api("/faxes?limit=500")), &list); err != nil {
			p.t.Fatal(err)
		}
		for _, f := range list.Faxes {
			if f.Revision > 0 && slices.Contains(sessions, f.Session) {
				got[f.Session] = f
			}
		}
		return len(got) == len(sessions)
	})
	return got
}

// await, root and tool are apptest's.
func await(t testing.TB, what string, cond func() bool) {
	t.Helper()
	apptest.Await(t, what, cond)
}

func root(t testing.TB) string {
	t.Helper()
	return apptest.Root(t)
}

func tool(t testing.TB, name, install string) string {
	t.Helper()
	return apptest.Tool(t, name, install)
}
