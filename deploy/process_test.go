package deploy_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/faxstream/faxstream/storage/storagetest"
)

// process is a program that runs until the test ends. Its output may be awaited.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when err is final
	err   error

	mu      sync.Mutex
	out     strings.Builder // stdout and stderr; guarded by mu
	changed chan struct{}   // closed and replaced at every write; guarded by mu
}

func start(t *testing.T, env []string, name string, args ...string) *process {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = env
	return startCommand(t, cmd)
}

func startCommand(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{cmd: cmd, ended: make(chan struct{}), changed: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p, p
	if err := storagetest.Start(p.cmd); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Error(err)
		}
		select {
		case <-p.ended:
		case <-time.After(limit):
			t.Errorf("%s does not end %s after SIGTERM", filepath.Base(cmd.Path), limit)
			_ = p.cmd.Process.Kill() // best effort: it is reported already
			<-p.ended
		}
	})
	return p
}

// limit is for what takes a second at most; beyond it something hangs.
const limit = 60 * time.Second

func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out.Write(b)
	close(p.changed)
	p.changed = make(chan struct{})
	return len(b), nil
}

// await waits until the output matches, and gives the pattern's first group.
func (p *process) await(t *testing.T, pattern string) string {
	t.Helper()
	re, timeout := regexp.MustCompile(pattern), time.After(limit)
	for ended := false; ; {
		p.mu.Lock()
		text, changed := p.out.String(), p.changed
		p.mu.Unlock()
		if m := re.FindStringSubmatch(text); m != nil {
			return m[len(m)-1]
		}
		if ended {
			t.Fatalf("%s ended with %v, want %s in its output:\n%s", p.cmd, p.err, pattern, text)
		}
		select {
		case <-changed:
		case <-p.ended:
			ended = true // once more: the last words may have come meanwhile
		case <-timeout:
			t.Fatalf("%s never said %s:\n%s", p.cmd, pattern, text)
		}
	}
}

// startServe runs faxstream with nothing but env in its environment and gives its admin URL.
func startServe(t *testing.T, args []string, env ...string) string {
	t.Helper()
	return startServeOf(t, faxstream(), args, env...)
}

// startServeOf does so with another binary.
func startServeOf(t *testing.T, binary string, args []string, env ...string) string {
	t.Helper()
	return serveProcess(t, binary, args, env...).await(t, `"admin":"([^"]+)"`)
}

// serveProcess runs a faxstream until the test ends, which it must do in order. It is ready.
func serveProcess(t *testing.T, binary string, args []string, env ...string) *process {
	t.Helper()
	p := start(t, append(clean(), env...), binary, args...)
	t.Cleanup(func() { // before the one of start
		if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		<-p.ended
		if p.err != nil {
			t.Errorf("faxstream after SIGTERM: %v, want exit code 0", p.err)
		}
	})
	p.await(t, `"ready":true`)
	return p
}

// checkReady asks a running faxstream whether it can record webhooks and archive objects.
func checkReady(t *testing.T, admin string) {
	t.Helper()
	var ready struct {
		Status string `json:"status"`
	}
	getJSON(t, admin+"/readyz", &ready)
	if ready.Status != "ready" {
		t.Errorf("status %q, want ready", ready.Status)
	}
}

func getJSON(t *testing.T, url string, v any) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s", url, resp.Status)
	}
	if err := json.NewDecoder(resp.Body).Decode(v); err != nil {
		t.Fatalf("GET %s: %v", url, err)
	}
}

// clean is the environment without variables that faxstream reads.
func clean() []string {
	var env []string
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "FAXSTREAM_") && !strings.HasPrefix(kv, "AWS_") {
			env = append(env, kv)
		}
	}
	return env
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// tool finds a program in $FAXSTREAM_TOOLS, on PATH, in .tools/bin and in /usr/sbin, where Debian has nginx and where the PATH of people
// does not lead; or it skips the test. With CI=true it fails.
func tool(t *testing.T, name, remedy string) string {
	t.Helper()
	for _, dir := range []string{os.Getenv("FAXSTREAM_TOOLS"), "", filepath.Join("..", ".tools", "bin"), "/usr/sbin"} {
		if dir == "" {
			if path, err := exec.LookPath(name); err == nil {
				return path
			}
			continue
		}
		path, err := filepath.Abs(filepath.Join(dir, name))
		if info, statErr := os.Stat(path); err == nil && statErr == nil && info.Mode().IsRegular() {
			return path
		}
	}
	const format = "%s is not in $FAXSTREAM_TOOLS, on PATH, in .tools/bin or in /usr/sbin: %s"
	if os.Getenv("CI") == "true" {
		t.Fatalf(format, name, remedy)
	}
	t.Skipf(format, name, remedy)
	return ""
}
