package access

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/cmd/faxstream/layout"
)

// linkKeySize is the size of the key of links, bytes.
const linkKeySize = 32

// Link is what a link says; all of it is signed.
type Link struct {
	Session string `json:"s"`
	Page    int    `json:"p,omitempty"`
	Key     string `json:"k"`
	SHA256  string `json:"h"`
	Name    string `json:"n"`
	Mime    string `json:"m"`
	Expires int64  `json:"e"` // Unix seconds
	By      string `json:"b"` // its maker
}

// linkPurpose is signed with the payload, so that the signature is of no use for anything but a link.
const linkPurpose = "faxstream link 1\x00"

func sign(key []byte, payload string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(linkPurpose + payload))
	return mac.Sum(nil)
}

// seal writes a link's last path component: payload and HMAC-SHA256, both in base64url, with a dot between.
func (l Link) seal(key []byte) (string, error) {
	data, err := json.Marshal(l)
	if err != nil {
		return "", fmt.Errorf("make a link: %w", err)
	}
	payload := base64.RawURLEncoding.EncodeToString(data)
	return payload + "." + base64.RawURLEncoding.EncodeToString(sign(key, payload)), nil
}

// Why a link is refused. A changed link and an invented one get the same answer.
var (
	errBadLink     = api.Errorf(http.StatusForbidden, "bad_link", "this link is not from this server, or it was changed")
	errExpiredLink = api.Errorf(http.StatusGone, "expired_link", "this link has expired: ask for a new one")
	// ErrOrphanLink refuses a link whose maker may no longer read its fax.
	ErrOrphanLink = api.Errorf(http.StatusGone, "expired_link",
		"the maker of this link no longer has the right to read: ask somebody else for a new one")
)

// openLink checks a link before it looks into it.
func openLink(key []byte, link string, now time.Time) (l Link, err error) {
	payload, signature, _ := strings.Cut(link, ".")
	mac, err := base64.RawURLEncoding.Strict().DecodeString(signature)
	if err != nil || !hmac.Equal(mac, sign(key, payload)) {
		return l, errBadLink
	}
	data, err := base64.RawURLEncoding.Strict().DecodeString(payload)
	if err == nil {
		err = json.Unmarshal(data, &l)
	}
	if err != nil {
		return l, errBadLink // signed, but by a version that writes links in another way
	}
	if now.Unix() >= l.Expires {
		return Link{}, errExpiredLink
	}
	return l, nil
}

// LinkKey reads the key that signs links, and makes it at the first use: 32 random bytes that only the owner can read. When the file is
// removed, every link made before is refused.
func LinkKey(file string) ([]byte, error) {
	key, err := readLinkKey(file)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if err := makeLinkKey(file); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	return readLinkKey(file)
}

func readLinkKey(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	key, err := io.ReadAll(io.LimitReader(f, linkKeySize+1))
	if err != nil {
		return nil, err
	}
	if len(key) != linkKeySize {
		return nil, fmt.Errorf("%s: wrong size, want %d bytes: remove the file, and faxstream makes a new one", file, linkKeySize)
	}
	return key, nil
}

// makeLinkKey writes the whole file or nothing, and never replaces a file.
func makeLinkKey(file string) (err error) {
	f, err := os.CreateTemp(filepath.Dir(file), ".key-*") // 0600
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(f.Name())) }()
	key := make([]byte, linkKeySize)
	_, _ = rand.Read(key) // never fails
	_, err = f.Write(key)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Link(f.Name(), file)
}

// LinkURL makes the URL of a link on this listener, as the request reached it.
func (g *Gate) LinkURL(r *http.Request, l Link) (string, error) {
	key, err := g.LinkKey()
	if err != nil {
		return "", err
	}
	sealed, err := l.seal(key)
	if err != nil {
		return "", err
	}
	return g.here(r) + "/links/" + sealed, nil
}

// here is the URL of this listener, as a request reached it.
func (g *Gate) here(r *http.Request) string {
	if r.TLS != nil || g.BehindTLS {
		return "https://" + r.Host + layout.Base(r)
	}
	return "http://" + r.Host + layout.Base(r)
}

// OpenLink gives what the last path component of a link stands for, if the link is good now, and the token of its maker as it is now; the
// zero Token without a login. An api.Error says why it is not good. If the maker is limited to numbers, the caller must look whether the
// fax is of one of them, and refuse with ErrOrphanLink.
func (g *Gate) OpenLink(link string) (l Link, maker Token, err error) {
	key, err := g.LinkKey()
	if err != nil {
		return Link{}, Token{}, err
	}
	l, err = openLink(key, link, time.Now())
	if err == nil {
		maker, err = g.maker(l)
	}
	if _, ok := errors.AsType[*api.Error](err); ok && g.Refused != nil {
		g.Refused("link")
	}
	return l, maker, err
}

// maker gives the token that made a link. It refuses a link whose maker may no longer read, or is no longer in one of the files: a person
// who is removed must not read on through links of before.
func (g *Gate) maker(l Link) (Token, error) {
	if !g.NeedsLogin() {
		return Token{}, nil
	}
	all, err := g.holders()
	if err != nil {
		return Token{}, err
	}
	made := func(t Token) bool { return t.Name == l.By && t.may(ScopeOwn) }
	i := slices.IndexFunc(all, made)
	if i < 0 && g.OIDC != nil {
		all = g.logins.provided(context.Background(), time.Now())
		i = slices.IndexFunc(all, made)
	}
	if i < 0 {
		return Token{}, ErrOrphanLink
	}
	return all[i], nil
}
