package bus

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// marks is a Marker in memory.
type marks []string

func (m *marks) Created(context.Context) ([]string, error) { return *m, nil }

func (m *marks) Mark(_ context.Context, names []string) error {
	*m = names
	return nil
}

// openMarked opens a bus on a server with a marker.
func (s *natsServer) openMarked(m *marks, recreate bool) (*Bus, error) {
	return Open(s.t.Context(), Config{URL: s.url(), Marker: m, Recreate: recreate, Log: logTo(s.t)})
}

// The server's encryption key is gone for a while. Nothing is created meanwhile, so nothing is deleted; with the key everything is there.
func TestALostEncryptionKeyCostsNothing(t *testing.T) {
	s, m := startEncrypted(t, `key: "one"`), &marks{}
	b, err := s.openMarked(m, false)
	if err != nil {
		t.Fatal(err)
	}
	mustPages(t, b, 5)
	closeBus(t, b)
	if !slices.Contains(*m, StreamIn) {
		t.Fatalf("marked are %q", *m)
	}

	s.rekey(`key: "one"`, `key: "two"`)
	for range 3 {
		b, err := s.openMarked(m, false)
		if err == nil {
			closeBus(t, b)
			t.Fatal("streams were created on a server that has lost its key")
		}
		if !errors.Is(err, ErrLost) || !strings.Contains(err.Error(), StreamIn) || !strings.Contains(err.Error(), "faxstream rebuild") {
			t.Fatalf("the error does not say what to do: %v", err)
		}
	}
	s.rekey(`key: "two"`, `key: "one"`)
	if b, err = s.openMarked(m, false); err != nil {
		t.Fatal(err)
	}
	defer closeBus(t, b)
	if n := count(t, b, StreamIn); n != 5 {
		t.Errorf("%d facts, want 5", n)
	}
}

// One stream is lost, and only FAX_SESSIONS knows that it was there. A person's word creates it again.
func TestALostStreamIsCreatedAgainOnlyOnAPersonsWord(t *testing.T) {
	s := startNATS(t)
	b := s.open()
	if err := b.js.DeleteStream(t.Context(), StreamPages); err != nil {
		t.Fatal(err)
	}
	closeBus(t, b)
	if _, err := s.openMarked(&marks{}, false); !errors.Is(err, ErrLost) || !strings.Contains(err.Error(), StreamPages) ||
		strings.Contains(err.Error(), StreamIn) {
		t.Fatalf("opened with %v, want an error that names %s alone", err, StreamPages)
	}
	b, err := s.openMarked(&marks{}, true)
	if err != nil {
		t.Fatal(err)
	}
	closeBus(t, b)
	closeBus(t, s.open())
}

// After a rotation of the encryption key the server has lost its durables, and refuses their names. They go on under other names.
func TestDurablesGoOnAfterAKeyRotation(t *testing.T) {
	s, m := startEncrypted(t, `key: "one"`), &marks{}
	b, err := s.openMarked(m, false)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(chan Delivery, 64)
	handle := func(_ context.Context, d Delivery) error { seen <- d; return nil }
	consume(t, b, pageConsumer, handle)
	mustPages(t, b, 5)
	for range 5 {
		receive(t, seen)
	}
	settleAll(t, b)
	b.lookAtAll(t.Context())
	closeBus(t, b)

	s.rekey(`key: "one"`, `key: "two", prev_key: "one"`)
	b, err = s.openMarked(m, true) // the rotation deletes empty streams
	if err != nil {
		t.Fatal(err)
	}
	mustRecord(t, b, page("new", 1))
	consume(t, b, pageConsumer, handle)
	if d := receive(t, seen); d.Subject != "fax.v1.in.page.new.1" {
		t.Errorf("it goes on with %s, want the new page", d.Subject)
	}
	name := b.watched.all()[0].consumer().CachedInfo().Name
	closeBus(t, b)

	b, err = s.openMarked(m, false)
	if err != nil {
		t.Fatal(err)
	}
	defer closeBus(t, b)
	consume(t, b, pageConsumer, handle)
	mustRecord(t, b, page("new", 2))
	if d := receive(t, seen); d.Subject != "fax.v1.in.page.new.2" {
		t.Errorf("after another start it goes on with %s, want page 2", d.Subject)
	}
	if again := b.watched.all()[0].consumer().CachedInfo().Name; again != name {
		t.Errorf("it is %s and was %s", again, name)
	}
	t.Logf("the durable page is now %s", name)
}

// startEncrypted starts a server whose store is encrypted; keys is what stands in its configuration about that.
func startEncrypted(t *testing.T, keys string) *natsServer {
	t.Helper()
	return startServer(t, "nats-server", "cipher: chachapoly\n  "+keys)
}

func (s *natsServer) rekey(from, to string) {
	s.t.Helper()
	s.kill()
	text, err := os.ReadFile(s.conf)
	if err != nil {
		s.t.Fatal(err)
	}
	changed := strings.Replace(string(text), from, to, 1)
	if changed == string(text) {
		s.t.Fatalf("%s has no %q", filepath.Base(s.conf), from)
	}
	if err := os.WriteFile(s.conf, []byte(changed), 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.start()
}

// mustPages stores pages 1 to n.
func mustPages(t *testing.T, b *Bus, n int) {
	t.Helper()
	for i := range n {
		mustRecord(t, b, page(fmt.Sprint("s", i), 1))
	}
}

// The process is killed while its server creates the first stream: the stream has no checksum file yet. The next start finishes it.
func TestAnInterruptedCreationIsFinished(t *testing.T) {
	dir := t.TempDir()
	closeBus(t, open(t, dir))
	metas, err := filepath.Glob(filepath.Join(dir, "*", "*", "streams", StreamIn, "meta.inf"))
	if err != nil || len(metas) != 1 {
		t.Fatalf("%s in %s: %v, %v", StreamIn, dir, metas, err)
	}
	meta, err := os.ReadFile(metas[0])
	if err != nil {
		t.Fatal(err)
	}
	streams := filepath.Dir(filepath.Dir(metas[0]))
	err = errors.Join(os.RemoveAll(streams), os.MkdirAll(filepath.Dir(metas[0]), 0o700), os.WriteFile(metas[0], meta, 0o600))
	if err != nil {
		t.Fatal(err)
	}

	b := open(t, dir)
	mustPages(t, b, 5)
	closeBus(t, b)
	b = open(t, dir)
	defer closeBus(t, b)
	if n := count(t, b, StreamIn); n != 5 {
		t.Errorf("%d facts, want 5", n)
	}
}
