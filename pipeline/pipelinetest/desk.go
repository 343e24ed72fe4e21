// Package pipelinetest has what tests of several rooms share: an archive and facts in memory whose writes fail on demand (Desk), an archive
// in memory whose objects can be changed (Vault), the code of the workers on a real archive (Workbench), the project's test files, and
// programs of Debian packages that check what we write (Judge). Begin with NewDesk or NewWorkbench. The product does not import it.
package pipelinetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/document"
	"github.com/faxstream/faxstream/pipeline/intake"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/stage"
)

// Desk is an archive and a stream of facts in memory, whose writes fail on demand.
type Desk struct {
	Mu      sync.Mutex
	Objects map[string][]byte
	Events  map[string][]byte // payloads by subject
	Pages   map[int]session.PageArchived
	Timers  []session.Timer                       // as scheduled
	Wrong   []string                              // what broke a promise: an object or event that was written with other bytes
	Before  func(what string) (persist, err bool) // called before each write; nil: all writes work
}

// ErrDesk is the error of a write that fails on demand.
var ErrDesk = errors.New("fault made by the test")

// write does one write, unless it is to fail.
func (d *Desk) write(what string, do func() error) error {
	persist, fail := true, false
	if d.Before != nil {
		persist, fail = d.Before(what)
	}
	d.Mu.Lock()
	defer d.Mu.Unlock()
	if persist {
		if err := do(); err != nil {
			return err
		}
	}
	if fail {
		return ErrDesk
	}
	return nil
}

// Create stores an object, as archive.Store says.
func (d *Desk) Create(_ context.Context, key string, body io.ReadSeeker, _ int64, _ [sha256.Size]byte) error {
	if _, err := body.Seek(0, io.SeekStart); err != nil {
		return err
	}
	data, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	return d.write(key, func() error {
		if _, ok := d.Objects[key]; ok {
			return fmt.Errorf("create %s: %w", key, fs.ErrExist)
		}
		d.Objects[key] = data
		return nil
	})
}

// Open reads an object, as archive.Reader says.
func (d *Desk) Open(_ context.Context, key string) (io.ReadSeekCloser, int64, error) {
	d.Mu.Lock()
	defer d.Mu.Unlock()
	data, ok := d.Objects[key]
	if !ok {
		return nil, 0, fmt.Errorf("open %s: %w", key, fs.ErrNotExist)
	}
	return struct {
		io.ReadSeeker
		io.Closer
	}{bytes.NewReader(data), io.NopCloser(nil)}, int64(len(data)), nil
}

// List lists keys, as archive.Reader says.
func (d *Desk) List(_ context.Context, prefix, after string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		d.Mu.Lock()
		keys := slices.Sorted(maps.Keys(d.Objects))
		d.Mu.Unlock()
		for _, key := range keys {
			if strings.HasPrefix(key, prefix) && key > after && !yield(key, nil) {
				return
			}
		}
	}
}

// RecordFact stores the payload of a fact in Events. Another payload on the same subject is Wrong.
func (d *Desk) RecordFact(_ context.Context, f session.Fact) (uint64, []byte, error) {
	return 0, nil, d.write("event", func() error {
		data, err := json.Marshal(f)
		if err != nil {
			return err
		}
		if old, ok := d.Events[f.Subject()]; ok && !bytes.Equal(old, data) {
			d.Wrong = append(d.Wrong, fmt.Sprintf("two events on %s: %s and %s", f.Subject(), old, data))
		}
		d.Events[f.Subject()] = data
		return nil
	})
}

// Bind gives every session the same number.
func (d *Desk) Bind(context.Context, string, string) (string, error) { return "15550100", nil }

// Schedule notes a timer, which never fires.
func (d *Desk) Schedule(_ context.Context, timer session.Timer, _ []byte) error {
	d.Mu.Lock()
	defer d.Mu.Unlock()
	d.Timers = append(d.Timers, timer)
	return nil
}

// PageFacts returns Pages, whatever is asked for.
func (d *Desk) PageFacts(context.Context, string, session.Ranges) (map[int]session.PageArchived, error) {
	return maps.Clone(d.Pages), nil
}

// Recorded reports whether Events has a fact.
func (d *Desk) Recorded(_ context.Context, f session.Fact) (bool, error) {
	d.Mu.Lock()
	defer d.Mu.Unlock()
	_, ok := d.Events[f.Subject()]
	return ok, nil
}

// NewDesk returns a Desk with two archived pages of a fax, and the order of its document, in which page 3 is missing.
func NewDesk(t testing.TB) (*Desk, session.DocReady) {
	t.Helper()
	d := &Desk{Objects: map[string][]byte{}, Events: map[string][]byte{}, Pages: map[int]session.PageArchived{}}
	p := intake.Pages{Facts: d, Archive: d, Decoder: intake.NewDecoder(1), Observe: func(context.Context, stage.Step) {}}
	start := time.Date(2026, 11, 27, 10, 0, 0, 0, time.UTC)
	for i, name := range []string{"letter-standard-g4", "letter-standard-g3-2d-fill-lsb"} {
		data := Testdata(t, name+".tiff")
		o := intake.Origin{
			Session: "fax", Page: i + 1, From: "+15550199", To: "+15550100", ToToken: "15550100",
			EventTime: start, Source: session.SourceFetch, BodySHA256: strings.Repeat("ab", 32),
		}
		original, err := ArchiveOriginal(t.Context(), &p, o, data, archive.KindOriginal)
		if err != nil {
			t.Fatal(err)
		}
		m, err := p.Decoder.Page(t.Context(), data)
		if err != nil {
			t.Fatal(err)
		}
		if d.Pages[i+1], err = p.ArchivePNG(t.Context(), o, original, m); err != nil {
			t.Fatal(err)
		}
	}
	return d, session.DocReady{
		Session: "fax", Direction: session.Incoming, ToToken: "15550100", Revision: 1, From: "+15550199", To: "+15550100",
		Status: session.StatusPartial, Reason: session.PartialMissing, Pages: session.Span(1, 2),
		Missing: session.PageReasons{3: session.ReasonNotYet}, Verification: session.VerificationNone,
	}
}

// AssemblerOf is one process's assembler.
func (d *Desk) AssemblerOf(t testing.TB, software string) *document.Assembler {
	return &document.Assembler{
		Facts: d, Archive: d, Observe: func(context.Context, stage.Step) {}, Log: slog.New(slog.DiscardHandler),
		Builder: document.Builder{
			Archive: d, Decoder: intake.NewDecoder(2), Log: slog.New(slog.DiscardHandler), ScratchDir: t.TempDir(), Software: software,
		},
	}
}

// ArchiveOriginal archives the bytes of a page, as the page worker does before it decodes them. kind is archive.KindOriginal or
// archive.KindCut.
func ArchiveOriginal(ctx context.Context, p *intake.Pages, o intake.Origin, data []byte, kind string) (session.Object, error) {
	b := p.Decoder.NewBody()
	_, err := b.Write(data)
	if err != nil {
		return session.Object{}, errors.Join(err, b.Close())
	}
	obj, _, err := p.ArchiveBody(ctx, o, b, kind)
	return obj, errors.Join(err, b.Close())
}
