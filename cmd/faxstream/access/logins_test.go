package access

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"
)

// opened is the cookie of a login.
func opened(t *testing.T, l *logins, token Token, provided bool, now time.Time) string {
	t.Helper()
	value, err := l.open(t.Context(), token, provided, now)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// A login is over after a working day, whatever the browser keeps.
func TestALoginEnds(t *testing.T) {
	var l logins
	now, token := time.Now(), Token{sum: [32]byte{1}}
	cookie := opened(t, &l, token, false, now)
	if got, ok := l.session(t.Context(), cookie, now.Add(SessionFor-time.Second)); !ok || got.token.sum != token.sum {
		t.Errorf("within the day: %v, %v", got, ok)
	}
	if _, ok := l.session(t.Context(), cookie, now.Add(SessionFor)); ok {
		t.Error("the session goes on after its end")
	}
}

// One who logs in again and again logs out nobody else.
func TestManyLoginsEndThoseOfTheSameName(t *testing.T) {
	var l logins
	now := time.Now()
	other := opened(t, &l, Token{Name: "alice"}, false, now)
	var own []string
	for i := range maxSessions + 10 {
		own = append(own, opened(t, &l, Token{Name: "bob"}, false, now.Add(time.Duration(i)*time.Millisecond)))
	}
	now = now.Add(time.Minute)
	if _, ok := l.session(t.Context(), other, now); !ok {
		t.Error("the login of alice is over")
	}
	if _, ok := l.session(t.Context(), own[0], now); ok || len(l.sessions) > maxSessions {
		t.Errorf("the oldest of bob goes on: %t; %d sessions", ok, len(l.sessions))
	}
	if _, ok := l.session(t.Context(), own[len(own)-1], now); !ok {
		t.Error("the last of bob is over")
	}
	if _, ok := l.session(t.Context(), opened(t, &l, Token{Name: "carol"}, false, now), now); !ok || len(l.sessions) > maxSessions {
		t.Errorf("carol gets in: %t; %d sessions", ok, len(l.sessions))
	}
}

// What the provider says at the last login counts, also for links.
func TestAProvidersLoginEndsThoseWithOtherRights(t *testing.T) {
	var l logins
	now := time.Now()
	before := Token{Name: "jane", Scopes: RoleRead.scopes()}
	first, second := opened(t, &l, before, true, now), opened(t, &l, before, true, now)
	if _, ok := l.session(t.Context(), first, now); !ok {
		t.Error("a second browser ends the login of the first")
	}
	before.Masked = true
	last := opened(t, &l, before, true, now)
	for i, cookie := range []string{first, second, last} {
		if _, ok := l.session(t.Context(), cookie, now); ok != (cookie == last) {
			t.Errorf("login %d goes on: %t", i+1, ok)
		}
	}
}

// memory is a Shared that is away while err is not nil.
type memory struct {
	all  map[string][]byte
	err  error
	ends int
}

func (m *memory) Login(_ context.Context, id string) ([]byte, error) { return m.all[id], m.err }

func (m *memory) Logins(context.Context) (map[string][]byte, error) { return maps.Clone(m.all), m.err }

func (m *memory) Keep(_ context.Context, id string, login []byte) error {
	if m.err == nil {
		m.all[id] = login
	}
	return m.err
}

func (m *memory) End(_ context.Context, id string) error {
	m.ends++
	if m.err == nil {
		delete(m.all, id)
	}
	return m.err
}

// sharing are the logins of a process that shares them, and has a provider.
func sharing(m *memory) *logins {
	return &logins{shared: m, asking: make(chan struct{}, 1), provider: "provider"}
}

// A login counts at every process that shares it, with the same rights, and so does its end. What is shared tells no cookie.
func TestSharedLoginsCountEverywhere(t *testing.T) {
	m := &memory{all: map[string][]byte{}}
	one, other := sharing(m), sharing(m)
	now := time.Now()
	anna := Token{Name: "anna", Scopes: RoleWork.scopes(), Numbers: []string{"123"}, Person: true, Masked: true, sum: [32]byte{1, 2}}
	cookie := opened(t, one, anna, true, now)
	for id, data := range m.all {
		if strings.Contains(id+string(data), cookie) {
			t.Errorf("the cookie is in %s: %s", id, data)
		}
	}
	if s, ok := other.session(t.Context(), cookie, now); !ok || !reflect.DeepEqual(s.token, anna) || !s.provided {
		t.Errorf("at the other process: %+v, %t", s, ok)
	}
	if all := sharing(m).provided(t.Context(), now); len(all) != 1 || all[0].Name != "anna" {
		t.Errorf("a third process knows %v of the provider", all)
	}
	if _, ok := other.session(t.Context(), cookie, now.Add(SessionFor)); ok {
		t.Error("the session goes on after its end")
	}
	elsewhere := sharing(m)
	elsewhere.provider = "provider with other roles"
	if _, ok := elsewhere.session(t.Context(), cookie, now); ok {
		t.Error("a login through another provider, or with other roles, counts")
	}
	m.ends = 0
	if one.end(t.Context(), strings.Repeat("A", len(cookie)), now); m.ends != 0 || len(one.ended) != 0 {
		t.Error("the logout of a cookie that is nobody's is written")
	}
	anna.Masked = false
	next := opened(t, other, anna, true, now)
	if _, ok := one.session(t.Context(), cookie, now); ok {
		t.Error("a login with the rights of before goes on at another process")
	}
	one.end(t.Context(), next, now)
	if _, ok := other.session(t.Context(), next, now); ok || len(m.all) != 0 {
		t.Errorf("after a logout at the other process it goes on: %t; shared are %d", ok, len(m.all))
	}
	for range maxSessions + 3 {
		opened(t, one, anna, false, now)
	}
	if len(m.all) != maxSessions {
		t.Errorf("%d logins are shared, want at most %d", len(m.all), maxSessions)
	}
}

// While what is shared cannot be asked, nobody new gets in, and who has used a process stays there. A logout counts at once, and elsewhere
// later.
func TestSharedLoginsThatCannotBeAsked(t *testing.T) {
	m := &memory{all: map[string][]byte{}}
	one, other, third := sharing(m), sharing(m), sharing(m)
	now := time.Now()
	cookie := opened(t, one, Token{Name: "anna"}, false, now)
	if _, ok := other.session(t.Context(), cookie, now); !ok {
		t.Fatal("the login is none at the other process")
	}
	m.err = errors.New("no answer")
	if _, err := one.open(t.Context(), Token{Name: "bob"}, false, now); err == nil {
		t.Error("somebody got in, and the others do not know")
	}
	for name, want := range map[*logins]bool{one: true, other: true, third: false} {
		if _, ok := name.session(t.Context(), cookie, now); ok != want {
			t.Errorf("a login counts: %t, want %t", ok, want)
		}
	}
	one.end(t.Context(), cookie, now)
	if _, ok := one.session(t.Context(), cookie, now); ok {
		t.Error("a logout does not count where it was made")
	}
	m.err = nil
	if _, ok := one.session(t.Context(), cookie, now); ok {
		t.Error("a logout is forgotten")
	}
	if _, ok := other.session(t.Context(), cookie, now); ok || len(m.all) != 0 {
		t.Errorf("a logout from an outage does not count elsewhere: %t; shared are %d", ok, len(m.all))
	}
}

// What is no session, in whatever way, lets nobody in.
func TestWhatIsSharedMayBeDamaged(t *testing.T) {
	m := &memory{all: map[string][]byte{}}
	l := sharing(m)
	cookie := opened(t, l, Token{Name: "anna"}, false, time.Now())
	for _, data := range []string{"", "{}", "null", "[]", `{"name":"anna","sum":"00","expires":"2999-01-01T00:00:00Z"}`, "\xff"} {
		for id := range m.all {
			m.all[id] = []byte(data)
		}
		if s, ok := l.session(t.Context(), cookie, time.Now()); ok {
			t.Errorf("%q is a login of %q", data, s.token.Name)
		}
		if err := l.refresh(t.Context()); err != nil || len(l.sessions) != 0 {
			t.Errorf("%q: %v, %d sessions", data, err, len(l.sessions))
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
