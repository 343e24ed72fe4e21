package main

import (
	"encoding/json"
	"fmt"

	"github.com/faxstream/faxstream/cmd/faxstream/access"
)

// tokenCmd makes a token for the admin API.
type tokenCmd struct {
	Name  string   `arg:"" help:"Name of the holder: 1 to 64 letters, digits, '-' and '_'. FAX_AUDIT shows this name."`
	Scope []string `required:"" env:"-" placeholder:"SCOPE" help:"What the token allows: read (lists, documents, pages, links, audit, metrics), operate (retry, drop, choose, replay, reconcile), admin (hold, release, purge), metrics (metrics and no fax), text (send what an OCR engine read on a page)."`
	To    []string `env:"-" placeholder:"NUMBER" help:"The token sees only faxes of these numbers or user ids: received faxes to them, and sent faxes from them. How they are written makes no difference. Only with the scopes read, metrics and text."`
	JSON  bool     `help:"Print one JSON object with the token and its line."`
}

// Run prints the line for the file of --admin-tokens on stdout, so that >> appends it, and the token on stderr, where it is seen once.
func (c tokenCmd) Run(e env) error {
	var scopes []access.Scope
	for _, s := range c.Scope {
		scopes = append(scopes, access.Scope(s))
	}
	secret, line, err := access.NewToken(c.Name, scopes, c.To...)
	if err != nil {
		return usagef("%w", err)
	}
	if c.JSON {
		return json.NewEncoder(e.stdout).Encode(map[string]string{"token": secret, "line": line})
	}
	if _, err := fmt.Fprintln(e.stdout, line); err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.stderr, "The token is shown only once:\n%s\nAppend the line on stdout to the file of --admin-tokens.\n", secret)
	return err
}
