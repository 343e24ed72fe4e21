package dashboard

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/faxstream/faxstream/cmd/faxstream/access"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/session"
)

// box has dead letters, and what was ordered about them.
type box struct {
	stores
	letters []bus.Letter
	ordered []session.Action
	most    int // orders that are taken before JetStream is away; 0: all
}

// newBox has a letter of fax abc, and n of no fax.
func newBox(n int) *box {
	b := &box{stores: twoFaxes()}
	b.letters = append(b.letters, bus.Letter{ID: 1, DeadLetter: session.DeadLetter{Stage: "page", Session: "abc", Page: 2, Reason: "empty"}})
	for i := range n {
		b.letters = append(b.letters, bus.Letter{
			ID: uint64(i + 2), DeadLetter: session.DeadLetter{Stage: "ingest", Reason: "bad_request", Detail: "<i>odd</i>"},
		})
	}
	return b
}

func (b *box) config(c *Config) {
	c.Letters = b
	for _, st := range b.states {
		c.Board.put(st)
	}
}

func (b *box) Letters(_ context.Context, f bus.LetterFilter, limit int) (found []bus.Letter, more bool, err error) {
	for _, l := range b.letters {
		if l.ID > f.After && cmp.Or(f.Stage, l.Stage) == l.Stage && cmp.Or(f.Session, l.Session) == l.Session &&
			cmp.Or(f.Reason, l.Reason) == l.Reason {
			if len(found) == limit {
				return found, true, nil
			}
			found = append(found, l)
		}
	}
	return found, false, nil
}

func (b *box) Letter(_ context.Context, id uint64) (bus.Letter, error) {
	if i := slices.IndexFunc(b.letters, func(l bus.Letter) bool { return l.ID == id }); i >= 0 {
		return b.letters[i], nil
	}
	return bus.Letter{}, bus.ErrNoLetter
}

func (b *box) Act(_ context.Context, a session.Action) (uint64, error) {
	if b.most > 0 && len(b.ordered) == b.most {
		return 0, errors.New("JetStream is away")
	}
	b.ordered = append(b.ordered, a)
	return uint64(len(b.ordered)), nil
}

func (b *box) RemoveLetter(_ context.Context, id uint64) error {
	b.letters = slices.DeleteFunc(b.letters, func(l bus.Letter) bool { return l.ID == id })
	return nil
}

// send posts a form.
func (d *listener) send(who, path string, fields url.Values, change ...func(*http.Request)) (int, string) {
	form := func(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") }
	return d.Ask(who, "POST", path, fields.Encode(), append([]func(*http.Request){form}, change...)...)
}

// A dead letter is tried again or dropped from the page of its fax and from the list, by people who may.
func TestDeadLettersOnTheScreen(t *testing.T) {
	b := newBox(2)
	d := newListener(t, b.config)
	if _, page := d.Ask("reader", "GET", "/fax/abc", ""); !strings.Contains(page, `id="letter-1"`) || strings.Contains(page, "Try again") {
		t.Errorf("the page of the fax for a reader: %s", page)
	}
	if _, page := d.Ask("reader", "GET", "/letters?stage=ingest", ""); !strings.Contains(page, "&lt;i&gt;odd&lt;/i&gt;") ||
		strings.Contains(page, `id="letter-1"`) {
		t.Errorf("the list of letters: %s", page)
	}
	foreign := func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }
	for _, c := range []struct {
		who, path string
		fields    url.Values
		status    int
		change    []func(*http.Request)
	}{
		{"", "/letters/1/retry", nil, 401, nil},
		{"reader", "/letters/1/retry", nil, 403, nil},
		{"operator", "/letters/1/retry", nil, 403, []func(*http.Request){foreign}},
		{"operator", "/letters/1/drop", nil, 400, nil}, // without a reason
		{"operator", "/letters/99/retry", nil, 404, nil},
		{"operator", "/letters/1/retry", url.Values{"from": {"fax"}}, 303, nil},
		{"operator", "/letters/1/retry", nil, 404, nil}, // somebody was faster
		{"operator", "/letters/2/drop", url.Values{"why": {"a test"}}, 303, nil},
	} {
		if status, body := d.send(c.who, c.path, c.fields, c.change...); status != c.status {
			t.Errorf("%s as %q: %d %s, want %d", c.path, c.who, status, body, c.status)
		}
	}
	if len(b.ordered) != 2 || b.ordered[0].Kind != session.ActionRetried || b.ordered[1].Kind != session.ActionDropped ||
		b.ordered[1].Why != "a test" || b.ordered[1].By != "operator" {
		t.Errorf("ordered %+v", b.ordered)
	}
}

// The page after a form says what was ordered. A page that is missing can be asked for again when nothing is left of its dead letter.
func TestThePageAfterAFormSaysWhatWasOrdered(t *testing.T) {
	b := newBox(1)
	b.letters = append(b.letters, bus.Letter{ID: 9, DeadLetter: session.DeadLetter{Stage: session.StageChoice, Session: "abc", Page: 1}})
	d := newListener(t, b.config)
	d.admit(t, "chief", []access.Scope{access.ScopeRead, access.ScopeOperate})
	_, page := d.Ask("chief", "GET", "/letters", "")
	if strings.Count(page, "Try again</button>") != 2 || strings.Count(page, "Drop</button>") != 3 ||
		!strings.Contains(page, `<a href="/fax/abc#page-1">Look at both images`) {
		t.Errorf("a letter that waits for a choice leads to it, and is not tried again: %s", page)
	}
	for _, c := range []struct{ path, fields, says string }{
		{"/letters/1/drop", "from=fax&why=x", "It is dropped"},
		{"/letters/2/retry", "", "It is tried again"},
		{"/fax/abc/replay", "stage=fetch", "The missing pages are fetched again"},
		{"/fax/abc/replay", "stage=decode", "The originals are decoded again"},
	} {
		form := func(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") }
		status, header, body := d.Reply("chief", "POST", c.path, c.fields, form)
		if status != 303 {
			t.Fatalf("%s: %d %s", c.path, status, body)
		}
		next := header.Get("Location")
		if _, page := d.Ask("chief", "GET", next, ""); !strings.Contains(page, `role="status">`+c.says) {
			t.Errorf("%s leads to %s, which does not say %q", c.path, next, c.says)
		}
	}
	const again = `name="stage" value="fetch"`
	if _, page := d.Ask("chief", "GET", "/fax/abc?ordered=%3Cb%3E", ""); !strings.Contains(page, again) || strings.Contains(page, "<b>") {
		t.Errorf("the missing page cannot be asked for again: %s", page)
	}
	if _, page := d.Ask("reader", "GET", "/fax/abc", ""); strings.Contains(page, again) {
		t.Error("a reader can ask for it")
	}
	if _, page := d.Ask("chief", "GET", "/fax/later", ""); strings.Contains(page, again) {
		t.Error("a fax that is still coming can be asked for again")
	}
}

// Faxes are made again, held, released and deleted together, by whoever may; those for which there is nothing to do are left out. What
// cannot be undone is for faxes that are named, with a box to tick, and not if one of them may not be deleted.
func TestRepairOfManyFaxes(t *testing.T) {
	b := newBox(0)
	held := b.states["abc"]
	held.Session, held.Held = "held", true
	whole := b.states["abc"]
	document := *whole.Document
	document.Status, whole.Session, whole.Document = session.StatusComplete, "whole", &document
	b.states["held"], b.states["whole"] = held, whole
	d := newListener(t, func(c *Config) {
		b.config(c)
		c.Ledgers, c.Holds = b, &holdStub{stores: b.stores, logs: map[string][]session.KeepEntry{}}
	})
	all := url.Values{"fax": {"abc", "held", "whole", "later"}}
	for _, c := range []struct {
		who, path, do string
		more          url.Values
		status        int
		says          string
		orders        int // when it is sure
	}{
		{"worker", "/bulk/replay", "fetch", nil, 403, "", 0},
		{"operator", "/bulk/keep", "hold", url.Values{"why": {"x"}}, 403, "", 0},
		{"operator", "/bulk/replay", "fetch", nil, 200, "2 faxes: ask the provider for the missing pages again", 2},
		{"operator", "/bulk/replay", "decode", nil, 200, "3 faxes: decode the originals again", 3},
		{"operator", "/bulk/replay", "assemble", nil, 200, "3 faxes: make a new revision", 3},
		{"operator", "/bulk/replay", "burn", nil, 400, "no such button", 0},
		{"master", "/bulk/keep", "hold", nil, 400, "give a reason", 0},
		{"master", "/bulk/keep", "hold", url.Values{"why": {"x"}}, 200, "3 faxes: put under legal hold", 3},
		{"master", "/bulk/keep", "release", url.Values{"why": {"x"}}, 200, "1 fax: release from legal hold", 1},
		{"master", "/bulk/keep", "purge", url.Values{"why": {"x"}, "fax": nil, "status": {"partial"}}, 400, "tick faxes in the list", 0},
		{"master", "/bulk/keep", "purge", url.Values{"why": {"x"}, "fax": {"whole"}}, 200, "1 fax: delete for good", 0}, // the box is not ticked
		{"master", "/bulk/keep", "purge", url.Values{"why": {"x"}, "fax": {"whole"}, "really": {"yes"}}, 200, "1 fax: delete for good", 1},
		{"master", "/bulk/keep", "purge", url.Values{"why": {"x"}, "fax": {"whole", "later"}, "really": {"yes"}}, 409, "not over yet", 0},
	} {
		b.ordered = nil
		fields := maps.Clone(all)
		maps.Copy(fields, c.more)
		fields.Set("do", c.do)
		status, page := d.send(c.who, c.path, fields)
		if status != c.status || !strings.Contains(page, c.says) || len(b.ordered) > 0 {
			t.Errorf("%s %s as %s: %d, %d orders, want %d with %q: %s", c.path, c.do, c.who, status, len(b.ordered), c.status, c.says, page)
		}
		if status == 200 && !strings.Contains(page, `action="`+c.path+`"`) {
			t.Errorf("the question does not lead back: %s", page)
		}
		fields.Set("sure", "yes")
		d.send(c.who, c.path, fields)
		if len(b.ordered) != c.orders || c.orders > 0 && b.ordered[0].By != c.who {
			t.Errorf("%s %s: ordered %+v, want %d", c.path, c.do, b.ordered, c.orders)
		}
	}
}

// An order on all that a filter chooses says first how many these are, and then acts on those and no others, also beyond the page.
func TestAllThatTheFilterChooses(t *testing.T) {
	b := newBox(700)
	d := newListener(t, b.config)
	fields := url.Values{"stage": {"ingest"}, "do": {"drop"}, "why": {"a scan"}}
	status, page := d.send("operator", "/letters", fields)
	last := regexp.MustCompile(`name="last" value="(\d+)"`).FindStringSubmatch(page)
	if strings.Contains(page, "odd") {
		t.Error("a token that may not read sees dead letters")
	}
	if status != 200 || !strings.Contains(page, "Drop 700 dead letters?") || last == nil || len(b.ordered) > 0 {
		t.Fatalf("before the confirmation: %d, %d orders, %s", status, len(b.ordered), page)
	}
	b.letters = append(b.letters, bus.Letter{ID: 900, DeadLetter: session.DeadLetter{Stage: "ingest"}}) // it was not among them
	fields["sure"], fields["last"] = []string{"yes"}, []string{last[1]}
	if status, page = d.send("operator", "/letters", fields); status != 200 || !strings.Contains(page, "700 dropped.") {
		t.Errorf("after the confirmation: %d %s", status, page)
	}
	if len(b.ordered) != 700 || fmt.Sprint(b.letters[0].ID, b.letters[1].ID, len(b.letters)) != "1 900 2" {
		t.Errorf("%d orders, and %d letters are left, want those of another stage and of later", len(b.ordered), len(b.letters))
	}
	for why, fields := range map[string]url.Values{
		"a reason":           {"do": {"drop"}},
		"want retry or drop": {"do": {"burn"}},
		"want the number":    {"do": {"retry"}, "sure": {"yes"}, "last": {"x"}},
	} {
		if status, page := d.send("operator", "/letters", fields); status != 400 || !strings.Contains(page, why) {
			t.Errorf("%v: %d, without %q", fields, status, why)
		}
	}
	b.most = len(b.ordered) + 1
	b.letters = append(b.letters, bus.Letter{ID: 901, DeadLetter: session.DeadLetter{Stage: "ingest"}})
	fields["last"] = []string{"999"}
	if status, page := d.send("operator", "/letters", fields); status != 503 ||
		!strings.Contains(page, "it is ordered for 1 dead letters, and then") {
		t.Errorf("JetStream goes away: %d %s", status, page)
	}
	if status, _ := d.send("reader", "/letters", fields); status != 403 {
		t.Errorf("a reader: %d", status)
	}
}

// Orders about a fax are forms of its page; a purge must be confirmed, and what is refused is said on a page.
func TestOrdersOnTheFaxPage(t *testing.T) {
	b := newBox(0)
	d := newListener(t, b.config)
	for _, c := range []struct {
		who, path string
		fields    url.Values
		status    int
		says      string
	}{
		{"operator", "/fax/abc/replay", url.Values{"stage": {"decode"}}, 303, ""},
		{"operator", "/fax/abc/replay", url.Values{"stage": {"burn"}}, 400, "want decode, assemble or fetch"},
		{"operator", "/fax/abc/replay", url.Values{"stage": {"fetch"}}, 303, ""},
		{"operator", "/fax/later/replay", url.Values{"stage": {"decode"}}, 404, "no document yet"},
		{"operator", "/fax/abc/hold", url.Values{"why": {"x"}}, 403, ""},
		{"reader", "/fax/abc/purge", url.Values{"why": {"x"}, "sure": {"yes"}}, 403, ""},
		{"master", "/fax/abc/purge", url.Values{"why": {"x"}}, 400, "tick the box"},
		{"master", "/fax/abc/hold", nil, 400, "give a reason"},
	} {
		if status, body := d.send(c.who, c.path, c.fields); status != c.status || !strings.Contains(body, c.says) {
			t.Errorf("%s %v as %s: %d %s, want %d with %q", c.path, c.fields, c.who, status, body, c.status, c.says)
		}
	}
	if status, page := d.send("operator", "/reconcile", url.Values{"since": {"2026-11-24"}}); status != 200 ||
		!strings.Contains(page, "&#34;reconciled&#34;: true") {
		t.Errorf("reconcile: %d %s", status, page)
	}
	if status, page := d.send("operator", "/reconcile", url.Values{"since": {"yesterday"}}); status != 400 ||
		!strings.Contains(page, "want a day") {
		t.Errorf("reconcile without a day: %d %s", status, page)
	}
	if len(b.ordered) != 2 || b.ordered[0].Stage != session.ReplayDecode || b.ordered[1].Stage != session.ReplayFetch {
		t.Errorf("ordered %+v", b.ordered)
	}
	for _, path := range []string{"/fax/none", "/?cursor=x"} {
		if _, page := d.Ask("reader", "GET", path, ""); !strings.Contains(page, "This did not work") {
			t.Errorf("%s is no page: %s", path, page)
		}
	}
}

// A fax is verified for whoever may operate, with the faults in words, and the look is recorded. A fax without a document is not verified.
func TestAFaxIsVerifiedOnRequest(t *testing.T) {
	var verdict Verdict
	var fails error
	d := newListener(t, func(c *Config) {
		newBox(0).config(c)
		c.Verify = func(context.Context, string) (Verdict, error) { return verdict, fails }
	})
	d.admit(t, "chief", []access.Scope{access.ScopeRead, access.ScopeOperate})
	d.admit(t, "reader", []access.Scope{access.ScopeRead})
	const button = `action="/fax/abc/verify"`
	if _, page := d.Ask("reader", "GET", "/fax/abc", ""); strings.Contains(page, button) {
		t.Error("a reader has the button")
	}
	if _, page := d.Ask("chief", "GET", "/fax/abc", ""); !strings.Contains(page, button) {
		t.Error("the page has no button")
	}
	if body := next(t, listen(t, d, "chief", "/live/abc")); !strings.Contains(body, button) || !strings.Contains(body, "/fax/abc/replay") {
		t.Errorf("a page that fills in live has no buttons: %s", body)
	}
	fault := Fault{Object: "faxes/abc/r1/<i>", Page: 2, What: "An object was changed.", Do: "Restore it."}
	for _, c := range []struct {
		verdict   Verdict
		err       error
		who, path string
		status    int
		says      []string
	}{
		{Verdict{Objects: 9, Revisions: 1, Pages: 1, Remade: 1}, nil, "chief", "abc", 200, []string{
			"<title>Fax abc: verified</title>", "<h1>Fax abc is as it was written</h1>",
			"9 objects checked, all right: 1 revision, 1 page.", "of 1 revision were made again",
			"Verified at <time datetime=", "by chief.", "The document is revision 1", "<td>PDF</td><td><code>00ff</code></td>",
		}},
		{Verdict{Objects: 1, Signed: 2, Faults: []Fault{fault}}, nil, "chief", "abc", 200, []string{
			"<h1>1 fault of fax abc in the archive</h1>", "faxes/abc/r1/&lt;i&gt;", "<td>2</td>", "An object was changed.", "Restore it.",
			"1 object checked:", "2 revisions are signed", "faxstream verify abc --key",
		}},
		{Verdict{}, fs.ErrNotExist, "chief", "abc", 404, []string{"the archive has no objects of session abc"}},
		{Verdict{}, errors.New("secret detail"), "chief", "abc", 503, []string{"a store did not answer"}},
		{Verdict{}, nil, "chief", "later", 404, []string{"has no document yet"}},
		{Verdict{}, nil, "chief", "none", 404, nil},
		{Verdict{}, nil, "reader", "abc", 403, nil},
	} {
		verdict, fails, d.recorded = c.verdict, c.err, nil
		status, page := d.send(c.who, "/fax/"+c.path+"/verify", nil)
		for _, want := range c.says {
			if !strings.Contains(page, want) {
				t.Errorf("%+v: no %q in %s", c.verdict, want, page)
			}
		}
		recorded := len(d.recorded) == 1 && d.recorded[0].Kind == session.AccessVerify && d.recorded[0].Session == "abc"
		if status != c.status || recorded != (c.path == "abc" && c.who == "chief") {
			t.Errorf("%+v of %s as %s: %d, recorded %+v, want %d", c.verdict.Faults, c.path, c.who, status, d.recorded, c.status)
		}
	}
	d.refuse = errors.New("FAX_AUDIT is full")
	if status, page := d.send("chief", "/fax/abc/verify", nil); status != 503 || strings.Contains(page, "objects") {
		t.Errorf("without a record: %d %s", status, page)
	}
	if status, _ := newListener(t, nil).send("operator", "/fax/abc/verify", nil); status != 404 {
		t.Errorf("a server that cannot: %d", status)
	}
}

// One fax is verified at a time; who asks for another is told to come again. It ends when the reader goes away.
func TestAVerificationIsBounded(t *testing.T) {
	begun, ended := make(chan bool), make(chan error, 1)
	d := newListener(t, func(c *Config) {
		c.Verify = func(ctx context.Context, _ string) (Verdict, error) {
			if _, ok := ctx.Deadline(); !ok {
				t.Error("it has no limit of time")
			}
			begun <- true
			<-ctx.Done()
			ended <- ctx.Err()
			return Verdict{}, ctx.Err()
		}
	})
	ctx, leave := context.WithCancel(t.Context())
	gone := make(chan bool)
	go func() {
		defer close(gone)
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, d.URL+"/fax/abc/verify", nil)
		if err != nil {
			t.Error(err)
			return
		}
		r.Header.Set("Authorization", "Bearer "+d.Secrets["operator"])
		if resp, err := http.DefaultClient.Do(r); err == nil {
			resp.Body.Close()
			t.Error("it has an answer")
		}
	}()
	<-begun
	status, page := d.send("operator", "/fax/abc/verify", nil)
	if status != 503 || !strings.Contains(page, "another fax is being verified") {
		t.Errorf("a second one at the same time: %d %s", status, page)
	}
	leave()
	<-gone
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("it ends with %v", err)
	}
}
