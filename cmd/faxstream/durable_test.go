package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
	"github.com/faxstream/faxstream/ingest"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
)

// A 200 is written to its socket only when the event is in a stream's file and that file is synced, as strace sees it: for
// webhooks one by one, and for many at once, which share a sync; in the embedded server, and in a spool.
func TestNo200BeforeTheEventIsOnDisk(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("under strace the race detector is too slow: runs without -short")
	}
	strace := tool(t, "strace", "apt-get install strace")
	if out, err := exec.Command(strace, "-o", os.DevNull, os.Args[0], "-test.run=^$").CombinedOutput(); err != nil {
		t.Skipf("this system lets no process trace another: %v: %s", err, out)
	}
	for store, flags := range map[string][]string{
		"nats":   {"--faxplus-page-path=none", "--list-every=0"},
		"unsent": {"--roles=webhook", "--nats-url=nats://" + apptest.FixedAddr(t)},
	} {
		t.Run(store, func(t *testing.T) {
			dir, addr := t.TempDir(), apptest.FixedAddr(t)
			if store == "unsent" {
				flags = append(flags, "--spool="+filepath.Join(dir, store))
			}
			cmd := serveCommand(nil, append(flags, "--dir="+dir, "--webhook-addr="+addr)...)
			traceSends(t, strace, cmd, filepath.Join(dir, store), "http://"+addr)
		})
	}
}

// traceSends sends webhooks to a faxstream that strace traces, and looks at what it did with them.
func traceSends(t *testing.T, strace string, cmd *exec.Cmd, store, url string) {
	t.Helper()
	trace := filepath.Join(t.TempDir(), "trace")
	// With -D it is strace that runs as the child, so that a signal reaches faxstream; the process ends when both have.
	cmd.Args = append([]string{
		strace, "-D", "-f", "-y", "-qq", "-s", "1000000", "-o", trace, "-e", "signal=none",
		"-e", "trace=write,writev,pwrite64,pwritev,sendto,sendmsg,fsync,fdatasync", cmd.Path,
	}, cmd.Args[1:]...)
	cmd.Path = strace
	p := launch(t, cmd)
	await(t, "the webhook listener", func() bool {
		conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		return err == nil && conn.Close() == nil
	})
	sender, target := newSender(t, apptest.Patience), url+ingest.Path
	var marks []string
	body := func() []byte {
		marks = append(marks, fmt.Sprintf("traced-%03d", len(marks)))
		return faxplustest.PageEvent(faxplustest.Fax{Session: marks[len(marks)-1], Streamed: true}, 1, target)
	}
	var many [][]byte
	for range 5 {
		if status, err := sender.send(target, body()); err != nil || status != 200 {
			t.Fatal(status, err)
		}
	}
	for range 60 {
		many = append(many, body())
	}
	if left, _ := sender.sendAll(target, many, func([]byte) {}); len(left) > 0 {
		t.Fatalf("%d webhooks were not answered 200", len(left))
	}
	p.kill()
	checkSyncedFirst(t, readTrace(t, trace), store, marks)
}

// checkSyncedFirst wants, whenever a 200 begins to be written, as many events on disk as there are 200s until then. An
// event, known by its mark, is on disk when a sync has ended that began after a write of it to the same stream's file.
func checkSyncedFirst(t *testing.T, calls []syscallTrace, store string, marks []string) {
	t.Helper()
	stream := regexp.MustCompile(`^` + regexp.QuoteMeta(store) + `/.*/streams/FAX_IN/msgs/\d+\.blk$`)
	written := map[string]map[string]int{} // by file and mark: when the write had ended
	synced := map[string]int{}             // by mark: when the sync had ended
	var answers []int                      // when they began
	for _, c := range calls {              // in the order in which they ended
		switch {
		case strings.Contains(c.text, `"HTTP/1.1 200 `):
			answers = append(answers, c.began)
		case !stream.MatchString(c.file) || c.failed:
		case strings.Contains(c.name, "sync"):
			for mark, at := range written[c.file] {
				if at < c.began && synced[mark] == 0 {
					synced[mark] = c.ended
				}
			}
		default:
			for _, mark := range marks {
				if written[c.file] == nil {
					written[c.file] = map[string]int{}
				}
				if written[c.file][mark] == 0 && strings.Contains(c.text, "."+mark+".") {
					written[c.file][mark] = c.ended
				}
			}
		}
	}
	if len(answers) != len(marks) || len(written) == 0 {
		t.Fatalf("strace saw %d answers and writes to %d files of the stream, want %d and some; is the trace read right?",
			len(answers), len(written), len(marks))
	}
	for n, began := range answers {
		on := 0
		for _, at := range synced {
			if at < began {
				on++
			}
		}
		if on < n+1 {
			t.Errorf("when answer %d began, %d events were on disk", n+1, on)
		}
	}
}

// syscallTrace is one system call. began and ended are lines of the trace, which is in the order of what happened.
type syscallTrace struct {
	name, file, text string // file: of the first argument, where it is a descriptor
	began, ended     int
	failed           bool
}

var (
	traceLine   = regexp.MustCompile(`^(\d+) +(.*)$`)
	traceResume = regexp.MustCompile(`^<\.\.\. \w+ resumed>(.*)$`)
	traceCall   = regexp.MustCompile(`^(\w+)\((?:\d+<([^>]*)>)?`)
	traceFailed = regexp.MustCompile(`\) += (-1|\?)[^"]*$`)
)

// readTrace reads the output of strace -f -y, in the order in which calls ended.
func readTrace(t *testing.T, file string) []syscallTrace {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	type begun struct {
		text string
		line int
	}
	pending := map[string]begun{} // by thread: a call that others interrupt in the trace
	var calls []syscallTrace
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 64<<20)
	for n := 1; lines.Scan(); n++ {
		m := traceLine.FindStringSubmatch(lines.Text())
		if m == nil {
			t.Fatalf("line %d of the trace is not understood: %.200s", n, lines.Text())
		}
		thread, call := m[1], begun{m[2], n}
		if text, ok := strings.CutSuffix(call.text, " <unfinished ...>"); ok {
			pending[thread] = begun{text, n}
			continue
		}
		if rest := traceResume.FindStringSubmatch(call.text); rest != nil {
			call = begun{pending[thread].text + rest[1], pending[thread].line}
			delete(pending, thread)
		}
		if m := traceCall.FindStringSubmatch(call.text); m != nil { // else a thread's end
			calls = append(calls, syscallTrace{m[1], m[2], call.text, call.line, n, traceFailed.MatchString(call.text)})
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return calls
}
