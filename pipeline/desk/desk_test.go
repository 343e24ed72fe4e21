package desk

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/pipelinetest"
	"github.com/faxstream/faxstream/pipeline/session"
)

var start = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// fresh has an archive and facts in memory, and a clerk that writes into them.
func fresh() (*pipelinetest.Desk, *Clerk) {
	d := &pipelinetest.Desk{Objects: map[string][]byte{}, Events: map[string][]byte{}}
	return d, &Clerk{Archive: d, Facts: d}
}

// order is the n-th message of FAX_AUDIT.
func order(t *testing.T, n uint64, by string, c session.WorkChange) bus.Delivery {
	t.Helper()
	data, err := json.Marshal(session.Action{Kind: session.ActionWorked, By: by, Session: "fax", Work: &c})
	if err != nil {
		t.Fatal(err)
	}
	return bus.Delivery{Data: data, Sequence: n, Time: start.Add(time.Duration(n) * time.Minute)}
}

// folded is what a ledger has after all facts, in any order.
func folded(t *testing.T, d *pipelinetest.Desk) session.Work {
	t.Helper()
	s := session.State{Session: "fax", Opened: start}
	for _, data := range d.Events {
		f, err := session.ParseFact(session.TypeDesk, data)
		if err == nil {
			s, err = session.Next(session.Policy{}, s, session.Event{At: start, Fact: f})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return s.Work
}

// story is what a team does with a fax, and where that ends.
func story(t *testing.T, a archive.Store) ([]bus.Delivery, session.Work) {
	t.Helper()
	note, err := Logs{a}.StoreNote(t.Context(), "fax", "call back\nabout page 2")
	if err != nil {
		t.Fatal(err)
	}
	orders := []bus.Delivery{
		order(t, 1, "ada", session.WorkChange{Assignee: new("ada"), Add: []string{"urgent", "lab"}}),
		order(t, 2, "bob", session.WorkChange{Note: &note, Read: new(true), Seen: new(1)}),
		order(t, 3, "ada", session.WorkChange{Remove: []string{"urgent"}, Done: new(true)}),
	}
	end := session.Work{
		N: 3, Assignee: "ada", Labels: []string{"lab"}, Note: "call back\nabout page 2", Read: true, Done: true, By: "ada",
		At: start.Add(3 * time.Minute), AssigneeN: 1, NoteN: 2, DoneN: 3,
	}
	return orders, end
}

func same(a, b session.Work) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && string(x) == string(y)
}

// Every write of the clerk may fail, before or after it was done; the order is then delivered again. The archive and the ledger end as if
// nothing had failed, and each order is in the log once.
func TestEveryFailingWriteHeals(t *testing.T) {
	failed := 0
	for failAt := 1; failAt < 12; failAt++ {
		for _, persists := range []bool{false, true} {
			d, c := fresh()
			orders, want := story(t, d)
			writes := 0
			d.Before = func(string) (persist, fail bool) {
				writes++
				return writes != failAt || persists, writes == failAt
			}
			for _, o := range orders {
				if err := c.ordered(t.Context(), o); err != nil {
					failed++
					if !errors.Is(err, pipelinetest.ErrDesk) {
						t.Fatal(err)
					}
					if err := c.ordered(t.Context(), o); err != nil {
						t.Fatal(err)
					}
				}
			}
			w, log, err := Read(t.Context(), d, "fax")
			if err != nil || len(log) != 3 || !same(w, want) {
				t.Errorf("write %d fails, persists %t: %d entries, %+v, %v; want %+v", failAt, persists, len(log), w, err, want)
			}
			if got := folded(t, d); !same(got, want) || len(d.Wrong) > 0 {
				t.Errorf("write %d fails, persists %t: the ledger has %+v, wrong: %v", failAt, persists, got, d.Wrong)
			}
		}
	}
	if failed < 12 {
		t.Errorf("only %d writes failed", failed)
	}
}

// A change of something that was changed since the person looked has no effect, and says what was changed. Other fields are free, and so is
// who has not looked.
func TestTheLaterOfTwoPeopleSeesIt(t *testing.T) {
	var many []string
	for i := range session.MaxLabels {
		many = append(many, fmt.Sprint("label ", i))
	}
	for name, c := range map[string]struct {
		first, second session.WorkChange
		late          string
	}{
		"another assignee": {session.WorkChange{Assignee: new("ada")}, session.WorkChange{Assignee: new("bob")}, "it was assigned to ada by x"},
		"the same one":     {session.WorkChange{Assignee: new("ada")}, session.WorkChange{Assignee: new("ada")}, ""},
		"nobody any more":  {session.WorkChange{Assignee: new("")}, session.WorkChange{Assignee: new("bob")}, "the assignee was removed by x"},
		"two notes": {
			session.WorkChange{Note: new(NoteOf("fax", ""))},
			session.WorkChange{Note: new(NoteOf("fax", "")), Add: []string{"x"}},
			"the note was changed by x",
		},
		"done and open":    {session.WorkChange{Done: new(true)}, session.WorkChange{Done: new(false)}, "it was marked as done by x"},
		"open and done":    {session.WorkChange{Done: new(false)}, session.WorkChange{Done: new(true)}, "it was opened again by x"},
		"different fields": {session.WorkChange{Assignee: new("ada")}, session.WorkChange{Done: new(true)}, ""},
		"both to nobody":   {session.WorkChange{Assignee: new("")}, session.WorkChange{Assignee: new("")}, ""},
		"too many labels": {
			session.WorkChange{Add: many}, session.WorkChange{Add: []string{"a"}}, "the fax would have 21 labels, and may have 20",
		},
		"labels": {session.WorkChange{Add: []string{"a"}}, session.WorkChange{Remove: []string{"a"}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			d, clerk := fresh()
			c.first.Seen, c.second.Seen = new(0), new(0)
			for i, change := range []session.WorkChange{c.first, c.second} {
				if err := clerk.ordered(t.Context(), order(t, uint64(i+1), "x", change)); err != nil {
					t.Fatal(err)
				}
			}
			w, log, err := Read(t.Context(), d, "fax")
			if err != nil || len(log) != 2 || w.N != 2 {
				t.Fatalf("%d entries, %+v, %v", len(log), w, err)
			}
			if log[0].Late != "" || log[1].Late != c.late {
				t.Errorf("late are %q and %q, want none and %q", log[0].Late, log[1].Late, c.late)
			}
			alone, _, _ := session.Work{}.With(log[0].DeskEntry, "")
			alone.N, w.By, w.At = w.N, alone.By, alone.At
			if c.late != "" && !same(w, alone) {
				t.Errorf("the late change has an effect: %+v", w)
			}
		})
	}
	blind := session.DeskEntry{WorkChange: session.WorkChange{Assignee: new("bob")}}
	w, late, _ := session.Work{N: 5, AssigneeN: 4, Assignee: "ada"}.With(blind, "")
	if late != "" || w.Assignee != "bob" {
		t.Errorf("who has not looked is refused: %q, %+v", late, w)
	}
}

// Processes that write at the same time each get an entry of their own.
func TestClerksAtTheSameTimeLoseNothing(t *testing.T) {
	store := pipelinetest.LocalArchive(t)
	_, c := fresh()
	c.Archive = store
	const n = 8
	errs := make(chan error, n)
	for i := range uint64(n) {
		o := order(t, i+1, "x", session.WorkChange{Add: []string{string(rune('a' + i))}})
		go func() { errs <- c.ordered(t.Context(), o) }()
	}
	for range n {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if w, log, err := Read(t.Context(), store, "fax"); err != nil || len(log) != n || len(w.Labels) != n {
		t.Errorf("%d entries, labels %v, %v", len(log), w.Labels, err)
	}
}

// An order that cannot be carried out, and a damaged log, are dead letters: orders about other faxes go on. Nothing is written then.
func TestWhatCannotBeDoneIsADeadLetter(t *testing.T) {
	foreign, stored := NoteOf("other", "text"), NoteOf("fax", "text")
	done := order(t, 1, "x", session.WorkChange{Done: new(true)})
	for name, c := range map[string]struct {
		objects map[string]string
		order   bus.Delivery
		want    session.Reason
	}{
		"no JSON":            {nil, bus.Delivery{Data: []byte("{")}, session.ReasonBadRequest},
		"no change":          {nil, bus.Delivery{Data: []byte(`{"session":"fax"}`)}, session.ReasonBadRequest},
		"a path":             {nil, bus.Delivery{Data: []byte(`{"session":"../x","work":{"done":true}}`)}, session.ReasonBadRequest},
		"a long name":        {nil, order(t, 1, "x", session.WorkChange{Assignee: new(strings.Repeat("a", 101))}), session.ReasonBadRequest},
		"a gap":              {map[string]string{"desk/fax/0002.changed.json": "{}"}, done, session.ReasonLost},
		"another name":       {map[string]string{"desk/fax/0001.held.json": "{}"}, done, session.ReasonLost},
		"no entry in it":     {map[string]string{"desk/fax/0001.changed.json": "{}"}, done, session.ReasonLost},
		"a note of another":  {map[string]string{foreign.Key: "text"}, order(t, 1, "x", session.WorkChange{Note: &foreign}), session.ReasonLost},
		"a note that is not": {nil, order(t, 1, "x", session.WorkChange{Note: &stored}), session.ReasonLost},
		"an altered note":    {map[string]string{stored.Key: "tXxt"}, order(t, 1, "x", session.WorkChange{Note: &stored}), session.ReasonLost},
	} {
		t.Run(name, func(t *testing.T) {
			d, clerk := fresh()
			for key, text := range c.objects {
				d.Objects[key] = []byte(text)
			}
			before := maps.Clone(d.Objects)
			err := clerk.ordered(t.Context(), c.order)
			if dead, ok := errors.AsType[bus.Dead](err); !ok || dead.Reason != c.want {
				t.Errorf("%v, want a dead letter with reason %s", err, c.want)
			}
			if !maps.EqualFunc(before, d.Objects, slices.Equal) || len(d.Events) > 0 {
				t.Errorf("something was written: %v", slices.Collect(maps.Keys(d.Objects)))
			}
		})
	}
}

// purged refuses every object, as a hold.Guard does for a purged fax.
type purged struct{ archive.Store }

func (purged) Create(context.Context, string, io.ReadSeeker, int64, [sha256.Size]byte) error {
	return archive.ErrPurged
}

// An order about a purged fax is a dead letter: a person sees that it came too late.
func TestAPurgedFaxHasNoDesk(t *testing.T) {
	d, c := fresh()
	c.Archive = purged{d}
	if _, err := (Logs{c.Archive}).StoreNote(t.Context(), "fax", "text"); !errors.Is(err, archive.ErrPurged) {
		t.Errorf("a note: %v", err)
	}
	err := c.ordered(t.Context(), order(t, 1, "ada", session.WorkChange{Done: new(true)}))
	if dead, ok := errors.AsType[bus.Dead](err); !ok || dead.Reason != session.ReasonPurged || len(d.Events) > 0 {
		t.Errorf("%v, facts %v", err, d.Events)
	}
}

func FuzzRead(f *testing.F) {
	f.Add("0001.changed.json", []byte(`{"session":"fax","by":"ada","at":"2026-11-24T12:00:00Z","asked":"a1","done":true}`))
	f.Add("0001.changed.json",
		[]byte(`{"session":"fax","by":"ada","at":"2026-11-24T12:00:00Z","asked":"a1","note":{"key":"desk/x","size":1,"sha256":"ab"}}`))
	f.Add("note.0123456789abcdef.txt", []byte("text"))
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		d, _ := fresh()
		d.Objects["desk/fax/"+name] = data
		w, log, err := Read(t.Context(), d, "fax")
		if err != nil && !Damaged(err) {
			t.Fatal(err)
		}
		if err == nil && (w.N != len(log) || len(log) > 1 || len(w.Note) > session.MaxNote) {
			t.Errorf("%q gives %+v from %d entries", data, w, len(log))
		}
	})
}
