package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/pipeline/bus"
)

// Faxes go through processes of every role, two of each, on three nats-servers and an S3 service, while things go wrong: see clusterFaults.
// After each fault everything that was answered 200 is there, every fax is as it must be, each revision has one event, and the archive is
// proven. FAXSTREAM_CLUSTER=long has every fault and reports what was seen; FAXSTREAM_FAULT is a regular expression for their names.
func TestCluster(t *testing.T) {
	if testing.Short() {
		t.Skip("ten processes and four servers: runs without -short")
	}
	t.Parallel()
	form := shortForm
	if os.Getenv("FAXSTREAM_CLUSTER") == "long" {
		form = longForm
	}
	only, err := regexp.Compile(os.Getenv("FAXSTREAM_FAULT"))
	if err != nil {
		t.Fatalf("FAXSTREAM_FAULT: %v", err)
	}
	c := startCluster(t, form)
	for _, f := range clusterFaults() {
		if f.long && !form.long || !only.MatchString(f.name) {
			continue
		}
		c.endure(f)
		if t.Failed() {
			break // the next one would be blamed for what this one has left
		}
	}
	c.report()
}

// form is how long a run of faults is.
type form struct {
	long               bool
	before, hold, rest time.Duration // faxes come before the fault, while it is there, and after it
	stop               time.Duration // of a process that is stopped
	every              time.Duration // a fax comes
	without            []faxplustest.Fault
}

// ofAll is a mistake with the whole account, not with a fax.
const ofAll = faxplustest.DeadToken

// slowFaults keep a fax from being over for longer than the grace after its close.
var slowFaults = []faxplustest.Fault{
	faxplustest.DropPage, faxplustest.DropClose, faxplustest.CountMore, faxplustest.CountZero, faxplustest.NotReady, faxplustest.GonePage,
	faxplustest.Unauthorized, faxplustest.Foreign, faxplustest.Busy, faxplustest.Burst5xx, faxplustest.Truncated, faxplustest.WrongLength,
	faxplustest.WrongType, faxplustest.HalfChunked, faxplustest.WholeMissing,
}

var (
	shortForm = form{
		before: time.Second, hold: 5 * time.Second, rest: 3 * time.Second, stop: 10 * time.Second, every: time.Second,
		without: append(slowFaults, ofAll),
	}
	longForm = form{
		long: true, before: 3 * time.Second, hold: 20 * time.Second, rest: 15 * time.Second, stop: 30 * time.Second,
		every:   500 * time.Millisecond,
		without: []faxplustest.Fault{ofAll},
	}
)

// cluster is one installation of faxstream on several processes and servers, and a provider that sends it faxes.
type cluster struct {
	t       *testing.T
	form    form
	lan     *lan
	noLAN   error // why there is none
	servers []*apptest.Server
	disk    string // of the last server; "": it has the room that all have
	noDisk  error  // why it has none of its own
	s3      *apptest.Server
	line    *s3Switch
	archive bucket
	sim     *faxplustest.Server
	door    *door
	members []*member
	env     []string // of all members
	common  []string // flags of all members that need more than NATS

	faxes []faxplustest.Fax // all that were sent
	sent  int               // how many of them were sent when the last fault began
	read  map[string]bool   // subjects of facts whose content was compared; one that is stored does not change
	rows  []faultRow
}

// member is a process of the cluster, which may end and be started again.
type member struct {
	*process
	name  string // role and number
	role  string
	args  []string
	env   []string
	build string        // the program; "": this one
	clock time.Duration // how much its clock is ahead
	lines int           // that its former processes have logged
}

// rolesApart are the roles of a cluster in processes of their own.
var rolesApart = []string{"webhook", "worker", "collector", "assembler", "admin,reconciler"}

// startCluster starts the servers, then two processes of each role at the same time.
func startCluster(t *testing.T, form form) *cluster {
	t.Helper()
	c := newCluster(t, form)
	for _, role := range rolesApart {
		for n := range 2 {
			m := c.join(fmt.Sprintf("%s %d", role, n+1), role)
			m.args = append(m.args, "--roles="+role)
			if role != "webhook" {
				m.args = append(m.args, c.common...)
			}
		}
	}
	c.start(c.members...)
	return c
}

// newCluster starts the servers. Members join it.
func newCluster(t *testing.T, form form) *cluster {
	t.Helper()
	c := &cluster{t: t, form: form, door: newDoor(t), read: map[string]bool{}}
	c.startServers()
	sim, provider := newSimulator(t, faxplustest.Config{Seed: number(t, "FAXSTREAM_SEED", 1)})
	c.sim = sim
	s3, archive, env := apptest.StartS3(t)
	c.s3, c.env, c.archive = s3, env, bucketOf(t, archive, env)
	archive, c.line = newS3Switch(t, archive)
	c.common = slices.Concat([]string{"--nats-replicas=3"}, archive, provider)
	t.Cleanup(func() {
		for _, m := range c.members {
			if t.Failed() && m.process != nil {
				t.Logf("log of %s:\n%s", m.name, tail(m.log.String(), 40))
			}
		}
	})
	return c
}

// join adds a member that has no role's flags yet.
func (c *cluster) join(name, role string) *member {
	urls := make([]string, len(c.servers))
	for i, s := range c.servers {
		urls[i] = s.NATSURL()
	}
	m := &member{name: name, role: role, env: c.env}
	m.args = []string{
		"--nats-url=" + strings.Join(urls, ","), "--dir=" + c.t.TempDir(), "--retention=0", "--list-every=30s",
		"--close-grace=10s", "--idle-after=15s", "--give-up-after=30s", "--page-deadline=2m", "--whole-for=1m",
	}
	c.members = append(c.members, m)
	return m
}

// start starts members at the same time, also such that have ended, and waits until they are ready.
func (c *cluster) start(members ...*member) {
	c.t.Helper()
	for _, m := range members {
		c.launch(m)
	}
	for _, m := range members {
		m.awaitReady()
	}
	c.lead()
}

// startServers starts three nats-servers, where it is possible on machines of their own, the last one with a small disk.
func (c *cluster) startServers() {
	t := c.t
	t.Helper()
	var start []func(*exec.Cmd) error
	if c.lan, start, c.noLAN = newLAN(t, 3); c.noLAN != nil {
		c.lan = nil
	}
	dirs := []string{t.TempDir(), t.TempDir(), t.TempDir()}
	if c.noDisk = syscall.Mount("tmpfs", dirs[2], "tmpfs", 0, "size=512m"); c.noDisk == nil {
		c.disk = dirs[2]
		t.Cleanup(func() {
			if err := syscall.Unmount(c.disk, syscall.MNT_DETACH); err != nil {
				t.Error(err)
			}
		})
	}
	c.servers = apptest.StartCluster(t, natsHosts(t, c.lan, start, dirs))
}

// bucketOf is the bucket of these arguments.
func bucketOf(t *testing.T, args, env []string) bucket {
	t.Helper()
	b := bucket{prefix: "some/prefix"}
	for _, arg := range slices.Concat(args, env) {
		name, value, _ := strings.Cut(arg, "=")
		switch name {
		case "--s3-endpoint":
			b.endpoint = value
		case "FAXSTREAM_S3_ACCESS_KEY":
			b.access = value
		case "FAXSTREAM_S3_SECRET_KEY":
			b.secret = value
		}
	}
	return b
}

// launch starts the process of a member and does not wait for it.
func (c *cluster) launch(m *member) {
	c.t.Helper()
	if m.process != nil {
		m.lines += m.process.lines()
	}
	cmd := serveCommand(m.env, m.args...)
	if m.build != "" {
		cmd.Path = m.build
	}
	if m.clock != 0 {
		ahead(c.t, cmd, m.clock)
	}
	m.process = launch(c.t, cmd)
}

// lead gives the door the processes that take webhooks, also those that are dead: a load balancer does not know it at once.
func (c *cluster) lead() {
	var targets []string
	for _, m := range c.of("webhook") {
		targets = append(targets, m.ready.Webhook)
	}
	c.door.lead(targets...)
}

// of are the members with a role.
func (c *cluster) of(role string) (all []*member) {
	for _, m := range c.members {
		if strings.Contains(m.role, role) {
			all = append(all, m)
		}
	}
	return all
}

// one is the first member with a role.
func (c *cluster) one(role string) *member { return c.of(role)[0] }

// admin is where the cluster is asked.
func (c *cluster) admin() *process { return c.one("admin").process }

// streams reads what JetStream holds. Whoever calls it closes it.
func (c *cluster) streams() streams {
	c.t.Helper()
	var urls []string
	for _, s := range c.servers {
		urls = append(urls, s.NATSURL())
	}
	return readStreams(c.t, strings.Join(urls, ","))
}

// leader is the number of the server that leads FAX_IN.
func (c *cluster) leader() int {
	c.t.Helper()
	s := c.streams()
	defer s.close()
	number := -1
	await(c.t, "FAX_IN has a leader", func() bool {
		ctx, cancel := context.WithTimeout(c.t.Context(), askAgain)
		defer cancel()
		stream, err := s.js.Stream(ctx, bus.StreamIn)
		if err != nil {
			return false
		}
		info := stream.CachedInfo().Cluster
		if info == nil || info.Leader == "" {
			return false
		}
		number = int(info.Leader[1] - '0') // apptest names them n0, n1 and n2
		return true
	})
	return number
}

// awaitCalm returns once every stream has all its copies up to date, and every process is ready.
func (c *cluster) awaitCalm() {
	c.t.Helper()
	s := c.streams()
	defer s.close()
	last := ""
	defer func() {
		if c.t.Failed() {
			c.t.Log(last)
		}
	}()
	await(c.t, "every copy of every stream is up to date", func() bool {
		ctx, cancel := context.WithTimeout(c.t.Context(), askAgain)
		defer cancel()
		last = behind(ctx, s.js)
		return last == ""
	})
	for _, m := range c.members {
		await(c.t, m.name+" is ready", func() bool {
			status, text := m.readyz()
			last = text
			return status == 200
		})
	}
}

// endure lets faxes come while a fault begins, stays and ends, and checks everything after it.
func (c *cluster) endure(f fault) {
	t := c.t
	t.Helper()
	if why := f.impossible(c); why != nil {
		t.Logf("%s: skipped, because %v", f.name, why)
		c.rows = append(c.rows, faultRow{name: f.name, skipped: why.Error()})
		return
	}
	t.Logf("%s %s", time.Now().Format(time.TimeOnly), f.name)
	c.awaitCalm()
	c.door.reset()
	c.sent = len(c.faxes)
	r := faultRow{name: f.name, began: time.Now()}
	feed := c.feed()
	pass(c.form.before)
	began := c.usage()
	f.begin(c)
	pass(f.length(c.form))
	r.usage = c.usage().since(began)
	if f.end != nil {
		f.end(c)
	}
	r.ended = time.Now()
	pass(c.form.rest)
	r.rested = time.Now()
	feed.end(t)
	c.checkMembers()
	c.check()
	c.measure(&r)
	c.rows = append(c.rows, r)
	t.Log(r)
}

// pass lets a time pass in which faxes come.
func pass(d time.Duration) { <-time.After(d) }

// feed is the faxes that come until its end.
type feed struct {
	stop    chan struct{} // closed by halt
	halt    func()        // no more faxes come; it may be called again
	lines   chan struct{} // of the provider: each has one fax
	running sync.WaitGroup
}

// providerLines bounds the faxes that come at the same time: a provider has no more of them while nobody takes its webhooks.
const providerLines = 24

func (c *cluster) feed() *feed {
	f := &feed{stop: make(chan struct{}), lines: make(chan struct{}, providerLines)}
	f.halt = sync.OnceFunc(func() { close(f.stop) })
	c.t.Cleanup(func() { // a test that failed meanwhile has not ended it, and nobody may report to a test that is over
		f.halt()
		f.running.Wait()
	})
	f.running.Go(func() {
		next := time.NewTicker(c.form.every)
		defer next.Stop()
		for {
			select {
			case <-f.stop:
				return
			case f.lines <- struct{}{}:
			}
			fax := c.next()
			f.running.Go(func() {
				if err := c.sim.Send(c.t.Context(), c.door.url, fax); err != nil && c.t.Context().Err() == nil {
					c.t.Error(err)
				}
				<-f.lines
			})
			select {
			case <-f.stop:
				return
			case <-next.C:
			}
		}
	})
	return f
}

// end returns when every webhook was taken.
func (f *feed) end(t *testing.T) {
	t.Helper()
	f.halt()
	taken := make(chan struct{})
	go func() { f.running.Wait(); close(taken) }()
	select {
	case <-taken:
	case <-time.After(2 * apptest.Patience):
		t.Fatalf("webhooks of %d faxes are not taken after the fault", len(f.lines))
	}
}

// next is another fax. Every other one is of a provider that makes mistakes.
func (c *cluster) next() faxplustest.Fax {
	n := len(c.faxes)
	f := apptest.SmallFax(c.t, fmt.Sprintf("cluster-%d", n), uint64(n))
	f.From, f.StartTime = fmt.Sprintf("+1 555-%07d", n), time.Now().UTC().Truncate(time.Second)
	if n%2 == 1 {
		f.Faults = slices.DeleteFunc(faxplustest.Chaos(1, f.Session), func(f faxplustest.Fault) bool {
			return slices.Contains(c.form.without, f)
		})
	}
	c.faxes = append(c.faxes, f)
	return f
}

// checkMembers wants every process to be the one that was started.
func (c *cluster) checkMembers() {
	c.t.Helper()
	for _, m := range c.members {
		select {
		case <-m.exited:
			c.t.Errorf("%s has ended: %s\n%s", m.name, m.cmd.ProcessState, tail(m.log.String(), 20))
		default:
		}
	}
}

// behind names a copy of a stream that is not up to date; "": all are.
func behind(ctx context.Context, js jetstream.JetStream) string {
	list := js.ListStreams(ctx)
	for info := range list.Info() {
		if info.Cluster == nil || info.Cluster.Leader == "" || len(info.Cluster.Replicas) != 2 {
			return fmt.Sprintf("stream %s has no leader, or not two other copies", info.Config.Name)
		}
		for _, r := range info.Cluster.Replicas {
			if !r.Current || r.Offline {
				return fmt.Sprintf("the copy of stream %s at %s is behind by %d", info.Config.Name, r.Name, r.Lag)
			}
		}
	}
	if err := list.Err(); err != nil {
		return err.Error()
	}
	return ""
}
