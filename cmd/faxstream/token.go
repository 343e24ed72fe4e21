package main

import (
	"encoding/json"
	"fmt"

	"github.com/faxstream/faxstream/cmd/faxstream/access"
)

// tokenCmd makes a token for the admin API.
type tokenCmd struct {
	Name  string   `arg:"" help:"Who it is for: 1 to 64 letters, digits, '-' and '_'. FAX_AUDIT calls its holder so."`
	Scope []string `required:"" env:"-" placeholder:"SCOPE,..." help:"What it allows: read (lists, documents, pages, links, audit, metrics), operate (retry, drop, replay, reconcile), admin (hold, release, purge). None includes another."`
	JSON  bool     `help:"Print one JSON object with the token and its line."`
}

// Run prints the line for the file of --admin-tokens on stdout, so that >> appends it, and the token on stderr, where it is seen once.
func (c tokenCmd) Run(e env) error {
	var scopes []access.Scope
	for _, s := range c.Scope {
		scopes = append(scopes, access.Scope(s))
	}
	secret, line, err := access.NewToken(c.Name, scopes)
	if err != nil {
		return usagef("%w", err)
	}
	if c.JSON {
		return json.NewEncoder(e.stdout).Encode(map[string]string{"token": secret, "line": line})
	}
	if _, err := fmt.Fprintln(e.stdout, line); err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.stderr, "The token, which is shown only now:\n%s\nAppend the line above to the file of --admin-tokens.\n", secret)
	return err
}
