package access

import (
	"testing"
	"time"
)

// A login is over after a working day, whatever the browser keeps.
func TestALoginEnds(t *testing.T) {
	var l logins
	now, token := time.Now(), Token{sum: [32]byte{1}}
	cookie := l.open(token, false, now)
	if got, ok := l.session(cookie, now.Add(sessionFor-time.Second)); !ok || got.token.sum != token.sum {
		t.Errorf("within the day: %v, %v", got, ok)
	}
	if _, ok := l.session(cookie, now.Add(sessionFor)); ok {
		t.Error("the session goes on after its end")
	}
}

// A login leads to a page of ours only, whatever the address says.
func TestALoginLeadsToAPageOfOurs(t *testing.T) {
	for path, want := range map[string]string{
		"/": "/", "/fax/abc": "/fax/abc", "": "/", "//evil.example": "/", "/\\evil.example": "/", "https://evil.example": "/",
		"/fax/../login": "/", "/fax/a\r\nSet-Cookie:x": "/", "/api/v1/faxes": "/",
	} {
		if got := nextPage(path); got != want {
			t.Errorf("%q leads to %q, want %q", path, got, want)
		}
	}
}
