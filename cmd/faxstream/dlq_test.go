package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
	"github.com/faxstream/faxstream/ingest"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/pipeline/session"
)

// A page that is missing for good and the whole file have their letters with every attempt; they outlive a restart, and a
// retry brings the page, a new revision and an empty list.
func TestAMissingPageHasALetterAndIsRetried(t *testing.T) {
	t.Parallel()
	d := newDesk(t, true)
	f := d.threePages("fax")
	d.sim.Script("fax", 3, func(int) faxplustest.Answer { return faxplustest.Answer{Body: f.Pages[2]} })
	d.send(apptest.Bodies(f, d.WebhookURL()+ingest.Path)...)
	d.awaitFax("fax", hasDocument)
	letters := d.awaitLetters("page 2", "whole")
	await(t, "the metrics say that there are two", func() bool { // they do not wait for a busy JetStream
		return d.metric("faxstream_dead_letters 2") && d.metric(`faxstream_dead_letters_total{reason="not_ready"} 2`)
	})
	if page := string(apptest.Fetch(t, d.AdminURL()+"/")); !strings.Contains(page, "2 dead letters") {
		t.Errorf("the first page does not say so: %s", page)
	}
	d.restart()
	if after := d.awaitLetters("page 2", "whole"); after[0].ID != letters[0].ID || after[1].ID != letters[1].ID {
		t.Errorf("after a restart they are %+v, they were %+v", after, letters)
	}
	if page := string(apptest.Fetch(t, d.AdminURL()+"/")); !strings.Contains(page, "2 dead letters") {
		t.Errorf("after a restart the first page is %s", page)
	}
	await(t, "the metrics say so after a restart", func() bool { return d.metric("faxstream_dead_letters 2") })
	tries := d.sim.Tries("fax", 2)
	for _, l := range letters {
		var shown api.Letter
		if err := json.Unmarshal([]byte(d.do(0, "dlq", "show", strconv.FormatUint(l.ID, 10), "--json")), &shown); err != nil {
			t.Fatal(err)
		}
		if shown.Reason != session.ReasonNotYet || !strings.Contains(shown.Event, `"session":"fax"`) || len(shown.Attempts) < 2 {
			t.Errorf("the letter is %+v, want the event and its attempts", shown)
		}
		if l.Stage == session.StagePage && (len(shown.Attempts) != tries || shown.Subject != "fax.v1.in.page.fax.2") {
			t.Errorf("%d attempts are told of %s, the provider saw %d", len(shown.Attempts), shown.Subject, tries)
		}
		for i, a := range shown.Attempts {
			if a.Number != i+1 || a.Reason != session.ReasonNotYet || a.Detail == "" || a.At.IsZero() {
				t.Errorf("attempt %d is %+v", i+1, a)
			}
		}
		if text := d.do(0, "dlq", "show", strconv.FormatUint(l.ID, 10)); !strings.Contains(text, "attempt 2") {
			t.Errorf("shown as\n%s", text)
		}
	}
	d.sim.Script("fax", 2, apptest.AnswerWith(f.Pages[1]))
	if out := d.do(0, "dlq", "retry", "--session=fax", "--by=ada", "--why=the provider is well again"); strings.Count(out, "retried ") != 2 {
		t.Errorf("retry says %q", out)
	}
	s := d.awaitFax("fax", func(s session.State) bool { return s.Revision() > 1 && s.Document.Missing == 0 })
	if s.Status() != session.StatusComplete {
		t.Errorf("the fax is %s, %s", s.Status(), s.Document.Reason)
	}
	d.quiet(letterDurables)
	d.awaitLetters()
	for _, a := range d.audit(session.ActionRetried) {
		if a.By != "ada" || a.Why != "the provider is well again" || a.Letter == nil || a.Letter.Session != "fax" || len(a.Letter.Attempts) < 2 {
			t.Errorf("FAX_AUDIT has %+v", a)
		}
	}
	if n := len(d.audit(session.ActionRetried)); n != 2 {
		t.Errorf("FAX_AUDIT has %d retries, want one for each letter", n)
	}
	await(t, "the metrics count no live letters", func() bool { return d.metric("faxstream_dead_letters 0") })
}

// A retry that fails again has a letter again, with the new attempts; a drop is for good, whatever happens to the fax later.
func TestAFailedRetryComesBackAndADropDoesNot(t *testing.T) {
	t.Parallel()
	d := newDesk(t, true)
	f := d.threePages("fax")
	d.send(apptest.Bodies(f, d.WebhookURL()+ingest.Path)...)
	first := d.awaitLetters("page 2", "page 3", "whole")
	d.quiet(letterDurables)
	id := strconv.FormatUint(first[0].ID, 10)
	if first[0].Stage != session.StagePage {
		t.Fatalf("the first letter is %+v", first[0])
	}
	tries := d.sim.Tries("fax", first[0].Page)
	d.do(0, "dlq", "retry", id)
	d.do(3, "dlq", "retry", id)
	await(t, "the retried page's new attempts", func() bool { return d.sim.Tries("fax", first[0].Page) >= tries+2 })
	again := d.awaitLetters("page 2", "page 3", "whole")
	var story []session.Attempt
	for _, l := range again {
		if l.Stage == session.StagePage && l.Page == first[0].Page {
			var shown api.Letter
			if err := json.Unmarshal([]byte(d.do(0, "dlq", "show", strconv.FormatUint(l.ID, 10), "--json")), &shown); err != nil {
				t.Fatal(err)
			}
			story = shown.Attempts
		}
	}
	if len(story) != d.sim.Tries("fax", first[0].Page) || len(story) < tries+2 {
		t.Errorf("the new letter tells of %d attempts, the provider saw %d, %d before", len(story), d.sim.Tries("fax", first[0].Page), tries)
	}

	d.quiet(letterDurables)
	d.do(2, "dlq", "drop", "--session=fax")
	d.do(2, "dlq", "drop", "--why=x")
	d.do(2, "dlq", "drop", "--session=fax")
	d.do(2, "dlq", "ls", "--reason=not_ready")
	// As they were written when --reason chose letters: they must not act on others.
	d.do(2, "dlq", "drop", "--session=fax", "--reason=damaged", "--why=x")
	d.do(2, "dlq", "retry", "--session=fax", "--reason=not_ready")
	d.do(2, "dlq", "retry", "--reason=not_ready")
	d.do(2, "dlq", "drop", "--all", "--stage=page", "--why=x")
	d.do(0, "dlq", "drop", "--session=fax", "--stage=page", "--reason=the sender was called", "--by=ada")
	d.quiet(letterDurables)
	d.awaitLetters("whole")
	dropped := d.audit(session.ActionDropped)
	if len(dropped) != 2 || dropped[0].Why != "the sender was called" || dropped[0].By != "ada" || len(dropped[0].Letter.Attempts) == 0 {
		t.Errorf("FAX_AUDIT has %+v", dropped)
	}
	// The provider says of another page: a new document, in which the dropped pages are missing still.
	d.sim.Script("fax", 4, func(int) faxplustest.Answer { return faxplustest.Answer{Body: f.Pages[0]} })
	d.send(faxplustest.PageEvent(f, 4, d.WebhookURL()+ingest.Path))
	d.awaitFax("fax", func(s session.State) bool {
		return s.Document != nil && s.Document.Pages == 4 && s.Usable.Has(4) && s.Document.Missing == 2
	})
	d.quiet(letterDurables)
	d.awaitLetters("whole")
}

// A page that is cut from the whole file is nobody's problem; one that comes late stops being one.
func TestWhatComesAfterAllHasNoLetter(t *testing.T) {
	t.Parallel()
	d := newDesk(t, true)
	cut := d.threePages("cut")
	d.sim.Script("cut", 0, apptest.AnswerWith(apptest.Fixture(t, "three-pages-fine-g4")))
	d.send(apptest.Bodies(cut, d.WebhookURL()+ingest.Path)...)
	d.awaitFax("cut", func(s session.State) bool { return s.Status() == session.StatusRecovered })
	d.quiet(letterDurables)
	if letters := d.letters(); len(letters) != 0 {
		t.Errorf("a recovered fax has the letters %+v", letters)
	}
	late := d.threePages("late")
	all := apptest.Bodies(late, d.WebhookURL()+ingest.Path)
	d.send(all[0], all[3]) // pages 2 and 3 were not announced
	d.awaitFax("late", hasDocument)
	d.awaitLetters("whole")
	for page := 2; page <= 3; page++ {
		d.sim.Script("late", page, apptest.AnswerWith(late.Pages[page-1]))
	}
	d.send(all[1], all[2])
	d.awaitFax("late", func(s session.State) bool { return s.Status() == session.StatusComplete })
	d.awaitLetters()
	resolved := d.audit(session.ActionResolved)
	if len(resolved) != 1 || resolved[0].By != "faxstream" || resolved[0].Letter.Session != "late" {
		t.Errorf("FAX_AUDIT has %+v", resolved)
	}
}

// A refused webhook goes through the same checks again: refused again, or taken in.
func TestARefusedWebhookIsTakenAgain(t *testing.T) {
	t.Parallel()
	d := newDesk(t, false)
	f := apptest.Generated(t, 5, 1)[0]
	d.sim.Add(f)
	if status := apptest.Post(
		t, d.WebhookURL()+ingest.Path, []byte(`{"hook":{"event":"fax_page_received"},"data":{"id":"x","page":0}}`),
	); status != 400 {
		t.Fatalf("answered %d", status)
	}
	// What an older version refused, and this one understands.
	good := faxplustest.PageEvent(f, 1, "http://x")
	err := d.bus.Bury(
		t.Context(), session.DeadLetter{Stage: session.StageIngest, Reason: session.ReasonBadRequest, Body: good, Received: time.Now()},
	)
	if err != nil {
		t.Fatal(err)
	}
	before := d.awaitLetters("ingest", "ingest")
	d.do(0, "dlq", "retry", "--failed-with=bad_request")
	d.awaitFax(f.Session, func(s session.State) bool { return s.Usable.Has(1) })
	d.quiet(letterDurables)
	after := d.awaitLetters("ingest")
	if after[0].ID == before[0].ID || after[0].ID == before[1].ID || !strings.Contains(after[0].Detail, "page") {
		t.Errorf("the body that cannot be taken is %+v", after[0])
	}
}

// A message that no handler could take goes to its handler again.
func TestAMessageThatDiedIsHandledAgain(t *testing.T) {
	t.Parallel()
	d := newDesk(t, false)
	announced, err := json.Marshal(session.PageAnnounced{Session: "fax", Page: 7})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range []session.DeadLetter{
		{Stage: "collect-in", Session: "fax", Reason: session.ReasonBadRequest, Original: "fax.v1.in.page.fax.7", Body: announced},
		{Stage: "collect-in", Session: "fax", Reason: session.ReasonBadRequest, Original: "fax.v1.in.page.fax.8", Body: []byte("no JSON")},
		{Stage: "elsewhere", Session: "fax", Reason: session.ReasonInternal, Original: "other.subject", Body: []byte("x")},
	} {
		if err := d.bus.Bury(t.Context(), l); err != nil {
			t.Fatal(err)
		}
	}
	d.do(0, "dlq", "retry", "--all")
	d.awaitFax("fax", func(s session.State) bool { return s.Announced.Has(7) })
	d.quiet(letterDurables)
	left := d.awaitLetters("collect-in", "elsewhere")
	for _, l := range left {
		if l.ID <= 3 || l.Stage == "elsewhere" && !strings.Contains(l.Detail, "drop it with a reason") {
			t.Errorf("left is %+v", l)
		}
	}
}

// A document that could not be made of what was lost is made again when its objects are back.
func TestALostOriginalThatIsBackIsAssembled(t *testing.T) {
	t.Parallel()
	d := newDesk(t, false)
	f := faxplustest.Fax{Session: "fax", Streamed: true, Pages: apptest.Split(t, apptest.Fixture(t, "three-pages-fine-g4"))}
	d.sim.Add(f)
	all := apptest.Bodies(f, d.WebhookURL()+ingest.Path)
	d.send(all[:3]...)
	d.awaitFax("fax", func(s session.State) bool { return s.Usable.Len() == 3 })
	originals, err := filepath.Glob(filepath.Join(d.cfg.Dir, "archive", "faxes", "fax", "pages", "0002.*.tiff"))
	if err != nil || len(originals) != 1 {
		t.Fatal(originals, err)
	}
	away := filepath.Join(t.TempDir(), "away")
	if err := os.Rename(originals[0], away); err != nil {
		t.Fatal(err)
	}
	d.send(all[3])
	s := d.awaitFax("fax", hasDocument)
	if s.Status() != session.StatusPartial {
		t.Errorf("without its original the fax is %s", s.Status())
	}
	d.awaitLetters("assemble", "page 2")
	if err := os.Rename(away, originals[0]); err != nil {
		t.Fatal(err)
	}
	d.do(0, "dlq", "retry", "--stage=assemble")
	s = d.awaitFax("fax", func(next session.State) bool { return next.Revision() > s.Revision() })
	if s.Status() != session.StatusComplete || s.Document.Missing != 0 {
		t.Errorf("the fax is %s with %d pages missing", s.Status(), s.Document.Missing)
	}
	d.awaitLetters()
}

// Only programs on this machine and pages of this origin may change anything, and only with a name and a reason.
func TestOrdersAreGuarded(t *testing.T) {
	t.Parallel()
	d := newDesk(t, false)
	if err := d.bus.Bury(
		t.Context(), session.DeadLetter{Stage: session.StageIngest, Reason: session.ReasonBadRequest, Body: []byte("x")},
	); err != nil {
		t.Fatal(err)
	}
	const valid = `{"by":"ada","why":"w","stage":"decode"}`
	type headers = map[string]string
	for name, c := range map[string]struct {
		method, path, body string
		header             headers
		want               int
	}{
		"another origin":      {"POST", "/dlq/1/drop", valid, headers{"Origin": "http://evil.example"}, 403},
		"another site":        {"POST", "/dlq/1/retry", valid, headers{"Sec-Fetch-Site": "cross-site"}, 403},
		"a sibling's replay":  {"POST", "/faxes/fax/replay", valid, headers{"Sec-Fetch-Site": "same-site"}, 403},
		"a form":              {"POST", "/dlq/1/drop", valid, headers{"Content-Type": "text/plain"}, 400},
		"nobody":              {"POST", "/dlq/1/drop", `{"why":"w"}`, nil, 400},
		"no reason":           {"POST", "/dlq/1/drop", `{"by":"ada","why":" "}`, nil, 400},
		"no JSON":             {"POST", "/dlq/1/drop", `by=ada`, nil, 400},
		"a read":              {"GET", "/dlq/1/drop", "", nil, 404},
		"no such letter":      {"POST", "/dlq/99/drop", valid, nil, 404},
		"no letter":           {"GET", "/dlq/99", "", nil, 404},
		"no number":           {"GET", "/dlq/x", "", nil, 400},
		"a wild filter":       {"GET", "/dlq?session=*", "", nil, 400},
		"no time":             {"GET", "/dlq?since=yesterday", "", nil, 400},
		"no such fax":         {"POST", "/faxes/fax/replay", valid, nil, 404},
		"an unknown replay":   {"POST", "/faxes/fax/replay", `{"by":"ada","stage":"burn"}`, nil, 400},
		"a list with a limit": {"GET", "/dlq?limit=1", "", nil, 200},
	} {
		req, err := http.NewRequestWithContext(t.Context(), c.method, d.AdminURL()+"/api/v1"+c.path, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		for k, v := range c.header {
			req.Header.Set(k, v)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != c.want {
			t.Errorf("%s: %d %s, want %d", name, resp.StatusCode, text, c.want)
		}
	}
	d.awaitLetters("ingest")
	if n := len(d.audit(session.ActionDropped)) + len(d.audit(session.ActionRetried)); n != 0 {
		t.Errorf("%d actions were stored", n)
	}
}

// A crash after an action was stored, before anything was done: the next process does it.
func TestAnActionIsDoneAfterACrash(t *testing.T) {
	t.Parallel()
	d := newDesk(t, false)
	f := apptest.Generated(t, 5, 1)[0]
	d.sim.Add(f)
	letter := session.DeadLetter{
		Stage: session.StageIngest, Reason: session.ReasonBadRequest, Body: faxplustest.PageEvent(f, 1, "http://x"), Received: time.Now(),
	}
	if err := d.bus.Bury(t.Context(), letter); err != nil {
		t.Fatal(err)
	}
	id := d.awaitLetters("ingest")[0].ID
	if _, err := d.bus.Act(
		context.WithoutCancel(t.Context()), session.Action{Kind: session.ActionRetried, By: "ada", LetterID: id, Letter: &letter},
	); err != nil {
		t.Fatal(err)
	}
	d.restart()
	d.awaitFax(f.Session, func(s session.State) bool { return s.Usable.Has(1) })
	d.awaitLetters()
}
