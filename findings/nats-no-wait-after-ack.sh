#!/usr/bin/env bash
# A pull that does not wait finds nothing although JetStream has confirmed the message before
#
# nats-server 2.15.2, nats.go 1.55.0. One program publishes a message, has the confirmation of the stream, and then asks a durable
# consumer with FetchNoWait: 404, "No Messages", in 6 % of 2,000 tries, in 40 to 60 % where 200 other consumers are on the stream. The
# server writes the message, confirms it, and tells the consumers in a goroutine of its own; a consumer that has not heard of it yet says
# that there is nothing. A pull that waits gets the message each time. Expected: what is confirmed can be pulled. So a job that runs as
# "drain until there is nothing, then stop" can stop with a confirmed message left, and a test that publishes and then pulls so fails now
# and then.
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
)

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}

// settled acknowledges what a pull brings, and gives how much it was.
func settled(batch jetstream.MessageBatch, err error) (n int) {
	for m := range must(batch, err).Messages() {
		if err := m.DoubleAck(context.Background()); err != nil {
			log.Fatal(err)
		}
		n++
	}
	return n
}

func main() {
	s := must(server.NewServer(&server.Options{DontListen: true, JetStream: true, StoreDir: os.Args[1]}))
	s.Start()
	if !s.ReadyForConnections(30 * time.Second) {
		log.Fatal("the server does not start")
	}
	js := must(jetstream.New(must(nats.Connect("", nats.InProcessServer(s)))))
	ctx := context.Background()
	must(js.CreateStream(ctx, jetstream.StreamConfig{Name: "PAGES", Subjects: []string{"page.>"}}))
	var last jetstream.Consumer
	for i := range 200 {
		config := jetstream.ConsumerConfig{Durable: fmt.Sprint("desk-", i), AckPolicy: jetstream.AckExplicitPolicy}
		last = must(js.CreateConsumer(ctx, "PAGES", config))
	}
	const messages = 2000
	nothing, later := 0, 0
	for i := range messages {
		must(js.Publish(ctx, fmt.Sprint("page.", i), nil))
		if settled(last.FetchNoWait(1)) == 0 {
			nothing++
			later += settled(last.Fetch(1, jetstream.FetchMaxWait(10*time.Second)))
		}
	}
	fmt.Fprintf(os.Stderr, "%d of %d confirmed messages were not there for a pull that does not wait\n", nothing, messages)
	fmt.Println("nothing without a wait, at least once:", nothing > 0)
	fmt.Println("all of these came to a pull that waits:", later == nothing)
}
GO
go_program finding github.com/nats-io/nats-server/v2@v2.15.2 github.com/nats-io/nats.go@v1.55.0

expect "200 consumers, 2,000 messages" "nothing without a wait, at least once: true
all of these came to a pull that waits: true" "$(./finding "$TMP/store")"
