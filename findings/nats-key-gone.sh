#!/usr/bin/env bash
# Without its encryption key a NATS server says that a stream does not exist, and making it again deletes what is on disk
#
# nats-server 2.15.2, nats.go 1.55.0. A stream with ten messages is stored encrypted. The server starts again without the key, as after a
# lost environment variable. It serves, and its API answers 404 for the stream, as for one that never was; only /healthz says that the
# stream "could not be recovered". A service that now creates its streams, as most do at their start, is refused once or twice (10049)
# and then succeeds. The key comes back: the stream is there, and empty. Without that creation all ten messages are there again. Expected:
# an error of its own for a stream that cannot be read, and files that stay. So a stream that ever existed must not be created again
# without a person's word.
. "$(dirname "$0")/lib/setup.bash"

cat >main.go <<'GO'
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// with starts a server on the store with a key, and gives its JetStream to do.
func with(store, key string, do func(ctx context.Context, s *server.Server, js jetstream.JetStream)) {
	s, err := server.NewServer(&server.Options{DontListen: true, JetStream: true, StoreDir: store, JetStreamKey: key})
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
	do(ctx, s, js)
	nc.Close()
	s.Shutdown()
	s.WaitForShutdown()
}

func result(err error) string {
	var api *jetstream.APIError
	switch {
	case err == nil:
		return "success"
	case errors.As(err, &api):
		return fmt.Sprint(api.Code, " ", api.ErrorCode)
	}
	return err.Error()
}

func create(ctx context.Context, js jetstream.JetStream) error {
	_, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "FACTS", Subjects: []string{"fact.>"}})
	return err
}

func messages(ctx context.Context, _ *server.Server, js jetstream.JetStream) {
	stream, err := js.Stream(ctx, "FACTS")
	if err != nil {
		fmt.Println("messages:", result(err))
		return
	}
	info, err := stream.Info(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("messages:", info.State.Msgs)
}

func main() {
	store := os.Args[1]
	with(store, "first key", func(ctx context.Context, _ *server.Server, js jetstream.JetStream) {
		if err := create(ctx, js); err != nil {
			log.Fatal(err)
		}
		for i := range 10 {
			if _, err := js.Publish(ctx, fmt.Sprint("fact.", i), []byte("a fax")); err != nil {
				log.Fatal(err)
			}
		}
	})
	with(store, "first key", messages)
	with(store, "", func(ctx context.Context, s *server.Server, js jetstream.JetStream) {
		h := s.Healthz(&server.HealthzOptions{})
		fmt.Println("health:", h.Status, h.Error)
		messages(ctx, s, js)
		if len(os.Args) > 2 {
			fmt.Println("create:", result(create(ctx, js)))
			for err := create(ctx, js); err != nil && ctx.Err() == nil; {
				err = create(ctx, js)
			}
			fmt.Println("create again:", result(ctx.Err()))
		}
	})
	with(store, "first key", messages)
}
GO
go_program finding github.com/nats-io/nats-server/v2@v2.15.2 github.com/nats-io/nats.go@v1.55.0

expect "the key is gone and comes back" "messages: 10
health: unavailable JetStream stream '\$G > FACTS' could not be recovered
messages: 404 10059
messages: 10" "$(./finding "$TMP/untouched")"
expect "the same, and the stream is created while the key is gone" "messages: 10
health: unavailable JetStream stream '\$G > FACTS' could not be recovered
messages: 404 10059
create: 500 10049
create again: success
messages: 0" "$(./finding "$TMP/created" create)"
