package pipeline

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/faxstream/faxstream/pipeline/session"
)

// desk is an archive and a stream of facts in memory, whose writes fail on demand.
type desk struct {
	mu      sync.Mutex
	objects map[string][]byte
	events  map[string][]byte // payloads by subject
	pages   map[int]session.PageArchived
	wrong   []string                              // broken promises
	before  func(what string) (persist, err bool) // called before each write; nil: all work
}

var errDesk = errors.New("fault made by the test")

// write does one write, unless it is to fail.
func (d *desk) write(what string, do func() error) error {
	persist, fail := true, false
	if d.before != nil {
		persist, fail = d.before(what)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if persist {
		if err := do(); err != nil {
			return err
		}
	}
	if fail {
		return errDesk
	}
	return nil
}

func (d *desk) Create(_ context.Context, key string, body io.ReadSeeker, _ int64, _ [sha256.Size]byte) error {
	if _, err := body.Seek(0, io.SeekStart); err != nil {
		return err
	}
	data, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	return d.write(key, func() error {
		if _, ok := d.objects[key]; ok {
			return fmt.Errorf("create %s: %w", key, fs.ErrExist)
		}
		d.objects[key] = data
		return nil
	})
}

func (d *desk) Open(_ context.Context, key string) (io.ReadSeekCloser, int64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	data, ok := d.objects[key]
	if !ok {
		return nil, 0, fmt.Errorf("open %s: %w", key, fs.ErrNotExist)
	}
	return struct {
		io.ReadSeeker
		io.Closer
	}{bytes.NewReader(data), io.NopCloser(nil)}, int64(len(data)), nil
}

func (d *desk) List(_ context.Context, prefix, after string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		d.mu.Lock()
		keys := slices.Sorted(maps.Keys(d.objects))
		d.mu.Unlock()
		for _, key := range keys {
			if strings.HasPrefix(key, prefix) && key > after && !yield(key, nil) {
				return
			}
		}
	}
}

func (d *desk) RecordFact(_ context.Context, f session.Fact) (uint64, []byte, error) {
	return 0, nil, d.write("event", func() error {
		data, err := json.Marshal(f)
		if err != nil {
			return err
		}
		if old, ok := d.events[f.Subject()]; ok && !bytes.Equal(old, data) {
			d.wrong = append(d.wrong, fmt.Sprintf("two events on %s: %s and %s", f.Subject(), old, data))
		}
		d.events[f.Subject()] = data
		return nil
	})
}

func (d *desk) Bind(context.Context, string, string) (string, error) { return "15550100", nil }

func (d *desk) Schedule(context.Context, session.Timer, []byte) error { return nil }

func (d *desk) PageFacts(context.Context, string, session.Ranges) (map[int]session.PageArchived, error) {
	return maps.Clone(d.pages), nil
}

// newDesk has the two pages of a fax in its archive, and gives the order of its document, of which page 3 is missing.
func newDesk(t testing.TB) (*desk, session.DocReady) {
	t.Helper()
	d := &desk{objects: map[string][]byte{}, events: map[string][]byte{}, pages: map[int]session.PageArchived{}}
	p := pages{facts: d, archive: d, decoder: newDecoder(1), observe: func(Step) {}}
	start := time.Date(2026, 11, 27, 10, 0, 0, 0, time.UTC)
	for i, name := range []string{"letter-standard-g4", "letter-standard-g3-2d-fill-lsb"} {
		data, err := os.ReadFile(filepath.Join("..", "testdata", name+".tiff"))
		if err != nil {
			t.Fatal(err)
		}
		o := origin{session: "fax", page: i + 1, from: "+15550199", to: "+15550100", toToken: "15550100", eventTime: start, source: session.SourceFetch, body: strings.Repeat("ab", 32)}
		original, err := p.keepOriginal(t.Context(), o, data, kindOriginal)
		if err != nil {
			t.Fatal(err)
		}
		m, err := p.decoder.page(t.Context(), data)
		if err != nil {
			t.Fatal(err)
		}
		if d.pages[i+1], err = p.withPNG(t.Context(), o, original, m); err != nil {
			t.Fatal(err)
		}
	}
	return d, session.DocReady{
		Session: "fax", Direction: session.Incoming, ToToken: "15550100", Revision: 1, From: "+15550199", To: "+15550100",
		Status: session.StatusPartial, Reason: session.PartialMissing, Pages: session.Span(1, 2), Missing: session.PageReasons{3: session.ReasonNotYet},
		Verification: session.VerificationNone,
	}
}

// assemblerOf is one process's assembler.
func (d *desk) assemblerOf(t testing.TB, software string) *assembler {
	return &assembler{
		facts: d, archive: d, observe: func(Step) {}, log: slog.New(slog.DiscardHandler),
		builder: builder{archive: d, decoder: newDecoder(2), log: slog.New(slog.DiscardHandler), spoolDir: t.TempDir(), software: software},
	}
}

// settled wants one revision, proven by whatever software made it, and its event.
func (d *desk) settled(t *testing.T) Manifest {
	t.Helper()
	var m Manifest
	made, data, err := load(t.Context(), d, "faxes/fax/r1/manifest.json", &m)
	if err != nil || !made {
		t.Fatalf("no manifest: %v", err)
	}
	f, err := Checker{Archive: d, Software: m.Software, SpoolDir: t.TempDir(), Log: slog.New(slog.DiscardHandler)}.Session(t.Context(), "fax")
	if err != nil || len(f.Faults) > 0 || f.Remade != 1 {
		t.Errorf("the archive is not right: %+v, %v", f, err)
	}
	want := m.event(object("faxes/fax/r1/manifest.json", int64(len(data)), sha256.Sum256(data)))
	payload, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(d.events[want.Subject()], payload) || len(d.events) != 1 {
		t.Errorf("events: %s, want %s", d.events, payload)
	}
	for _, wrong := range d.wrong {
		t.Error(wrong)
	}
	return m
}

// Each write of an assembly fails once, or fails though it was done; then the same program or a newer one is given the order again.
func TestAssemblyHealsAtEveryWrite(t *testing.T) {
	t.Parallel()
	clean, order := newDesk(t)
	now := time.Date(2026, 11, 27, 11, 0, 0, 0, time.UTC)
	if err := clean.assemblerOf(t, "v1").assemble(t.Context(), order, now); err != nil {
		t.Fatal(err)
	}
	clean.settled(t)
	points := map[string]string{"plan": "plan.json", "TIFF": ".tiff", "PDF": ".pdf", "index": "index/", "manifest": "manifest.json", "event": "event"}
	for point, mark := range points {
		for _, persists := range []bool{false, true} {
			for _, next := range []string{"v1", "v2"} {
				t.Run(fmt.Sprintf("%s, persists %v, then %s", point, persists, next), func(t *testing.T) {
					t.Parallel()
					d, _ := newDesk(t)
					hit := 0
					d.before = func(what string) (persist, fail bool) {
						if !strings.Contains(what, mark) || hit > 0 {
							return true, false
						}
						hit++
						return persists, true
					}
					if err := d.assemblerOf(t, "v1").assemble(t.Context(), order, now); !errors.Is(err, errDesk) {
						t.Fatalf("the fault gives %v", err)
					}
					later := now.Add(time.Hour) // the order is delivered again
					if err := d.assemblerOf(t, next).assemble(t.Context(), order, later); err != nil {
						t.Fatal(err)
					}
					m := d.settled(t)
					committed := point == "event" || point == "manifest" && persists
					if want := map[bool]string{true: "v1", false: next}[committed]; m.Software != want {
						t.Errorf("%s made the revision, want %s", m.Software, want)
					}
					if next == "v1" && (point != "plan" || persists) && !maps.EqualFunc(d.objects, clean.objects, bytes.Equal) {
						t.Error("the archive is not that of an assembly without a fault")
					}
				})
			}
		}
	}
}

// Two programs of different versions make the same revision at the same time, up to its commit: one of them makes it, and both tell the same.
func TestTwoAssemblersOnOneRevision(t *testing.T) {
	t.Parallel()
	d, order := newDesk(t)
	var both sync.WaitGroup
	both.Add(2)
	d.before = func(what string) (persist, fail bool) {
		if strings.HasSuffix(what, "manifest.json") {
			both.Done()
			both.Wait() // neither has looked for the other's manifest by now
		}
		return true, false
	}
	var group sync.WaitGroup
	for _, software := range []string{"v1", "v2"} {
		a := d.assemblerOf(t, software)
		group.Go(func() {
			if err := a.assemble(t.Context(), order, time.Now()); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	d.settled(t)
}

// Whatever stands where a manifest was, the check ends, and says so unless it is the manifest.
func FuzzCheckManifest(f *testing.F) {
	d, order := newDesk(f)
	a := d.assemblerOf(f, "v1")
	var err error
	if a.key, _, err = NewSigningKey(); err != nil {
		f.Fatal(err)
	}
	if err := a.assemble(f.Context(), order, time.Now()); err != nil {
		f.Fatal(err)
	}
	const key = "faxes/fax/r1/manifest.json"
	manifest := d.objects[key]
	f.Add(manifest)
	f.Add([]byte("{}"))
	f.Add(bytes.Replace(manifest, []byte(`"tiff_offset": 8`), []byte(`"tiff_offset": -9223372036854775808`), 1))
	f.Add(bytes.Replace(manifest, []byte(`"original": {`), []byte(`"Original": null, "original": {`), 1))
	signed, _ := splitSignature(manifest)
	f.Add(signed)
	keys := []ed25519.PublicKey{a.key.Public().(ed25519.PublicKey)}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text []byte) {
		spoilt := &desk{objects: maps.Clone(d.objects)}
		spoilt.objects[key] = text
		found, err := Checker{Archive: spoilt, Keys: keys, Software: "v1", SpoolDir: dir, Log: slog.New(slog.DiscardHandler)}.Session(t.Context(), "fax")
		if err != nil || len(found.Faults) == 0 != bytes.Equal(text, manifest) {
			t.Errorf("%+v, %v", found, err)
		}
	})
}

// FuzzSidecar wants an error of its own for whatever is no sidecar.
func FuzzSidecar(f *testing.F) {
	d, _ := newDesk(f)
	for key, data := range d.objects {
		if isSidecar(key) {
			f.Add(data)
		}
	}
	f.Add([]byte(`,"sum":"0123456789abcdef"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := parseSidecar(data); err != nil && !errors.Is(err, errSidecar) {
			t.Errorf("the error is %v", err)
		}
	})
}
