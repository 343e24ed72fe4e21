package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
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

	"github.com/faxstream/faxstream/cmd/faxstream/dashboard"
	"github.com/faxstream/faxstream/ingest"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
)

// asProgram makes the test binary behave as faxstream, so that tests can start, stop and kill real processes.
const asProgram = "FAXSTREAM_TEST_AS_PROGRAM"

// patience bounds every wait of a test: long enough for a loaded machine, since it is only reached on failure.
const patience = 90 * time.Second

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
	if err := p.cmd.Start(); err != nil {
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
	t.Cleanup(p.kill)
	return p
}

// awaitReady returns once the process takes webhooks.
func (p *process) awaitReady() {
	p.t.Helper()
	select {
	case s := <-p.line:
		if err := json.Unmarshal([]byte(s), &p.ready); err != nil || !p.ready.Ready {
			p.t.Fatalf("first line %q is no ready line: %v\n%s", s, err, p.log)
		}
	case <-time.After(patience):
		p.t.Fatalf("no ready line within %s\n%s", patience, p.log)
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
	case <-time.After(patience):
		p.t.Fatalf("still running %s after SIGTERM\n%s", patience, p.log)
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

// post sends a webhook body and returns the status.
func post(t testing.TB, url string, body []byte) int {
	t.Helper()
	resp, err := http.Post(url, "application/json", strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// fetch gets a URL that must answer 200.
func fetch(t testing.TB, url string) []byte {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s, %v: %s", url, resp.Status, err, body)
	}
	return body
}

func (p *process) api(path string) string { return p.ready.Admin + "/api/v1" + path }

func (p *process) fax(session string) dashboard.FaxDetail {
	p.t.Helper()
	var d dashboard.FaxDetail
	if err := json.Unmarshal(fetch(p.t, p.api("/faxes/"+session)), &d); err != nil {
		p.t.Fatal(err)
	}
	return d
}

// awaitStatus waits for the status of a fax's newest document: its ledger hears of that a moment after its event.
func (p *process) awaitStatus(id, status string) {
	p.t.Helper()
	var last dashboard.FaxDetail
	await(p.t, "fax "+id+" is "+status, func() bool {
		last = p.fax(id)
		return last.Status == status || last.Revision > 0
	})
	if last.Status != status {
		p.t.Errorf("fax %s is %s (%s), want %s", id, last.Status, last.Reason, status)
	}
}

// await polls until cond holds. Polling is for what has no signal of its own; nothing is asserted about how long it takes.
func await(t testing.TB, what string, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %s", what, patience)
		}
		<-tick.C
	}
}

// awaitDocuments waits until every session has a document and returns their status.
func (p *process) awaitDocuments(sessions ...string) map[string]dashboard.Fax {
	p.t.Helper()
	got := map[string]dashboard.Fax{}
	await(p.t, fmt.Sprintf("documents of %d faxes", len(sessions)), func() bool {
		var list struct{ Faxes []dashboard.Fax }
		if err := json.Unmarshal(fetch(p.t, p.api("/faxes?limit=500")), &list); err != nil {
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

// root is the project's folder.
func root(t testing.TB) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// tool finds a program that tests run: in $FAXSTREAM_TOOLS, in .tools/bin, on PATH. Without it the test is skipped, in CI it fails.
func tool(t testing.TB, name, install string) string {
	t.Helper()
	for _, dir := range []string{os.Getenv("FAXSTREAM_TOOLS"), filepath.Join(root(t), ".tools", "bin")} {
		if path := filepath.Join(dir, name); dir != "" {
			if _, err := os.Stat(path); err == nil {
				return path
			}
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		message := fmt.Sprintf("%s is not here: %s", name, install)
		if os.Getenv("CI") == "true" {
			t.Fatal(message)
		}
		t.Skip(message)
	}
	return path
}

// generated makes n faxes with the generator of the demo.
func generated(t testing.TB, seed uint64, n int) []faxplustest.Fax {
	t.Helper()
	faxes, err := simulateCmd{Faxes: n, Seed: seed}.faxes()
	if err != nil {
		t.Fatal(err)
	}
	return faxes
}

// usual is how much of a thing a test has. Few is for -short, which is what the race detector runs: there each page costs ten times
// as much, and more of them interleave no further.
func usual(n, few int) int {
	if testing.Short() {
		return few
	}
	return n
}

// bodies are the webhooks of a fax, in order.
func bodies(f faxplustest.Fax, target string) [][]byte {
	var all [][]byte
	for page := range f.Pages {
		all = append(all, faxplustest.PageEvent(f, page+1, target))
	}
	return append(all, faxplustest.ClosedEvent(f, target))
}

func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}
