#!/usr/bin/env bash
# An atomic batch of two messages costs more fsyncs than two messages
#
# nats-server 2.15.2, nats.go 1.55.0, orbit.go/jetstreamext 0.3.2, one replica, sync_interval always. A message that is published alone
# costs one fsync. An atomic batch has a store of its own until its commit, and the server syncs that too: its two files, its directories
# and its block, before it copies the messages into the stream and syncs that. So a batch costs several fsyncs, whatever its size, although
# it exists to make many messages cost one; on a disk it is slower than single messages below some sixteen of them. Expected: what is only
# staged need not be on disk, because nobody has an answer yet. Who commits webhooks together should measure from which number on it wins.
. "$(dirname "$0")/lib/setup.bash"

cat >main.go <<'GO'
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"
)

const rounds = 50

// main publishes two messages, in each round, alone or as a batch or not at all.
func main() {
	s, err := server.NewServer(&server.Options{DontListen: true, JetStream: true, StoreDir: os.Args[1], SyncAlways: true})
	if err != nil {
		log.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(30 * time.Second) {
		log.Fatal("the server does not start")
	}
	nc, err := nats.Connect("", nats.InProcessServer(s))
	if err != nil {
		log.Fatal(err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	config := jetstream.StreamConfig{Name: "FAXES", Subjects: []string{"fax.>"}, AllowAtomicPublish: true}
	if _, err := js.CreateStream(ctx, config); err != nil {
		log.Fatal(err)
	}
	for i := range rounds {
		first, second := fmt.Sprintf("fax.%d.1", i), fmt.Sprintf("fax.%d.2", i)
		switch os.Args[2] {
		case "alone":
			for _, subject := range []string{first, second} {
				if _, err := js.Publish(ctx, subject, nil); err != nil {
					log.Fatal(err)
				}
			}
		case "batch":
			batch := []*nats.Msg{{Subject: first, Header: nats.Header{}}, {Subject: second, Header: nats.Header{}}}
			if _, err := jetstreamext.PublishMsgBatch(ctx, js, batch, jetstreamext.BatchFlowControl{}); err != nil {
				log.Fatal(err)
			}
		}
	}
	nc.Close()
	s.Shutdown()
	s.WaitForShutdown()
}
GO
debian strace=6.1-0.1
go_program program github.com/nats-io/nats-server/v2@v2.15.2 github.com/nats-io/nats.go@v1.55.0 \
  github.com/synadia-io/orbit.go/jetstreamext@v0.3.2

# syncs HOW: how many fsyncs the whole run makes.
syncs() {
  LD_LIBRARY_PATH=root/usr/lib/x86_64-linux-gnu root/usr/bin/strace -f -o trace -e trace=fsync,fdatasync ./program "$1" "$1"
  grep -cE '(fsync|fdatasync)\(' trace
}

idle=$(syncs none) alone=$(syncs alone) batch=$(syncs batch)
expect "fsyncs for two messages alone" 2 $(((alone - idle + 25) / 50))
expect "fsyncs for a batch of two is more" yes "$([ $(((batch - idle + 25) / 50)) -gt 2 ] && echo yes || echo no)"
echo "fsyncs for a batch of two: $(((batch - idle + 25) / 50))"
