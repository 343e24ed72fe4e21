package app

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
	"github.com/faxstream/faxstream/ingest/faxplus"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/storage/storagetest"
)

// faultyBus is a bus whose writes fail on demand: not at all, before they are stored, or after.
type faultyBus struct {
	*bus.Bus
	fail func(what string) storagetest.Fault
}

var errBusFault = errors.New("fault made by the test")

// faulty runs one write with the fault that is due.
func faulty[T any](f *faultyBus, what string, write func() (T, error)) (T, error) {
	var zero T
	switch f.fail(what) {
	case storagetest.Fails:
		return zero, errBusFault
	case storagetest.PersistsThenFails:
		if _, err := write(); err != nil {
			return zero, err
		}
		return zero, errBusFault
	default:
		return write()
	}
}

func (f *faultyBus) RecordFact(ctx context.Context, fact session.Fact) (uint64, []byte, error) {
	type result struct {
		seq    uint64
		stored []byte
	}
	r, err := faulty(f, fact.Type(), func() (result, error) {
		seq, stored, err := f.Bus.RecordFact(ctx, fact)
		return result{seq, stored}, err
	})
	return r.seq, r.stored, err
}

func (f *faultyBus) Bind(ctx context.Context, id, token string) (string, error) {
	return faulty(f, "bind", func() (string, error) { return f.Bus.Bind(ctx, id, token) })
}

func (f *faultyBus) Schedule(ctx context.Context, t session.Timer, body []byte) error {
	_, err := faulty(f, "schedule", func() (struct{}, error) { return struct{}{}, f.Bus.Schedule(ctx, t, body) })
	return err
}

func (f *faultyBus) Save(ctx context.Context, s session.State, revision uint64) (uint64, error) {
	return faulty(f, "save", func() (uint64, error) { return f.Bus.Save(ctx, s, revision) })
}

// outcome is everything that a fax leaves: archived objects by key with their hash, and the subjects of its facts.
type outcome struct {
	objects  map[string]string
	subjects []string
	writes   []string // what was written, numbered: "save 2" is the second save
	hit      bool     // the fault was met
}

// runWithFault takes one fax through a pipeline of its own, of which one write ("": none) has the given fault.
func runWithFault(t *testing.T, f faxplustest.Fax, write string, fault storagetest.Fault) outcome {
	t.Helper()
	var mu sync.Mutex
	var out outcome
	times := map[string]int{}
	fail := func(what string) storagetest.Fault {
		mu.Lock()
		defer mu.Unlock()
		times[what]++
		this := fmt.Sprintf("%s %d", what, times[what])
		out.writes = append(out.writes, this)
		if this != write {
			return storagetest.None
		}
		out.hit = true
		return fault
	}
	r := newRig(t)
	r.Sim.Add(f)
	cfg := Config{Provider: faxplus.Config{PagePath: faxplustest.PagePath}, CloseGrace: time.Hour, IdleAfter: time.Hour}
	r.Start(t, &faultyBus{r.Bus, fail}, &storagetest.Faulty{Archive: r.Store, Fail: fail}, cfg.policy(), cfg.retry())
	for _, body := range apptest.Bodies(f, "http://faxstream.test") {
		r.Record(t, body)
	}
	r.Await(t, f.Session, func(s session.State) bool { return s.Document != nil })
	out.objects = hashes(t, filepath.Join(r.Dir, "archive", "faxes"))
	out.subjects = subjects(t, r.Bus, f.Session)
	mu.Lock()
	defer mu.Unlock()
	return out
}

// hashes gives the SHA-256 of every object.
func hashes(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		all[strings.TrimPrefix(path, dir)] = fmt.Sprintf("%x", sha256.Sum256(data))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// subjects lists the facts that are stored of a session, except failed attempts.
func subjects(t *testing.T, b *bus.Bus, id string) []string {
	t.Helper()
	var all []string
	for page := range 3 {
		facts, err := b.PageFacts(t.Context(), id, session.Span(page+1, page+1))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range facts {
			all = append(all, f.Subject()+" "+f.RasterSHA256)
		}
	}
	s, _, err := b.Load(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	document, err := json.Marshal(s.Document)
	if err != nil {
		t.Fatal(err)
	}
	return append(all, string(document))
}

// Every write of worker, collector and assembler is made to fail once, and to fail but persist once: the result is that of no fault.
func TestEveryFailingWriteHeals(t *testing.T) {
	f := faxplustest.Fax{Session: "faulty", Streamed: true}
	for _, name := range []string{"letter-standard-g4", "letter-standard-g3-2d-fill-lsb"} {
		page, err := os.ReadFile(filepath.Join(apptest.Root(t), "testdata", name+".tiff"))
		if err != nil {
			t.Fatal(err)
		}
		f.Pages = append(f.Pages, page)
	}
	want := runWithFault(t, f, "", storagetest.None)
	t.Logf("%d writes: %v", len(want.writes), want.writes)
	faults := map[string]storagetest.Fault{"fails": storagetest.Fails, "persists but fails": storagetest.PersistsThenFails}
	for i, write := range want.writes {
		for name, fault := range faults {
			t.Run(write+" "+name, func(t *testing.T) {
				if testing.Short() && i%5 != 0 {
					t.Skip("every fifth write with -short")
				}
				t.Parallel()
				got := runWithFault(t, f, write, fault)
				// How often a ledger is saved, a number bound and a timer set depends on how facts fall into batches.
				inBatches := slices.ContainsFunc([]string{"save ", "bind ", "schedule "}, func(kind string) bool {
					return strings.HasPrefix(write, kind)
				})
				if !got.hit && !inBatches {
					t.Errorf("the write did not happen in this run")
				}
				if !maps.Equal(got.objects, want.objects) {
					t.Errorf("the archive differs: %v, want %v", got.objects, want.objects)
				}
				if !slices.Equal(got.subjects, want.subjects) {
					t.Errorf("the facts differ:\n%v\nwant\n%v", got.subjects, want.subjects)
				}
			})
		}
	}
}
