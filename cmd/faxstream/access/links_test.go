package access

import (
	"bytes"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// aLink is good for ten minutes.
func aLink() Link {
	return Link{
		Session: "abc", Key: "a.pdf", SHA256: "00ff", Name: "abc-document.pdf", Mime: "application/pdf", By: "reader",
		Expires: time.Now().Add(10 * time.Minute).Unix(),
	}
}

// Whatever is changed in a link makes it worthless, and its time makes it so by itself.
func TestAlteredAndExpiredLinksAreRefused(t *testing.T) {
	key := bytes.Repeat([]byte("k"), linkKeySize)
	good, err := aLink().seal(key)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := openLink(key, good, time.Now().Add(9*time.Minute)); err != nil || got != aLink() {
		t.Errorf("before its end: %+v, %v", got, err)
	}
	if _, err := openLink(key, good, time.Now().Add(10*time.Minute)); !errors.Is(err, errExpiredLink) {
		t.Errorf("at its end: %v", err)
	}
	for i := range good { // every character counts
		c := byte('A')
		if good[i] == c {
			c = 'B'
		}
		if _, err := openLink(key, good[:i]+string(c)+good[i+1:], time.Now()); !errors.Is(err, errBadLink) {
			t.Fatalf("with its character %d changed: %v", i, err)
		}
	}
}

// What is refused has its own words, and is counted.
func TestWhyALinkIsRefused(t *testing.T) {
	key, counted := bytes.Repeat([]byte("k"), linkKeySize), 0
	g := New(Config{LinkKey: func() ([]byte, error) { return key, nil }, Refused: func(string) { counted++ }})
	sealed := func(l Link, key []byte) string {
		s, err := l.seal(key)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	good := sealed(aLink(), key)
	payload, mac, _ := strings.Cut(good, ".")
	data, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		t.Fatal(err)
	}
	other := base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(data), "a.pdf", "b.pdf", 1)))
	expired := aLink()
	expired.Expires = time.Now().Add(-time.Second).Unix()
	for name, c := range map[string]struct {
		link string
		want error
	}{
		"the good one": {good, nil}, "another object": {other + "." + mac, errBadLink}, "no signature": {payload, errBadLink},
		"an empty signature": {payload + ".", errBadLink}, "nothing": {"x", errBadLink},
		"another key":        {sealed(aLink(), make([]byte, linkKeySize)), errBadLink},
		"a longer signature": {good + "AA", errBadLink}, "expired": {sealed(expired, key), errExpiredLink},
	} {
		if _, _, err := g.OpenLink(c.link); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if counted != 7 {
		t.Errorf("counted %d", counted)
	}
}

// The key is made once, for its owner's eyes, and a spoilt one is not used.
func TestTheKeyOfLinks(t *testing.T) {
	file := filepath.Join(t.TempDir(), "link.key")
	first, err := LinkKey(file)
	if err != nil {
		t.Fatal(err)
	}
	second, err := LinkKey(file)
	if err != nil || string(first) != string(second) || len(first) != linkKeySize {
		t.Errorf("%x, then %x, %v", first, second, err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(file), ".link-key-*")); err != nil || len(left) > 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
	if err := os.WriteFile(file, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LinkKey(file); err == nil || !strings.Contains(err.Error(), "want 32 bytes") {
		t.Errorf("a spoilt key: %v", err)
	}
}

// No link that we did not sign is looked into, whatever it is.
func FuzzOpenLink(f *testing.F) {
	key := []byte(strings.Repeat("k", linkKeySize))
	f.Add("x.y")
	f.Add(".")
	f.Fuzz(func(t *testing.T, link string) {
		if _, err := openLink(key, link, time.Unix(0, 0)); err == nil {
			t.Fatalf("%q is taken for ours", link)
		}
	})
}
