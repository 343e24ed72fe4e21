package main

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/faxstream/faxstream/cmd/faxstream/app"
	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
	"github.com/faxstream/faxstream/ingest"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
)

// People watch faxes come in a browser, say who has them, and see at once what others do; the page outlives a lost connection, fits on a
// phone, and can be used by everybody. The dashboard is below a path, and asks for nothing beside it.
func TestTheDashboardInABrowser(t *testing.T) {
	t.Parallel()
	d := newDeskWith(t, true, func(c *app.Config) { c.Admin.Base = "/fax" })
	line := newCable(t, d.AdminURL())
	b := newBrowser(t, "http://"+line.Addr().String()+"/fax")
	list := b.tab("/")
	list.await("an empty list", "document.body.innerText.includes('No fax has arrived yet')")

	whole := apptest.Fixture(t, "three-pages-fine-g4")
	f := faxplustest.Fax{Session: "case", Streamed: true, Pages: apptest.Split(t, whole), Whole: whole}
	d.sim.Add(f)
	bodies := apptest.Bodies(f, d.WebhookURL()+ingest.Path)
	d.send(bodies[0])
	list.await("the first page while the fax is on the line", row("case", "1 of 1"))
	fax := b.tab("/fax/case")
	fax.await("the first page", "document.querySelectorAll('.archived').length == 1")
	d.send(bodies[1:]...)
	fax.await("all pages and the document",
		"document.querySelectorAll('.archived').length == 3 && document.body.innerText.includes('complete')")
	fax.await("what can be done with it", "document.querySelector('#derive-form') && document.querySelector('#replay')")
	list.await("the document in the list", row("case", "complete"))

	unassigned := b.tab("/?assigned=no")
	unassigned.await("the fax that nobody has", row("case", "complete"))
	fax.do("assign", chromedp.SendKeys(chromedp.CSS("#work input[name=by]"), "ada"), chromedp.Click(chromedp.CSS("button[value=take]")),
		chromedp.WaitVisible(chromedp.CSS("#fax strong")))
	list.await("who has it", row("case", "ada"))
	unassigned.await("the filter", "!document.getElementById('fax-case') && document.body.innerText.includes('No fax matches the filter')")

	fax.lateNote(d)

	b.expectCut(true)
	line.cut()
	list.await("a word on the lost connection", "document.getElementById('offline').checkVisibility()")
	d.do(0, "done", "case", "--by=ada")
	line.join()
	list.await("the state of now", row("case", "done")+" && !document.getElementById('offline').checkVisibility()")
	b.expectCut(false)

	if out := d.do(0, "desk", "case"); !strings.Contains(out, "assigned to ada; done; labels urgent; note: other words <b>") ||
		!strings.Contains(out, "without effect: the note was changed by bob") {
		t.Errorf("desk says\n%s", out)
	}
	if out := d.do(0, "audit", "--session=case"); !strings.Contains(out, "worked: wrote: a note") || strings.Contains(out, "words") {
		t.Errorf("the audit says\n%s", out)
	}

	usable(t, list, fax)
	if os.Getenv("FAXSTREAM_PICTURES") != "" {
		list.showroom(d)
	}
}

// lateNote writes a note while somebody else writes another one: the text stays in its field, and the later person is told.
func (p *tab) lateNote(d *desk) {
	p.t.Helper()
	p.open("/fax/case")
	p.do("begin a note", chromedp.SendKeys(chromedp.CSS("#note textarea"), "my own words"),
		chromedp.SendKeys(chromedp.CSS("#derive-form input[name=over]"), "2"),
		chromedp.Focus(chromedp.CSS("#work input[name=labels]")))
	d.do(0, "label", "case", "urgent", "--by=bob")
	d.do(0, "note", "case", "other words <b>", "--by=bob")
	p.await("what somebody else does", "document.querySelector('.note')?.innerText == 'other words <b>' && document.querySelector('.label')")
	if !p.ask("document.querySelector('#note textarea').value == 'my own words'") {
		p.t.Error("the note that was being written is lost")
	}
	if !p.ask("document.querySelector('#derive-form input[name=over]').value == '2'") {
		p.t.Error("the pages that were being turned are lost")
	}
	p.do("save the note", chromedp.Click(chromedp.CSS("button[value=note]")), // the page knows the name by now
		chromedp.WaitVisible(chromedp.CSS("[role=alert]")))
	if !p.ask("document.querySelector('[role=alert]').innerText.includes('by bob')") ||
		!p.ask("document.querySelector('#note textarea').value == 'my own words'") {
		p.t.Error("the later of two notes does not see that it is later, or is lost")
	}
}

// usable checks that pages have no violation in light and dark colours, and fit on a phone.
func usable(t *testing.T, list, fax *tab) {
	t.Helper()
	for _, dark := range []string{"light", "dark"} {
		for _, p := range []*tab{list, fax} {
			p.do(dark, chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
				_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia,
					emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: dark}}})
				return err
			}))
			p.axe(dark)
		}
	}
	for name, p := range map[string]*tab{"list": list, "fax": fax} {
		p.do("a phone", chromedp.EmulateViewport(400, 800))
		if !p.ask("document.documentElement.scrollWidth <= 400") {
			t.Errorf("the %s does not fit on a phone", name)
		}
		p.picture(name + "-400")
		p.do("a screen", chromedp.EmulateViewport(1200, 800))
		p.picture(name)
	}
}

// showroom makes the picture of the README: a list with faxes in several states.
func (p *tab) showroom(d *desk) {
	p.t.Helper()
	p.do("light", chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia,
			emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "light"}}})
		return err
	}), chromedp.EmulateViewport(1200, 560))
	pages := apptest.Split(p.t, apptest.Fixture(p.t, "three-pages-fine-g4"))
	for i, f := range []faxplustest.Fax{
		{Session: "b7c1", From: "+1 334-304-5554", Pages: pages[:2]},
		{Session: "c90a", From: "+49 30 901820", Pages: pages[:1]},
		{Session: "d214", From: "+1 334-304-7788", Pages: pages},
	} {
		f.Streamed = true
		d.sim.Add(f)
		bodies := apptest.Bodies(f, d.WebhookURL()+ingest.Path)
		if i == 2 {
			bodies = bodies[:2] // it is still on the line
		}
		d.send(bodies...)
		if i < 2 {
			d.awaitFax(f.Session, hasDocument)
		}
	}
	d.do(0, "assign", "b7c1", "ben", "--by=ada")
	d.do(0, "label", "c90a", "court", "deadline", "--by=ada")
	p.await("all faxes", row("d214", "receiving")+" && "+row("c90a", "deadline"))
	p.picture("dashboard")
}

// A page that never came turns green after a click: its dead letters are tried again from the screen, and the open page fills in. Nothing
// of what strangers write becomes part of a page.
func TestAPageIsRepairedInABrowser(t *testing.T) {
	t.Parallel()
	d := newDesk(t, true)
	b := newBrowser(t, d.AdminURL())
	f := d.threePages("fax")
	f.From = `<script>alert(1)</script><img src=x onerror=alert(2)>`
	d.lacksPage2(f)

	list, fax := b.tab("/?status=partial"), b.tab("/fax/fax")
	list.await("what is wrong", row("fax", "partial: 1 page missing")+" && "+row("fax", "<script>"))
	fax.await("the missing page", "document.querySelectorAll('td .missing').length == 1")
	letters := b.tab("/letters")
	letters.axe("dead letters")
	health := b.tab("/health")
	health.await("the last hour", "document.body.innerText.includes('Ready:') && document.querySelectorAll('svg').length == 4")
	health.axe("health")
	health.picture("health")
	letters.do("try all again", chromedp.SendKeys(chromedp.CSS("input[name=by]"), "ada"), chromedp.Click(chromedp.CSS("button[value=retry]")),
		chromedp.WaitVisible(chromedp.CSS("[role=alert]")))
	if !letters.ask("document.querySelector('[role=alert]').innerText.includes('Try 2 dead letters again?')") {
		t.Error("the question does not say how many")
	}
	d.sim.Script("fax", 2, apptest.AnswerWith(f.Pages[1]))
	letters.do("yes", chromedp.Click(chromedp.CSS("[role=alert] button")), chromedp.WaitVisible(chromedp.CSS("[role=status]")))
	fax.await("all pages", "document.querySelectorAll('td .archived').length == 3 && !document.querySelector('td .missing')")
	list.await("nothing that is partial", "!document.getElementById('fax-fax')")

	page := b.tab("/fax/fax/pages/2?zoom=100")
	page.await("the image", "document.querySelector('.turned img')?.naturalWidth > 100")
	page.axe("a page")
	if !page.ask("(i => Math.abs(i.width / i.height - i.naturalWidth / i.naturalHeight) < 0.01)(document.querySelector('.turned img'))") ||
		!page.ask("(i => Math.abs(i.parentNode.offsetHeight - i.closest('.sheet').offsetHeight) < 3)(document.querySelector('.turned img'))") {
		t.Error("the page does not have its own shape, or is cut")
	}
	page.keys("a[rel=next]")
	page.do("the last page", chromedp.WaitNotPresent(chromedp.CSS("a[rel=next]")), chromedp.WaitVisible(chromedp.CSS("a[rel=prev]")))

	fax.open("/fax/fax")
	fax.keys("button[value=take]") // the name is there already
	fax.do("who has it", chromedp.WaitVisible(chromedp.CSS("#fax strong")))
	all := b.tab("/?assignee=ada")
	all.keys("summary")
	all.keys("details button[value=done]")
	all.left("the question")
	if !all.ask("document.body.innerText.includes('1 fax: mark as done?')") {
		t.Error("the question does not say how many")
	}
	all.keys("main button")
	all.left("the answer")
	fax.open("/fax/fax")
	fax.await("what was done for all", "document.querySelector('button[value=reopen]')")
	looksCloser(b, fax)
}

// looksCloser has two documents made of the fax and the fax verified with them, reads how it came, and switches on the images in the list.
func looksCloser(b *browser, fax *tab) {
	b.t.Helper()
	fax.do("turn and split", chromedp.SendKeys(chromedp.CSS("form[action$=derive] textarea"), "1\n2-3"),
		chromedp.SendKeys(chromedp.CSS("form[action$=derive] input[name=right]"), "2"),
		chromedp.Click(chromedp.CSS("form[action$=derive] p:last-child button")))
	fax.left("the documents are made")
	if !fax.ask("document.body.innerText.includes('pages 2-3 (page 2 turned right) of revision')") {
		b.t.Error("the documents are not on the page of the fax")
	}
	fax.axe("a fax with derived documents")
	fax.do("share", chromedp.Click(chromedp.CSS("form[action$=link] button")))
	fax.left("the link")
	fax.axe("a link")
	fax.do("copy it", chromedp.Click(chromedp.CSS("button[data-copy]")))
	fax.await("the link is copied", "document.querySelector('button[data-copy]').innerText == 'Copied'")
	fax.open("/fax/fax")
	fax.do("verify", chromedp.Click(chromedp.CSS("form[action$=verify] button")))
	fax.left("the verdict")
	if !fax.ask("document.querySelector('h1').innerText == 'Fax fax is as it was written'") {
		b.t.Error("the fax is not as it was written")
	}
	fax.axe("a verdict")
	came := b.tab("/fax/fax/timeline")
	came.await("an attempt that failed", "document.querySelector('td.differs')?.innerText.includes('attempt 1 failed')")
	if !came.ask(`/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}$/.test(document.querySelector("td").innerText)`) {
		b.t.Error("the timeline does not say its times in UTC, to a thousandth of a second")
	}
	came.axe("the timeline")
	list := b.tab("/")
	list.do("first pages", chromedp.Click(chromedp.CSS("input[name=thumbs]")), chromedp.Click(chromedp.CSS(".filter button")),
		chromedp.WaitVisible(chromedp.CSS("#fax-fax img")))
	if !list.ask("location.search.includes('thumbs=1')") {
		b.t.Error("the images are not in the address of the list")
	}
	list.axe("a list with images")
	list.picture("thumbs")
}
