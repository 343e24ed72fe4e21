package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"golang.org/x/sync/errgroup"

	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
	"github.com/faxstream/faxstream/ingest"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/pipeline/session"
)

var watchAt = regexp.MustCompile(`Watch: +(http://127\.0\.0\.1:\d+)`)

// chaosDemo runs `faxstream demo --chaos` until the end of the test. It gives the address of the dashboard, while faxes still arrive, and
// what the demo says.
func chaosDemo(t *testing.T, args ...string) (dashboard string, said *syncBuffer) {
	t.Helper()
	if testing.Short() {
		t.Skip("a whole program and several documents: runs without -short")
	}
	args = append([]string{"demo", "--chaos", "--dir=" + t.TempDir()}, args...) // removed after the demo has ended
	ctx, stop := context.WithCancel(t.Context())
	said = &syncBuffer{}
	ended := make(chan int, 1)
	go func() { ended <- run(ctx, args, os.Getenv, io.Discard, said) }()
	t.Cleanup(func() {
		stop()
		if code := <-ended; code != exitOK {
			t.Errorf("the demo ends with code %d:\n%s", code, said)
		}
	})
	var at []string
	await(t, "the address of the dashboard", func() bool {
		at = watchAt.FindStringSubmatch(said.String())
		return at != nil
	})
	return at[1], said
}

// outcome is a line of the table that a demo with chaos prints.
type outcome struct{ session, status string } // of a session the first 8 letters

// outcomes waits for the end of the faxes. Every one must be as expected.
func outcomes(t *testing.T, said *syncBuffer) (all []outcome) {
	t.Helper()
	await(t, "the end of the demo's faxes", func() bool { return strings.Contains(said.String(), "Dashboard:") })
	_, table, _ := strings.Cut(said.String(), "SESSION ")
	for line := range strings.Lines(table) {
		columns := regexp.MustCompile(` {2,}`).Split(strings.TrimSpace(line), -1)
		if len(columns) != 6 {
			continue
		}
		if columns[5] != "ok" {
			t.Errorf("a fax is not as expected: %s", line)
		}
		all = append(all, outcome{columns[0], columns[3]})
	}
	return all
}

// value evaluates an expression with a text.
func (p *tab) value(expression string) string {
	p.t.Helper()
	text, err := chromedp.Run(p.ctx, chromedp.Evaluate[string](expression))
	if err != nil {
		p.t.Fatalf("%s: %v", expression, err)
	}
	return text
}

// The demo with faults of the provider, in a browser: faxes come in live, also after the connection was lost, and the list says of each
// what the demo says at its end. What is odd can be worked on there.
func TestTheChaosDemoInABrowser(t *testing.T) {
	t.Parallel()
	const faxes = 14
	dashboard, said := chaosDemo(t, fmt.Sprint("--faxes=", faxes), "--seed=3")
	line := newCable(t, dashboard)
	b := newBrowser(t, "http://"+line.Addr().String())
	list, partial := b.tab("/"), b.tab("/?status=partial")
	for _, p := range []*tab{list, partial} {
		p.await("a live list", "document.body.dataset.live == 'yes'")
	}
	rows := func(n int) string { return fmt.Sprintf("document.querySelectorAll('#list tbody tr').length >= %d", n) }
	list.await("the first faxes", rows(2))
	b.expectCut(true)
	line.cut()
	list.await("a word on the lost connection", "document.getElementById('offline').checkVisibility()")
	line.join()
	list.await("every fax", rows(faxes)+" && !document.getElementById('offline').checkVisibility()")
	partial.await("a live list", "document.body.dataset.live == 'yes'")
	b.expectCut(false)

	all := outcomes(t, said)
	if len(all) < faxes {
		t.Fatalf("the demo says what became of %d faxes, want %d:\n%s", len(all), faxes, said)
	}
	var complete, differs string
	for _, o := range all {
		status, difference, _ := strings.Cut(o.status, ", ")
		words := map[string]string{session.StatusRecovered: "complete: pages came from the whole file"}[status]
		if words == "" {
			words = status
		}
		inRow := fmt.Sprintf("document.querySelector('[id^=fax-%s]')", o.session)
		list.await(o.session+" is "+o.status, inRow+fmt.Sprintf("?.querySelector('.status').innerText.startsWith(%q)", words))
		partial.await(o.session+" in the list of partial faxes", fmt.Sprintf("!!%s == %t", inRow, status == session.StatusPartial))
		id := strings.TrimPrefix(list.value(inRow+".id"), "fax-")
		switch {
		case difference != "":
			list.await("what differs", inRow+fmt.Sprintf(".innerText.includes(%q)", difference))
			differs = id
		case status != session.StatusPartial: // on a slow machine pages come from the whole file
			complete = id
		}
	}
	if complete == "" || differs == "" {
		t.Fatalf("want a complete fax and one that differs: choose another seed\n%s", said)
	}
	b.chooses(differs)
	list.await("nothing that differs", fmt.Sprintf("!document.querySelector('#fax-%s .differs')", differs))
	fax := b.proves(complete)
	list.await("who has it", row(complete, "ada"))
	usable(t, list, fax)
	usable(t, partial, b.tab("/fax/"+differs))
}

// chooses looks at both images of a page that differs, and takes that of the whole file, for all such pages of the fax together.
func (b *browser) chooses(id string) {
	b.t.Helper()
	fax := b.tab("/fax/" + id)
	fax.await("both images", "[...document.querySelectorAll('.pair img')].filter(i => i.naturalWidth > 100).length >= 2")
	form := "section form[action$=choose] " // of one page
	if fax.ask("document.querySelector('form[id^=choose-]')") {
		form = "form[id^=choose-] "
	}
	fax.do("choose", chromedp.SendKeys(chromedp.CSS(form+"input[name=by]"), "ada"),
		chromedp.SendKeys(chromedp.CSS(form+"input[name=why]"), "it is whole"), chromedp.Click(chromedp.CSS(form+"button[value=file]")))
	fax.left("the page with the choice")
	const pages = "document.querySelectorAll('section[id^=page-]').length"
	if !fax.ask("document.body.innerText.split('ada chose the page of the whole file').length - 1 == " + pages) {
		b.t.Error("the page does not say of each page who chose what")
	}
}

// proves takes a fax, has a document of its first page made, and verifies both in the archive. It gives the tab with the fax.
func (b *browser) proves(id string) *tab {
	b.t.Helper()
	fax := b.tab("/fax/" + id)
	fax.do("take", chromedp.SendKeys(chromedp.CSS("#work input[name=by]"), "ada"), chromedp.Click(chromedp.CSS("button[value=take]")))
	fax.left("the page with the name")
	fax.do("derive", chromedp.SendKeys(chromedp.CSS("#derive-form textarea"), "1"),
		chromedp.SendKeys(chromedp.CSS("#derive-form input[name=over]"), "1"), chromedp.Click(chromedp.CSS("#derive-form p:last-child button")))
	fax.left("the page with the document")
	fax.do("verify", chromedp.Click(chromedp.CSS("#verify button")))
	fax.left("the verdict")
	if !fax.ask("document.querySelector('h1').innerText.endsWith('is as it was written')") {
		b.t.Errorf("the verdict is %s", fax.value("document.body.innerText"))
	}
	fax.open("/fax/" + id)
	return fax
}

// An order for all faxes that a filter chooses, far beyond the page of the list: it says first how many these are, and does it for them and
// for no others.
func TestAnOrderForManyFaxesInABrowser(t *testing.T) {
	t.Parallel()
	d := newDesk(t, false)
	const all, chosen = 1000, 300
	page := apptest.SmallFax(t, "many", 1).Pages[0]
	var sends errgroup.Group
	sends.SetLimit(32)
	for n := range all {
		f := faxplustest.Fax{Session: fmt.Sprintf("many-%04d", n), To: "+1 334 304 0002", Pages: [][]byte{page}, Whole: page, Streamed: true}
		if n%10 < 10*chosen/all {
			f.To = "+1 334 304 0001"
		}
		d.sim.Add(f)
		sends.Go(func() error {
			for _, body := range apptest.Bodies(f, d.WebhookURL()+ingest.Path) {
				if status := apptest.Post(t, d.WebhookURL()+ingest.Path, body); status != 200 {
					return fmt.Errorf("a webhook was answered %d", status)
				}
			}
			return nil
		})
	}
	if err := sends.Wait(); err != nil {
		t.Fatal(err)
	}
	lines := func(args ...string) int {
		return strings.Count(d.do(0, append([]string{"ls", "--json", "--limit=0"}, args...)...), "\n")
	}
	await(t, "all faxes", func() bool { return lines() == all })

	list := newBrowser(t, d.AdminURL()).tab("/?to=%2B13343040001&done=no")
	list.keys("summary")
	list.do("mark as done", chromedp.SendKeys(chromedp.CSS("details input[name=by]"), "ada"),
		chromedp.Click(chromedp.CSS("details button[value=done]")))
	list.left("the question")
	if !list.ask(fmt.Sprintf("document.body.innerText.includes('%d faxes: mark as done?')", chosen)) || lines("--done=yes") > 0 {
		t.Errorf("the question does not say how many, or something is done before the answer: %s", list.value("document.body.innerText"))
	}
	list.keys("main form button")
	list.left("the answer")
	if !list.ask(fmt.Sprintf("document.body.innerText.includes('Ordered for %d faxes')", chosen)) {
		t.Errorf("the answer is %s", list.value("document.body.innerText"))
	}
	list.open("/?to=%2B13343040001&done=no")
	list.await("nothing that is left to do", "document.body.innerText.includes('No fax matches the filter')")
	if done, others := lines("--done=yes"), lines("--done=no", "--to=+13343040002"); done != chosen || others != all-chosen {
		t.Errorf("%d faxes are done and %d of the others are not, want %d and %d", done, others, chosen, all-chosen)
	}
	list.ticks(d)
	if urgent := lines("--label=urgent"); urgent != 2 {
		t.Errorf("%d faxes have the label, want the two that were ticked", urgent)
	}
}

// ticks labels two faxes of a list. The ticks stay while the list changes.
func (p *tab) ticks(d *desk) {
	p.t.Helper()
	p.open("/?to=%2B13343040002")
	const boxes, ticked = "document.querySelectorAll('input[name=fax]')", "document.querySelectorAll('input[name=fax]:checked').length == 2"
	p.await("a live list with boxes", "document.body.dataset.live == 'yes' && "+boxes+".length == 50")
	p.do("tick two", chromedp.Click(chromedp.CSS("tbody tr:nth-child(1) input[name=fax]")),
		chromedp.Click(chromedp.CSS("tbody tr:nth-child(3) input[name=fax]")))
	d.do(0, "note", p.value(boxes+"[1].value"), "between them", "--by=ben")
	p.await("what somebody else does", "document.querySelector('tbody tr:nth-child(2)').innerText.includes('(note)')")
	if !p.ask(ticked) {
		p.t.Error("a tick is lost when the list changes")
	}
	p.do("label both", chromedp.Click(chromedp.CSS("summary")), chromedp.SendKeys(chromedp.CSS("#bulk input[name=new_labels]"), "urgent"),
		chromedp.Click(chromedp.CSS("#bulk button[value=label]")))
	p.left("the question")
	if !p.ask("document.body.innerText.includes('2 faxes: add the labels urgent?')") {
		p.t.Errorf("the question is %s", p.value("document.body.innerText"))
	}
	p.do("yes", chromedp.Click(chromedp.CSS("main form button")))
	p.left("the answer")
	p.open("/?label=urgent")
	p.await("both", boxes+".length == 2")
}
