package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/session"
)

// faultRow is what was seen of one fault.
type faultRow struct {
	name    string
	skipped string // why; "": it was not

	began, ended, rested time.Time // of the faxes before the fault, of the fault, of the faxes after it
	availability
	stall, slowest   time.Duration // after the fault: longest time without a page, and longest way of a page
	usage            clusterUsage  // while the fault was there
	recovered, clean int           // faxes of a provider without mistakes; those whose pages came from the whole file
}

const rowHead = "fault\twebhooks\twithin 60 s\tat once\tlongest\tstall after\tslowest page\tlines/s\tby\tCPU\tby\trecovered"

func (r faultRow) String() string {
	if r.skipped != "" {
		return r.name + "\tskipped: " + r.skipped
	}
	share := func(n int) string { return fmt.Sprintf("%.1f %%", 100*float64(n)/float64(max(r.webhooks, 1))) }
	return strings.Join([]string{
		r.name, strconv.Itoa(r.webhooks), share(r.taken), share(r.atOnce), seconds(r.longest), seconds(r.stall), seconds(r.slowest),
		fmt.Sprintf("%.1f", r.usage.lines), r.usage.logs, fmt.Sprintf("%.0f %%", 100*r.usage.cpu), r.usage.works,
		fmt.Sprintf("%d of %d", r.recovered, r.clean),
	}, "\t")
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

// report prints what was seen.
func (c *cluster) report() {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, rowHead)
	for _, r := range c.rows {
		fmt.Fprintln(w, r)
	}
	_ = w.Flush() // a strings.Builder takes everything
	c.t.Logf("%d faxes\n%s", len(c.faxes), &b)
}

// clusterUsage is what the processes have used: by member, or since another one the most of all and whose that is.
type clusterUsage struct {
	at      time.Time
	perName map[string]memberUsage

	lines, cpu  float64 // lines of the log in a second, and share of a core
	logs, works string
}

type memberUsage struct {
	pid, lines int
	cpu        time.Duration
}

// lines counts those of its log.
func (p *process) lines() int { return strings.Count(p.log.String(), "\n") }

func (c *cluster) usage() clusterUsage {
	u := clusterUsage{at: time.Now(), perName: map[string]memberUsage{}}
	for _, m := range c.members {
		pid := m.cmd.Process.Pid
		u.perName[m.name] = memberUsage{pid, m.lines + m.process.lines(), cpuOf(pid)}
	}
	return u
}

// cpuOf is the processor time of a process; that of a dead one is 0.
func cpuOf(pid int) time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	const user, system, tick = 11, 12, 10 * time.Millisecond
	var sum time.Duration
	if fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:])); len(fields) > system {
		for _, field := range []string{fields[user], fields[system]} {
			n, _ := strconv.Atoi(field) // the kernel writes a number
			sum += time.Duration(n) * tick
		}
	}
	return sum
}

func (u clusterUsage) since(before clusterUsage) clusterUsage {
	long := u.at.Sub(before.at).Seconds()
	for name, m := range u.perName {
		was := before.perName[name]
		if lines := float64(m.lines-was.lines) / long; lines > u.lines {
			u.lines, u.logs = lines, name
		}
		if cpu := (m.cpu - was.cpu).Seconds() / long; m.pid == was.pid && cpu > u.cpu {
			u.cpu, u.works = cpu, name
		}
	}
	return u
}

// measure says what senders and readers have seen of a fault.
func (c *cluster) measure(r *faultRow) {
	c.t.Helper()
	r.availability = c.door.availability()
	s := c.streams()
	defer s.close()
	clean := map[string]bool{}
	p := c.admin()
	for _, f := range c.faxes[c.sent:] {
		if len(f.Faults) > 0 {
			continue
		}
		var d api.FaxDetail
		if err := json.Unmarshal(apptest.Fetch(c.t, p.api("/faxes/"+f.Session)), &d); err != nil {
			c.t.Fatal(err)
		}
		clean[f.Session] = true
		if r.clean++; d.Status == session.StatusRecovered {
			r.recovered++
		}
	}
	r.stall, r.slowest = r.way(s, clean)
}

// way is the longest time without a page after the fault, and how long the slowest page took that was announced then, of faxes of a
// provider without mistakes.
func (r *faultRow) way(s streams, clean map[string]bool) (stall, slowest time.Duration) {
	announced, last := map[string]time.Time{}, r.ended
	for _, m := range s.since(bus.StreamIn, session.TypePageAnnounced+".>", r.began) {
		parts := strings.Split(m.subject, ".") // fax.v1.in.page.<session>.<page>
		announced[parts[4]+"."+parts[5]] = m.at
	}
	for _, m := range s.since(bus.StreamPages, session.TypePageArchived+".>", r.began) {
		parts := strings.Split(m.subject, ".") // fax.v1.page.archived.<to>.<session>.<page>
		if m.at.After(r.ended) && last.Before(r.rested) {
			stall, last = max(stall, m.at.Sub(last)), m.at
		}
		if at, ok := announced[parts[5]+"."+parts[6]]; ok && clean[parts[5]] && at.After(r.ended) {
			slowest = max(slowest, m.at.Sub(at))
		}
	}
	return stall, slowest
}

// storedAt is a message of a stream.
type storedAt struct {
	subject string
	at      time.Time
}

// since are the messages of a stream that were stored since a time, in order.
func (s streams) since(stream, filter string, from time.Time) (all []storedAt) {
	s.t.Helper()
	ctx := apptest.Context(s.t)
	cons, err := s.stream(ctx, stream).OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{filter}, DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &from, HeadersOnly: true,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	info, err := cons.Info(ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	for range info.NumPending {
		var m jetstream.Msg
		await(s.t, "the next message of "+stream, func() bool { // a consumer that is new does not answer at once
			m, err = cons.Next(jetstream.FetchMaxWait(5 * time.Second))
			return err == nil
		})
		meta, err := m.Metadata()
		if err != nil {
			s.t.Fatal(err)
		}
		all = append(all, storedAt{m.Subject(), meta.Timestamp})
	}
	return all
}
