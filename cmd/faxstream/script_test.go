package main

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
	"github.com/faxstream/faxstream/storage/storagetest"
)

// TestScript runs the scripts of testdata/script: how faxstream behaves on a command line. Besides testscript's own commands there are
//
//	exits CODE COMMAND...       like exec, which must end with this exit code
//	start NAME ARG...           run faxstream in the background
//	await NAME PATTERN [VAR]    wait until its output matches; the first group becomes the variable
//	signal NAME TERM|INT        send it; it must end with 0. Its output is in NAME.stdout and NAME.stderr
//	download URL FILE
func TestScript(t *testing.T) {
	if testing.Short() {
		t.Skip("other tests cover the same code for the race detector: runs without -short")
	}
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Setup: func(env *testscript.Env) error {
			self, err := os.Executable()
			if err != nil {
				return err
			}
			bin := filepath.Join(env.WorkDir, ".bin")
			if err := errors.Join(os.Mkdir(bin, 0o700), os.Symlink(self, filepath.Join(bin, "faxstream"))); err != nil {
				return err
			}
			env.Setenv("PATH", bin+string(filepath.ListSeparator)+env.Getenv("PATH"))
			env.Setenv(asProgram, "1")
			env.Values[backgroundKey{}] = &background{env: env.Vars, running: map[string]*backgroundProcess{}}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exitsCmd, "start": startCmd, "await": awaitCmd, "until": untilCmd, "signal": signalCmd, "download": downloadCmd,
		},
	})
}

// arguments checks a command of ours before it looks at them.
func arguments(ts *testscript.TestScript, neg bool, args []string, least int, usage string) {
	if neg || len(args) < least {
		ts.Fatalf("usage: %s", usage)
	}
}

func exitsCmd(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 2, "exits CODE COMMAND...")
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		e, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = e.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// backgroundKey finds a script's background.
type backgroundKey struct{}

// background is what runs beside a script.
type background struct {
	env     []string
	running map[string]*backgroundProcess
}

type backgroundProcess struct {
	cmd            *exec.Cmd
	stdout, stderr sharedOutput
	exited         chan struct{} // closed when err is final
	err            error
}

// sharedOutput is written by a process and read by the script. The zero value is ready.
type sharedOutput struct {
	mu      sync.Mutex
	buf     bytes.Buffer
	changed chan struct{} // nil, or closed at the next write; guarded by mu
}

func (o *sharedOutput) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.changed != nil {
		close(o.changed)
		o.changed = nil
	}
	return o.buf.Write(p)
}

// snapshot gives what was written, and a channel that is closed when there is more.
func (o *sharedOutput) snapshot() (string, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.changed == nil {
		o.changed = make(chan struct{})
	}
	return o.buf.String(), o.changed
}

func startCmd(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 2, "start NAME ARG...")
	b := ts.Value(backgroundKey{}).(*background)
	p := &backgroundProcess{cmd: exec.Command(os.Args[0], args[1:]...), exited: make(chan struct{})}
	p.cmd.Dir, p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = ts.MkAbs("."), b.env, &p.stdout, &p.stderr
	ts.Check(storagetest.Start(p.cmd))
	go func() {
		p.err = p.cmd.Wait()
		close(p.exited)
	}()
	ts.Defer(func() {
		_ = p.cmd.Process.Kill() // it may have ended long ago
		<-p.exited
	})
	b.running[args[0]] = p
}

func (b *background) named(ts *testscript.TestScript, name string) *backgroundProcess {
	p, ok := b.running[name]
	if !ok {
		ts.Fatalf("no process %s was started", name)
	}
	return p
}

func awaitCmd(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 2, "await NAME PATTERN [VAR]")
	p := ts.Value(backgroundKey{}).(*background).named(ts, args[0])
	re, err := regexp.Compile(args[1])
	ts.Check(err)
	timeout := time.After(apptest.Patience)
	for exited := false; ; {
		stdout, moreOut := p.stdout.snapshot()
		stderr, moreErr := p.stderr.snapshot()
		for _, text := range []string{stdout, stderr} {
			if m := re.FindStringSubmatch(text); m != nil {
				if len(args) > 2 {
					ts.Setenv(args[2], m[1])
				}
				return
			}
		}
		if exited {
			ts.Fatalf("%s ended (%v) without %s\nstdout:\n%s\nstderr:\n%s", args[0], p.err, args[1], stdout, stderr)
		}
		select {
		case <-moreOut:
		case <-moreErr:
		case <-p.exited:
			exited = true // once more: its last words
		case <-timeout:
			ts.Fatalf("%s did not say %s\nstdout:\n%s\nstderr:\n%s", args[0], args[1], stdout, stderr)
		}
	}
}

// untilCmd runs a command again and again until it succeeds and its stdout matches: the list shows an event a moment after its publication.
func untilCmd(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 2, "until PATTERN COMMAND...")
	re, err := regexp.Compile(args[0])
	ts.Check(err)
	for end := time.Now().Add(apptest.Patience); ; {
		err := ts.Exec(args[1], args[2:]...)
		stdout := ts.ReadFile("stdout")
		if err == nil && re.MatchString(stdout) {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("%v: %v, and its output does not match %s:\n%s", args[1:], err, args[0], stdout)
		}
	}
}

func signalCmd(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 2, "signal NAME TERM|INT")
	p := ts.Value(backgroundKey{}).(*background).named(ts, args[0])
	s, ok := map[string]syscall.Signal{"TERM": syscall.SIGTERM, "INT": syscall.SIGINT}[args[1]]
	if !ok {
		ts.Fatalf("no signal %s", args[1])
	}
	ts.Check(p.cmd.Process.Signal(s))
	select {
	case <-p.exited:
	case <-time.After(apptest.Patience):
		ts.Fatalf("%s does not end after %v", args[0], s)
	}
	stdout, _ := p.stdout.snapshot()
	stderr, _ := p.stderr.snapshot()
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".stdout"), []byte(stdout), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".stderr"), []byte(stderr), 0o600))
	if p.err != nil {
		ts.Fatalf("%s after %v: %v\n%s", args[0], s, p.err, stderr)
	}
}

func downloadCmd(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 2, "download URL FILE")
	resp, err := http.Get(args[0])
	ts.Check(err)
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		ts.Fatalf("%s: %s", args[0], resp.Status)
	}
	body, err := io.ReadAll(resp.Body)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), body, 0o600))
}
