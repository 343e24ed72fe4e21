package watch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/vt"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/cmd/faxstream/client"
	"github.com/faxstream/faxstream/pipeline/session"
)

// noon is when a test begins; faxes are opened before it.
var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// ask is what a model asks a server for: the list of a filter, or a fax.
type ask struct {
	what   string
	whole  bool
	losses int
	seen   string
}

// rig is a model with a person and a server that the test plays.
type rig struct {
	t *testing.T
	model
	asks []ask
	quit bool
}

func newRig(t *testing.T, width, height int, faxes ...api.Fax) *rig {
	t.Helper()
	r := &rig{t: t}
	r.model = newModel(t.Context(), Config{Name: "http://fax:8081", Width: width, Height: height}, listed("", true, faxes...))
	r.list = func(filter, seen string, whole bool, losses int) tea.Cmd {
		r.asks = append(r.asks, ask{"list " + filter, whole, losses, seen})
		return nil
	}
	r.fax = func(session string, losses int) tea.Cmd {
		r.asks = append(r.asks, ask{"fax " + session, false, losses, ""})
		return nil
	}
	r.now, r.known, r.stale = noon, noon, noon.Add(wholeEvery)
	r.tell(openMsg{})
	r.answer(faxes...)
	return r
}

func listed(filter string, whole bool, faxes ...api.Fax) listMsg {
	return listMsg{list: api.FaxList{Faxes: faxes}, filter: filter, whole: whole}
}

// tell gives messages to the model.
func (r *rig) tell(msgs ...tea.Msg) {
	r.t.Helper()
	for _, msg := range msgs {
		m, cmd := r.Update(msg)
		r.model = m.(model)
		if _, ok := msg.(tickMsg); cmd != nil && !ok {
			_, r.quit = cmd().(tea.QuitMsg)
		}
	}
}

// tick lets seconds pass.
func (r *rig) tick(seconds int) {
	r.t.Helper()
	for range seconds {
		r.tell(tickMsg(r.now.Add(time.Second)))
	}
}

// press presses keys, named as bubbletea names them.
func (r *rig) press(keys ...string) {
	r.t.Helper()
	codes := map[string]tea.KeyPressMsg{
		"enter": {Code: tea.KeyEnter}, "esc": {Code: tea.KeyEscape}, "up": {Code: tea.KeyUp}, "down": {Code: tea.KeyDown},
		"pgup": {Code: tea.KeyPgUp}, "pgdown": {Code: tea.KeyPgDown}, "home": {Code: tea.KeyHome}, "end": {Code: tea.KeyEnd},
		"backspace": {Code: tea.KeyBackspace}, "ctrl+c": {Code: 'c', Mod: tea.ModCtrl}, "ctrl+u": {Code: 'u', Mod: tea.ModCtrl},
	}
	for _, key := range keys {
		if k, ok := codes[key]; ok {
			r.tell(k)
			continue
		}
		for _, c := range key {
			r.tell(tea.KeyPressMsg{Code: c, Text: string(c)})
		}
	}
}

// answer answers the last question for a list.
func (r *rig) answer(faxes ...api.Fax) {
	r.t.Helper()
	l := r.question("list")
	filter := strings.TrimPrefix(l.what, "list ")
	m := listMsg{list: api.FaxList{Faxes: faxes}, filter: filter, whole: l.whole, losses: l.losses}
	if m.text = strings.Contains(filter, "text="); m.text {
		m.list.Seen = fmt.Sprintf("%s, %d faxes", filter, len(faxes))
	}
	r.tell(m)
}

// fail answers the last question for a list with an error.
func (r *rig) fail(err error) {
	r.t.Helper()
	l := r.question("list")
	filter := strings.TrimPrefix(l.what, "list ")
	r.tell(listMsg{filter: filter, whole: l.whole, losses: l.losses, err: err, refused: errors.Is(err, client.ErrRequest)})
}

// answerFax answers the last question for a fax.
func (r *rig) answerFax(d api.FaxDetail, err error) {
	r.t.Helper()
	f := r.question("fax")
	r.tell(faxMsg{session: strings.TrimPrefix(f.what, "fax "), fax: d, losses: f.losses, err: err})
}

// question is the last one about a thing, which is answered now.
func (r *rig) question(about string) ask {
	r.t.Helper()
	for i, a := range slices.Backward(r.asks) {
		if strings.HasPrefix(a.what, about) {
			r.asks = slices.Delete(r.asks, i, i+1)
			return a
		}
	}
	r.t.Fatalf("nobody has asked for a %s: %v", about, r.asks)
	return ask{}
}

// screen is what stands on a terminal that shows the model.
func (r *rig) screen() string {
	r.t.Helper()
	return drawn(r.t, r.model)
}

// drawn is what stands on a terminal that shows a model, without spaces at the ends of lines.
func drawn(t *testing.T, m model) string {
	t.Helper()
	screen := vt.NewEmulator(m.width, m.height)
	if _, err := io.WriteString(screen, strings.ReplaceAll(m.View().Content, "\n", "\r\n")); err != nil {
		t.Fatal(err)
	}
	if n := screen.ScrollbackLen(); n > 0 {
		t.Errorf("%d lines are above the screen", n)
	}
	var lines []string
	for l := range strings.SplitSeq(screen.String(), "\n") {
		lines = append(lines, strings.TrimRight(l, " "))
	}
	return strings.Join(lines, "\n")
}

// has reports whether a text is on the screen.
func (r *rig) has(want ...string) {
	r.t.Helper()
	for _, w := range want {
		if s := r.screen(); !strings.Contains(s, w) {
			r.t.Errorf("%q is not on the screen:\n%s", w, s)
		}
	}
}

func (r *rig) hasNot(no string) {
	r.t.Helper()
	if s := r.screen(); strings.Contains(s, no) {
		r.t.Errorf("%q is on the screen:\n%s", no, s)
	}
}

// receiving is a fax of which one page of two is here, opened some minutes before noon.
func receiving(id string, minutes int) api.Fax {
	return api.Fax{
		Session: id, From: "+13343040001", To: "+13343040002", Status: session.StatusReceiving, Expected: 2, Archived: 1,
		Opened: noon.Add(-time.Duration(minutes) * time.Minute),
	}
}

// several are n faxes, the newest first.
func several(n int) (faxes []api.Fax) {
	for i := range n {
		faxes = append(faxes, receiving(fmt.Sprintf("fax-%02d", i), i+1))
	}
	return faxes
}

func three() []api.Fax {
	lost, done := receiving("lost", 70), receiving("done", 3000)
	lost.Status, lost.Reason, lost.FromName = session.StatusPartial, "whole_file_refused", "Dr. Ada Lovelace"
	lost.Labels = []string{"urgent", "lab"}
	done.Status, done.Archived, done.Assignee, done.Done, done.Read, done.Noted = session.StatusRecovered, 2, "alice", true, true, true
	return []api.Fax{receiving("new", 2), lost, done}
}

// The list fits every width: a narrow terminal leaves out the columns that matter least, and cuts what is left with an ellipsis.
func TestTheListFitsTheTerminal(t *testing.T) {
	for _, row := range []struct {
		width, height int
		want          string
	}{
		{130, 14, `http://fax:8081: live, 3 faxes
  Opened (UTC)     Age From                          To           Pages  Status                                  Work
> 2026-11-24 11:58 2m  +13343040001                  +13343040002 1 of 2 receiving: 1 of 2 pages
  2026-11-24 10:50 1h  +13343040001 Dr. Ada Lovelace +13343040002 1 of 2 partial: 1 page missing; open the fax … [urgent] [lab]
  2026-11-22 10:00 2d  +13343040001                  +13343040002 2 of 2 complete: pages came from the whole fi… alice done (note)




Events (UTC)
12:00:01 page.archived page 1 new


q quit  enter open  / filter  r read again  up/down move`},
		{80, 8, `http://fax:8081: live, 3 faxes
  Age From             To           Pages  Status                   Work
> 2m  +13343040001     +13343040002 1 of 2 receiving: 1 of 2 pages
  1h  +13343040001 Dr… +13343040002 1 of 2 partial: 1 page missing… [urgent] [l…
  2d  +13343040001     +13343040002 2 of 2 complete: pages came fr… alice done …


q quit  enter open  / filter  r read again  up/down move`},
		{40, 12, `http://fax:8081: live, 3 faxes
  Age From         Pages  Status
> 2m  +13343040001 1 of 2 receiving: 1 …
  1h  +1334304000… 1 of 2 partial: 1 pa…
  2d  +13343040001 2 of 2 complete: pag…


Events (UTC)
12:00:01 page.archived page 1 new


q quit  enter open  / filter  r read ag…`},
		{12, 3, "http://fax:…\n  Age From\nq quit  ent…"},
	} {
		r := newRig(t, row.width, row.height, three()...)
		r.tell(eventMsg{at: noon.Add(time.Second), kind: "fax.v1.page.archived", session: "new", rest: []string{"page 1"}})
		if got := r.screen(); got != row.want {
			t.Errorf("%d × %d:\n%s\nwant\n%s", row.width, row.height, got, row.want)
		}
	}
}

// The screen follows the window, down to nothing.
func TestTheWindowChangesItsSize(t *testing.T) {
	r := newRig(t, 130, 40, several(30)...)
	r.press("end")
	for _, size := range [][2]int{{40, 12}, {20, 5}, {1, 1}, {0, 0}, {3, 30}, {200, 60}} {
		r.tell(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
		if size[0] > 0 {
			r.screen()
		}
	}
	r.has("fax", "receiving: 1 of 2 pages", "Opened (UTC)")
}

// When the connection is lost the screen says so and since when. No fax is called receiving until the list was read again, and an answer
// to a question from before the loss does not count.
func TestALostConnection(t *testing.T) {
	r := newRig(t, 100, 24, three()...)
	r.tick(1)
	r.tell(eventMsg{at: r.now, kind: "fax.v1.page.archived"}) // a list is asked for
	before := r.question("list")
	r.tell(closedMsg{errors.New("unexpected EOF")})
	r.has("connection lost, 3 faxes", "This is what was known at 12:00:00 UTC. unexpected EOF", "not known, was", "partial")
	r.tell(listMsg{list: api.FaxList{Faxes: three()}, losses: before.losses})
	r.has("not known, was")

	down := &url.Error{Op: "Get", URL: "http://fax:8081", Err: errors.New("connection refused")}
	var waits []int
	for range 7 {
		wait := 0
		for ; len(r.asks) == 0; wait++ {
			r.tick(1)
		}
		waits = append(waits, wait)
		r.fail(down)
		r.has("not known, was", "next try in", "connection refused")
	}
	if want := []int{1, 1, 2, 4, 8, 16, 30}; !slices.Equal(waits, want) {
		t.Errorf("seconds between tries: %v, want %v", waits, want)
	}
	r.tell(closedMsg{down}) // the stream is tried by itself
	r.tick(1)
	r.tell(openMsg{})
	if len(r.asks) != 1 || !r.asks[0].whole {
		t.Fatalf("after the connection is back it asks for %v, want the whole list", r.asks)
	}
	r.has("not known, was")
	done := three()
	done[0].Status, done[0].Archived = session.StatusComplete, 2
	r.answer(done...)
	r.has(": live, 3 faxes", "events that come now are missing here", "complete")
	r.hasNot("receiving")
}

// A list that comes while events do not is the current state, and the screen says that it is read seldom.
func TestOnlyTheEventsAreMissing(t *testing.T) {
	r := newRig(t, 100, 24, three()...)
	r.tick(1)
	r.tell(closedMsg{errors.New("too many streams are open")})
	r.answer(three()...)
	r.has(": live, 3 faxes", "No events come, so the list is only read every 2 s. too many streams", "receiving: 1 of 2")
	r.hasNot("was receiving")
}

// Many events are one read a second, and without events the list is read every two seconds, from the server's memory.
func TestReadsAreFew(t *testing.T) {
	r := newRig(t, 100, 24, three()...)
	reads := 0
	for range 3 {
		r.tick(1)
		for range 50 {
			r.tell(eventMsg{kind: "fax.v1.page.archived"})
			if len(r.asks) > 0 {
				reads++
				r.answer(three()...)
			}
		}
	}
	if reads != 3 {
		t.Errorf("%d lists were read in three seconds, want 3", reads)
	}
	r.tick(1)
	r.answer(three()...)
	reads = 0
	for range 10 {
		if r.tick(1); len(r.asks) > 0 {
			if r.asks[0].whole {
				t.Error("the archive is read without a reason")
			}
			r.answer(three()...)
			reads++
		}
	}
	if reads != 5 {
		t.Errorf("%d lists were read in ten seconds, want 5", reads)
	}
}

// A list by text is read every ten seconds, however many events come, and each time the server hears what it has recorded. A person who
// asks gets it at once.
func TestAListByTextIsReadSeldom(t *testing.T) {
	r := newRig(t, 100, 24, three()...)
	r.press("/", "text=order", "enter")
	r.answer(three()...)
	var reads []int
	for second := range 30 {
		r.tick(1)
		r.tell(eventMsg{kind: "fax.v1.page.archived"})
		if len(r.asks) > 0 {
			reads = append(reads, second+1)
			if r.asks[0].seen != "text=order, 3 faxes" {
				t.Errorf("it asks for %+v", r.asks[0])
			}
			r.answer(three()...)
		}
	}
	if want := []int{10, 20, 30}; !slices.Equal(reads, want) {
		t.Errorf("read in seconds %v, want %v", reads, want)
	}
	if r.press("r"); len(r.asks) != 1 {
		t.Errorf("r asks for %v", r.asks)
	}
	r.answer(three()...)
	r.press("/", "ctrl+u", "enter")
	r.answer(three()...)
	r.tick(2)
	if len(r.asks) != 1 {
		t.Errorf("without a text it asks for %v after two seconds", r.asks)
	}
}

// The Seen of an earlier list goes only to a list by text, which says that it is one.
func TestAListIsAskedFor(t *testing.T) {
	s := &lists{}
	c := Config{Server: s, Choose: func(words string) (client.FaxFilter, error) { return client.FaxFilter{Text: words}, nil }}
	if m := c.readList(t.Context(), "order", "all of them", false); !m.text || s.asked.Seen != "all of them" || !s.asked.Ledger {
		t.Errorf("%+v, asked for %+v", m, s.asked)
	}
	if m := c.readList(t.Context(), "", "all of them", true); m.text || s.asked.Seen != "" || s.asked.Ledger {
		t.Errorf("%+v, asked for %+v", m, s.asked)
	}
}

// lists is a server that remembers which list it was asked for last.
type lists struct {
	Server
	asked client.FaxFilter
}

func (l *lists) Faxes(_ context.Context, f client.FaxFilter) iter.Seq2[api.FaxList, error] {
	l.asked = f
	return func(yield func(api.FaxList, error) bool) { yield(api.FaxList{}, nil) }
}

// Faxes that only the archive has stay in the list, and when others leave it the whole list is read again.
func TestFaxesOfTheArchiveStay(t *testing.T) {
	faxes := several(shown)
	for i := range faxes[40:] {
		faxes[40+i].Older, faxes[40+i].Status = true, session.StatusComplete
	}
	r := newRig(t, 100, 70, faxes...)
	r.more = true // the server has more
	r.tick(2)
	r.answer(append([]api.Fax{receiving("newest", 0)}, faxes[:40]...)...)
	r.has("the newest 50 faxes")
	if len(r.faxes) != shown || r.faxes[0].Session != "newest" || r.faxes[shown-1].Session != "fax-48" {
		t.Fatalf("%d faxes, from %s to %s", len(r.faxes), r.faxes[0].Session, r.faxes[shown-1].Session)
	}
	r.tick(2)
	r.answer(faxes[:30]...)
	r.tick(1)
	if len(r.asks) != 1 || !r.asks[0].whole {
		t.Errorf("faxes have left the list, and it asks for %v, want the whole list", r.asks)
	}
}

// wholeAfter lets seconds pass until a whole list is asked for, and says how many. Other lists are answered with faxes.
func (r *rig) wholeAfter(faxes ...api.Fax) (seconds int) {
	r.t.Helper()
	for range 200 {
		r.tick(1)
		seconds++
		if len(r.asks) > 0 {
			if r.asks[0].whole {
				return seconds
			}
			r.answer(faxes...)
		}
	}
	r.t.Fatal("no whole list is asked for in 200 seconds")
	return 0
}

// What people do with a fax that only the archive has is seen in a minute, and an archive that answers again soon.
func TestTheWholeListIsReadAgain(t *testing.T) {
	faxes := three()
	faxes[2].Older, faxes[2].Done, faxes[2].Assignee = true, false, ""
	r := newRig(t, 100, 24, faxes...)
	r.press("r")
	r.answer(faxes...)
	r.hasNot("alice")
	if got := r.wholeAfter(faxes[:2]...); got != 60 {
		t.Errorf("the whole list is read after %d s, want 60", got)
	}
	faxes[2].Done, faxes[2].Assignee = true, "alice"
	r.answer(faxes...)
	r.has("alice done")

	r.press("r")
	r.question("list")
	r.tell(listMsg{list: api.FaxList{Faxes: faxes[:2], Incomplete: "the archive did not answer"}, whole: true})
	r.has("the archive did not answer")
	if got := r.wholeAfter(faxes[:2]...); got != 10 {
		t.Errorf("after a list that is not whole it is read after %d s, want 10", got)
	}
	r.answer(faxes...)
	r.hasNot("the archive did not answer")
}

// While the archive keeps the server waiting, the list is live with what the server has in memory. A server that does not answer is lost.
func TestAnArchiveThatDoesNotAnswer(t *testing.T) {
	faxes := three()
	faxes[2].Older = true
	r := newRig(t, 130, 24, faxes...)
	r.press("r")
	r.answer(faxes...)
	slow := &url.Error{Op: "Get", URL: "http://fax:8081", Err: context.DeadlineExceeded}
	r.wholeAfter(faxes[:2]...)
	r.fail(slow)
	r.has("live, 3 faxes", "The archive did not answer in 10 s", "receiving: 1 of 2")
	r.tick(1)
	if len(r.asks) != 1 || r.asks[0].whole {
		t.Fatalf("it asks for %v, want the list in the server's memory", r.asks)
	}
	r.answer(faxes[:2]...)
	r.has("live, 3 faxes", "The archive did not answer in 10 s")
	r.wholeAfter(faxes[:2]...)
	r.answer(faxes...)
	r.hasNot("did not answer")
	r.tick(2)
	r.fail(slow)
	r.has("connection lost", "not known, was")
}

// Where faxes of the list's end are gone, no fax of the server's memory stands in a place that one of the archive may have.
func TestTheListEndsWhereTheArchiveWasRead(t *testing.T) {
	faxes := several(shown + 2)
	r := newRig(t, 100, 70, faxes[:shown]...)
	r.press("r")
	r.question("list")
	r.tell(listMsg{list: api.FaxList{Faxes: slices.Clone(faxes[:shown]), Next: "cursor"}, whole: true})
	r.tick(2)
	r.answer(faxes[2:]...) // two have left, and two come up that the server has in memory
	if n := len(r.faxes); n != shown-2 || r.faxes[n-1].Session != "fax-49" {
		t.Errorf("%d faxes, the last is %s", n, r.faxes[n-1].Session)
	}
	r.tick(1)
	if len(r.asks) != 1 || !r.asks[0].whole {
		t.Fatalf("it asks for %v, want the whole list", r.asks)
	}
	r.question("list")
	r.tell(listMsg{list: api.FaxList{Faxes: slices.Clone(faxes[:20]), Next: "the archive has more to look through"}, whole: true})
	if got := r.wholeAfter(faxes[:20]...); got != 60 {
		t.Errorf("a short list that is whole is read again after %d s, want 60", got)
	}
}

// The selection is at the newest fax until it is moved; then it stays on its fax, whatever comes above it.
func TestTheSelection(t *testing.T) {
	r := newRig(t, 60, 12, several(30)...)
	marked := func() string {
		for l := range strings.SplitSeq(r.screen(), "\n") {
			if strings.HasPrefix(l, "> ") {
				return r.faxes[r.index].Session
			}
		}
		return "nothing on the screen"
	}
	for _, row := range []struct {
		keys []string
		want string
	}{
		{nil, "fax-00"},
		{[]string{"down", "down"}, "fax-02"},
		{[]string{"up"}, "fax-01"},
		{[]string{"pgdown"}, "fax-05"},
		{[]string{"end"}, "fax-29"},
		{[]string{"down"}, "fax-29"},
		{[]string{"pgup"}, "fax-25"},
		{[]string{"home", "up"}, "fax-00"},
		{[]string{"j", "j", "k"}, "fax-01"},
	} {
		if r.press(row.keys...); marked() != row.want {
			t.Errorf("after %v %s is selected, want %s", row.keys, marked(), row.want)
		}
	}
	more := func(faxes []api.Fax) {
		r.tick(2)
		r.answer(faxes...)
	}
	more(append([]api.Fax{receiving("x", 0)}, several(30)...))
	if marked() != "fax-01" {
		t.Errorf("a new fax has moved the selection to %s", marked())
	}
	more(several(30)[2:])
	if marked() != "fax-04" {
		t.Errorf("the fax has left, and %s is selected, want the one in its place", marked())
	}
	r.press("home")
	more(append([]api.Fax{receiving("x", 0)}, several(30)...))
	if marked() != "x" {
		t.Errorf("%s is selected, want the newest", marked())
	}
	more(nil)
	if r.press("down", "enter"); r.open != "" {
		t.Error("a fax is open that is not there")
	}
	r.has("No fax has arrived yet.")
}

// A fax that is opened shows its pages and their state, is read again after an event of it, and is closed with esc.
func TestAFaxIsOpened(t *testing.T) {
	r := newRig(t, 100, 24, three()...)
	r.press("down", "enter")
	r.has("Fax lost", "Reading the fax.")
	said := session.Work{Assignee: "bob", Labels: []string{"urgent"}, Note: "call back\nabout page 2"}
	d := api.FaxDetail{Fax: three()[1], Work: said, Pages: []api.Page{
		{Page: 1, Status: session.PageStatusArchived, Source: "fetch", Width: 1728, Height: 2200, Bad: 3},
		{Page: 2, Status: session.PageStatusMissing, Reason: session.ReasonRefused},
		{Page: 3, Status: session.PageStatusAnnounced},
	}}
	r.answerFax(d, nil)
	r.has("From +13343040001 Dr. Ada Lovelace to +13343040002: partial: 1 page missing", "Assigned to bob, unread. [urgent]",
		"Note: call back about page 2", "1    archived          fetch  1728 × 2200 3", "2    missing (refused)",
		"refused to send this page", "3    announced")
	r.tell(eventMsg{kind: "fax.v1.page.archived", session: "lost"})
	r.tick(1)
	r.answer(three()...)
	r.answerFax(api.FaxDetail{}, fmt.Errorf("%w: the fax is purged", client.ErrNotFound))
	r.has("the fax is purged")
	r.tell(closedMsg{errors.New("EOF")})
	r.has("was announced")
	r.press("esc")
	r.hasNot("Fax lost")
	r.has("Opened (UTC)")
}

// An open fax is read again when it may have changed: after its events, when its row is another, with the whole list, and until a read has
// worked. What happens to other faxes is no reason.
func TestAnOpenFaxIsReadWhenItHasChanged(t *testing.T) {
	r := newRig(t, 100, 24, three()...)
	r.press("down", "enter")
	r.answerFax(api.FaxDetail{}, nil)
	// pass lets two seconds pass, answers the lists, and gives how often the fax is asked for.
	pass := func(err error, faxes ...api.Fax) (reads int) {
		for range 2 {
			r.tick(1)
			for _, a := range slices.Clone(r.asks) {
				if a.what == "fax lost" {
					reads++
					r.answerFax(api.FaxDetail{}, err)
				} else {
					r.answer(faxes...)
				}
			}
		}
		return reads
	}
	faxes := three()
	changed := three()
	changed[1].Noted = true
	for _, row := range []struct {
		what  string
		do    func()
		err   error
		faxes []api.Fax
		want  int
	}{
		{"nothing", func() {}, nil, faxes, 0},
		{"an event of another fax", func() { r.tell(eventMsg{kind: "fax.v1.page.archived", session: "new"}) }, nil, faxes, 0},
		{"an event of the fax", func() { r.tell(eventMsg{kind: "fax.v1.page.archived", session: "lost"}) }, nil, faxes, 1},
		{"another row", func() {}, nil, changed, 1},
		{"the same row", func() {}, nil, changed, 0},
		{"the fax has left the list", func() {}, nil, faxes[:1], 1},
		{"a person asks, and it cannot be read", func() { r.press("r") }, errors.New("no answer"), faxes[:1], 1},
		{"it is tried again", func() {}, nil, faxes[:1], 1},
		{"it was read", func() {}, nil, faxes[:1], 0},
	} {
		row.do()
		if got := pass(row.err, row.faxes...); got != row.want {
			t.Errorf("%s: the fax is read %d times, want %d", row.what, got, row.want)
		}
	}
	r.wholeAfter(faxes[:1]...)
	if r.question("fax").what != "fax lost" {
		t.Error("another fax is read")
	}
	r.answer(faxes[:1]...)
}

// The pages of a long fax are moved through.
func TestALongFax(t *testing.T) {
	r := newRig(t, 60, 14, three()...)
	r.press("enter")
	var d api.FaxDetail
	for n := range 100 {
		d.Pages = append(d.Pages, api.Page{Page: n + 1, Status: session.PageStatusArchived})
	}
	r.answerFax(d, nil)
	r.has("1    archived")
	r.press("end")
	r.has("100  archived")
	r.press("pgdown", "up")
	r.has("99   archived")
	r.hasNot("100  archived")
	r.press("home", "up")
	r.has("1    archived")
}

// A filter is written behind a slash. What is refused can be corrected, and the list stays; what is accepted is read whole.
func TestAFilterIsSet(t *testing.T) {
	r := newRig(t, 100, 24, three()...)
	r.press("/", "statuss", "backspace", "=x")
	r.has("/status=x", "Words of ls")
	r.press("enter")
	r.fail(fmt.Errorf("%w: status \"x\": want receiving, complete", client.ErrRequest))
	r.has("The filter is refused", "want receiving, complete", "/status=x", "live, 3 faxes")
	r.press("ctrl+u", "done=no")
	r.tell(tea.PasteMsg{Content: " to=+1\n2"})
	r.press("enter")
	if len(r.asks) != 1 || r.asks[0] != (ask{"list done=no to=+1 2", true, 0, ""}) {
		t.Fatalf("it asks for %v", r.asks)
	}
	r.has("Reading what the filter chooses")
	r.answer()
	r.has("live, 0 faxes, filter done=no to=+1 2", "No fax matches the filter.")
	r.tick(2)
	if len(r.asks) != 1 || r.asks[0].what != "list done=no to=+1 2" {
		t.Errorf("it asks for %v", r.asks)
	}
	r.press("/", "x", "esc")
	r.has("filter done=no to=+1 2", "q quit")
}

// Keys end it, but not those of a filter.
func TestItEnds(t *testing.T) {
	for _, row := range []struct {
		keys []string
		want bool
	}{
		{[]string{"q"}, true},
		{[]string{"ctrl+c"}, true},
		{[]string{"/", "q"}, false},
		{[]string{"/", "ctrl+c"}, true},
		{[]string{"enter", "q"}, true},
	} {
		r := newRig(t, 80, 24, three()...)
		if r.press(row.keys...); r.quit != row.want {
			t.Errorf("%v: ends %v, want %v", row.keys, r.quit, row.want)
		}
	}
}

// A person who asks for it gets the whole list at once.
func TestItIsReadAgain(t *testing.T) {
	r := newRig(t, 80, 24, three()...)
	if r.press("r"); len(r.asks) != 1 || !r.asks[0].whole {
		t.Errorf("r asks for %v, want the whole list", r.asks)
	}
}

// Without colours there is bold and reverse text only.
func TestNoColor(t *testing.T) {
	r := newRig(t, 80, 24, three()...)
	r.tell(closedMsg{errors.New("EOF")})
	for _, no := range []bool{false, true} {
		r.noColor = no
		if got := strings.Contains(r.View().Content, "\x1b[31m"); got == no {
			t.Errorf("NO_COLOR %v: there is red: %v", no, got)
		}
		if !strings.Contains(r.View().Content, "\x1b[1;7m") {
			t.Error("the selected fax is not marked")
		}
	}
}
