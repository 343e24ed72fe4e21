package session

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// history plays events into a ledger and writes down what it asks for.
type history struct {
	t      testing.TB
	policy Policy
	now    time.Time // of the next event
	seq    uint64
	state  State
	said   []string // effects in order, as text
	err    error    // of the last event
	quick  bool     // do not prove what feed proves for every event: for the very many
}

type step func(*history)

const (
	testSession = "s1"
	testToken   = "13343040000"
	testNumber  = "+1 334 304 0000"
)

var testStart = time.Date(2026, 11, 23, 9, 0, 0, 123456, time.UTC)

func streaming() Policy {
	return Policy{Grace: time.Minute, Idle: time.Hour, WholeFor: 2 * time.Hour, Streaming: true}
}

func wholeOnly() Policy {
	p := streaming()
	p.Streaming = false
	return p
}

func newHistory(t testing.TB, p Policy) *history {
	return &history{t: t, policy: p, now: testStart, state: State{Session: testSession}}
}

func play(t testing.TB, p Policy, steps ...step) *history { return newHistory(t, p).play(steps...) }

func (h *history) play(steps ...step) *history {
	for _, s := range steps {
		s(h)
	}
	return h
}

// feed folds one event. Beside that it proves for every event of every test that Next left its input alone, that no effect was
// lost or changed, and that the state survives its JSON.
func (h *history) feed(e Event) {
	h.t.Helper()
	e.At = h.now
	h.now = h.now.Add(time.Second)
	before := h.state
	var image string
	if !h.quick {
		image = dump(h.t, before)
	}
	next, err := Next(h.policy, before, e)
	if h.err = err; err == nil {
		h.state = next
		for _, e := range next.Effects[min(len(before.Effects), len(next.Effects)):] {
			h.said = append(h.said, effectText(e))
		}
	}
	if h.quick {
		return
	}
	if now := dump(h.t, before); now != image {
		h.t.Fatalf("Next changed its input\nfrom %s\nto   %s", image, now)
	}
	if err == nil {
		if !next.Purged &&
			(len(next.Effects) < len(before.Effects) || !slices.EqualFunc(next.Effects[:len(before.Effects)], before.Effects, same)) {
			h.t.Fatalf("unfinished effects were lost or changed:\n%s\n%s", image, dump(h.t, next))
		}
		roundTrip(h.t, next)
	}
}

func same(a, b Effect) bool { return reflect.DeepEqual(a, b) }

func dump(t testing.TB, s State) string {
	b, err := s.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func roundTrip(t testing.TB, s State) {
	t.Helper()
	b, err := s.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	back, err := ParseState(b)
	if err != nil {
		t.Fatalf("the ledger's own document cannot be read: %v\n%s", err, b)
	}
	if !reflect.DeepEqual(s, back) {
		t.Fatalf("the ledger is another one after its JSON\nwas %+v\nis  %+v", s, back)
	}
}

func effectText(e Effect) string {
	switch {
	case e.Timer != nil:
		return e.Timer.Kind + " timer"
	case e.Whole != nil:
		text := fmt.Sprintf("whole %d wants %s", e.Whole.N, pagesText(e.Whole.Wanted))
		if e.Whole.All {
			text = fmt.Sprintf("whole %d wants all", e.Whole.N)
		}
		if len(e.Whole.Compare) > 0 {
			text += fmt.Sprintf(" compares %s of %d", pagesText(e.Whole.Compare), e.Whole.Revision)
		}
		return text
	case e.Ask != nil:
		return fmt.Sprintf("ask %d", e.Ask.N)
	case e.Ready != nil:
		text := fmt.Sprintf("ready %d %s", e.Ready.Revision, e.Ready.Status)
		if e.Ready.Reason != "" {
			text += "(" + e.Ready.Reason + ")"
		}
		text += " " + pagesText(e.Ready.Pages)
		for _, page := range slices.Sorted(maps.Keys(e.Ready.Missing)) {
			text += fmt.Sprintf(" -%d:%s", page, e.Ready.Missing[page])
		}
		if v := e.Ready.Verification; v != VerificationNone && v != VerificationVerified {
			text += " " + e.Ready.Verification
		}
		for _, r := range e.Ready.Repairs {
			text += " repaired " + pagesText(r.Pages)
		}
		return text
	default:
		return "rebind " + pagesText(e.Rebind)
	}
}

func pagesText(r Ranges) string {
	if len(r) == 0 {
		return "none"
	}
	return strings.TrimSuffix(rangesText(r), ",")
}

// announced: the webhook of each page.
func announced(pages ...int) step {
	return func(h *history) {
		for _, p := range pages {
			h.feed(Event{ToToken: testToken, Fact: PageAnnounced{Session: testSession, Page: p, From: fmt.Sprint("+49", p), To: testNumber}})
		}
	}
}

// anonymous: the webhook of a page without numbers, before anybody bound one.
func anonymous(page int) step {
	return func(h *history) {
		h.feed(Event{ToToken: UnknownToken, Fact: PageAnnounced{Session: testSession, Page: page}})
	}
}

func archivedAs(token, source string, pages ...int) step {
	return func(h *history) {
		for _, p := range pages {
			h.seq++
			f := PageArchived{Session: testSession, Page: p, ToToken: token, Source: source}
			if token != UnknownToken {
				f.From, f.To = fmt.Sprint("+49", p), testNumber
			}
			h.feed(Event{Seq: h.seq, ToToken: token, Fact: f})
		}
	}
}

// archivedPages: each page's own fetch succeeded.
func archivedPages(pages ...int) step { return archivedAs(testToken, SourceFetch, pages...) }

func cutPages(pages ...int) step { return archivedAs(testToken, SourceWholeFile, pages...) }

func failing(page int, reason Reason, final bool) step {
	return func(h *history) {
		h.seq++
		h.feed(Event{
			Seq:  h.seq,
			Fact: PageFailed{Session: testSession, Page: page, ToToken: testToken, Attempt: 1, Stage: "fetch", Reason: reason, Final: final},
		})
	}
}

func closing(f Closed) step {
	return func(h *history) {
		f.Session, f.Direction = testSession, cmp.Or(f.Direction, Incoming)
		h.feed(Event{ToToken: testToken, Fact: f})
	}
}

func success(pages int) step {
	return closing(Closed{Status: "success", Pages: pages, File: "f", From: "+49", To: testNumber})
}

func wholeCut(n, pages int, lost PageReasons) step { return wholeCutBeyond(n, pages, nil, lost) }

// wholeCutBeyond is an order whose file has pages that the close does not count.
func wholeCutBeyond(n, pages int, beyond Ranges, lost PageReasons) step {
	return func(h *history) {
		h.feed(Event{Fact: WholeDone{
			Session: testSession, ToToken: testToken, N: n, Object: &Object{Key: "k"}, Pages: pages, Beyond: beyond, Lost: lost,
		}})
	}
}

func wholeFailed(n int, reason Reason) step {
	return func(h *history) {
		h.feed(Event{Fact: WholeDone{Session: testSession, ToToken: testToken, N: n, Reason: reason}})
	}
}

// assembled: the revision is in the archive, as it was ordered.
func assembled(revision int) step {
	return func(h *history) {
		f := DocAssembled{Session: testSession, Revision: revision}
		for _, e := range h.state.Effects {
			if e.Ready != nil && e.Ready.Revision == revision {
				f.Status, f.Reason = e.Ready.Status, e.Ready.Reason
			}
		}
		h.feed(Event{Fact: f})
	}
}

// docFailed: the revision cannot be made, because of these pages.
func docFailed(revision int, pages Ranges) step {
	return func(h *history) {
		h.feed(Event{
			Fact: DocFailed{Session: testSession, ToToken: testToken, Revision: revision, Pages: pages, Reason: ReasonLost, Detail: "gone"},
		})
	}
}

// due: the last timer of this kind that was set fires at its time.
func due(kind string) step { return fires(kind, 0) }

// fires is due, by so much too late or (negative) too early.
func fires(kind string, late time.Duration) step { return firesIn(kind, late, Outage{}) }

// dueAway is due while the archive or the provider is away.
func dueAway(kind string) step { return firesIn(kind, 0, Outage{Now: true}) }

// dueBack is due after an outage that ended so long after the start of the test.
func dueBack(kind string, ended time.Duration) step {
	return firesIn(kind, 0, Outage{Ended: testStart.Add(ended)})
}

func firesIn(kind string, late time.Duration, o Outage) step {
	return func(h *history) {
		var t *Timer
		for _, e := range h.state.Effects {
			if e.Timer != nil && e.Timer.Kind == kind {
				t = e.Timer
			}
		}
		if t == nil {
			h.t.Fatalf("no %s timer was set", kind)
		}
		h.now = t.Due.Add(late)
		h.feed(Event{Timer: *t, Outage: o})
	}
}

func again(steps ...step) step {
	return func(h *history) {
		for range 2 {
			for _, s := range steps {
				s(h)
			}
		}
	}
}

// unchanged: the steps, stored when the last fact was, may change nothing at all.
func unchanged(steps ...step) step {
	return func(h *history) {
		h.t.Helper()
		before, now := dump(h.t, h.state), h.now
		for _, s := range steps {
			h.now = h.state.LastSeen
			s(h)
		}
		h.now = now
		if now := dump(h.t, h.state); now != before {
			h.t.Errorf("state changed\nfrom %s\nto   %s", before, now)
		}
	}
}

// refused: the event can never be folded.
func refused(s step) step {
	return func(h *history) {
		h.t.Helper()
		unchanged(s)(h)
		if h.err == nil {
			h.t.Error("the event was folded; want an error")
		}
		h.err = nil
	}
}
