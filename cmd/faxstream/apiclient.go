package main

import (
	"errors"
	"os"
	"os/user"
	"strings"

	"github.com/faxstream/faxstream/cmd/faxstream/client"
	"github.com/faxstream/faxstream/cmd/faxstream/flags"
)

// defaultServer is where a faxstream without --admin-addr answers.
const defaultServer = "http://127.0.0.1:8081"

// apiClient is the flags of a command that asks a running faxstream.
type apiClient struct {
	Server    string `default:"${server}" placeholder:"URL" help:"Admin address of a running faxstream. Default ${default}."`
	ServerCA  string `name:"server-ca" type:"path" placeholder:"FILE" help:"PEM file with certificate authorities to trust for an https --server, besides those of the system."`
	TokenFile string `type:"path" placeholder:"FILE" help:"File with the token for --server, one line. Empty: the token is FAXSTREAM_TOKEN in the environment, or there is none."`

	api *client.Client
}

// AfterApply makes the client before a command runs; kong calls it.
func (c *apiClient) AfterApply(e env) (err error) {
	config := client.Config{Server: c.Server, Token: strings.TrimSpace(e.getenv("FAXSTREAM_TOKEN")), By: whoAsks(e.getenv("FAXSTREAM_BY"))}
	if c.TokenFile != "" {
		if config.Token, err = flags.ReadLine(c.TokenFile); err != nil {
			return usagef("--token-file: %w", err)
		}
	}
	if c.ServerCA != "" {
		if config.CA, err = os.ReadFile(c.ServerCA); err != nil {
			return usagef("--server-ca: %w", err)
		}
	}
	c.api, err = client.New(config)
	if errors.Is(err, client.ErrCA) {
		return usagef("--server-ca %s: %w", c.ServerCA, err)
	}
	return err
}

// whoAsks is the name that stands in FAX_AUDIT.
func whoAsks(by string) string {
	if by != "" {
		return by
	}
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return "unknown"
}
