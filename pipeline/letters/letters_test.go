package letters_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/letters"
	"github.com/faxstream/faxstream/pipeline/session"
)

// box is a JetStream in memory with one session.
type box struct {
	t        *testing.T
	state    session.State
	failures map[int][]session.PageFailed
	letters  []bus.Letter
	actions  []session.Action
	facts    []session.Fact
	timers   []session.Timer
	dropped  bool // a person has dropped every letter
	next     uint64
}

func (b *box) Load(context.Context, string) (session.State, uint64, error) { return b.state, 1, nil }

func (b *box) RecordFact(_ context.Context, f session.Fact) (uint64, []byte, error) {
	b.facts = append(b.facts, f)
	return 1, nil, nil
}

func (b *box) Schedule(_ context.Context, t session.Timer, _ []byte) error {
	b.timers = append(b.timers, t)
	return nil
}

func (b *box) Event(context.Context, string) (bus.Stored, bool, error) {
	return bus.Stored{}, false, nil
}

func (b *box) PageFailures(_ context.Context, _ string, page int) ([]session.PageFailed, error) {
	return b.failures[page], nil
}

func (b *box) WholeFailed(context.Context, string, int) (session.WholeDone, bool, error) {
	return session.WholeDone{}, false, nil
}

func (b *box) Letters(context.Context, bus.LetterFilter, int) ([]bus.Letter, bool, error) {
	return slices.Clone(b.letters), false, nil
}

func (b *box) Bury(_ context.Context, d session.DeadLetter) error {
	b.next++
	b.letters = append(b.letters, bus.Letter{ID: b.next, DeadLetter: d})
	return nil
}

func (b *box) Dropped(context.Context, session.DeadLetter) (bool, error) { return b.dropped, nil }

func (b *box) RemoveLetter(_ context.Context, id uint64) error {
	b.letters = slices.DeleteFunc(b.letters, func(l bus.Letter) bool { return l.ID == id })
	return nil
}

func (b *box) Act(_ context.Context, a session.Action) (uint64, error) {
	b.actions = append(b.actions, a)
	return uint64(len(b.actions)), nil
}

// deliver hands a message to the durable that takes it.
func (b *box) deliver(durable, subject string, payload any) error {
	b.t.Helper()
	data, err := json.Marshal(payload)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.deliverAt(at, durable, subject, data)
}

// deliverAt hands a message that was stored at a time to the durable that takes it.
func (b *box) deliverAt(stored time.Time, durable, subject string, data []byte) error {
	b.t.Helper()
	w := &letters.Worker{Bus: b, Log: slog.New(slog.DiscardHandler)}
	for _, c := range w.Consumptions() {
		if c.Consumer.Durable == durable {
			return c.Handle(b.t.Context(), bus.Delivery{Subject: subject, Data: data, Sequence: 7, Time: stored, Tries: 1})
		}
	}
	b.t.Fatalf("there is no durable %s", durable)
	return nil
}

var at = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

// ready delivers the order of a document, and wants the letters of these pages, 0 for the whole file.
func (b *box) ready(want ...int) {
	b.t.Helper()
	order := session.DocReady{Session: "fax", ToToken: "1", Revision: b.state.Ordered}
	if err := b.deliver("letters-docs", order.Subject(), order); err != nil {
		b.t.Fatal(err)
	}
	b.wants(want...)
}

// failed delivers the last failed attempt for a page, and wants the letters of these pages.
func (b *box) failed(page int, want ...int) {
	b.t.Helper()
	f := session.PageFailed{
		Session: "fax", Page: page, ToToken: "1", Attempt: 3, Stage: "fetch", Reason: session.ReasonRefused, Detail: "403", Final: true,
		At: at,
	}
	b.failures[page] = append(b.failures[page], f)
	if err := b.deliver("letters-pages", f.Subject(), f); err != nil {
		b.t.Fatal(err)
	}
	b.wants(want...)
}

func (b *box) wants(pages ...int) {
	b.t.Helper()
	var got []int
	for _, l := range b.letters {
		got = append(got, l.Page)
	}
	if !slices.Equal(got, pages) {
		b.t.Errorf("there are letters of pages %v, want %v", got, pages)
	}
}

// newBox has a closed fax of three pages, all announced, of which page 1 arrived.
func newBox(t *testing.T) *box {
	return &box{t: t, failures: map[int][]session.PageFailed{}, state: session.State{
		Session: "fax", Opened: at, Announced: session.Span(1, 3), Usable: session.Span(1, 1),
		Close: &session.Closed{Session: "fax", Pages: 3},
	}}
}

func TestAMissingPageHasOneLetterUntilItComes(t *testing.T) {
	b := newBox(t)
	b.failed(2) // no document was ordered yet: the whole file may have the page
	b.state.Ordered = 1
	b.ready(2) // the fetch of page 3 goes on
	b.ready(2)
	b.failed(3, 2, 3)
	b.failed(3, 2, 3)
	l := b.letters[1].DeadLetter
	if l.Stage != session.StagePage || l.Session != "fax" || len(l.Attempts) != 1 || !strings.Contains(l.Detail, "403") {
		t.Errorf("the letter of page 3 is %+v, want its attempt and why it failed", l)
	}
	if len(b.actions) > 0 {
		t.Fatalf("something was resolved: %+v", b.actions)
	}
	b.state.Usable = b.state.Usable.Add(2)
	b.ready(3)
	b.state.Usable = b.state.Usable.Add(3)
	b.ready()
	if len(b.actions) != 2 || b.actions[0].Kind != session.ActionResolved || b.actions[0].Letter == nil || b.actions[0].Letter.Page != 2 {
		t.Errorf("the audit has %+v, want two letters that were resolved", b.actions)
	}
}

// What a person has dropped comes back only after another attempt has failed.
func TestADroppedLetterStaysDropped(t *testing.T) {
	b := newBox(t)
	b.state.Ordered, b.dropped = 1, true
	b.failures[2] = []session.PageFailed{{Session: "fax", Page: 2, Final: true}}
	b.ready()
	b.failed(2, 2)
}

// The whole file has a letter of its own when it was asked for pages that it does not have.
func TestAWholeFileWithoutTheMissingPagesHasALetter(t *testing.T) {
	b := newBox(t)
	b.state.Ordered, b.state.WholeN, b.state.WholeOpen = 1, 1, true
	b.ready() // it is not there yet
	b.state.WholeOpen = false
	b.ready(0)
	b.ready(0)
	b.state.Usable = session.Span(1, 3)
	b.ready()
}

// A verdict and the end of its order are often handled before the ledger knows of either: the letter of a page that differs stays, until
// a person chooses.
func TestALetterOfAPageThatDiffersWaitsForTheLedger(t *testing.T) {
	b := newBox(t)
	b.state.Usable, b.state.Ordered, b.state.Direction = session.Span(1, 3), 1, session.Incoming
	b.state.WholeN, b.state.WholeOpen, b.state.Comparing, b.state.Compared = 1, true, session.Span(1, 3), session.Span(1, 3)
	verdict := session.DocVerified{
		Session: "fax", ToToken: "1", Revision: 1, N: 1, Report: session.Object{SHA256: strings.Repeat("ab", 32)},
		Compared: session.Span(1, 3), Differing: session.Span(2, 2), At: at,
	}
	done := session.WholeDone{Session: "fax", ToToken: "1", N: 1, Object: &session.Object{Key: "k"}, Pages: 3, At: at}
	for _, f := range []session.Fact{verdict, done} {
		if err := b.deliver("letters-docs", f.Subject(), f); err != nil {
			t.Fatal(err)
		}
		b.wants(2)
	}
	choice := session.Again{Session: "fax", Asked: "a1", Choice: &session.Choice{Page: 2, Image: session.ImageFile}}
	for i, f := range []session.Fact{verdict, done, choice} {
		next, err := session.Next(session.Policy{}, b.state, session.Event{At: at, Fact: f})
		if err != nil {
			t.Fatal(err)
		}
		b.state = next
		if i < 2 {
			b.ready(2)
		}
	}
	b.ready()
}

// A retry removes the letter and asks for the page in both ways: its own file and the whole one.
func TestARetryAsksAgain(t *testing.T) {
	b := newBox(t)
	b.state.Ordered = 1
	b.failed(2, 2)
	l := b.letters[0]
	retry := session.Action{Kind: session.ActionRetried, By: "ada", LetterID: l.ID, Letter: &l.DeadLetter}
	if err := b.deliver("actions", retry.Subject(), retry); err != nil {
		t.Fatal(err)
	}
	b.wants()
	if len(b.timers) != 1 || b.timers[0].Kind != session.TimerRetry || b.timers[0].Page != 2 {
		t.Errorf("timers %+v, want a retry of page 2", b.timers)
	}
	want := session.Again{Session: "fax", Asked: fmt.Sprint("a7-", at.UnixNano()), Pages: session.Span(2, 2)}
	if len(b.facts) != 1 || !want.Same(encoded(t, b.facts[0])) {
		t.Errorf("facts %+v, want %+v", b.facts, want)
	}
}

// Missing pages are asked for again in both ways when nothing is left of their letters.
func TestMissingPagesAreAskedForAgain(t *testing.T) {
	b := newBox(t)
	a := session.Action{Kind: session.ActionReplayed, By: "ada", Session: "fax", Stage: session.ReplayFetch}
	if err := b.deliver("actions", a.Subject(), a); err != nil {
		t.Fatal(err)
	}
	if len(b.timers) != 2 || b.timers[0].Page != 2 || b.timers[1].Page != 3 || b.timers[0].Kind != session.TimerRetry {
		t.Errorf("timers %+v, want retries of pages 2 and 3", b.timers)
	}
	want := session.Again{Session: "fax", Asked: fmt.Sprint("a7-", at.UnixNano()), Whole: true}
	if len(b.facts) != 1 || !want.Same(encoded(t, b.facts[0])) {
		t.Errorf("facts %+v, want %+v", b.facts, want)
	}
}

// The choice of an image for several pages is one order to the ledger; one page is an order as it always was.
func TestAChoiceForSeveralPagesIsOneOrder(t *testing.T) {
	for _, pages := range []session.Ranges{nil, session.Span(2, 2), session.Span(2, 3).Add(5)} {
		b := newBox(t)
		a := session.Action{Kind: session.ActionChosen, By: "ada", Why: "looked", Session: "fax", Page: 2, Pages: pages, Image: session.ImageFile}
		if err := b.deliver("actions", a.Subject(), a); err != nil {
			t.Fatal(err)
		}
		var chosen session.Ranges
		for _, f := range b.facts {
			again := f.(session.Again)
			for _, c := range append(again.Choices, *again.Choice) {
				if chosen = chosen.Add(c.Page); c.Image != session.ImageFile || c.By != "ada" || c.Why != "looked" || !c.At.Equal(at) {
					t.Errorf("%s: the choice is %+v", pages.Text(), c)
				}
			}
		}
		if want := pages.Add(2); len(b.facts) != 1 || chosen.Text() != want.Text() {
			t.Errorf("%s: %d orders for %s, want one", pages.Text(), len(b.facts), chosen.Text())
		}
	}
}

// FAX_AUDIT was lost, and an order has the sequence of one of before: the ledger is told all the same.
func TestAnOrderInANewAuditIsNoRepeat(t *testing.T) {
	b := newBox(t)
	letter := session.DeadLetter{Stage: "assemble", Session: "fax", Reason: session.ReasonLost}
	data, err := json.Marshal(session.Action{Kind: session.ActionRetried, By: "ada", LetterID: 1, Letter: &letter})
	if err != nil {
		t.Fatal(err)
	}
	for _, stored := range []time.Time{at, at, at.Add(time.Hour)} {
		if err := b.deliverAt(stored, "actions", "fax.v1.audit.dlq.retried", data); err != nil {
			t.Fatal(err)
		}
	}
	if len(b.facts) != 3 || b.facts[0].Subject() != b.facts[1].Subject() || b.facts[0].Subject() == b.facts[2].Subject() {
		t.Errorf("facts %+v, want the first one twice and another one", b.facts)
	}
}

// What cannot be retried is a letter again, which says so.
func TestWhatCannotBeRetriedIsALetterAgain(t *testing.T) {
	b := newBox(t)
	letter := session.DeadLetter{Stage: "collect-in", Reason: session.ReasonBadRequest, Detail: "why"}
	retry := session.Action{Kind: session.ActionRetried, By: "ada", LetterID: 1, Letter: &letter}
	if err := b.deliver("actions", retry.Subject(), retry); err != nil {
		t.Fatal(err)
	}
	if len(b.letters) != 1 || !strings.Contains(b.letters[0].Detail, "cannot be retried") {
		t.Errorf("letters %+v, want one that says that it cannot be retried", b.letters)
	}
}

func TestABadMessageIsADeadLetter(t *testing.T) {
	b := newBox(t)
	for _, durable := range []string{"letters-pages", "letters-docs", "actions"} {
		err := b.deliver(durable, "fax.v1.doc.ready.1.fax.1", "rubbish")
		if dead, ok := errors.AsType[bus.Dead](err); !ok || dead.Reason != session.ReasonBadRequest {
			t.Errorf("%s: %v, want a dead letter with reason bad_request", durable, err)
		}
	}
}

func encoded(t *testing.T, f session.Fact) []byte {
	t.Helper()
	data, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
