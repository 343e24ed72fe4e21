package bus

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/faxstream/faxstream/pipeline/session"
)

// story is a letter with something in every field.
func story(page int) session.DeadLetter {
	return session.DeadLetter{
		Stage: session.StagePage, Session: "fax", Page: page, Reason: session.ReasonNotYet, Detail: "nothing came",
		Original: fmt.Sprintf("fax.v1.in.page.fax.%d", page), Body: fmt.Appendf(nil, `{"session":"fax","page":%d}`, page), Received: testTime,
		Attempts: []session.Attempt{
			{Stage: "fetch", Number: 1, Reason: session.ReasonNotYet, Detail: "404", At: testTime},
			{Stage: "fetch", Number: 2, Reason: session.ReasonEmpty, Detail: "no bytes", At: testTime.Add(time.Minute)},
		},
	}
}

func mustBury(t testing.TB, b *Bus, letters ...session.DeadLetter) {
	t.Helper()
	for _, d := range letters {
		if err := b.Bury(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
}

func mustList(t testing.TB, b *Bus, f LetterFilter) []Letter {
	t.Helper()
	all, more, err := b.Letters(t.Context(), f, 10_000)
	if err != nil || more {
		t.Fatal(more, err)
	}
	return all
}

func TestALetterSurvivesARestartWhole(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := open(t, dir)
	mustBury(t, b, story(2))
	closeBus(t, b)
	b = open(t, dir)
	all := mustList(t, b, LetterFilter{})
	if len(all) != 1 || !reflect.DeepEqual(all[0].DeadLetter, story(2)) || all[0].Buried.IsZero() {
		t.Fatalf("the letters are %+v", all)
	}
	one, err := b.Letter(t.Context(), all[0].ID)
	if err != nil || !reflect.DeepEqual(one, all[0]) {
		t.Errorf("by its id it is %+v, %v", one, err)
	}
}

func TestARemovedLetterIsGoneAndMayComeAgain(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	mustBury(t, b, story(1), story(1), story(2))
	all := mustList(t, b, LetterFilter{})
	if n, err := b.LiveLetters(t.Context()); len(all) != 2 || n != 2 || err != nil {
		t.Fatalf("%d letters, %d live, %v; want 2: the same letter twice is one", len(all), n, err)
	}
	for range 2 { // an action may be done again
		if err := b.RemoveLetter(t.Context(), all[0].ID); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.Letter(t.Context(), all[0].ID); !errors.Is(err, ErrNoLetter) {
		t.Errorf("the removed letter is %v", err)
	}
	if left := mustList(t, b, LetterFilter{}); len(left) != 1 || left[0].Page != 2 {
		t.Errorf("left are %+v", left)
	}
	mustBury(t, b, story(1))
	if again := mustList(t, b, LetterFilter{}); len(again) != 2 || again[1].Page != 1 || again[1].ID == all[0].ID {
		t.Errorf("after the same failure there are %+v", again)
	}
}

func TestLettersAreFilteredAndPaged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := open(t, dir)
		for i := range 2 * lettersAtOnce {
			mustBury(t, b, session.DeadLetter{Stage: session.StageIngest, Reason: session.ReasonBadRequest, Body: fmt.Append(nil, i)})
		}
		time.Sleep(time.Hour)
		later := time.Now()
		whole := story(0)
		whole.Stage, whole.Session, whole.Reason = session.StageWhole, "other", session.ReasonUnavailable
		mustBury(t, b, story(1), story(2), whole)
		b.health.published(StreamDLQ, errors.New("refused"))
		if err := b.Ready(t.Context()); err != nil { // its trial is no letter
			t.Fatal(err)
		}
		for name, c := range map[string]struct {
			filter LetterFilter
			want   int
		}{
			"all":         {LetterFilter{}, 2*lettersAtOnce + 3},
			"a session":   {LetterFilter{Session: "fax"}, 2},
			"a stage":     {LetterFilter{Stage: session.StageIngest}, 2 * lettersAtOnce},
			"both":        {LetterFilter{Session: "other", Stage: session.StagePage}, 0},
			"a reason":    {LetterFilter{Reason: session.ReasonUnavailable}, 1},
			"since":       {LetterFilter{Since: later}, 3},
			"after an id": {LetterFilter{After: 2*lettersAtOnce + 1}, 2},
		} {
			if got := mustList(t, b, c.filter); len(got) != c.want {
				t.Errorf("%s: %d letters, want %d", name, len(got), c.want)
			}
		}
		var seen []uint64
		for f, more := (LetterFilter{}), true; more; {
			var letters []Letter
			var err error
			if letters, more, err = b.Letters(t.Context(), f, 7); err != nil || len(letters) == 0 {
				t.Fatal(letters, err)
			}
			for _, l := range letters {
				seen = append(seen, l.ID)
			}
			f.After = seen[len(seen)-1]
		}
		for i, id := range seen {
			if id != uint64(i+1) {
				t.Fatalf("walked %v", seen)
			}
		}
		if len(seen) != 2*lettersAtOnce+3 {
			t.Errorf("walked %d letters", len(seen))
		}
		closeBus(t, b)
	})
}

func TestAnActionIsStoredOnceAndADropIsRemembered(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	d, other := story(1), story(2)
	a := session.Action{Kind: session.ActionDropped, By: "ada", Why: "the sender was called", LetterID: 7, Letter: &d}
	for range 2 {
		if _, err := b.Act(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	if n := count(t, b, StreamAudit); n != 1 {
		t.Errorf("%d actions are stored", n)
	}
	for letter, want := range map[*session.DeadLetter]bool{&d: true, &other: false} {
		if got, err := b.Dropped(t.Context(), *letter); got != want || err != nil {
			t.Errorf("page %d dropped: %t, %v", letter.Page, got, err)
		}
	}
}

// setLimit lets a stream hold at most n messages; -1: any number.
func setLimit(t testing.TB, b *Bus, stream string, n int64) {
	t.Helper()
	s, err := b.js.Stream(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	cfg := s.CachedInfo().Config
	cfg.MaxMsgs = n
	if _, err := b.js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
}

// What cannot be buried is neither terminated nor lost: it comes again until FAX_DLQ takes it.
func TestADeadLetterThatCannotBeStoredIsAnOutage(t *testing.T) {
	t.Parallel()
	buried := make(chan session.DeadLetter, 16)
	b, err := Open(t.Context(), Config{
		Embedded: EmbeddedConfig{Dir: t.TempDir()}, Log: logTo(t), Buried: func(d session.DeadLetter) { buried <- d },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer closeBus(t, b)
	mustBury(t, b, story(1))
	receive(t, buried)
	setLimit(t, b, StreamDLQ, 1)
	seen := make(chan Delivery, 1000)
	consume(t, b, pageConsumer, func(_ context.Context, d Delivery) error {
		seen <- d
		return Dead{session.ReasonBadRequest, errors.New("never")}
	})
	mustRecord(t, b, page("s", 1))
	for range 3 {
		receive(t, seen)
	}
	if pending, _ := outstanding(t, b, pageConsumer); pending != 1 || len(buried) != 0 {
		t.Errorf("%d messages are open and %d buried, want one that could not be buried", pending, len(buried))
	}
	if err := b.Ready(t.Context()); err == nil {
		t.Error("ready though dead letters cannot be stored")
	}
	setLimit(t, b, StreamDLQ, -1)
	if d := receive(t, buried); d.Original != "fax.v1.in.page.s.1" {
		t.Errorf("with space again %+v was buried", d)
	}
	if letters := mustList(t, b, LetterFilter{Session: "s"}); len(letters) != 1 {
		t.Errorf("the letters are %+v", letters)
	}
	if err := b.Ready(t.Context()); err != nil {
		t.Error(err)
	}
}

// alter changes a durable by hand, as an operator might.
func alter(t testing.TB, b *Bus, c Consumer, change func(*jetstream.ConsumerConfig)) {
	t.Helper()
	cons, err := b.js.Consumer(t.Context(), c.Stream, c.Durable)
	if err != nil {
		t.Fatal(err)
	}
	cfg := cons.CachedInfo().Config
	change(&cfg)
	if _, err := b.js.UpdateConsumer(t.Context(), c.Stream, cfg); err != nil {
		t.Fatal(err)
	}
}

func TestAMessageThatTheServerGivesUpIsBuried(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := open(t, dir)
		if err := b.BuryAbandoned(t.Context()); err != nil {
			t.Fatal(err)
		}
		consume(t, b, pageConsumer, func(context.Context, Delivery) error { return errors.New("an outage") })
		alter(t, b, pageConsumer, func(c *jetstream.ConsumerConfig) { c.MaxDeliver = 2 })
		mustRecord(t, b, page("s", 1))
		time.Sleep(time.Hour)
		letters := mustList(t, b, LetterFilter{})
		if len(letters) != 1 || letters[0].Stage != "page" || letters[0].Session != "s" || letters[0].Original != "fax.v1.in.page.s.1" ||
			len(letters[0].Body) == 0 {
			t.Errorf("the letters are %+v", letters)
		}
		closeBus(t, b)
	})
}

// terminate takes the next message of a consumer and terminates it, as faxstream itself does not.
func terminate(t testing.TB, b *Bus, stream string, cfg jetstream.ConsumerConfig, reason string) {
	t.Helper()
	cons, err := b.js.CreateOrUpdateConsumer(t.Context(), stream, cfg)
	if err != nil {
		t.Fatal(err)
	}
	m, err := cons.Next()
	if err == nil {
		err = m.TermWithReason(reason)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestATerminationIsBuriedUnlessALetterStandsForIt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := open(t, dir)
		mustRecord(t, b, page("s", 1))
		theirs := jetstream.ConsumerConfig{Durable: "ocr", AckPolicy: jetstream.AckExplicitPolicy}
		terminate(t, b, StreamIn, theirs, "a subscriber's own business")
		ourOwn := theirs
		ourOwn.Durable, ourOwn.Metadata = "page", map[string]string{ours: "page"}
		terminate(t, b, StreamIn, ourOwn, "another version said so")
		mustRecord(t, b, page("s", 2))
		consume(t, b, pageConsumer, func(context.Context, Delivery) error {
			return Dead{session.ReasonBadRequest, errors.New("never")}
		})
		time.Sleep(time.Minute)
		dead := mustList(t, b, LetterFilter{})
		if len(dead) != 1 || dead[0].Original != "fax.v1.in.page.s.2" {
			t.Fatalf("the letters are %+v", dead)
		}
		if err := b.RemoveLetter(t.Context(), dead[0].ID); err != nil { // somebody acts on it before the advisories are read
			t.Fatal(err)
		}
		if err := b.BuryAbandoned(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		letters := mustList(t, b, LetterFilter{})
		if len(letters) != 1 || letters[0].Original != "fax.v1.in.page.s.1" || letters[0].Stage != "page" {
			t.Errorf("the letters are %+v, want the one of the termination that nobody buried", letters)
		}
		if n := count(t, b, StreamAdvisories); n != 3 {
			t.Errorf("%d advisories were captured, want those of all three terminations", n)
		}
		closeBus(t, b)
	})
}

// What is deleted with a purged fax before it was handled needs no person; what somebody else deletes does.
func TestMessagesOfAForgottenFaxAreNoLetters(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := open(t, dir)
		if err := b.BuryAbandoned(t.Context()); err != nil {
			t.Fatal(err)
		}
		consume(t, b, pageConsumer, func(context.Context, Delivery) error { return errors.New("an outage") })
		mustRecord(t, b, page("purged", 1))
		time.Sleep(time.Minute)
		if err := b.Forget(t.Context(), "purged"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if letters := mustList(t, b, LetterFilter{}); len(letters) != 0 {
			t.Errorf("the letters are %+v, want none", letters)
		}
		sequence := mustRecord(t, b, page("deleted", 1))
		time.Sleep(time.Minute)
		stream, err := b.js.Stream(t.Context(), StreamIn)
		if err == nil {
			err = stream.DeleteMsg(t.Context(), sequence)
		}
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if letters := mustList(t, b, LetterFilter{}); len(letters) != 1 || !strings.Contains(letters[0].Detail, "does not have it any more") {
			t.Errorf("the letters are %+v, want one of what somebody deleted", letters)
		}
		closeBus(t, b)
	})
}
