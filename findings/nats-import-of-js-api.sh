#!/usr/bin/env bash
# An account that imports $JS.API from another account is answered that it has no JetStream
#
# nats-server 2.15.2, nats.go 1.55.0. Account APP has JetStream; account OCR has none, and imports the service
# $JS.API.CONSUMER.INFO.FAXES.ocr of APP under its own subject. The configuration is accepted, without a warning, and requests never reach
# APP: the server's own import of $JS.API in each account answers first, with 503 and code 10039, "JetStream not enabled for account", which
# sends people to the wrong account. Under another subject the same import works. Expected: the import that is named counts, or the
# configuration is refused. Who lets a service use one consumer of another account needs a prefix of its own for the API there.
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

const info = "$JS.API.CONSUMER.INFO.FAXES.ocr"

const accounts = `
listen: "127.0.0.1:-1"
jetstream { store_dir: %q }
accounts {
  APP: { jetstream: enabled, users: [{user: app, password: app}], exports: [{service: %q, accounts: [OCR]}] }
  OCR: { users: [{user: ocr, password: ocr}], imports: [%s] }
}
`

func main() {
	imported, prefix := "", "$JS.API"
	switch os.Args[2] {
	case "same subject":
		imported = fmt.Sprintf("{service: {account: APP, subject: %q}}", info)
	case "another subject":
		prefix = "FAX.API"
		imported = fmt.Sprintf("{service: {account: APP, subject: %q}, to: \"FAX.API.CONSUMER.INFO.FAXES.ocr\"}", info)
	}
	file := os.Args[1] + ".conf"
	if err := os.WriteFile(file, fmt.Appendf(nil, accounts, os.Args[1], info, imported), 0o600); err != nil {
		log.Fatal(err)
	}
	opts, err := server.ProcessConfigFile(file)
	if err != nil {
		log.Fatal(err)
	}
	opts.NoLog, opts.NoSigs = true, true
	s, err := server.NewServer(opts)
	if err != nil {
		log.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(30 * time.Second) {
		log.Fatal("the server does not start")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	js := connect(s, "app", "$JS.API")
	stream, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "FAXES", Subjects: []string{"fax.>"}})
	if err == nil {
		_, err = stream.CreateConsumer(ctx, jetstream.ConsumerConfig{Durable: "ocr"})
	}
	if err != nil {
		log.Fatal(err)
	}
	cons, err := connect(s, "ocr", prefix).Consumer(ctx, "FAXES", "ocr")
	var refused *jetstream.APIError
	switch {
	case err == nil:
		fmt.Println("consumer", cons.CachedInfo().Name)
	case errors.As(err, &refused):
		fmt.Println("code", refused.ErrorCode)
	default:
		fmt.Println(err)
	}
}

func connect(s *server.Server, user, prefix string) jetstream.JetStream {
	nc, err := nats.Connect(s.ClientURL(), nats.UserInfo(user, user))
	if err != nil {
		log.Fatal(err)
	}
	js, err := jetstream.NewWithAPIPrefix(nc, prefix)
	if err != nil {
		log.Fatal(err)
	}
	return js
}
GO
go_program program github.com/nats-io/nats-server/v2@v2.15.2 github.com/nats-io/nats.go@v1.55.0

expect "imported in the configuration" "code 10039" "$(./program one "same subject")"
expect "imported in the configuration under another subject" "consumer ocr" "$(./program two "another subject")"
