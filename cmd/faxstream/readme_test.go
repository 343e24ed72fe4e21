package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// The commands of the README work as they stand there, but for the ports.
func TestREADMECommands(t *testing.T) {
	if testing.Short() {
		t.Skip("other tests cover the same code for the race detector: runs without -short")
	}
	bash := tool(t, "bash", "apt-get install bash")
	tool(t, "curl", "apt-get install curl")
	text, err := os.ReadFile(filepath.Join(root(t), "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if len(blocks) != 3 {
		t.Fatalf("the README has %d blocks of commands, want 3: one that starts, one that uses, one that keeps and removes", len(blocks))
	}
	ports := strings.NewReplacer(
		"127.0.0.1:8080", freeAddress(t), "127.0.0.1:8081", freeAddress(t), "127.0.0.1:8090", freeAddress(t))
	addresses := ports.Replace("FAXSTREAM_WEBHOOK_ADDR=127.0.0.1:8080 FAXSTREAM_ADMIN_ADDR=127.0.0.1:8081 FAXSTREAM_ADDR=127.0.0.1:8090 FAXSTREAM_SERVER=http://127.0.0.1:8081 FAXSTREAM_RETENTION=0")
	bin, dir := t.TempDir(), t.TempDir()
	if err := os.Symlink(testBinary(t), filepath.Join(bin, "faxstream")); err != nil {
		t.Fatal(err)
	}
	shell := func(script string) *exec.Cmd {
		cmd := exec.Command(bash, "-euo", "pipefail", "-c", ports.Replace(script))
		cmd.Dir = dir
		cmd.Env = append(append(os.Environ(), asProgram+"=1", "PATH="+bin+":"+os.Getenv("PATH")), strings.Fields(addresses)...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		return cmd
	}
	log := &syncBuffer{}
	start := shell(blocks[0][1] + "\nwait")
	start.Stdout, start.Stderr = log, log
	if err := start.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-start.Process.Pid, syscall.SIGKILL)
		_ = start.Wait()
		if t.Failed() {
			t.Log(tail(log.String(), 40))
		}
	})
	await(t, "two documents", func() bool {
		out, err := shell("faxstream ls --json").Output()
		return err == nil && strings.Count(string(out), `"status":"complete"`) == 2
	})
	if out, err := shell(blocks[1][1] + blocks[2][1]).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for file, magic := range map[string]string{"fax.pdf": "%PDF-", "linked.pdf": "%PDF-", "manifest.json": "{", "page-1.tiff": "II*", "page-1.png": "\x89PNG", "page-1.pbm": "P4"} {
		if data, err := os.ReadFile(filepath.Join(dir, file)); err != nil || !strings.HasPrefix(string(data), magic) {
			t.Errorf("%s: %v, begins with %.8q", file, err, data)
		}
	}
}

// The make targets that the README names exist, and each is one line of `make help`.
func TestREADMETargets(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root(t), "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	makefile, err := os.ReadFile(filepath.Join(root(t), "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("(?:`|    )make ([a-z]+)").FindAllStringSubmatch(string(text), -1) {
		if !regexp.MustCompile(`(?m)^` + m[1] + `:.*## `).Match(makefile) {
			t.Errorf("the README names `make %s`, which the Makefile does not have", m[1])
		}
	}
}

// freeAddress is a loopback address that was free a moment ago.
func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return fmt.Sprint(l.Addr())
}

// testBinary is this test's own file, which is faxstream when asProgram is set.
func testBinary(t testing.TB) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}
