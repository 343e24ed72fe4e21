package bus

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
)

// A subscriber who makes a consumer under a name of faxstream's, while faxstream has not made it, would take its messages.
func TestNamesOfFaxstreamAreRefused(t *testing.T) {
	b := guarded(t, t.TempDir())
	_, js, _ := asSubscriber(t, b)
	for _, name := range []string{"collect-pages", "collect-pages-2", "letters-pages-9"} {
		cfg := jetstream.ConsumerConfig{Durable: name, AckPolicy: jetstream.AckExplicitPolicy}
		if _, err := js.CreateConsumer(t.Context(), StreamPages, cfg); err == nil || !strings.Contains(err.Error(), "faxstream's own") {
			t.Errorf("%s: %v, want a refusal", name, err)
		}
	}
	cfg := jetstream.ConsumerConfig{Durable: "collect-pages-x", AckPolicy: jetstream.AckExplicitPolicy}
	if _, err := js.CreateConsumer(t.Context(), StreamPages, cfg); err != nil {
		t.Error(err)
	}
}

// Whoever asks about consumers that do not exist leaves nothing behind that other subscribers need.
func TestAskingForNothingUsesNothingUp(t *testing.T) {
	b := guarded(t, t.TempDir())
	_, js, _ := asSubscriber(t, b)
	imports := func() int { return b.server.doors.subscriber.Load().NumServiceImports() }
	before := imports()
	for n := range 20 {
		if _, err := js.Consumer(t.Context(), StreamPages, fmt.Sprint("none", n)); err == nil {
			t.Fatal("a consumer that nobody made")
		}
	}
	if after := imports(); after > before+2 { // an answer on its way is one too
		t.Errorf("%d imports, before %d", after, before)
	}
}

// Every durable of faxstream on the streams of subscribers is reserved.
func TestAllDurablesOfFaxstreamAreReserved(t *testing.T) {
	durable := regexp.MustCompile(`Stream(?:Pages|Docs),\s+Durable: "([^"]+)"`)
	found := 0
	err := filepath.WalkDir("..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, m := range durable.FindAllSubmatch(source, -1) {
			if found++; !reserved(string(m[1])) {
				t.Errorf("%s: %s is not reserved", path, m[1])
			}
		}
		return err
	})
	if err != nil || found < 5 {
		t.Fatalf("%d durables, %v", found, err)
	}
}
