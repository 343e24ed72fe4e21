package local_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/faxstream/faxstream/storage"
)

// powerDir makes the test binary the process whose system calls TestPowerLoss looks at; powerWay is one of local.Store.Ways.
const (
	powerDir = "FAXSTREAM_TEST_POWER_DIR"
	powerWay = "FAXSTREAM_TEST_POWER_WAY"
)

// writeBatches has three writers in two directories, which create pages with their sidecars, adopts a file, and commits a document.
// It prints the key of each object that exists according to the store.
func writeBatches(t *testing.T, dir, way string) {
	s := open(t, dir)
	s.Ways()[way](s)
	var wg sync.WaitGroup
	for writer := range 3 {
		wg.Go(func() {
			for page := range 4 {
				key := fmt.Sprintf("faxes/S%d/w%d-%d", writer%2, writer, page)
				errs := s.CreateAll(t.Context(), item(key+".json", []byte("{}")), item(key, bytes.Repeat([]byte("page"), 50_000)))
				if err := errors.Join(errs...); err != nil {
					t.Error(err)
				}
				fmt.Printf("reported %s.json\nreported %s\n", key, key)
			}
		})
	}
	wg.Wait()
	adopt(t, s, "faxes/S1/adopted", spoolFile(t, filepath.Dir(dir), []byte("document")))
	fmt.Println("reported faxes/S1/adopted")
	body := []byte("document")
	file := spoolFile(t, filepath.Dir(dir), body)
	document := adopted("faxes/S2/r1/document", file, int64(len(body)), sha256.Sum256(body))
	index, manifest := item("index/S2", []byte("{}")), item("faxes/S2/r1/manifest", []byte("{}"))
	if err := errors.Join(s.Commit(t.Context(), document, index, manifest)...); err != nil {
		t.Error(err)
	}
	fmt.Printf("reported %s\nreported %s\nreported %s\n", document.Key, index.Key, manifest.Key)
}

func item(key string, body []byte) storage.Item {
	return storage.Item{Key: key, Body: bytes.NewReader(body), Size: int64(len(body)), Sum: sha256.Sum256(body)}
}

// At no moment of a power loss is an object there without its content, without its sidecar, or without what it commits, or is an object
// missing that was reported. What the system has not been told to write may be on disk or not; names of one directory are on disk in their
// order.
func TestPowerLoss(t *testing.T) {
	if dir := os.Getenv(powerDir); dir != "" {
		writeBatches(t, dir, os.Getenv(powerWay))
		return
	}
	for way := range open(t, t.TempDir()).Ways() {
		t.Run(way, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "archive")
			d := newTracedDisk(t, dir)
			for _, call := range traceCalls(t, "TestPowerLoss", powerDir+"="+dir, powerWay+"="+way) {
				d.step(call)
			}
			if d.reported != 28 || d.links < 28 {
				t.Errorf("%d objects were reported and %d names made", d.reported, d.links)
			}
		})
	}
}

// traceCalls runs a test of this binary, and returns the beginnings and ends of its system calls in the order of time.
func traceCalls(t *testing.T, test string, env ...string) (calls []sysCall) {
	t.Helper()
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not installed")
	}
	trace := filepath.Join(t.TempDir(), "trace")
	cmd := exec.CommandContext(context.Background(), strace, "-f", "-y", "-s", "400", "-o", trace,
		"-e", "trace=write,pwrite64,linkat,mkdirat,fsync,fdatasync", os.Args[0], "-test.run=^"+test+"$")
	cmd.Env = append(os.Environ(), env...)
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
	running := map[string]*sysCall{} // by thread
	for line := range strings.Lines(string(text)) {
		m := traceLine.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			continue // a signal, or the end of a thread
		}
		thread, rest := m[1], m[2]
		if resumed := traceResumed.FindStringSubmatch(rest); resumed != nil {
			if c := running[thread]; c != nil {
				calls = append(calls, sysCall{c.name, c.args + resumed[1], true, strings.HasPrefix(resumed[2], "-1")})
			}
			delete(running, thread)
			continue
		}
		if begun, ok := strings.CutSuffix(rest, "<unfinished ...>"); ok {
			name, args, _ := strings.Cut(begun, "(")
			running[thread] = &sysCall{name: name, args: args}
			calls = append(calls, *running[thread])
			continue
		}
		if whole := traceWhole.FindStringSubmatch(rest); whole != nil {
			calls = append(calls, sysCall{name: whole[1], args: whole[2]},
				sysCall{whole[1], whole[2], true, strings.HasPrefix(whole[3], "-1")})
		}
	}
	return calls
}

var (
	traceLine    = regexp.MustCompile(`^(\d+)\s+(.*)$`)
	traceResumed = regexp.MustCompile(`^<\.\.\. \w+ resumed>(.*)\)\s+= (\S+)`)
	traceWhole   = regexp.MustCompile(`^(\w+)\((.*)\)\s+= (\S+)`)
	traceFile    = regexp.MustCompile(`^(\d+)<([^>]*)>`)
	traceLink    = regexp.MustCompile(`^(?:\d+|AT_FDCWD)<([^>]*)>(?:\(deleted\))?, "([^"]*)", \d+<([^>]*)>, "([^"]*)"`)
	traceMkdir   = regexp.MustCompile(`^\d+<([^>]*)>, "([^"]*)"`)
	traceReport  = regexp.MustCompile(`reported (\S+?)\\n`)
)

// sysCall is the beginning or the end of a system call.
type sysCall struct {
	name, args  string
	end, failed bool
}

// tracedDisk is what a disk has for certain and what it may have, according to the calls so far.
type tracedDisk struct {
	t       *testing.T
	root    string
	files   map[string]string   // by descriptor: what it was when it was last used
	writes  map[string]int      // by file
	saving  map[string]int      // by file: of its writes, those that the running fsync saves
	content map[string]int      // by file: of its writes, those that are on disk
	names   map[string][]string // by directory: in their order
	keeping map[string][]string // by directory: the names that the running fsync saves
	saved   map[string]bool     // by path: the name is on disk
	linked  map[string]bool     // by path: the name may be on disk
	named   map[string]bool     // by file: it has a name

	links, reported int
}

func newTracedDisk(t *testing.T, root string) *tracedDisk {
	return &tracedDisk{
		t: t, root: root, files: map[string]string{}, writes: map[string]int{}, saving: map[string]int{}, content: map[string]int{},
		names: map[string][]string{}, keeping: map[string][]string{}, saved: map[string]bool{}, linked: map[string]bool{},
		named: map[string]bool{},
	}
}

func (d *tracedDisk) step(c sysCall) {
	switch c.name {
	case "write", "pwrite64":
		d.write(c)
	case "fsync", "fdatasync":
		d.sync(c)
	case "linkat":
		d.link(c)
	case "mkdirat":
		if m := traceMkdir.FindStringSubmatch(c.args); m != nil && c.end && !c.failed {
			d.names[m[1]] = append(d.names[m[1]], m[1]+"/"+m[2])
		}
	}
}

// file is the one that the first argument of a call means.
func (d *tracedDisk) file(c sysCall) string {
	m := traceFile.FindStringSubmatch(c.args)
	if m == nil {
		return ""
	}
	d.files[m[1]] = m[2]
	return m[2]
}

func (d *tracedDisk) write(c sysCall) {
	file := d.file(c)
	if !c.end {
		for _, key := range traceReport.FindAllStringSubmatch(c.args, -1) {
			d.report(key[1])
		}
		if d.named[file] {
			d.t.Errorf("%s is written to, and it has a name", file)
		}
	}
	d.writes[file]++
}

// report checks that an object and the directories above it are on disk.
func (d *tracedDisk) report(key string) {
	d.reported++
	for name := filepath.Join(d.root, key); len(name) > len(d.root); name = filepath.Dir(name) {
		if !d.saved[name] {
			d.t.Errorf("%s was reported, and the name %s is not on disk", key, name)
		}
	}
}

// sync saves what was there when it began: a file that is written meanwhile, or a name that is made, may be lost.
func (d *tracedDisk) sync(c sysCall) {
	file := d.file(c)
	if !c.end {
		d.saving[file], d.keeping[file] = d.writes[file], d.names[file]
		return
	}
	if c.failed {
		d.t.Errorf("fsync of %s failed", file)
	}
	d.content[file] = d.saving[file]
	for _, name := range d.keeping[file] {
		d.saved[name] = true
	}
}

// link checks a name of an object when it is about to be made: from then on it may be on disk.
func (d *tracedDisk) link(c sysCall) {
	m := traceLink.FindStringSubmatch(c.args)
	if m == nil || m[4] == "probe" || !strings.HasPrefix(m[3], d.root) {
		return
	}
	file, name := m[1], m[3]+"/"+m[4]
	if fd, ok := strings.CutPrefix(m[2], "/proc/self/fd/"); ok {
		file = d.files[fd]
	} else if m[2] != "" {
		file += "/" + m[2]
	}
	if c.end {
		d.links++
		d.linked[name] = true
		d.names[m[3]] = append(d.names[m[3]], name)
		return
	}
	if d.writes[file] == 0 || d.content[file] != d.writes[file] {
		d.t.Errorf("%s is visible after %d of %d writes of its content are on disk", name, d.content[file], d.writes[file])
	}
	if strings.HasPrefix(m[4], "w") && !strings.HasSuffix(name, ".json") && !d.linked[name+".json"] {
		d.t.Errorf("%s is visible before its sidecar", name)
	}
	for _, committed := range []string{"faxes/S2/r1/document", "index/S2"} {
		for n := filepath.Join(d.root, committed); m[4] == "manifest" && len(n) > len(d.root); n = filepath.Dir(n) {
			if !d.saved[n] {
				d.t.Errorf("%s is visible, and the name %s is not on disk", name, n)
			}
		}
	}
	d.named[file] = true
}
