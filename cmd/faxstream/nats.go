package main

import (
	"encoding/json"
	"fmt"
	"net/url"

	"github.com/faxstream/faxstream/cmd/faxstream/access"
	"github.com/faxstream/faxstream/pipeline/bus"
)

// natsCmd shows the login of subscribers at the embedded server.
type natsCmd struct {
	Dir        string `default:"./faxstream-data" type:"path" help:"Directory of all local state, as for serve."`
	NATSListen string `name:"nats-listen" default:"127.0.0.1:4222" placeholder:"HOST:PORT" help:"Address in the printed URL, as for serve. Default ${default}."`
	JSON       bool   `help:"Print one JSON object with URL, user and password."`
}

// Run prints a URL that NATS clients take as it is.
func (c natsCmd) Run(e env) error {
	password, err := access.KnownSubscriberPassword(c.Dir)
	if err != nil {
		return err
	}
	server := url.URL{Scheme: "nats", Host: c.NATSListen, User: url.UserPassword(bus.Subscriber, password)}
	if c.JSON {
		return json.NewEncoder(e.stdout).Encode(map[string]string{"url": server.String(), "user": bus.Subscriber, "password": password})
	}
	_, err = fmt.Fprintln(e.stdout, server.String())
	return err
}
