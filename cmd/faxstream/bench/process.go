package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faxstream/faxstream/ingest"
)

// Waits have bounds, which are reached on failure only.
const (
	patience = 2 * time.Minute  // for the next event
	backlog  = 10 * time.Minute // for what waits behind thousands of pages
)

// process is a running `faxstream serve`, or a server that it needs.
type process struct {
	cmd    *exec.Cmd
	pid    int // of the program; under strace not that of cmd
	log    *text
	ready  ready
	began  time.Duration // from its start to its ready line
	exited chan struct{}
}

// ready is the first line that serve prints.
type ready struct{ Webhook, Admin, NATS string }

// target is where webhooks are sent.
func (r ready) target() string { return r.Webhook + ingest.Path }

// text collects what a process writes.
type text struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (t *text) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.Write(p)
}

func (t *text) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.String()
}

// launch starts a command, below a tracer if one is given.
func launch(cmd *exec.Cmd, tracer []string) (*process, io.Reader, error) {
	if len(tracer) > 0 {
		traced := exec.Command(tracer[0], append(tracer[1:], cmd.Args...)...)
		traced.Env, cmd = cmd.Env, traced
	}
	p := &process{cmd: cmd, log: &text{}, exited: make(chan struct{})}
	cmd.Stderr = p.log
	out, in := io.Pipe()
	cmd.Stdout = in
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	p.pid = cmd.Process.Pid
	go func() {
		_ = cmd.Wait() // the exit code is in ProcessState
		_ = in.Close()
		close(p.exited)
	}()
	if len(tracer) > 0 {
		if err := p.findTraced(); err != nil {
			return nil, nil, errors.Join(err, p.kill())
		}
	}
	return p, out, nil
}

// findTraced waits until the tracer has started the program. A tracer has children of its own, which try out what the kernel can do.
func (p *process) findTraced() error {
	tracer, program := p.pid, executable(p.pid)
	return poll(10*time.Second, "the tracer has started "+p.cmd.String(), func() bool {
		list, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", tracer, tracer))
		if err != nil {
			return false
		}
		for child := range strings.FieldsSeq(string(list)) {
			pid, err := strconv.Atoi(child)
			if runs := executable(pid); err == nil && runs != "" && runs != program {
				p.pid = pid
			}
		}
		return p.pid != tracer
	})
}

// executable is the file that a process runs; empty: it is gone.
func executable(pid int) string {
	path, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil {
		return ""
	}
	return path
}

// serve starts `faxstream serve` and returns when it is ready.
func serve(of build, s setting, args ...string) (*process, error) {
	args = append([]string{"serve", "--webhook-addr=127.0.0.1:0", "--admin-addr=127.0.0.1:0", "--allow-from=127.0.0.0/8"}, args...)
	cmd := exec.Command(of.binary, append(args, s.args...)...)
	cmd.Env = append(os.Environ(), s.env...)
	start := time.Now()
	p, out, err := launch(cmd, s.tracer)
	if err != nil {
		return nil, err
	}
	first := bufio.NewReader(out)
	line, err := first.ReadString('\n')
	if err == nil {
		err = json.Unmarshal([]byte(line), &p.ready)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: no ready line: %w\n%s", of.binary, errors.Join(err, p.kill()), tail(p.log.String()))
	}
	go io.Copy(io.Discard, first)
	p.began = time.Since(start)
	return p, nil
}

// kill ends the process at once.
func (p *process) kill() error {
	return p.end(syscall.SIGKILL)
}

// stop ends the process in order. An exit code other than 0 is an error.
func (p *process) stop() error {
	if err := p.end(syscall.SIGTERM); err != nil {
		return err
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("%s ended with code %d\n%s", p.cmd.Path, code, tail(p.log.String()))
	}
	return nil
}

func (p *process) end(sig syscall.Signal) error {
	if err := syscall.Kill(p.pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	select {
	case <-p.exited:
		return nil
	case <-time.After(time.Minute):
		return fmt.Errorf("%s still runs a minute after %s", p.cmd, sig)
	}
}

// cpu is the user and system time that the process has used, in seconds, to the nanosecond: /proc/PID/stat counts in steps of 10 ms, which
// is more than a short round takes. It is the clock of clock_getcpuclockid(3).
func (p *process) cpu() (float64, error) {
	const sched = 2 // CPUCLOCK_SCHED: the sum over all threads, exact
	var t unix.Timespec
	if err := unix.ClockGettime(^int32(p.pid)<<3|sched, &t); err != nil {
		return 0, fmt.Errorf("processor time of process %d: %w", p.pid, err)
	}
	return float64(t.Nano()) / 1e9, nil
}

// memory is the resident set in 10^6 bytes: now (VmRSS) or the largest so far (VmHWM).
func (p *process) memory(what string) (float64, error) {
	kb, err := p.field("status", what+":")
	return kb * 1024 / 1e6, err
}

// written is how many bytes the process has caused to be written to disk.
func (p *process) written() (float64, error) { return p.field("io", "write_bytes:") }

// field reads the number behind a name in a file of /proc/PID.
func (p *process) field(file, name string) (float64, error) {
	path := fmt.Sprintf("/proc/%d/%s", p.pid, file)
	all, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(all)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			return strconv.ParseFloat(strings.Fields(rest)[0], 64)
		}
	}
	return 0, fmt.Errorf("%s has no %s", path, name)
}

// poll waits for what has no signal of its own.
func poll(most time.Duration, what string, cond func() bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), most)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("not within %s: %s", most, what)
		}
	}
	return nil
}
