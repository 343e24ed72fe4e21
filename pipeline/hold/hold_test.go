package hold

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/pipelinetest"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/storage"
)

// safe is a real archive of plain files, with a record of what was to be held, and JetStream's part of a purge in memory. Every
// call of a store or of JetStream may fail, before or after it was carried out.
type safe struct {
	archive.Store
	t      *testing.T
	held   map[string]bool
	locked bool // the store itself keeps what it has
	facts  []session.Kept
	forgot []string

	calls, failAt int // the failAt-th call fails; 0: none
	after         bool
}

var errSafe = errors.New("made by the test")

// call makes one call of a store.
func (v *safe) call(do func() error) error {
	v.calls++
	if v.calls != v.failAt {
		return do()
	}
	if v.after {
		if err := do(); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return errSafe
}

func newSafe(t *testing.T) *safe {
	return &safe{t: t, Store: pipelinetest.LocalArchive(t), held: map[string]bool{}}
}

func (v *safe) store() storage.Remover { return v.Store.(storage.Remover) }

func (v *safe) Protection(ctx context.Context, name string) (kept Protection, err error) {
	err = v.call(func() error {
		k, err := v.store().Protection(ctx, name)
		kept = Protection(k)
		return err
	})
	if v.locked {
		kept.Until = pipelinetest.BenchStart.AddDate(100, 0, 0)
	}
	return kept, err
}

func (v *safe) Hold(_ context.Context, name string, on bool) error {
	return v.call(func() error { v.held[name] = on; return nil })
}

func (v *safe) Delete(ctx context.Context, name string) error {
	return v.call(func() error { return v.store().Delete(ctx, name) })
}

func (v *safe) Forget(_ context.Context, id string) error {
	return v.call(func() error { v.forgot = append(v.forgot, id); return nil })
}

func (v *safe) RecordFact(_ context.Context, f session.Fact) (uint64, []byte, error) {
	return 1, nil, v.call(func() error { v.facts = append(v.facts, f.(session.Kept)); return nil })
}

func (v *safe) Bind(context.Context, string, string) (string, error) {
	return "", errors.ErrUnsupported
}

func (v *safe) Schedule(context.Context, session.Timer, []byte) error {
	return errors.ErrUnsupported
}

// Create counts as a call.
func (v *safe) Create(ctx context.Context, key string, body io.ReadSeeker, size int64, sum [sha256.Size]byte) error {
	return v.call(func() error { return v.Store.Create(ctx, key, body, size, sum) })
}

func (v *safe) custodian(retention time.Duration) *Custodian {
	log := slog.New(slog.NewTextHandler(v.t.Output(), nil))
	return &Custodian{
		Rules: Rules{Archive: v, Remover: v, Retention: retention}, Guard: &Guard{Store: v, Remover: v, Log: log},
		Facts: v, Forgetter: v, Log: log,
		Traces: func(context.Context, string) (string, time.Time, error) { return "", pipelinetest.BenchStart, nil },
	}
}

// fill gives a fax two objects.
func (v *safe) fill(id string) {
	v.t.Helper()
	for _, key := range []string{
		archive.FaxPrefix(id) + "pages/0001.aa.tiff", archive.FaxPrefix(id) + "r1/x",
		archive.IndexKey(pipelinetest.BenchStart, id), archive.DeskPrefix + id + "/note.aa.txt",
	} {
		if _, err := archive.Create(v.t.Context(), v.Store, key, []byte(key)); err != nil {
			v.t.Fatal(err)
		}
	}
}

func (v *safe) keys(prefix string) (keys []string) {
	v.t.Helper()
	for key, err := range v.List(v.t.Context(), prefix, "") {
		if err != nil {
			v.t.Fatal(err)
		}
		keys = append(keys, key)
	}
	return keys
}

// orderOf is an action as FAX_AUDIT delivers it.
func orderOf(t *testing.T, kind, id string, sequence uint64) bus.Delivery {
	t.Helper()
	data, err := json.Marshal(session.Action{Kind: kind, By: "ada", Why: "case 1", Session: id})
	if err != nil {
		t.Fatal(err)
	}
	return bus.Delivery{Data: data, Sequence: sequence, Time: time.Now().Add(time.Duration(sequence) * time.Second)}
}

// carryOut delivers until nothing fails, first the order and then what follows from it; done long ago, so that once is enough.
func (v *safe) carryOut(c *Custodian, d bus.Delivery) error {
	v.t.Helper()
	deliver := func(handle func(context.Context, bus.Delivery) error, d bus.Delivery) error {
		for {
			if err := handle(v.t.Context(), d); !errors.Is(err, errSafe) {
				return err
			}
		}
	}
	had := len(v.facts)
	if err := deliver(c.ordered, d); err != nil {
		return err
	}
	for _, f := range v.facts[had:] {
		data, err := json.Marshal(f)
		if err != nil {
			v.t.Fatal(err)
		}
		if err := deliver(c.changed, bus.Delivery{Data: data}); err != nil {
			return err
		}
	}
	return nil
}

// If any call fails, before or after it was carried out, the next delivery carries out the order, and the log has it once.
func TestOrdersAreCarriedOutThroughEveryFailure(t *testing.T) {
	for _, kind := range []string{session.ActionHeld, session.ActionReleased, session.ActionPurged} {
		for _, after := range []bool{false, true} {
			for failAt := 1; ; failAt++ {
				v := newSafe(t)
				v.fill("s")
				v.fill("s2")
				v.failAt, v.after = failAt, after
				c := v.custodian(0)
				if err := v.carryOut(c, orderOf(t, kind, "s", 1)); err != nil {
					t.Fatalf("%s, call %d: %v", kind, failAt, err)
				}
				if v.calls < failAt {
					break
				}
				v.expect(c, kind, fmt.Sprintf("%s, call %d fails, done %t", kind, failAt, after))
			}
		}
	}
}

func (v *safe) expect(c *Custodian, kind, what string) {
	v.t.Helper()
	log, err := c.Rules.Log(v.t.Context(), "s")
	if err != nil || len(log) != 1 || log[0].Kind != kind || log[0].Why != "case 1" {
		v.t.Errorf("%s: the log is %v, %v", what, log, err)
	}
	purged := kind == session.ActionPurged
	if got := v.keys("faxes/s/"); (len(got) == 0) != purged {
		v.t.Errorf("%s: the fax has %s", what, got)
	}
	if got := v.keys("desk/s/"); (len(got) == 0) != purged {
		v.t.Errorf("%s: the desk has %s", what, got)
	}
	if got := slices.Concat(v.keys("faxes/s2/"), v.keys("desk/s2/")); len(got) != 3 {
		v.t.Errorf("%s: the neighbour has %s", what, got)
	}
	if got := v.keys("index/"); slices.Contains(got, archive.IndexKey(pipelinetest.BenchStart, "s")) == purged ||
		!slices.Contains(got, archive.IndexKey(pipelinetest.BenchStart, "s2")) {
		v.t.Errorf("%s: the index has %s", what, got)
	}
	if on, told := v.held[archive.FaxPrefix("s")]; !purged && (!told || on != (kind == session.ActionHeld)) {
		v.t.Errorf("%s: the store holds %v", what, v.held)
	}
	if purged != slices.Contains(v.forgot, "s") {
		v.t.Errorf("%s: JetStream forgot %s", what, v.forgot)
	}
}

// An order about a fax means every session that was folded into it, as both sides say: one that only claims to be is left alone.
func TestOrdersMeanFoldedSessionsToo(t *testing.T) {
	for _, kind := range []string{session.ActionHeld, session.ActionReleased, session.ActionPurged} {
		for failAt := 1; ; failAt++ {
			v := newSafe(t)
			for _, id := range []string{"s", "folded", "other"} {
				v.fill(id)
			}
			state := session.State{Session: "folded", FoldedInto: "s", Close: &session.Closed{File: "file"}}
			if _, err := archive.WriteRedirect(t.Context(), v, state); err != nil {
				t.Fatal(err)
			}
			if _, err := archive.Create(t.Context(), v.Store, archive.FoldedPrefix("s")+"other"+".json", []byte("{}")); err != nil {
				t.Fatal(err)
			}
			v.calls, v.failAt, v.after = 0, failAt, failAt%2 == 0
			c := v.custodian(0)
			if err := v.carryOut(c, orderOf(t, kind, "s", 1)); err != nil {
				t.Fatalf("%s, call %d: %v", kind, failAt, err)
			}
			if v.calls < failAt {
				break
			}
			for id, meant := range map[string]bool{"s": true, "folded": true, "other": false} {
				log, err := c.Rules.Log(t.Context(), id)
				if err != nil || (len(log) == 1) != meant {
					t.Errorf("%s, call %d: the log of %s is %v, %v", kind, failAt, id, log, err)
				}
				if left := len(v.keys(archive.FaxPrefix(id))); (left == 0) != (meant && kind == session.ActionPurged) {
					t.Errorf("%s, call %d: %s has %d objects", kind, failAt, id, left)
				}
				if on := v.held[archive.FaxPrefix(id)]; on != (meant && kind == session.ActionHeld) {
					t.Errorf("%s, call %d: %s is held: %t", kind, failAt, id, on)
				}
			}
		}
	}
	v := newSafe(t)
	v.fill("s")
	v.fill("folded")
	if _, err := archive.WriteRedirect(t.Context(), v,
		session.State{Session: "folded", FoldedInto: "s", Close: &session.Closed{File: "file"}}); err != nil {
		t.Fatal(err)
	}
	c := v.custodian(0)
	if err := v.carryOut(c, orderOf(t, session.ActionHeld, "folded", 1)); err != nil {
		t.Fatal(err)
	}
	if err := v.carryOut(c, orderOf(t, session.ActionPurged, "s", 2)); !errors.Is(err, session.ErrKept) || len(v.keys("faxes/")) != 6 {
		t.Errorf("a fax with a held part was purged: %v, left %s", err, v.keys("faxes/"))
	}
	for sequence, a := range [][2]string{{session.ActionReleased, "folded"}, {session.ActionHeld, "late"}} {
		if err := v.carryOut(c, orderOf(t, a[0], a[1], uint64(sequence+3))); err != nil {
			t.Fatal(err)
		}
	}
	v.fill("part") // is folded into a fax that is held by then
	if _, err := archive.WriteRedirect(t.Context(), v,
		session.State{Session: "part", FoldedInto: "late", Close: &session.Closed{File: "file"}}); err != nil {
		t.Fatal(err)
	}
	if err := v.carryOut(c, orderOf(t, session.ActionPurged, "part", 5)); !errors.Is(err, session.ErrKept) {
		t.Errorf("part of a held fax was purged: %v", err)
	}
}

// Work that a purge overtakes ends in silence; a hold that comes after it does not: somebody believes that the fax is kept.
func TestAHoldAfterAPurgeIsBuried(t *testing.T) {
	v := newSafe(t)
	v.fill("s")
	c := v.custodian(0)
	if err := v.carryOut(c, orderOf(t, session.ActionPurged, "s", 1)); err != nil {
		t.Fatal(err)
	}
	err := IgnorePurged(c.Log, c.ordered)(t.Context(), orderOf(t, session.ActionHeld, "s", 2))
	if dead, ok := errors.AsType[bus.Dead](err); !ok || dead.Reason != session.ReasonPurged {
		t.Errorf("a hold of a purged fax gave %v, want a dead letter", err)
	}
	work := func(ctx context.Context, _ bus.Delivery) error {
		_, err := archive.Create(ctx, c.Guard, archive.FaxPrefix("s")+"pages/0002.bb.tiff", nil)
		return err
	}
	if err := IgnorePurged(c.Log, work)(t.Context(), bus.Delivery{}); err != nil {
		t.Errorf("a page of a purged fax gave %v, want no more work", err)
	}
}

// An order that is retried from a dead letter has no sequence of its own, and an order after a loss of FAX_AUDIT has an old one: each has a
// fact of its own.
func TestEveryOrderIsTold(t *testing.T) {
	v := newSafe(t)
	v.fill("s")
	c := v.custodian(0)
	for minute, kind := range []string{session.ActionHeld, session.ActionReleased, session.ActionPurged} {
		d := orderOf(t, kind, "s", 0)
		d.Time = pipelinetest.BenchStart.Add(time.Duration(minute) * time.Minute)
		if err := v.carryOut(c, d); err != nil {
			t.Fatal(err)
		}
	}
	subjects := map[string]bool{}
	for _, f := range v.facts {
		subjects[f.Subject()] = true
	}
	if len(subjects) != 3 {
		t.Errorf("the facts of three orders have %d subjects: %v", len(subjects), v.facts)
	}
}

// A purge is refused while the fax is held or retained, by faxstream or by the store, also when that came after it was ordered; and
// nothing goes.
func TestWhatIsKeptIsNotPurged(t *testing.T) {
	for name, c := range map[string]struct {
		retention time.Duration
		locked    bool
		before    []string // orders
		refused   bool
	}{
		"free":              {},
		"held":              {before: []string{session.ActionHeld}, refused: true},
		"held again":        {before: []string{session.ActionHeld, session.ActionReleased, session.ActionHeld}, refused: true},
		"released":          {before: []string{session.ActionHeld, session.ActionReleased}},
		"retained":          {retention: time.Hour, refused: true},
		"retention over":    {retention: time.Nanosecond},
		"kept by the store": {locked: true, refused: true},
	} {
		v := newSafe(t)
		v.fill("s")
		v.locked = c.locked
		k := v.custodian(c.retention)
		sequence := uint64(1)
		for _, kind := range c.before {
			if err := v.carryOut(k, orderOf(t, kind, "s", sequence)); err != nil {
				t.Fatal(err)
			}
			sequence++
		}
		err := v.carryOut(k, orderOf(t, session.ActionPurged, "s", sequence))
		dead, isDead := errors.AsType[bus.Dead](err)
		if c.refused != isDead || !isDead && err != nil ||
			isDead && (dead.Reason != session.ReasonKept || !errors.Is(err, session.ErrKept)) {
			t.Errorf("%s: %v", name, err)
		}
		if got := v.keys("faxes/s/"); (len(got) > 0) != c.refused {
			t.Errorf("%s: the fax has %s", name, got)
		}
	}
}

// What is written of a fax under legal hold is held at once; of a purged fax nothing is written any more, and other faxes go on.
func TestWritesOfKeptFaxes(t *testing.T) {
	v := newSafe(t)
	c := v.custodian(0)
	write := func(key string) error {
		return c.Guard.Create(t.Context(), key, strings.NewReader(key), int64(len(key)), sha256.Sum256([]byte(key)))
	}
	v.fill("held")
	v.fill("purged")
	for sequence, a := range [][2]string{{session.ActionHeld, "held"}, {session.ActionPurged, "purged"}} {
		if err := v.carryOut(c, orderOf(t, a[0], a[1], uint64(sequence+1))); err != nil {
			t.Fatal(err)
		}
	}
	for key, want := range map[string]error{
		"faxes/held/pages/0002.bb.tiff": nil, "faxes/held/pages/0001.aa.tiff": fs.ErrExist,
		"faxes/free/pages/0001.aa.tiff": nil, "audit/2026/11/23.jsonl": nil,
		archive.IndexKey(pipelinetest.BenchStart.Add(time.Hour), "held"): nil,
		"faxes/purged/pages/0001.aa.tiff":                                archive.ErrPurged, "faxes/purged/r2/plan.json": archive.ErrPurged,
		archive.IndexKey(pipelinetest.BenchStart, "purged"): archive.ErrPurged,
	} {
		if err := write(key); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", key, err, want)
		}
		if v.held[key] != strings.HasPrefix(key, "faxes/held/") { // a release lifts what is held below faxes/, and nothing else
			t.Errorf("%s: held %t", key, v.held[key])
		}
	}
	if left := v.keys("faxes/purged/"); len(left) > 0 {
		t.Errorf("of the purged fax there is %s", left)
	}
}

// slow is an archive in which something happens while an object is written.
type slow struct {
	archive.Store
	meanwhile func()
}

func (a slow) Create(ctx context.Context, key string, body io.ReadSeeker, size int64, sum [sha256.Size]byte) error {
	a.meanwhile()
	return a.Store.Create(ctx, key, body, size, sum)
}

// An order that is carried out while an object is written means that object too, however long that takes.
func TestAnOrderOvertakesAWrite(t *testing.T) {
	const key = "faxes/s/r1/document.pdf"
	for kind, want := range map[string]error{session.ActionHeld: nil, session.ActionPurged: archive.ErrPurged} {
		v := newSafe(t)
		v.fill("s")
		c := v.custodian(0)
		c.Guard.Store = slow{v, func() {
			if err := v.carryOut(c, orderOf(t, kind, "s", 1)); err != nil {
				t.Fatal(err)
			}
		}}
		if _, err := archive.Create(t.Context(), c.Guard, key, []byte("%PDF")); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", kind, err, want)
		}
		if left := v.keys("faxes/s/"); (len(left) == 0) != (want != nil) || v.held[key] != (want == nil) {
			t.Errorf("%s: there is %s, and held is %v", kind, left, v.held)
		}
	}
}

// An object of a process that does not know about an order yet is held or removed when the order is carried out again.
func TestAnOrderIsCarriedOutOnceMore(t *testing.T) {
	v := newSafe(t)
	v.fill("s")
	c := v.custodian(0)
	if err := c.ordered(t.Context(), orderOf(t, session.ActionPurged, "s", 1)); err != nil {
		t.Fatal(err)
	}
	fact, err := json.Marshal(v.facts[0])
	if err != nil {
		t.Fatal(err)
	}
	again := c.changed(t.Context(), bus.Delivery{Data: fact, Time: time.Now()})
	if later, ok := errors.AsType[bus.Later](again); !ok || later.After <= fresh || later.After > settled {
		t.Fatalf("the first time gave %v", again)
	}
	v.fill("s")
	if err := c.changed(t.Context(), bus.Delivery{Data: fact, Time: time.Now().Add(-settled)}); err != nil {
		t.Fatal(err)
	}
	if left := v.keys("faxes/s/"); len(left) > 0 {
		t.Errorf("of the purged fax there is %s", left)
	}
}

// A log that somebody has tampered with frees nothing, and costs no page, and holds up no order about another fax.
func TestADamagedLogFreesNothing(t *testing.T) {
	for name, damage := range map[string]string{
		"a gap":          keepLog().Key("s", 3, session.ActionReleased),
		"another kind":   "keep/s/0002.free.json",
		"no entry in it": keepLog().Key("s", 2, session.ActionReleased),
		"other name":     "keep/s/note",
	} {
		v := newSafe(t)
		v.fill("s")
		c := v.custodian(0)
		if err := v.carryOut(c, orderOf(t, session.ActionHeld, "s", 1)); err != nil {
			t.Fatal(err)
		}
		if _, err := archive.Create(t.Context(), v.Store, damage, []byte("{}")); err != nil {
			t.Fatal(err)
		}
		err := v.carryOut(c, orderOf(t, session.ActionPurged, "s", 2))
		if _, buried := errors.AsType[bus.Dead](err); !errors.Is(err, archive.ErrDamagedLog) || !buried {
			t.Errorf("%s: the purge gave %v; is it buried, so that other orders go on: %t", name, err, buried)
		}
		if len(v.keys("faxes/s/")) != 2 {
			t.Errorf("%s: objects are missing", name)
		}
		if _, err := archive.Create(t.Context(), c.Guard, archive.FaxPrefix("s")+"pages/0002.bb.tiff", []byte("page")); err != nil {
			t.Errorf("%s: a page that comes is not archived: %v", name, err)
		}
	}
}

func FuzzParseKeepKey(f *testing.F) {
	f.Add("keep/s/0001.held.json")
	f.Add("keep/s/00001.purged.json")
	f.Fuzz(func(t *testing.T, key string) {
		if id, n, kind, ok := keepLog().ParseKey(key); ok && keepLog().Key(id, n, kind) != key {
			t.Errorf("%q was read as %q, %d, %q", key, id, n, kind)
		}
	})
}
