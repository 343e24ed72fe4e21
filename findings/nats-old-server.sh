#!/usr/bin/env bash
# A NATS server takes a stream whose options it does not know, and then every message that relies on them, without a word
#
# nats-server 2.10.29 and 2.12.15 with nats.go 1.55.0. A stream is created with AllowMsgSchedules, AllowMsgTTL and AllowAtomicPublish, of
# 2.12. The old server and the client report success. So they do for a message that is due in two seconds on another subject, and for one
# that lives one second. Four seconds later 2.12.15 has delivered the first and removed the second; with 2.10.29 both lie where they were
# put, for ever: no timer fires, and nothing is wrong anywhere. Only the configuration that comes back lacks the options. Expected: an
# error that names an option, or the version needed. A client has to compare what comes back with what it asked for.
. "$(dirname "$0")/lib/setup.bash"

cat >main.go <<'GO'
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var nc *nats.Conn
	for { // until the server listens
		var err error
		if nc, err = nats.Connect(os.Args[1]); err == nil && nc.ConnectedServerVersion() != "" {
			break
		} else if ctx.Err() != nil {
			log.Fatal(err)
		}
	}
	js, err := jetstream.New(nc)
	if err != nil {
		log.Fatal(err)
	}
	stream, err := js.CreateStream(ctx, jetstream.StreamConfig{
		Name: "TIMERS", Subjects: []string{"timer.>", "due.>"}, AllowMsgSchedules: true, AllowMsgTTL: true, AllowAtomicPublish: true,
	})
	if err != nil {
		log.Fatal(err)
	}
	c := stream.CachedInfo().Config
	fmt.Println("created; schedules:", c.AllowMsgSchedules, "TTL:", c.AllowMsgTTL, "atomic:", c.AllowAtomicPublish)
	due := time.Now().Add(2 * time.Second)
	_, err = js.Publish(ctx, "timer.1", []byte("retry"), jetstream.WithScheduleAt(due), jetstream.WithScheduleTarget("due.1"))
	fmt.Println("publish with a schedule:", err)
	_, err = js.Publish(ctx, "timer.2", []byte("claim"), jetstream.WithMsgTTL(time.Second))
	fmt.Println("publish with a TTL:", err)
	<-time.After(4 * time.Second)
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(">"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("later:", info.State.Subjects)
}
GO
go_program finding github.com/nats-io/nats.go@v1.55.0

timers() { # VERSION
  "bin/nats-server-$1" -a 127.0.0.1 -p "$PORT" -js -sd "$TMP/store-$1" >"nats-$1.log" 2>&1 &
  local pid=$!
  ./finding "nats://127.0.0.1:$PORT"
  kill "$pid" && wait "$pid" || true
}
PORT=$((20000 + $$ % 10000))
for version in 2.12.15 2.10.29; do
  go_server "github.com/nats-io/nats-server/v2@v$version"
  mv bin/nats-server "bin/nats-server-$version"
done
expect 2.12.15 "created; schedules: true TTL: true atomic: true
publish with a schedule: <nil>
publish with a TTL: <nil>
later: map[due.1:1]" "$(timers 2.12.15)"
expect 2.10.29 "created; schedules: false TTL: false atomic: false
publish with a schedule: <nil>
publish with a TTL: <nil>
later: map[timer.1:1 timer.2:1]" "$(timers 2.10.29)"
