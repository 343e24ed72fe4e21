package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
)

// lan is an IP network of machines in network namespaces of their own. Machine 0 is the one on which the test runs. Every machine has
// a TUN device, and the test carries each packet from one to another: so it can lose, delay and keep packets without a module of the
// kernel that does so.
type lan struct {
	subnet  string // of /24, without its last number
	ports   []*os.File
	running sync.WaitGroup

	mu    sync.Mutex
	wires map[[2]int]wire // guarded by mu: from and to a machine; what is not there is a good one
}

// wire is one direction between two machines.
type wire struct {
	cut   bool
	delay time.Duration
	loss  float64 // share of packets
}

// packet is on the way.
type packet struct {
	due  time.Time
	data []byte
}

const maxPacket = 1500

// newLAN makes a network of machines 1 to n beside machine 0, and gives what starts a process on each of them. Its error says what the
// kernel, or the rights of this process, do not allow.
func newLAN(t *testing.T, n int) (*lan, []func(*exec.Cmd) error, error) {
	t.Helper()
	// Addresses for tests of networks, which nobody has in use (RFC 2544).
	w := &lan{subnet: fmt.Sprintf("198.18.%d.", 1+rand.IntN(250)), wires: map[[2]int]wire{}}
	t.Cleanup(w.close)
	port, err := w.plug(0)
	if err != nil {
		return nil, nil, err
	}
	w.ports = append(w.ports, port)
	var start []func(*exec.Cmd) error
	for i := 1; i <= n; i++ {
		inside, leave, err := newNamespace()
		if err != nil {
			return nil, nil, err
		}
		t.Cleanup(leave)
		if err := inside(func() (err error) {
			if err := ip("link", "set", "lo", "up"); err != nil {
				return err
			}
			port, err = w.plug(i)
			return err
		}); err != nil {
			return nil, nil, err
		}
		w.ports = append(w.ports, port)
		start = append(start, func(cmd *exec.Cmd) error { return inside(cmd.Start) })
	}
	for i := range w.ports {
		w.carry(i)
	}
	return w, start, nil
}

// addr is the IP address of a machine.
func (w *lan) addr(machine int) string { return fmt.Sprint(w.subnet, machine+1) }

// plug makes the device of a machine, in the namespace of the calling thread.
func (w *lan) plug(machine int) (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open /dev/net/tun: %w", err)
	}
	name := fmt.Sprintf("fax%d-%d", os.Getpid()%100000, machine) // it goes with the file
	req, err := unix.NewIfreq(name)
	if err == nil {
		req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, req)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make the device %s: %w", name, err), unix.Close(fd))
	}
	f := os.NewFile(uintptr(fd), name)
	if err := errors.Join(ip("addr", "add", w.addr(machine)+"/24", "dev", name), ip("link", "set", name, "up")); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func ip(args ...string) error {
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %v: %w: %s", args, err, out)
	}
	return nil
}

// newNamespace makes a network namespace. inside runs a function in it.
func newNamespace() (inside func(func() error) error, leave func(), err error) {
	calls, results := make(chan func() error), make(chan error)
	go func() {
		runtime.LockOSThread() // and it is never unlocked: the thread, which is in the namespace, ends with this goroutine
		results <- unix.Unshare(unix.CLONE_NEWNET)
		for call := range calls {
			results <- call()
		}
	}()
	var one sync.Mutex
	if err := <-results; err != nil {
		close(calls)
		return nil, nil, fmt.Errorf("make a network namespace: %w", err)
	}
	return func(call func() error) error {
		one.Lock()
		defer one.Unlock()
		calls <- call
		return <-results
	}, func() { close(calls) }, nil
}

// carry takes what a machine sends to the others, in order.
func (w *lan) carry(from int) {
	queues := make([]chan packet, len(w.ports))
	for to := range queues {
		queues[to] = make(chan packet, 4096)
		w.running.Go(func() {
			for p := range queues[to] {
				<-time.After(time.Until(p.due))  // it is on its way
				_, _ = w.ports[to].Write(p.data) // one that cannot be written is lost
			}
		})
	}
	w.running.Go(func() {
		defer func() {
			for _, q := range queues {
				close(q)
			}
		}()
		buffer := make([]byte, maxPacket)
		for {
			n, err := w.ports[from].Read(buffer)
			if err != nil {
				return // it is closed
			}
			to := w.target(buffer[:n])
			if to < 0 {
				continue
			}
			line := w.wire(from, to)
			if line.cut || rand.Float64() < line.loss {
				continue
			}
			select {
			case queues[to] <- packet{time.Now().Add(line.delay), append([]byte(nil), buffer[:n]...)}:
			default: // too much: it is lost
			}
		}
	})
}

// target is the machine to which an IPv4 packet goes; -1: to none of ours.
func (w *lan) target(p []byte) int {
	const header, version = 20, 4
	if len(p) < header || p[0]>>4 != version || fmt.Sprintf("%d.%d.%d.", p[16], p[17], p[18]) != w.subnet {
		return -1
	}
	if to := int(p[19]) - 1; to < len(w.ports) {
		return to
	}
	return -1
}

func (w *lan) wire(from, to int) wire {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.wires[[2]int{from, to}]
}

// between makes the wires between two machines, in both directions, such ones.
func (w *lan) between(a, b int, line wire) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wires[[2]int{a, b}], w.wires[[2]int{b, a}] = line, line
}

// everywhere makes all wires such ones.
func (w *lan) everywhere(line wire) {
	for a := range w.ports {
		for b := range a {
			w.between(a, b, line)
		}
	}
}

func (w *lan) close() {
	for _, p := range w.ports {
		_ = p.Close() // ends its reader
	}
	w.running.Wait()
}

// natsHosts are where three nats-servers run: on machines of their own, or without a lan beside each other.
func natsHosts(t *testing.T, w *lan, start []func(*exec.Cmd) error, dirs []string) []apptest.Host {
	t.Helper()
	var hosts []apptest.Host
	for i, dir := range dirs {
		h := apptest.Host{Dir: dir}
		if w == nil {
			h.Addr, h.Route = apptest.FixedAddr(t), apptest.FixedAddr(t)
		} else {
			h.Addr, h.Route, h.Run = w.addr(i+1)+":4222", w.addr(i+1)+":6222", start[i]
		}
		hosts = append(hosts, h)
	}
	return hosts
}
