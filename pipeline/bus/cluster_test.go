package bus

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/faxstream/faxstream/pipeline/session"
)

// startCluster starts three servers that are one cluster, and returns their URLs.
func startCluster(t *testing.T) string {
	t.Helper()
	var (
		routes []*url.URL
		all    []*server.Server
		urls   []string
	)
	for range 3 {
		routes = append(routes, &url.URL{Scheme: "nats", Host: freeAddr(t)})
	}
	for i, route := range routes {
		port, err := strconv.Atoi(route.Port())
		if err != nil {
			t.Fatal(err)
		}
		s, err := server.NewServer(&server.Options{
			ServerName: fmt.Sprint("n", i), Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true,
			JetStream: true, StoreDir: t.TempDir(), Routes: routes,
			Cluster: server.ClusterOpts{Name: "fax", Host: route.Hostname(), Port: port},
		})
		if err != nil {
			t.Fatal(err)
		}
		s.Start()
		t.Cleanup(func() {
			s.Shutdown()
			s.WaitForShutdown()
		})
		all = append(all, s)
	}
	for _, s := range all {
		if !s.ReadyForConnections(time.Minute) {
			t.Fatal("a server does not start")
		}
		urls = append(urls, "nats://"+s.Addr().String())
	}
	tick, over := time.NewTicker(50*time.Millisecond), time.After(time.Minute)
	defer tick.Stop()
	for !slices.ContainsFunc(all, (*server.Server).JetStreamIsLeader) {
		select {
		case <-tick.C:
		case <-over:
			t.Fatal("the cluster has no leader")
		}
	}
	return strings.Join(urls, ",")
}

// Whoever starts without a number of copies leaves the streams as many as they have, and gives a stream that is new as many. Fewer come
// only from a number that somebody gives.
func TestCopiesAreLoweredOnlyByName(t *testing.T) {
	if testing.Short() {
		t.Skip("a cluster of three servers is slow under the race detector: runs without -short")
	}
	t.Parallel()
	servers := startCluster(t)
	open := func(replicas int) *Bus {
		t.Helper()
		b, err := Open(t.Context(), Config{URL: servers, Replicas: replicas, Recreate: true, Log: logTo(t)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { closeBus(t, b) })
		return b
	}
	copies := func(b *Bus) map[string]int {
		t.Helper()
		there, _, err := b.streams(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		all := map[string]int{}
		for name, has := range there {
			all[name] = has.Replicas
		}
		return all
	}
	first := open(3)
	if err := first.js.DeleteStream(t.Context(), StreamText); err != nil { // as if it were that of a newer version
		t.Fatal(err)
	}
	e, err := Examine(t.Context(), Config{URL: servers})
	if err != nil || e.Cluster != "fax" || e.Replicas[StreamIn] != 3 || e.Replicas[StreamText] != 0 || !e.HasClock ||
		e.Ahead.Abs() > time.Minute {
		t.Errorf("the servers are said to be %+v, %v", e, err)
	}
	b := open(0)
	for stream, n := range copies(b) {
		if n != 3 {
			t.Errorf("after a start without a number %s has %d copies", stream, n)
		}
	}
	if b.copies != 3 {
		t.Errorf("it takes the streams for ones with %d copies", b.copies)
	}
	if one := copies(open(1))[StreamPages]; one != 1 {
		t.Errorf("after a start with one copy there are %d", one)
	}
}

// The copies of the streams are raised from one to three and lowered again while a process records facts: every fact that was recorded is
// there, once, and the process goes on.
func TestCopiesAreChangedWhileItRuns(t *testing.T) {
	if testing.Short() {
		t.Skip("a cluster of three servers is slow under the race detector: runs without -short")
	}
	t.Parallel()
	servers := startCluster(t)
	open := func(replicas int) *Bus {
		t.Helper()
		b, err := Open(t.Context(), Config{URL: servers, Replicas: replicas, Log: logTo(t)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { closeBus(t, b) })
		return b
	}
	b := open(1)
	changed, done := make(chan struct{}), make(chan int)
	go func() {
		n, after := 0, 0
		for after < 50 && t.Context().Err() == nil {
			select {
			case <-changed:
				after++
			default:
			}
			for { // what is not answered comes again, as a webhook does
				if _, err := b.Record(t.Context(), page("s", n+1)); err == nil || t.Context().Err() != nil {
					break
				}
			}
			n++
		}
		done <- n
	}()
	for _, copies := range []int{3, 1} {
		open(copies)
		there, _, err := b.streams(t.Context())
		if err != nil || there[StreamIn].Replicas != copies || there["KV_"+BucketSessions].Replicas != copies {
			t.Errorf("FAX_IN has %d copies, want %d: %v", there[StreamIn].Replicas, copies, err)
		}
	}
	close(changed)
	n := receive(t, done)
	if got := count(t, b, StreamIn); int(got) != n || n < 50 {
		t.Errorf("%d facts are there, %d were recorded", got, n)
	}
	if err := b.Ready(t.Context()); err != nil {
		t.Errorf("not ready: %v", err)
	}
}

// Four processes that start at the same time on a new cluster all start.
func TestFourProcessesStartOnANewCluster(t *testing.T) {
	if testing.Short() {
		t.Skip("a cluster of three servers is slow under the race detector: runs without -short")
	}
	t.Parallel()
	servers := startCluster(t)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			b, err := Open(t.Context(), Config{URL: servers, Replicas: 3, Log: logTo(t)})
			if err != nil {
				t.Error(err)
				return
			}
			// Those of one role make the same consumers, one after another, at the same moment.
			for n := range 8 {
				c := Consumer{Stream: StreamPages, Durable: fmt.Sprint("same", n), Filter: []string{session.TypePageArchived + ".>"}}
				if err := b.Consume(t.Context(), c, func(context.Context, Delivery) error { return nil }); err != nil {
					t.Error(err)
				}
			}
			closeBus(t, b)
		})
	}
	all.Wait()
}

// Two processes that store, claim and bind the same at the same time agree, and neither takes a write that is on its way for an error.
func TestTwoProcessesWriteTheSameAtOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("a cluster of three servers is slow under the race detector: runs without -short")
	}
	t.Parallel()
	servers := strings.Split(startCluster(t), ",")
	var buses []*Bus
	for _, url := range servers[:2] {
		b, err := Open(t.Context(), Config{URL: url, Replicas: 3, Log: logTo(t)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { closeBus(t, b) })
		buses = append(buses, b)
	}
	for i := range 200 {
		id := fmt.Sprint("s", i)
		var all sync.WaitGroup
		var sequences [2]uint64
		var owners, tokens [2]string
		for k, b := range buses {
			all.Go(func() {
				var errs [3]error
				sequences[k], _, errs[0] = b.RecordFact(t.Context(), page(id, 1))
				owners[k], errs[1] = b.Claim(t.Context(), session.AliasFile, id, fmt.Sprint(id, "-", k))
				tokens[k], errs[2] = b.Bind(t.Context(), id, fmt.Sprintf("%d1334", k))
				if err := errors.Join(errs[:]...); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if sequences[0] != sequences[1] || owners[0] != owners[1] || tokens[0] != tokens[1] || owners[0] == "" || tokens[0] == "" {
			t.Fatalf("they do not agree: %v %v %v", sequences, owners, tokens)
		}
	}
}
