package local_test

import (
	"bytes"
	"crypto/sha256"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/faxstream/faxstream/storage/local"
)

// orderDir makes the test binary the process whose system calls TestSystemCallsInOrder looks at.
const orderDir = "FAXSTREAM_TEST_ORDER_DIR"

func writeOne(t *testing.T, dir string) {
	s, err := local.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	body := []byte("page")
	if err := s.Create(t.Context(), "faxes/S1/page", bytes.NewReader(body), int64(len(body)), sha256.Sum256(body)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// The system reports an I/O error of a directory to the descriptors that are open when it happens. So for each name that a write makes,
// the descriptor that is synced was opened before the name was made.
func TestSystemCallsInOrder(t *testing.T) {
	if dir := os.Getenv(orderDir); dir != "" {
		writeOne(t, dir)
		return
	}
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not installed")
	}
	dir, trace := t.TempDir(), filepath.Join(t.TempDir(), "trace")
	cmd := exec.Command(strace, "-f", "-y", "-o", trace, "-e", "trace=openat,linkat,mkdirat,fsync",
		os.Args[0], "-test.run=^TestSystemCallsInOrder$")
	cmd.Env = append(os.Environ(), orderDir+"="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		if strings.Contains(string(out), "ptrace") {
			t.Skipf("strace is not allowed here: %s", out)
		}
		t.Fatalf("%v\n%s", err, out)
	}
	text, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	for where, name := range map[string]string{dir: "faxes", dir + "/faxes": "S1", dir + "/faxes/S1": "page"} {
		wantOrder(t, string(text), where, name)
	}
}

// wantOrder looks for the opening of a directory, the making of a name in it, and the fsync of the same descriptor.
func wantOrder(t *testing.T, trace, dir, name string) {
	t.Helper()
	made := regexp.MustCompile(`(mkdirat|linkat)\(.*` + `<` + regexp.QuoteMeta(dir) + `>, "` + name + `"`).FindStringIndex(trace)
	if made == nil {
		t.Errorf("%s: no system call makes %s\n%s", dir, name, trace)
		return
	}
	synced := regexp.MustCompile(`fsync\((\d+)<` + regexp.QuoteMeta(dir) + `>`).FindStringSubmatch(trace[made[1]:])
	if synced == nil {
		t.Errorf("%s is not synced after %s was made", dir, name)
		return
	}
	opened := regexp.MustCompile(`openat\(.*O_DIRECTORY.* = ` + synced[1] + `<` + regexp.QuoteMeta(dir) + `>`)
	if !opened.MatchString(trace[:made[0]]) || opened.MatchString(trace[made[1]:made[1]+strings.Index(trace[made[1]:], synced[0])]) {
		t.Errorf("%s: descriptor %s, which is synced, was opened after %s was made", dir, synced[1], name)
	}
}
