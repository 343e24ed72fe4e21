package deploy_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// paste is how long the commands of one page may take.
const paste = 4 * time.Minute

// TestPagesRun pastes the blocks of each page into a shell in an empty directory, all at once, as they stand there but for the ports.
// The first block of the README starts everything; the other pages go on from it.
func TestPagesRun(t *testing.T) {
	if testing.Short() {
		t.Skip("it runs the program itself, in which the race detector sees nothing: runs without -short")
	}
	bash := tool(t, "bash", "apt-get install bash")
	tool(t, "curl", "apt-get install curl")
	tool(t, "openssl", "apt-get install openssl")
	all := manual(t)
	start := all[0].of(run)[0]
	made := map[string]map[string]string{
		"README.md": {"fax.pdf": "%PDF-", "linked.pdf": "%PDF-", "manifest.json": "{", "page-1.tiff": "II*", "page-1.png": "\x89PNG"},
		"tiff.md":   {"page-1.tiff": "II*", "page-1.pbm": "P4", "page-1.png": "\x89PNG", "clean-1.tiff": "II*", "fax.tiff": "II*"},
	}
	for _, p := range all {
		blocks := p.of(run)
		if len(blocks) == 0 {
			continue
		}
		t.Run(filepath.Base(p.path), func(t *testing.T) {
			t.Parallel()
			s := newShell(t, bash)
			script := start + strings.Join(blocks, "")
			if p.path == all[0].path {
				script = strings.Join(blocks, "") + "wait\n" // its last block ends everything
			}
			s.mustRun(script)
			s.wantFiles(made[filepath.Base(p.path)])
		})
	}
}

// TestPagesRunInOrder pastes all pages into one shell, in the order in which the README lists them, as somebody does who reads on.
func TestPagesRunInOrder(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it runs the program itself, in which the race detector sees nothing: runs without -short")
	}
	s := newShell(t, tool(t, "bash", "apt-get install bash"))
	readme := readPage(t, "../README.md")
	blocks := readme.of(run)
	end := len(blocks) - 1 // the last block ends everything
	script := strings.Join(blocks[:end], "")
	pages := regexp.MustCompile(`(?m)^\|.*\]\(deploy/(docs/[a-z]+\.md)\)`).FindAllStringSubmatch(readme.prose, -1)
	if len(pages) != len(manual(t))-2 {
		t.Fatalf("the README lists the pages %v", pages)
	}
	for _, m := range pages {
		script += "echo page " + m[1] + "\n" + strings.Join(readPage(t, m[1]).of(run), "")
	}
	s.mustRun(script + blocks[end] + "wait\n")
}

// TestStartEndsWhereAPortIsTaken: whoever pastes the first block and has something else on a port is told so and gets his shell back.
func TestStartEndsWhereAPortIsTaken(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it runs the program itself, in which the race detector sees nothing: runs without -short")
	}
	s := newShell(t, tool(t, "bash", "apt-get install bash"))
	l, err := net.Listen("tcp", s.address("127.0.0.1:8080"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	out, err := s.run(readPage(t, "../README.md").of(run)[0])
	if err == nil || !strings.Contains(out, "No such process") {
		t.Errorf("with a port taken the block ends with %v, want an error and \"No such process\"\n%s", err, out)
	}
	log, err := os.ReadFile(filepath.Join(s.dir, "serve.log"))
	if err != nil || !strings.Contains(string(log), l.Addr().String()) {
		t.Errorf("serve.log does not say that %s is taken: %v\n%s", l.Addr(), err, log)
	}
}

// shell is a reader's, in a directory of his own.
type shell struct {
	t         *testing.T
	bash, dir string
	env       []string
	free      map[string]string // the address of a page: one that is free here
}

func newShell(t *testing.T, bash string) *shell {
	s := &shell{t: t, bash: bash, dir: t.TempDir(), free: map[string]string{}}
	s.env = append(clean(), "PATH="+binDir+":"+os.Getenv("PATH"),
		"FAXSTREAM_WEBHOOK_ADDR="+s.address("127.0.0.1:8080"), "FAXSTREAM_ADMIN_ADDR="+s.address("127.0.0.1:8081"),
		"FAXSTREAM_ADDR="+s.address("127.0.0.1:8090"), "FAXSTREAM_SERVER=http://"+s.address("127.0.0.1:8081"))
	return s
}

// address is a loopback address that was free a moment ago, the same each time. Its port is below those that systems give out by
// themselves (from 32768 on), so that no connection of a test beside this one takes it meanwhile.
func (s *shell) address(written string) string {
	s.t.Helper()
	for s.free[written] == "" {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 10000+rand.IntN(20000)))
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err != nil {
			s.t.Fatal(err)
		}
		s.free[written] = l.Addr().String()
		if err := l.Close(); err != nil {
			s.t.Fatal(err)
		}
	}
	return s.free[written]
}

func (s *shell) mustRun(script string) {
	s.t.Helper()
	out, err := s.run(script)
	if err != nil {
		log, _ := os.ReadFile(filepath.Join(s.dir, "serve.log")) // best effort: it may not have come so far
		s.t.Errorf("%v\n%s\nserve.log:\n%s", err, out, log[max(0, len(log)-4000):])
	}
}

// run gives the script to the shell's standard input, where a command that reads would swallow the rest, and ends what it left running.
func (s *shell) run(script string) (string, error) {
	s.t.Helper()
	script = regexp.MustCompile(`127\.0\.0\.1:[1-9]\d+`).ReplaceAllStringFunc(script, s.address)
	out, err := os.Create(filepath.Join(s.dir, "terminal"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer out.Close()
	ctx, cancel := context.WithTimeout(s.t.Context(), paste)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.bash, "-euo", "pipefail", "-s")
	cmd.Dir, cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = s.dir, s.env, strings.NewReader(script), out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	failure := cmd.Run()
	if cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // nobody may be left
	}
	text, err := os.ReadFile(out.Name())
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text), failure
}

// wantFiles checks that files are there and begin as they should.
func (s *shell) wantFiles(magic map[string]string) {
	s.t.Helper()
	for file, begin := range magic {
		if data, err := os.ReadFile(filepath.Join(s.dir, file)); err != nil || !strings.HasPrefix(string(data), begin) {
			s.t.Errorf("%s: %v, begins with %.8q, want %q", file, err, data, begin)
		}
	}
}
