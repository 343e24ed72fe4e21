package session

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

// partial is a fax of three pages whose document was made without page 2, which neither way gave, and without page 3, which was lost.
func partial() State {
	closed := Closed{Session: "s", Direction: Incoming, Status: "success", Pages: 3}
	s := State{
		Session: "s", Direction: Incoming, Opened: testStart, LastSeen: testStart, Close: &closed,
		Announced: Span(1, 3), Usable: Span(1, 1), Final: Span(2, 3), Lost: Span(3, 3), WholeN: 1, WholeTried: Span(2, 3),
	}
	s.order(streaming(), s.missing())
	s.Effects = nil
	s.Document = &DocAssembled{Session: "s", Revision: 1, Status: StatusPartial}
	return s
}

func TestAgain(t *testing.T) {
	repairs := &Repairs{Report: Object{Key: "k", SHA256: "aa"}, Pages: Span(1, 1)}
	for name, c := range map[string]struct {
		ask   Again
		whole Ranges // asked of the whole file
		ready Ranges // pages of the revision that is ordered
	}{
		"nothing":                    {Again{}, nil, nil},
		"a missing page":             {Again{Pages: Span(2, 2)}, Span(2, 2), nil},
		"a lost page":                {Again{Pages: Span(3, 3)}, nil, Ranges{{1, 1}, {3, 3}}},
		"a page that is there":       {Again{Pages: Span(1, 1)}, nil, nil},
		"everything that is missing": {Again{Whole: true}, Span(2, 2), nil},
		"the document":               {Again{Assemble: true}, nil, Ranges{{1, 1}, {3, 3}}},
		"another image":              {Again{Repairs: repairs}, nil, Span(1, 1)},
	} {
		c.ask.Session, c.ask.Asked = "s", "a1"
		next, err := Next(streaming(), partial(), Event{At: testStart.Add(time.Hour), Fact: c.ask})
		if err != nil {
			t.Fatal(err)
		}
		var whole, ready Ranges
		for _, e := range next.Effects {
			if e.Whole != nil {
				whole = e.Whole.Wanted
			}
			if e.Ready != nil {
				ready = e.Ready.Pages
				if e.Ready.Revision != 2 || c.ask.Repairs != nil && !reflect.DeepEqual(e.Ready.Repairs, []Repairs{*repairs}) {
					t.Errorf("%s: the order is %+v", name, e.Ready)
				}
			}
		}
		if !reflect.DeepEqual(whole, c.whole) || !reflect.DeepEqual(ready, c.ready) {
			t.Errorf("%s: asks the whole file for %v and orders %v, want %v and %v", name, whole, ready, c.whole, c.ready)
		}
		roundTrip(t, next)
	}
}

func TestAStoryIsBounded(t *testing.T) {
	var story []Attempt
	for i := range 3 * MaxAttempts {
		before := story
		story = Tried(story, Attempt{Number: i + 1, Detail: strings.Repeat("é", 1000)})
		if len(before) > 0 && len(before) < MaxAttempts && before[0].Number != 1 {
			t.Fatal("the story before was changed")
		}
	}
	if len(story) != MaxAttempts || story[0].Number != 2*MaxAttempts+1 || story[MaxAttempts-1].Number != 3*MaxAttempts ||
		len(story[0].Detail) > maxAttemptDetail+3 {
		t.Errorf("%d attempts from %d, a detail of %d bytes", len(story), story[0].Number, len(story[0].Detail))
	}
}

func TestSessionOf(t *testing.T) {
	for subject, want := range map[string]string{
		PageAnnounced{Session: "s", Page: 1}.Subject():              "s",
		PageFailed{Session: "s", ToToken: "1", Page: 1}.Subject():   "s",
		DocReady{Session: "s", ToToken: "1", Revision: 1}.Subject(): "s",
		Timer{Kind: TimerRetry, Session: "s", Page: 1}.DueSubject(): "s",
		"fax.v1.in.page":  "",
		"$JS.EVENT.a.b.c": "",
		"":                "",
	} {
		if got := SessionOf(subject); got != want {
			t.Errorf("%q is of session %q, want %q", subject, got, want)
		}
	}
}
