package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
)

// clockVariable is by how much the clock of a build of skewed is ahead, in seconds.
const clockVariable = "FAXSTREAM_TEST_CLOCK"

// ahead makes a command a faxstream whose clock is ahead. A process has no clock of its own on Linux, and a Go program asks the kernel
// without a library that could lie to it: so it is built with a package time that adds to what the kernel says.
func ahead(t *testing.T, cmd *exec.Cmd, by time.Duration) {
	t.Helper()
	cmd.Path = skewed(t)
	cmd.Args[0] = cmd.Path
	cmd.Env = append(cmd.Env, clockVariable+"="+by.String())
}

var skewedBuild struct {
	sync.Once
	dir, path string
	err       error
}

// skewed builds that faxstream, once.
func skewed(t *testing.T) string {
	t.Helper()
	b := &skewedBuild
	b.Do(func() {
		if b.dir, b.err = os.MkdirTemp("", "faxstream-clock-"); b.err != nil {
			return
		}
		b.path = filepath.Join(b.dir, "faxstream")
		b.err = buildSkewed(t, b.dir, b.path)
	})
	t.Cleanup(func() { _ = os.RemoveAll(b.dir) })
	if b.err != nil {
		t.Fatal(b.err)
	}
	return b.path
}

func buildSkewed(t *testing.T, dir, out string) error {
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return err
	}
	original := filepath.Join(strings.TrimSpace(string(goroot)), "src", "time", "time.go")
	source := string(apptest.ReadFile(t, original))
	const asks = "sec, nsec, mono := runtimeNow()"
	if strings.Count(source, asks) != 1 || !strings.Contains(source, "func Now() Time {\n\t"+asks) {
		t.Fatalf("package time of %s asks for the time in another way: change the test", runtime.Version())
	}
	source = strings.Replace(source, asks, asks+"\n\tsec += testClock", 1) + `
var testClock = func() int64 {
	text, _ := syscall.Getenv("` + clockVariable + `")
	d, _ := ParseDuration(text)
	return int64(d / Second)
}()
`
	source = strings.Replace(source, "import (", "import (\n\t\"syscall\"", 1)
	changed, overlay := filepath.Join(dir, "time.go"), filepath.Join(dir, "overlay.json")
	list, err := json.Marshal(map[string]map[string]string{"Replace": {original: changed}})
	if err != nil {
		return err
	}
	for path, data := range map[string][]byte{changed: []byte(source), overlay: list} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			return err
		}
	}
	cmd := exec.Command("go", "build", "-overlay", overlay, "-o", out, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stderr = t.Output()
	return cmd.Run()
}
