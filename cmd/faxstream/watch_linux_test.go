package main

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/charmbracelet/x/vt"
	"golang.org/x/sys/unix"

	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
	"github.com/faxstream/faxstream/ingest"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
)

// terminal is a terminal with a program in it.
type terminal struct {
	t    *testing.T
	cmd  *exec.Cmd
	ptmx *os.File // what a person sees and types
	mode unix.Termios

	mu     sync.Mutex
	screen *vt.Emulator // guarded by mu
	raw    []byte       // guarded by mu: all that the program has written
}

// onTerminal runs faxstream in a terminal.
func onTerminal(t *testing.T, width, height int, env []string, args ...string) *terminal {
	t.Helper()
	ptmx, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	fd := int(ptmx.Fd())
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err = errors.Join(err, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)); err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	x := &terminal{t: t, ptmx: ptmx, screen: vt.NewEmulator(width, height)}
	x.resize(width, height)
	x.mode = x.termios()
	x.cmd = exec.Command(os.Args[0], args...)
	x.cmd.Env = append(append(os.Environ(), asProgram+"=1", "TERM=xterm-256color", "NO_COLOR="), env...)
	x.cmd.Stdin, x.cmd.Stdout, x.cmd.Stderr = tty, tty, tty
	x.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := x.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(x, ptmx) }()        // ends with the program
	go func() { _, _ = io.Copy(ptmx, x.screen) }() // what the terminal answers to what it is asked
	t.Cleanup(func() {
		_ = x.cmd.Process.Kill() // fails where it has ended
		_ = x.screen.Close()
		ptmx.Close()
		if t.Failed() {
			t.Logf("the screen:\n%s", x.text())
		}
	})
	return x
}

func (x *terminal) Write(p []byte) (int, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.raw = append(x.raw, p...)
	return x.screen.Write(p)
}

func (x *terminal) text() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.screen.String()
}

func (x *terminal) resize(width, height int) {
	x.t.Helper()
	x.mu.Lock()
	defer x.mu.Unlock()
	x.screen.Resize(width, height)
	size := &unix.Winsize{Col: uint16(width), Row: uint16(height)}
	if err := unix.IoctlSetWinsize(int(x.ptmx.Fd()), unix.TIOCSWINSZ, size); err != nil {
		x.t.Fatal(err)
	}
}

func (x *terminal) termios() unix.Termios {
	x.t.Helper()
	mode, err := unix.IoctlGetTermios(int(x.ptmx.Fd()), unix.TCGETS)
	if err != nil {
		x.t.Fatal(err)
	}
	return *mode
}

func (x *terminal) press(keys string) {
	x.t.Helper()
	if _, err := io.WriteString(x.ptmx, keys); err != nil {
		x.t.Fatal(err)
	}
}

// await waits until all of these words are on the screen.
func (x *terminal) await(words ...string) {
	x.t.Helper()
	await(x.t, "on the screen: "+strings.Join(words, ", "), func() bool {
		text := x.text()
		for _, w := range words {
			if !strings.Contains(text, w) {
				return false
			}
		}
		return true
	})
}

// ends waits for the end of the program, which must leave the terminal as it was.
func (x *terminal) ends(code int) {
	x.t.Helper()
	late := time.AfterFunc(apptest.Patience, func() { _ = x.cmd.Process.Kill() })
	defer late.Stop()
	_ = x.cmd.Wait() // the code says it
	if got := x.cmd.ProcessState.ExitCode(); got != code {
		x.t.Errorf("exit code %d, want %d", got, code)
	}
	await(x.t, "the first screen of the terminal", func() bool {
		x.mu.Lock()
		defer x.mu.Unlock()
		return !x.screen.IsAltScreen() && !x.screen.CursorHidden()
	})
	if x.termios() != x.mode {
		x.t.Error("the terminal is not as it was")
	}
}

// written is all that the program has written so far.
func (x *terminal) written() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return string(x.raw)
}

// colour is the first sequence that chooses a colour; empty: there is none.
func (x *terminal) colour() string {
	return regexp.MustCompile(`\x1b\[(?:[0-9;]*;)?(?:3[0-8]|9[0-7])(?:;[0-9;]*)?m`).FindString(x.written())
}

// People watch faxes come in a terminal of any size, see at once what others do, and are never told that a fax is receiving when that is
// not known.
func TestWatchInATerminal(t *testing.T) {
	t.Parallel()
	d := newDesk(t, true)
	line := newCable(t, d.AdminURL())
	wide := onTerminal(t, 120, 30, nil, "watch", "--server=http://"+line.Addr().String())
	wide.await("live, 0 faxes", "No fax has arrived yet.")
	narrow := onTerminal(t, 40, 12, []string{"NO_COLOR=yes"}, "watch", "--server="+d.AdminURL(), "--filter=done=no")
	narrow.await("No fax matches the filter.")

	whole := apptest.Fixture(t, "three-pages-fine-g4")
	f := faxplustest.Fax{Session: "case", Streamed: true, Pages: apptest.Split(t, whole), Whole: whole}
	d.sim.Add(f)
	bodies := apptest.Bodies(f, d.WebhookURL()+ingest.Path)
	d.send(bodies[0])
	wide.await("1 of 1", "receiving: 1 page so far", "page.archived page 1")
	narrow.await("1 of 1", "receiving: 1 …")
	wide.press("\r")
	wide.await("Fax case", "archived", "1728 × ")

	line.cut()
	wide.await("connection lost", "not known, was receiving", "next try in")
	d.send(bodies[1:]...)
	narrow.await("3 of 3", "complete")
	wide.press("\x1b")
	wide.await("connection lost", "not known, was receiving", "1 of 1")
	line.join()
	wide.await("live, 1 fax", "3 of 3", "complete")

	d.do(0, "assign", "case", "ada", "--by=bob")
	d.do(0, "label", "case", "urgent", "--by=bob")
	wide.await("ada [urgent]")
	wide.resize(60, 20)
	wide.await("ada [urg…", "q quit") // fewer cells, and the keys are on the last line again
	wide.press("/status=partial\r")
	wide.await("filter status=partial", "No fax matches the filter.")
	d.do(0, "done", "case", "--by=ada")
	narrow.await("No fax matches the filter.")

	wide.press("q")
	wide.ends(exitOK)
	if err := narrow.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	narrow.ends(exitOK)
	if wide.colour() == "" || narrow.colour() != "" {
		t.Errorf("colours are %q, and with NO_COLOR %q", wide.colour(), narrow.colour())
	}
}

// A person who wants lines on a terminal gets them, and whoever cannot be shown anything is told so, without a table.
func TestWatchOnATerminalWithoutATable(t *testing.T) {
	t.Parallel()
	d := newDesk(t, true)
	for _, row := range []struct {
		env, args []string
	}{{nil, []string{"--plain"}}, {nil, []string{"--json"}}, {[]string{"TERM=dumb"}, nil}} {
		x := onTerminal(t, 80, 24, row.env, append([]string{"watch", "--server=" + d.AdminURL()}, row.args...)...)
		x.await("watching " + d.AdminURL())
		x.press("\x03")
		x.ends(exitOK)
		if s := x.written(); strings.Contains(s, "\x1b") {
			t.Errorf("%v %v: there are escape sequences: %q", row.env, row.args, s)
		}
	}
	for _, row := range []struct {
		code int
		args []string
		want string
	}{
		{exitFailed, []string{"--server=http://127.0.0.1:1"}, "is --server its admin address?"},
		{exitUsage, []string{"--server=" + d.AdminURL(), "--filter=status=x"}, "want receiving"},
		{exitUsage, []string{"--server=" + d.AdminURL(), "--filter=colour=red"}, "unknown flag --colour"},
		{exitUsage, []string{"--server=" + d.AdminURL(), "--filter=done=no", "--plain"}, "--filter is for the table"},
	} {
		x := onTerminal(t, 200, 24, nil, append([]string{"watch"}, row.args...)...)
		x.await(row.want)
		x.ends(row.code)
		if s := x.written(); strings.Contains(s, "\x1b") {
			t.Errorf("%v: there are escape sequences: %q", row.args, s)
		}
	}
}
