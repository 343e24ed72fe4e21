package access

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alexedwards/argon2id"
)

func TestAPasswordIsHashedAndChecked(t *testing.T) {
	const good = "correct horse battery"
	hash, err := HashPassword(good)
	if err != nil || checkHash(hash) != nil || strings.Contains(hash, good) {
		t.Fatalf("%q, %v, %v", hash, err, checkHash(hash))
	}
	if again, _ := HashPassword(good); again == hash {
		t.Error("two hashes have the same salt")
	}
	for _, bad := range []string{"", "elevenchars", "éééééééé", strings.Repeat("x", maxPassword+1)} {
		if _, err := HashPassword(bad); err == nil {
			t.Errorf("%.20q is taken", bad)
		}
	}
	users, from := []User{{Name: "alice", Hash: hash}, {Name: "bob", Hash: cheapHash}}, netip.MustParseAddr("192.0.2.1")
	p := newPasswords()
	for _, c := range []struct {
		name, password string
		want           error
	}{
		{"alice", good, nil},
		{"bob", good, nil},
		{"alice", good + " ", errWrongPassword},
		{"alice", "", errWrongPassword},
		{"Alice", good, errWrongPassword},
		{"nobody", good, errWrongPassword},
		{"", "", errWrongPassword},
		{"alice", strings.Repeat("x", 1<<20), errWrongPassword},
	} {
		u, err := p.check(t.Context(), users, c.name, c.password, from)
		if !errors.Is(err, c.want) || err == nil && u.Name != c.name {
			t.Errorf("%s %.20q: %v, %v", c.name, c.password, u.Name, err)
		}
	}
}

// A name that nobody has costs what a wrong password costs: the same memory, iterations and lanes.
func TestAnUnknownNameCostsTheSame(t *testing.T) {
	hash, err := HashPassword("correct horse battery")
	if err != nil {
		t.Fatal(err)
	}
	real, _, _, err := argon2id.DecodeHash(hash)
	if err != nil {
		t.Fatal(err)
	}
	unknown, _, _, err := argon2id.DecodeHash(nobody())
	if err != nil || *real != *unknown || checkHash(nobody()) != nil {
		t.Errorf("%+v, %+v, %v, %v", real, unknown, err, checkHash(nobody()))
	}
}

// Wrong passwords are limited by name and by address, for a minute. Good ones are not counted.
func TestWrongPasswordsAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const good = "correct horse battery"
		users := []User{{Name: "alice", Hash: cheapHash}, {Name: "bob", Hash: cheapHash}}
		at := func(n int) netip.Addr { return netip.MustParseAddr(fmt.Sprintf("2001:db8:%x::%x", n, n)) }
		p := newPasswords()
		// Keys share counters by chance: here alice, bob and address 7 have theirs alone.
		nobody := func(i int) string { return fmt.Sprint("nobody", i) }
		for shared := true; shared; {
			p, shared = newPasswords(), false
			for i := range wrongFromAddress {
				shared = shared || p.names.of(nobody(i)) == p.names.of("alice") || p.names.of(nobody(i)) == p.names.of("bob")
			}
			for i := range wrongPerMinute {
				shared = shared || p.fromAddress.of(prefixOf(at(10+i)).String()) == p.fromAddress.of(prefixOf(at(7)).String())
			}
			shared = shared || p.names.of("alice") == p.names.of("bob")
		}
		try := func(name, password string, from int) error {
			_, err := p.check(t.Context(), users, name, password, at(from))
			return err
		}
		for i := range wrongPerMinute {
			if err := errors.Join(try("alice", good, 1), try("bob", good, 1)); err != nil {
				t.Fatal(err)
			}
			if err := try("alice", "wrong", 10+i); !errors.Is(err, errWrongPassword) {
				t.Fatalf("wrong password %d: %v", i, err)
			}
		}
		if err := try("alice", good, 99); !errors.Is(err, errManyPasswords) {
			t.Errorf("after %d wrong passwords of one name: %v", wrongPerMinute, err)
		}
		if err := try("bob", good, 99); err != nil {
			t.Errorf("another name: %v", err)
		}
		for i := range wrongFromAddress {
			if err := try(nobody(i), "wrong", 7); !errors.Is(err, errWrongPassword) {
				t.Fatalf("wrong name %d: %v", i, err)
			}
		}
		if err := try("bob", good, 7); !errors.Is(err, errManyPasswords) {
			t.Errorf("after %d wrong names from one address: %v", wrongFromAddress, err)
		}
		time.Sleep(time.Minute)
		if err := errors.Join(try("alice", good, 99), try("bob", good, 7)); err != nil {
			t.Errorf("a minute later: %v", err)
		}
	})
}

// When all places are taken a login waits, and is told to come again.
func TestLoginsDoNotTakeAllMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPasswords()
		for range maxHashes {
			p.places <- struct{}{}
		}
		users := []User{{Name: "alice", Hash: cheapHash}}
		if _, err := p.check(t.Context(), users, "alice", "correct horse battery", netip.Addr{}); !errors.Is(err, errPasswordsQueue) {
			t.Errorf("with no place: %v", err)
		}
		<-p.places
		if _, err := p.check(t.Context(), users, "alice", "correct horse battery", netip.Addr{}); err != nil {
			t.Errorf("with a place: %v", err)
		}
	})
}
