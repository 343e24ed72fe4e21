#!/usr/bin/env bash
# A stream that is created again after an interrupted creation takes messages, and is gone at the next start
#
# nats-server 2.15.2, nats.go 1.55.0. The server writes meta.inf of a new stream and then meta.sum. After a kill between the two it says
# at its start that the checksum is missing, and leaves the stream out; that is harmless, since nobody was told that the stream exists.
# The client creates the stream again, with success, and ten messages are acknowledged. But the server finds meta.inf and writes neither
# file, so after a clean stop the stream is left out again, with its ten messages and its consumers. An update of the stream, right after
# the creation, writes both files, and all are there. Expected: a creation that was acknowledged outlives a restart. So a service that
# creates its streams at its start should update each stream that it has created.
. "$(dirname "$0")/lib/setup.bash"

cat >main.go <<'GO'
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// with starts a server on the store, gives its JetStream to do, and stops it in good order.
func with(store string, do func(ctx context.Context, js jetstream.JetStream) error) {
	s, err := server.NewServer(&server.Options{DontListen: true, JetStream: true, StoreDir: store})
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
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := do(ctx, js); err != nil {
		log.Fatal(err)
	}
	nc.Close()
	s.Shutdown()
	s.WaitForShutdown()
}

func main() {
	store, update := os.Args[1], len(os.Args) > 2
	config := jetstream.StreamConfig{Name: "FAXES", Subjects: []string{"fax.>"}}
	create := func(ctx context.Context, js jetstream.JetStream) error {
		_, err := js.CreateStream(ctx, config)
		return err
	}
	with(store, create)
	sum, err := filepath.Glob(filepath.Join(store, "*", "*", "streams", "FAXES", "meta.sum"))
	if err != nil || len(sum) != 1 {
		log.Fatal(sum, err)
	}
	if err := os.Remove(sum[0]); err != nil { // what a kill between the two writes leaves
		log.Fatal(err)
	}
	with(store, func(ctx context.Context, js jetstream.JetStream) error {
		if err := create(ctx, js); err != nil {
			return err
		}
		if update {
			if _, err := js.UpdateStream(ctx, config); err != nil {
				return err
			}
		}
		for range 10 {
			if _, err := js.Publish(ctx, "fax.page", nil); err != nil {
				return err
			}
		}
		return nil
	})
	with(store, func(ctx context.Context, js jetstream.JetStream) error {
		s, err := js.Stream(ctx, "FAXES")
		if err != nil {
			fmt.Println(err)
			return nil
		}
		fmt.Println(s.CachedInfo().State.Msgs, "messages")
		return nil
	})
}
GO
go_program program github.com/nats-io/nats-server/v2@v2.15.2 github.com/nats-io/nats.go@v1.55.0
expect "created again" "nats: API error: code=404 err_code=10059 description=stream not found" "$(./program store)"
expect "created again and updated" "10 messages" "$(./program updated update)"
