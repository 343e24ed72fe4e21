package main

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/faxstream/faxstream/cmd/faxstream/access"
	"github.com/faxstream/faxstream/pipeline/sign"
)

// keysCmd makes the key with which manifests are signed.
type keysCmd struct {
	File   string `arg:"" type:"path" help:"File of the private key, PEM, mode 0600. It must not exist, except with --public."`
	Public bool   `help:"Make no key: print the public key of the private key in FILE."`
	JSON   bool   `help:"Print one JSON object."`
}

// Run prints the public key; its id goes to stderr.
func (c keysCmd) Run(e env) error {
	key, err := c.key()
	if err != nil {
		return err
	}
	public := key.Public().(ed25519.PublicKey)
	text, err := sign.PublicPEM(public)
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(e.stdout).Encode(map[string]string{
			"file": c.File, "key_id": sign.KeyID(public), "public_key": string(text),
		})
	}
	if _, err := e.stdout.Write(text); err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.stderr, "key id %s: keep this public key for `faxstream verify --key`, and keep %s secret\n",
		sign.KeyID(public), c.File)
	return err
}

func (c keysCmd) key() (ed25519.PrivateKey, error) {
	if c.Public {
		return readSigningKey(c.File)
	}
	key, text, err := sign.NewKey()
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(c.File, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("%s exists: a key is never overwritten; give another name, or --public to print its public key", c.File)
	}
	if err != nil {
		return nil, err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, errors.Join(err, os.Remove(c.File))
	}
	return key, nil
}

// readSigningKey reads the file of --sign-key.
func readSigningKey(file string) (ed25519.PrivateKey, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	key, err := sign.ParseKey(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return key, nil
}

// readPublicKeys reads the files of --key.
func readPublicKeys(files []string) (keys []ed25519.PublicKey, err error) {
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		some, err := sign.ParsePublicKeys(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		keys = append(keys, some...)
	}
	return keys, nil
}

// tokenCmd makes a token for the admin API.
type tokenCmd struct {
	Name  string   `arg:"" help:"Name of the holder: 1 to 64 letters, digits, '-' and '_'. FAX_AUDIT shows this name."`
	Scope []string `required:"" env:"-" placeholder:"SCOPE" help:"What the token allows: read (lists, documents, pages, links, audit, metrics), operate (retry, drop, choose, replay, reconcile, verify on the screen), admin (hold, release, purge), metrics (metrics and no fax), text (send what an OCR engine read on a page), work (assign, label, note, mark as read or done, derive)."`
	To    []string `env:"-" placeholder:"NUMBER" help:"The token sees only faxes of these numbers or user ids: received faxes to them, and sent faxes from them. How they are written makes no difference. Only with the scopes read, metrics, text and work."`
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
