package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
)

// cable is a TCP proxy that can be cut and joined again.
type cable struct {
	net.Listener
	to string

	mu    sync.Mutex
	conns map[net.Conn]bool // guarded by mu; nil: it is cut
}

func newCable(t *testing.T, to string) *cable {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cable{Listener: l, to: strings.TrimPrefix(to, "http://"), conns: map[net.Conn]bool{}}
	t.Cleanup(func() { l.Close(); c.cut() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			go c.carry(in)
		}
	}()
	return c
}

func (c *cable) carry(in net.Conn) {
	defer in.Close()
	out, err := net.Dial("tcp", c.to)
	if err != nil || !c.keep(in, out) {
		return
	}
	go func() { _, _ = io.Copy(out, in); out.Close() }()
	_, _ = io.Copy(in, out)
}

// keep notes open connections; false: the cable is cut.
func (c *cable) keep(conns ...net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range conns {
		if c.conns == nil {
			conn.Close()
			continue
		}
		c.conns[conn] = true
	}
	return c.conns != nil
}

func (c *cable) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn := range c.conns {
		conn.Close()
	}
	c.conns = nil
}

func (c *cable) join() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conns = map[net.Conn]bool{}
}

// browser is a real Chromium whose pages must ask no other server for anything and write no error into their console.
type browser struct {
	t      *testing.T
	ctx    context.Context
	origin string

	mu    sync.Mutex
	wrong []string // guarded by mu
	cut   bool     // guarded by mu: errors of the network are expected
}

func newBrowser(t *testing.T, origin string) *browser {
	t.Helper()
	path := apptest.Tool(t, "chromium", "apt-get install chromium")
	ctx, stop := chromedp.NewExecAllocator(t.Context(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.Headless, chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.WSURLReadTimeout(apptest.Patience))...)
	t.Cleanup(stop)
	ctx, stop = chromedp.NewContext(ctx)
	t.Cleanup(stop)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	b := &browser{t: t, ctx: ctx, origin: origin}
	t.Cleanup(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, w := range b.wrong {
			t.Error(w)
		}
	})
	return b
}

// tab opens a page.
func (b *browser) tab(path string) *tab {
	b.t.Helper()
	ctx, stop := chromedp.NewContext(b.ctx)
	b.t.Cleanup(stop)
	p := &tab{browser: b, ctx: ctx}
	if err := chromedp.Do(ctx); err != nil {
		b.t.Fatal(err)
	}
	// Each tab counts as the one that somebody looks at: a live page rests while it is in the background.
	p.do("a tab in the foreground", chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
		return err
	}))
	if err := chromedp.Listen(ctx, b.event); err != nil {
		b.t.Fatal(err)
	}
	p.open(path)
	return p
}

// event notes what a page must not do.
func (b *browser) event(e any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := e.(type) {
	case *network.EventRequestWillBeSent:
		if !strings.HasPrefix(e.Request.URL, b.origin+"/") && !strings.HasPrefix(e.Request.URL, "data:") {
			b.wrong = append(b.wrong, "a page asks for "+e.Request.URL)
		}
	case *runtime.EventExceptionThrown:
		b.wrong = append(b.wrong, "a page throws "+e.ExceptionDetails.Text)
	case *runtime.EventConsoleAPICalled:
		if !b.cut && (e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning) {
			b.wrong = append(b.wrong, fmt.Sprintf("a page writes into its console: %s", e.Args[0].Value))
		}
	case *cdplog.EventEntryAdded:
		if !b.cut && !strings.Contains(e.Entry.Text, "409 (Conflict)") { // a form that is too late
			b.wrong = append(b.wrong, "the browser says: "+e.Entry.Text+" "+e.Entry.URL)
		}
	}
}

func (b *browser) expectCut(on bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cut = on
}

// tab is one page in the browser.
type tab struct {
	*browser
	ctx context.Context
}

func (p *tab) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, stop := context.WithTimeout(p.ctx, apptest.Patience)
	defer stop()
	if err := chromedp.Do(ctx, steps...); err != nil {
		text, _ := chromedp.Run(p.ctx, chromedp.Evaluate[string](state))
		p.t.Fatalf("%s: %v; the page is\n%s", what, err, text)
	}
}

// open goes to a page and marks it, so that a page that is loaded again is seen.
func (p *tab) open(path string) {
	p.t.Helper()
	p.do("open "+path, chromedp.Navigate(p.origin+path), chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("window.sameLoad = true"))
		return err
	}))
}

// state is what a failure shows of a page.
const state = "`live: ${document.body.dataset.live}, ${document.visibilityState}\n` + document.body.innerText"

// ask evaluates a condition in the page.
func (p *tab) ask(condition string) bool {
	p.t.Helper()
	yes, err := chromedp.Run(p.ctx, chromedp.Evaluate[bool]("!!("+condition+")"))
	if err != nil {
		p.t.Fatalf("%s: %v", condition, err)
	}
	return yes
}

// await waits until a condition holds, without a load of the page.
func (p *tab) await(what, condition string) {
	p.t.Helper()
	deadline := time.Now().Add(apptest.Patience)
	for !p.ask(condition) {
		if time.Now().After(deadline) {
			text, _ := chromedp.Run(p.ctx, chromedp.Evaluate[string](state))
			p.t.Fatalf("not within %s: %s; the page is\n%s", apptest.Patience, what, text)
		}
		p.do("wait", chromedp.Sleep(50*time.Millisecond))
	}
	if !p.ask("window.sameLoad") {
		p.t.Errorf("%s: the page was loaded again", what)
	}
}

// left waits until a form has led to another page, and marks it as open does: the page before may look like it, and a part that fills in
// live may show before what the form did.
func (p *tab) left(what string) {
	p.t.Helper()
	const arrived = "!window.sameLoad && document.readyState == 'complete' && (window.sameLoad = true)"
	for deadline := time.Now().Add(apptest.Patience); ; {
		there, err := chromedp.Run(p.ctx, chromedp.Evaluate[bool](arrived))
		if err == nil && there {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("not within %s: %s, %v", apptest.Patience, what, err)
		}
		p.do("wait", chromedp.Sleep(50*time.Millisecond))
	}
}

// row is a condition about the row of a fax in the list.
func row(id, text string) string {
	return fmt.Sprintf("document.getElementById('fax-%s')?.innerText.includes(%q)", id, text)
}

// axe checks a page against WCAG 2.2 AA.
func (p *tab) axe(what string) {
	p.t.Helper()
	source := apptest.ReadFile(p.t, apptest.Tool(p.t, filepath.Join("axe", "node_modules", "axe-core", "axe.min.js"), "make tools"))
	if _, err := chromedp.Run(p.ctx, chromedp.Evaluate[bool](string(source)+";true")); err != nil {
		p.t.Fatal(err)
	}
	found, err := chromedp.Run(p.ctx, chromedp.Evaluate[[]string](`axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa",
		"wcag22aa", "best-practice"]}).then(r => r.violations.flatMap(v => v.nodes.map(n => v.id + ": " + n.html + ": " + n.failureSummary)))`,
		chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatal(err)
	}
	for _, f := range found {
		p.t.Errorf("%s: %s", what, f)
	}
}

// keys goes to an element with the Tab key alone, and presses Enter there.
func (p *tab) keys(selector string) {
	p.t.Helper()
	for range 200 {
		p.do("Tab", chromedp.KeyEvent(kb.Tab))
		if p.ask(fmt.Sprintf("document.activeElement.matches(%q)", selector)) {
			p.do("Enter", chromedp.KeyEvent(kb.Enter))
			return
		}
	}
	p.t.Errorf("the Tab key does not reach %s", selector)
}

// picture writes a picture of a page into the directory FAXSTREAM_PICTURES, if there is one.
func (p *tab) picture(name string) {
	p.t.Helper()
	dir := os.Getenv("FAXSTREAM_PICTURES")
	if dir == "" {
		return
	}
	png, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}
