package main

import (
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// fault is one thing that goes wrong in a cluster.
type fault struct {
	name  string
	long  bool // only in the long form
	needs need
	begin func(*cluster)
	end   func(*cluster) // nil: it ends by itself
}

// need is what a machine must allow for a fault, and how long it stays.
type need int

const (
	nothing   need = iota
	stops          // it stays as long as a process is stopped
	atOnce         // begin returns when it is over
	machines       // servers on machines of their own
	smallDisk      // a server with a disk of its own
)

// impossible says why the fault cannot be made here.
func (f fault) impossible(c *cluster) error {
	switch f.needs {
	case machines:
		return c.noLAN
	case smallDisk:
		return c.noDisk
	}
	return nil
}

// length is how long the fault stays.
func (f fault) length(form form) time.Duration {
	switch f.needs {
	case stops:
		return form.stop
	case atOnce:
		return 0
	}
	return form.hold
}

// clusterFaults are all of them.
func clusterFaults() []fault {
	return []fault{
		{name: "nothing goes wrong", long: true, begin: func(*cluster) {}},
		{name: "a worker is killed", begin: killed("worker"), end: restarted("worker")},
		{name: "a webhook process is killed", long: true, begin: killed("webhook"), end: restarted("webhook")},
		{name: "a collector is killed", long: true, begin: killed("collector"), end: restarted("collector")},
		{name: "an assembler is killed", long: true, begin: killed("assembler"), end: restarted("assembler")},
		{name: "an admin and reconciler is killed", long: true, begin: killed("admin"), end: restarted("admin")},
		{name: "every process is killed", long: true, begin: everyoneKilled, end: everyoneRestarted},
		{name: "the leading server is killed", begin: leaderKilled, end: serversStarted},
		{name: "two servers are killed", long: true, begin: twoKilled, end: serversStarted},
		{name: "a worker is stopped", needs: stops, begin: stopped("worker"), end: continued("worker")},
		{name: "a collector is stopped", long: true, needs: stops, begin: stopped("collector"), end: continued("collector")},
		{name: "an assembler is stopped", long: true, needs: stops, begin: stopped("assembler"), end: continued("assembler")},
		{name: "a webhook process is stopped", long: true, needs: stops, begin: stopped("webhook"), end: continued("webhook")},
		{name: "the leading server is stopped", needs: stops, begin: leaderStopped, end: serversContinue},
		{name: "everything is restarted in turn", long: true, needs: atOnce, begin: rolled},
		{name: "S3 hangs", long: true, begin: s3Is(s3Hangs), end: s3Is(nil)},
		{name: "S3 refuses connections", long: true, begin: s3Is(s3Refuses), end: s3Is(nil)},
		{name: "S3 is killed", long: true, begin: func(c *cluster) { c.s3.Kill() }, end: func(c *cluster) { c.s3.Start() }},
		{name: "S3 answers 500", long: true, begin: s3Is(s3Error(http.StatusInternalServerError, "InternalError")), end: s3Is(nil)},
		{name: "S3 answers 503 SlowDown", begin: s3Is(s3Error(http.StatusServiceUnavailable, "SlowDown")), end: s3Is(nil)},
		{name: "the leading server is cut off", needs: machines, begin: leaderCut(true), end: wired(wire{})},
		{name: "the leading server is cut off from the other servers", long: true, needs: machines, begin: leaderCut(false), end: wired(wire{})},
		{
			name: "200 ms and 2 % loss between all machines", long: true, needs: machines,
			begin: wired(wire{delay: 100 * time.Millisecond, loss: 0.02}), end: wired(wire{}),
		},
		{name: "the disk of a server is full", long: true, needs: smallDisk, begin: diskFull, end: diskFree},
		{name: "the clock of a worker is an hour ahead", long: true, begin: clockOf("worker", time.Hour), end: clockOf("worker", 0)},
		{name: "the clock of a collector is an hour ahead", long: true, begin: clockOf("collector", time.Hour), end: clockOf("collector", 0)},
		{name: "the clock of a webhook process is an hour behind", long: true, begin: clockOf("webhook", -time.Hour), end: clockOf("webhook", 0)},
	}
}

func killed(role string) func(*cluster) { return func(c *cluster) { c.one(role).kill() } }

func restarted(role string) func(*cluster) { return func(c *cluster) { c.start(c.one(role)) } }

func everyoneKilled(c *cluster) {
	for _, m := range c.members {
		m.kill()
	}
}

func everyoneRestarted(c *cluster) { c.start(c.members...) }

func stopped(role string) func(*cluster) { return signalled(role, syscall.SIGSTOP) }

func continued(role string) func(*cluster) { return signalled(role, syscall.SIGCONT) }

func signalled(role string, sig os.Signal) func(*cluster) {
	return func(c *cluster) {
		if err := c.one(role).cmd.Process.Signal(sig); err != nil {
			c.t.Fatal(err)
		}
	}
}

func leaderKilled(c *cluster) { c.servers[c.leader()].Kill() }

func twoKilled(c *cluster) {
	leader := c.leader()
	c.servers[leader].Kill()
	c.servers[(leader+1)%len(c.servers)].Kill()
}

func serversStarted(c *cluster) {
	for _, s := range c.servers {
		s.Start()
	}
}

func leaderStopped(c *cluster) { c.servers[c.leader()].Signal(syscall.SIGSTOP) }

func serversContinue(c *cluster) {
	for _, s := range c.servers {
		s.Signal(syscall.SIGCONT)
	}
}

// rolled restarts servers, S3 service and processes, each in order and when the one before it is back.
func rolled(c *cluster) {
	for _, s := range append(c.servers, c.s3) {
		s.Terminate()
		s.Start()
		c.awaitCalm()
	}
	for _, m := range c.members {
		if code := m.terminate(); code != 0 {
			c.t.Errorf("%s ends with code %d: %s", m.name, code, tail(m.log.String(), 20))
		}
		c.start(m)
	}
}

func s3Is(answer s3Answer) func(*cluster) { return func(c *cluster) { c.line.set(answer) } }

// leaderCut cuts the leading server off from the other servers, and, if it is cut from all, also from the processes of faxstream.
func leaderCut(fromAll bool) func(*cluster) {
	return func(c *cluster) {
		leader := c.leader() + 1 // machine 0 has the processes
		for other := range c.servers {
			if other+1 != leader {
				c.lan.between(leader, other+1, wire{cut: true})
			}
		}
		if fromAll {
			c.lan.between(leader, 0, wire{cut: true})
		}
	}
}

func wired(line wire) func(*cluster) { return func(c *cluster) { c.lan.everywhere(line) } }

func diskFull(c *cluster) { fillDisk(c.t, filepath.Join(c.disk, "hog")) }

// diskFree makes room, and restarts the server as a person does: nats-server writes nothing more after its disk was full.
func diskFree(c *cluster) {
	s := c.servers[len(c.servers)-1]
	s.Kill()
	if err := os.Remove(filepath.Join(c.disk, "hog")); err != nil {
		c.t.Fatal(err)
	}
	s.Start()
}

// clockOf starts a process again with a clock that is ahead.
func clockOf(role string, ahead time.Duration) func(*cluster) {
	return func(c *cluster) {
		m := c.one(role)
		if code := m.terminate(); code != 0 {
			c.t.Errorf("%s ends with code %d", m.name, code)
		}
		m.clock = ahead
		c.start(m)
	}
}
