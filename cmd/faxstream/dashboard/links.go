package dashboard

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

	"github.com/faxstream/faxstream/pipeline/session"
)

// Linker is an archive that lets others fetch an object until a time, such as an S3 service.
type Linker interface {
	// Link gives a URL that serves the object under key for ttl, as a file of this name and type.
	Link(ctx context.Context, key string, ttl time.Duration, name, mime string) (string, error)
}

// MaxTTL is the longest life of a link: what S3 allows a presigned URL.
const MaxTTL = 7 * 24 * time.Hour

// linkKeySize is the size of the key of links, bytes.
const linkKeySize = 32

// Link is an answer to whoever asked for one.
type Link struct {
	URL     string    `json:"url"`
	Expires time.Time `json:"expires"`
}

// linkPayload is what a link says; all of it is signed.
type linkPayload struct {
	Session string `json:"s"`
	Page    int    `json:"p,omitempty"`
	Key     string `json:"k"`
	SHA256  string `json:"h"`
	Name    string `json:"n"`
	Mime    string `json:"m"`
	Expires int64  `json:"e"` // Unix seconds
	By      string `json:"b"` // its maker
}

// linkPurpose keeps a signature of ours from meaning anything elsewhere.
const linkPurpose = "faxstream link 1\x00"

func sign(key []byte, payload string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(linkPurpose + payload))
	return mac.Sum(nil)
}

// seal writes a link's last path component: payload and HMAC-SHA256, both in base64url, with a dot between.
func (p linkPayload) seal(key []byte) (string, error) {
	data, err := json.Marshal(p)
	if err != nil {
		return "", fmt.Errorf("make a link: %w", err)
	}
	payload := base64.RawURLEncoding.EncodeToString(data)
	return payload + "." + base64.RawURLEncoding.EncodeToString(sign(key, payload)), nil
}

// Why a link is refused. Altered and invented ones look alike.
var (
	errBadLink     = &apiError{http.StatusForbidden, "bad_link", "this link is not one of this server's, or was altered"}
	errExpiredLink = &apiError{http.StatusGone, "expired_link", "this link has expired: ask for a new one"}
	errOrphanLink  = &apiError{http.StatusGone, "expired_link", "whoever made this link may not read any more: ask somebody else for a new one"}
)

// openLink checks a link before it looks into it.
func openLink(key []byte, link string, now time.Time) (p linkPayload, err error) {
	payload, signature, _ := strings.Cut(link, ".")
	mac, err := base64.RawURLEncoding.Strict().DecodeString(signature)
	if err != nil || !hmac.Equal(mac, sign(key, payload)) {
		return p, errBadLink
	}
	data, err := base64.RawURLEncoding.Strict().DecodeString(payload)
	if err == nil {
		err = json.Unmarshal(data, &p)
	}
	if err != nil {
		return p, errBadLink // signed, but by a version that wrote it otherwise
	}
	if now.Unix() >= p.Expires {
		return linkPayload{}, errExpiredLink
	}
	return p, nil
}

// LinkKey reads the key that signs links, and makes it at the first use: 32 random bytes that only the owner can read. Whoever
// removes the file makes every link worthless.
func LinkKey(file string) ([]byte, error) {
	key, err := readLinkKey(file)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if err := makeLinkKey(file); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("make the key of links: %w", err)
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
		return nil, fmt.Errorf("%s: want %d bytes; remove it, and a new one is made", file, linkKeySize)
	}
	return key, nil
}

// makeLinkKey puts a whole file under the name or none, and never replaces one.
func makeLinkKey(file string) (err error) {
	f, err := os.CreateTemp(filepath.Dir(file), ".link-key-*") // 0600
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

// linkOrder asks for a link.
type linkOrder struct {
	As   string `json:"as"`   // pdf, tiff, manifest; of a page png or original
	Page int    `json:"page"` // 0: the document
	TTL  string `json:"ttl"`  // such as 10m
	order
}

// link makes a link to an object. Who holds it needs nothing else, until it expires.
func (s *server) link(w http.ResponseWriter, r *http.Request) {
	l, err := s.makeLink(w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, l)
}

func (s *server) makeLink(w http.ResponseWriter, r *http.Request) (Link, error) {
	var o linkOrder
	if err := readOrderInto(w, r, &o, &o.order); err != nil {
		return Link{}, err
	}
	o.By, o.Why = stated(o.By), stated(o.Why) // a reader must not fill FAX_AUDIT with a few links
	ttl, err := time.ParseDuration(o.TTL)
	if err != nil || ttl < time.Second || ttl > MaxTTL {
		return Link{}, badRequest("ttl %q: want 1s to %s, such as 10m", o.TTL, MaxTTL)
	}
	f, err := s.file(r, o.As, o.Page)
	if err != nil {
		return Link{}, err
	}
	l := Link{Expires: time.Now().Add(ttl).UTC().Truncate(time.Second)}
	access := f.access(session.AccessLink)
	access.By, access.Why, access.Until = o.By, o.Why, l.Expires
	if err := s.record(r, access); err != nil {
		return Link{}, err
	}
	if archive, ok := s.Archive.(Linker); ok {
		l.URL, err = archive.Link(r.Context(), f.object.Key, ttl, f.name, f.mime)
		return l, err
	}
	key, err := s.LinkKey()
	if err != nil {
		return Link{}, err
	}
	sealed, err := linkPayload{
		Session: f.session, Page: f.page, Key: f.object.Key, SHA256: f.object.SHA256, Name: f.name, Mime: f.mime, Expires: l.Expires.Unix(), By: o.By,
	}.seal(key)
	if err != nil {
		return Link{}, err
	}
	scheme := "http"
	if r.TLS != nil || s.BehindTLS {
		scheme = "https"
	}
	l.URL = scheme + "://" + r.Host + "/links/" + sealed
	return l, nil
}

// followLink serves what a link is for. Its path is a credential, so that no error is logged with it.
func (s *server) followLink(w http.ResponseWriter, r *http.Request) {
	err := s.serveLink(w, r)
	if err == nil {
		return
	}
	if _, ok := errors.AsType[*apiError](err); !ok && r.Context().Err() == nil {
		s.Log.Error("a link could not be followed", "err", err)
	}
	writeError(w, err)
}

func (s *server) serveLink(w http.ResponseWriter, r *http.Request) error {
	key, err := s.LinkKey()
	if err != nil {
		return err
	}
	p, err := openLink(key, r.PathValue("link"), time.Now())
	if err == nil {
		err = s.madeByReader(p)
	}
	if _, ok := errors.AsType[*apiError](err); ok && s.Refused != nil {
		s.Refused("link")
	}
	if err != nil {
		return err
	}
	f := file{session: p.Session, page: p.Page, object: session.Object{Key: p.Key, SHA256: p.SHA256}, name: p.Name, mime: p.Mime}
	access := f.access(session.AccessLinkUsed)
	access.By = "link of " + p.By
	return s.serveFile(w, r, f, access)
}

// madeByReader refuses a link whose maker has left the file of tokens: who is removed must not read on by links made before.
func (s *server) madeByReader(p linkPayload) error {
	if s.Tokens == nil {
		return nil
	}
	tokens, err := s.Tokens()
	if err != nil {
		return fmt.Errorf("read the tokens: %w", err)
	}
	if !slices.ContainsFunc(tokens, func(t Token) bool { return t.Name == p.By && t.may(ScopeRead) }) {
		return errOrphanLink
	}
	return nil
}
