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

// One who logs in again and again logs out nobody else.
func TestManyLoginsEndThoseOfTheSameName(t *testing.T) {
	var l logins
	now := time.Now()
	other := l.open(Token{Name: "alice"}, false, now)
	var own []string
	for i := range maxSessions + 10 {
		own = append(own, l.open(Token{Name: "bob"}, false, now.Add(time.Duration(i)*time.Millisecond)))
	}
	now = now.Add(time.Minute)
	if _, ok := l.session(other, now); !ok {
		t.Error("the login of alice is over")
	}
	if _, ok := l.session(own[0], now); ok || len(l.sessions) > maxSessions {
		t.Errorf("the oldest of bob goes on: %t; %d sessions", ok, len(l.sessions))
	}
	if _, ok := l.session(own[len(own)-1], now); !ok {
		t.Error("the last of bob is over")
	}
	if _, ok := l.session(l.open(Token{Name: "carol"}, false, now), now); !ok || len(l.sessions) > maxSessions {
		t.Errorf("carol gets in: %t; %d sessions", ok, len(l.sessions))
	}
}

// What the provider says at the last login counts, also for links.
func TestAProvidersLoginEndsThoseWithOtherRights(t *testing.T) {
	var l logins
	now := time.Now()
	before := Token{Name: "jane", Scopes: RoleRead.scopes()}
	first, second := l.open(before, true, now), l.open(before, true, now)
	if _, ok := l.session(first, now); !ok {
		t.Error("a second browser ends the login of the first")
	}
	before.Masked = true
	last := l.open(before, true, now)
	for i, cookie := range []string{first, second, last} {
		if _, ok := l.session(cookie, now); ok != (cookie == last) {
			t.Errorf("login %d goes on: %t", i+1, ok)
		}
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
