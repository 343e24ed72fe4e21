package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/faxstream/faxstream/pipeline/session"
)

func TestTheFirstSessionOwnsAName(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := open(t, dir)
	odd := strings.Repeat("a file.*>", 400) + "\x00"
	if owner, err := b.Owner(t.Context(), session.AliasFile, odd); owner != "" || err != nil {
		t.Fatalf("nobody claimed it, but it is owned by %q, %v", owner, err)
	}
	for _, c := range []struct{ kind, value, session, owner string }{
		{session.AliasFile, odd, "s1", "s1"},
		{session.AliasFile, odd, "s1", "s1"}, // a repeat
		{session.AliasFile, odd, "s2", "s1"},
		{session.AliasListed, odd, "s2", "s2"}, // kinds do not meet
		{session.AliasFile, odd + "x", "s3", "s3"},
	} {
		if owner, err := b.Claim(t.Context(), c.kind, c.value, c.session); owner != c.owner || err != nil {
			t.Errorf("%s claims a %s: owner %q, %v; want %q", c.session, c.kind, owner, err, c.owner)
		}
	}
	closeBus(t, b)
	b = open(t, dir)
	if owner, err := b.Claim(t.Context(), session.AliasFile, odd, "s9"); owner != "s1" || err != nil {
		t.Errorf("after a restart the owner is %q, %v", owner, err)
	}
}

func TestOneOfManyClaimantsWins(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	owners := make([]string, 40)
	var wg sync.WaitGroup
	for i := range owners {
		wg.Go(func() {
			var err error
			if owners[i], err = b.Claim(t.Context(), session.AliasFile, "f.tiff", fmt.Sprint("s", i)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, owner := range owners {
		if owner == "" || owner != owners[0] {
			t.Fatalf("they do not agree: %q", owners)
		}
	}
}

func TestAClaimNeedsASessionAKindAndAValue(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	for _, c := range [][3]string{
		{"file", "v", ""}, {"file", "v", "a.b"}, {"file", "", "s"}, {"", "v", "s"}, {"a.b", "v", "s"}, {">", "v", "s"},
	} {
		if owner, err := b.Claim(t.Context(), c[0], c[1], c[2]); err == nil {
			t.Errorf("%q is owned by %q", c, owner)
		}
	}
	if _, err := b.Owner(t.Context(), "file", ""); err == nil {
		t.Error("an empty name has an owner")
	}
	if n := count(t, b, "KV_"+BucketAliases); n != 0 {
		t.Errorf("%d claims are stored", n)
	}
}

// A wrong value in the bucket is an error: as a session id it would become a part of subjects and keys.
func TestAnOwnerThatIsNoSessionIsAnError(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	if _, err := b.js.Publish(t.Context(), aliasSubject("file", "v"), []byte("../x")); err != nil {
		t.Fatal(err)
	}
	if owner, err := b.Claim(t.Context(), "file", "v", "s"); err == nil {
		t.Errorf("the owner is %q", owner)
	}
}

func TestANoteIsWrittenByWhoeverReadItLast(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	if data, revision, err := b.Note(t.Context(), "n"); data != nil || revision != 0 || err != nil {
		t.Fatalf("a new note: %q at %d, %v", data, revision, err)
	}
	first, ok, err := b.PutNote(t.Context(), "n", []byte("one"), 0)
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	for _, stale := range []uint64{0, first + 1} {
		if _, ok, err := b.PutNote(t.Context(), "n", []byte("other"), stale); ok || err != nil {
			t.Errorf("revision %d: written %t, %v", stale, ok, err)
		}
	}
	second, ok, err := b.PutNote(t.Context(), "n", []byte("two"), first)
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	if data, revision, err := b.Note(t.Context(), "n"); string(data) != "two" || revision != second || err != nil {
		t.Errorf("the note is %q at %d, %v", data, revision, err)
	}
	if _, _, err := b.PutNote(t.Context(), "a.b", nil, 0); err == nil {
		t.Error("a key of two tokens is taken")
	}
}

func TestAClaimThatIsNotStoredIsAnError(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	if err := b.js.DeleteStream(t.Context(), "KV_"+BucketAliases); err != nil {
		t.Fatal(err)
	}
	if owner, err := b.Claim(t.Context(), "file", "v", "s"); err == nil || errors.Is(err, errConflict) {
		t.Errorf("owner %q, %v", owner, err)
	}
	if _, ok, err := b.PutNote(t.Context(), "n", nil, 0); ok || err == nil {
		t.Errorf("note written %t, %v", ok, err)
	}
}

// The pages of one fax that come together get one token, and the bucket is written once.
func TestPagesThatComeTogetherAreBoundOnce(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	before := count(t, b, "KV_"+BucketSessions)
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			if token, err := b.Bind(t.Context(), "s", fmt.Sprint("1334", i%2)); err != nil || token != "13340" && token != "13341" {
				t.Errorf("bound to %q, %v", token, err)
			}
		})
	}
	all.Wait()
	first, err := b.Bind(t.Context(), "s", "")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		if token, err := b.Bind(t.Context(), "s", fmt.Sprint("1334", i)); err != nil || token != first {
			t.Errorf("bound to %q and to %q, %v", first, token, err)
		}
	}
	if n := count(t, b, "KV_"+BucketSessions) - before; n != 1 {
		t.Errorf("%d bindings are stored", n)
	}
}

// The number of a session that somebody has deleted with other tools is an error: other faxes do not wait for it.
func TestABindingThatSomebodyDeletedIsNotWaitedForForEver(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := open(t, dir)
		if _, err := b.Bind(t.Context(), "s", "1334"); err != nil {
			t.Fatal(err)
		}
		if err := b.sessions.Delete(t.Context(), "s.to"); err != nil {
			t.Fatal(err)
		}
		closeBus(t, b)
		b = open(t, dir) // knows nothing by heart
		if token, err := b.Bind(t.Context(), "s", "1334"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("bound to %q, %v", token, err)
		}
		closeBus(t, b)
	})
}
