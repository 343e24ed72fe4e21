package pipeline

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/faxstream/faxstream/pipeline/ccitt"
	"github.com/faxstream/faxstream/pipeline/raster"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// simStart is where the clock of a synctest's bubble begins.
var simStart = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// fax is what the sender sent, what the provider makes of it, and what it says about it.
type fax struct {
	id        string
	direction string
	streamed  bool
	policy    session.Policy
	start     time.Time
	from, to  string
	pages     []*sentPage // page 1 first
	whole     wholeFile
	hooks     []*hook
	record    *session.Closed // the provider's; nil: it knows no such fax
	ends      time.Time       // until then its record says that it is going on
	outage    span            // of the provider
	token     span            // in which the token is refused
}

// pageMode is how the provider serves a page.
type pageMode int

const (
	pageGood     pageMode = iota
	pageSlow              // refused for the first tries, each for another reason
	pageLate              // not there until a time that a page's deadline allows
	pageTooLate           // not there until a time that may be after everything
	pageNever             // never there
	pageCut               // always cut at the same place
	pageMany              // a file of several pages
	pageDamaged           // its strip is noise
	pageTwoFaced          // two images by turns
	pageModes
)

// sentPage is a page of the fax at the provider.
type sentPage struct {
	image  *raster.Page
	file   []byte
	mode   pageMode
	tries  int             // that are refused
	wait   time.Duration   // after the announcement until it is there
	why    session.Reason  // it is refused
	other  []byte          // another answer
	calls  int             // so far
	served map[string]bool // rasters that this page's own answers decode to
}

// wholeFile is the whole file at the provider.
type wholeFile struct {
	never   bool
	tries   int // that are refused
	short   int // answers that lack the last page; -1: all
	extra   int // pages that the fax does not have
	differs int // page that is another image, 0: none
	damaged bool
	calls   int
	full    []byte
	cut     []byte // without the last page
	rasters []map[string]bool
}

// hook is a webhook: what it says, when it is sent, and whether it was answered 200.
type hook struct {
	fact     session.Fact
	at       time.Time
	recorded bool
}

func randomPage(rng *rand.Rand) *raster.Page {
	p := raster.New(8*(1+rng.IntN(3))-rng.IntN(8), 6+rng.IntN(6))
	for i := range p.Pix {
		p.Pix[i] = byte(rng.Uint32())
	}
	if odd := p.Width % 8; odd != 0 {
		for y := range p.Height {
			p.Row(y)[p.Stride-1] &= 0xff << (8 - odd)
		}
	}
	p.XRes, p.YRes = 204, []float64{98, 196, 391}[rng.IntN(3)]
	return p
}

// strip codes a page as a fax machine might.
func strip(rng *rand.Rand, p *raster.Page) tiff.Strip {
	if rng.IntN(2) == 0 {
		return tiff.G4Strip(ccitt.AppendG4(nil, p.Pix, p.Width, p.Height, p.Stride))
	}
	o := ccitt.G3Options{TwoD: rng.IntN(2) == 0, Fill: rng.IntN(2) == 0, RTC: true, LSBFirst: rng.IntN(2) == 0}
	return tiff.G3Strip(ccitt.AppendG3(nil, p.Pix, p.Width, p.Height, p.Stride, o), o)
}

func tiffFile(rng *rand.Rand, pages ...*raster.Page) []byte {
	var b bytes.Buffer
	w := tiff.NewWriter(&b)
	for i, p := range pages {
		m := tiff.PageMeta{Width: p.Width, Height: p.Height, XRes: p.XRes, YRes: p.YRes, Page: i + 1, Pages: len(pages)}
		if _, err := w.AddPage(m, strip(rng, p)); err != nil {
			panic(err) // the arguments are ours
		}
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func hash(b [32]byte) string { return hex.EncodeToString(b[:]) }

// newFax makes a fax of up to most pages. A calm one is served without a fault, and its webhooks come as they should.
func newFax(rng *rand.Rand, most int) *fax {
	f := &fax{
		id: "s1", direction: session.Incoming, streamed: true, start: simStart.Add(-time.Minute), from: "+49 30 1",
		to: "+1 334 304 0000",
	}
	f.policy = session.Policy{Grace: 30 * time.Second, Idle: time.Hour, WholeFor: 10 * time.Minute, Streaming: true}
	for range most {
		p := &sentPage{image: randomPage(rng), served: map[string]bool{}}
		p.file = tiffFile(rng, p.image)
		f.pages = append(f.pages, p)
	}
	f.assembleWhole(rng)
	return f
}

// assembleWhole makes the whole file that the provider has.
func (f *fax) assembleWhole(rng *rand.Rand) {
	var images []*raster.Page
	for i, p := range f.pages {
		if f.whole.differs == i+1 {
			images = append(images, randomPage(rng))
			continue
		}
		images = append(images, p.image)
	}
	for range f.whole.extra {
		images = append(images, randomPage(rng))
	}
	if len(images) == 0 {
		f.whole.never = true
		return
	}
	f.whole.full = tiffFile(rng, images...)
	if len(images) > 1 {
		f.whole.cut = tiffFile(rng, images[:len(images)-1]...)
	}
}

// trouble gives the fax its faults.
func (f *fax) trouble(rng *rand.Rand) {
	share := []float64{0, 0.1, 0.3, 0.6}[rng.IntN(4)]
	for _, p := range f.pages {
		if rng.Float64() < share {
			p.trouble(rng)
		}
	}
	w := &f.whole
	if rng.Float64() < share {
		switch rng.IntN(7) {
		case 0:
			w.never = true
		case 1, 2:
			w.tries = 1 + rng.IntN(3)
		case 3:
			w.short = rng.IntN(4) - 1
		case 4:
			w.extra = 1 + rng.IntN(2)
		case 5:
			w.differs = 1 + rng.IntN(len(f.pages))
		case 6:
			w.damaged = true
		}
		f.assembleWhole(rng)
		if w.damaged {
			for i := 8; i < len(w.full); i += 1 + rng.IntN(20) {
				w.full[i] ^= 1 << rng.IntN(8)
			}
		}
	}
	gone := func() span {
		from := simStart.Add(time.Duration(rng.Int64N(int64(15 * time.Minute))))
		return span{from, from.Add(time.Duration(rng.Int64N(int64(2 * time.Hour))))}
	}
	if rng.IntN(12) == 0 {
		f.outage = gone()
	}
	if rng.IntN(12) == 0 {
		f.token = gone()
	}
	f.policy.Streaming = rng.IntN(10) > 0
	f.policy.Reconcile = []string{session.ReconcileOff, session.ReconcileMissing, session.ReconcileAll, session.ReconcileAll}[rng.IntN(4)]
	f.policy.Ask = rng.IntN(4) > 0
	f.policy.GiveUp = 24 * time.Hour
	f.ends = simStart.Add(time.Duration(rng.Int64N(int64(3 * time.Hour))))
	if rng.IntN(3) > 0 {
		c := f.closeHook("success", len(f.pages))
		c.Session = f.listed() // the provider's lists have names of their own
		f.record = &c
	}
}

func (p *sentPage) trouble(rng *rand.Rand) {
	p.mode = pageMode(1 + rng.IntN(int(pageModes)-1))
	reasons := []session.Reason{
		session.ReasonNotYet, session.ReasonNotYet, session.ReasonUnavailable, session.ReasonUnauthorized,
		session.ReasonRefused, session.ReasonWrongType, session.ReasonEmpty, session.ReasonTruncated, session.ReasonTooLarge,
	}
	p.why = reasons[rng.IntN(len(reasons))]
	p.tries = 1 + rng.IntN(3)
	switch p.mode {
	case pageLate:
		p.wait = time.Duration(rng.Int64N(int64(20 * time.Minute)))
	case pageTooLate:
		p.wait = 10*time.Minute + time.Duration(rng.Int64N(int64(3*time.Hour)))
	case pageCut:
		p.other = p.file[:4+rng.IntN(len(p.file)-4)]
	case pageMany:
		p.other = tiffFile(rng, p.image, randomPage(rng))
	case pageDamaged:
		p.other = bytes.Clone(p.file)
		for i := 8; i < 8+1+rng.IntN(20) && i < len(p.other); i++ {
			p.other[i] = byte(rng.Uint32())
		}
	case pageTwoFaced:
		p.other = tiffFile(rng, randomPage(rng))
	}
}

func (f *fax) listed() string { return "listed-" + f.id }

func bodyHash(s string) string { return hash(sha256.Sum256([]byte(s))) }

func (f *fax) pageHook(page int) session.PageAnnounced {
	at := f.start.Add(time.Duration(page) * 40 * time.Second)
	return session.PageAnnounced{
		Session: f.id, Page: page, From: f.from, To: f.to, EventTime: at, BodySHA256: bodyHash(fmt.Sprint(f.id, page)),
	}
}

func (f *fax) closeHook(status string, pages int) session.Closed {
	return session.Closed{
		Session: f.id, Direction: f.direction, Status: status, Pages: pages, File: "file-" + f.id, FileName: "fax", UID: "u",
		From: f.from, To: f.to,
		StartTime: f.start, EventTime: f.start.Add(time.Hour), BodySHA256: bodyHash(fmt.Sprint(f.id, status, pages)),
	}
}

// announce puts the webhooks of the fax in time: as they should come.
func (f *fax) announce(status string, pages int) {
	at := simStart
	if f.streamed {
		for page := range f.pages {
			at = at.Add(40 * time.Second)
			f.hooks = append(f.hooks, &hook{fact: f.pageHook(page + 1), at: at})
		}
	}
	f.hooks = append(f.hooks, &hook{fact: f.closeHook(status, pages), at: at.Add(10 * time.Second)})
}

// misannounce is announce by a provider that loses, repeats, delays and contradicts.
func (f *fax) misannounce(rng *rand.Rand) {
	f.streamed = rng.IntN(6) > 0
	n := len(f.pages)
	f.announce("success", n)
	last := f.hooks[len(f.hooks)-1]
	closing := func(fact session.Closed, after time.Duration) {
		f.hooks = append(f.hooks, &hook{fact: fact, at: last.at.Add(after)})
	}
	day := func() time.Duration { return time.Duration(rng.Int64N(int64(72 * time.Hour))) }
	switch rng.IntN(14) {
	case 0: // counts that lie
		last.fact = f.closeHook("success", rng.IntN(n+4))
	case 1:
		last.fact = f.closeHook("partially_received", n)
		closing(f.closeHook("success", n), day())
	case 2:
		last.fact = f.closeHook("success", n)
		closing(f.closeHook("partially_received", max(n-1, 0)), day())
	case 3:
		last.fact = f.closeHook("failed", rng.IntN(n+1))
	case 4: // none, or only after days
		f.hooks = f.hooks[:len(f.hooks)-1]
		if rng.IntN(2) == 0 {
			closing(f.closeHook("success", n), day())
		}
	case 5: // first of all
		last.at = simStart
	case 6: // the second one counts more
		closing(f.closeHook("success", n+1), time.Duration(rng.Int64N(int64(time.Hour))))
	case 7:
		last.fact = f.closeHook("Success ", 0)
	case 8:
		f.sent(rng, last)
	}
	share := []float64{0, 0, 0.1, 0.4}[rng.IntN(4)]
	for _, h := range f.hooks {
		if rng.Float64() >= share {
			continue
		}
		switch rng.IntN(4) {
		case 0:
			h.at = h.at.Add(time.Duration(rng.Int64N(int64(2 * time.Minute))))
		case 1:
			h.at = h.at.Add(time.Duration(rng.Int64N(int64(2 * time.Hour))))
		case 2:
			h.at = h.at.Add(day())
		case 3:
			if a, ok := h.fact.(session.PageAnnounced); ok {
				a.From, a.To = "", ""
				h.fact = a
			}
		}
	}
	kept := f.hooks[:0]
	for _, h := range f.hooks {
		if _, page := h.fact.(session.PageAnnounced); !page || rng.Float64() >= share/2 {
			kept = append(kept, h)
		}
	}
	f.hooks = kept
	for range rng.IntN(4) { // again, in seconds or days, in other words
		if len(f.hooks) > 0 {
			h := *f.hooks[rng.IntN(len(f.hooks))]
			h.at = h.at.Add([]time.Duration{time.Second, time.Hour, day()}[rng.IntN(3)])
			f.hooks = append(f.hooks, &h)
		}
	}
	if rng.IntN(20) == 0 && len(f.hooks) > 0 { // the same session with another number
		h := f.hooks[rng.IntN(len(f.hooks))]
		if a, ok := h.fact.(session.PageAnnounced); ok {
			a.To = "+44 20 7946 0000"
			h.fact = a
		}
	}
	for _, h := range f.hooks {
		h.at = h.at.Add(time.Duration(rng.Int64N(int64(time.Second))))
	}
}

// sent makes it a fax that was sent, perhaps at the second try.
func (f *fax) sent(rng *rand.Rand, last *hook) {
	f.direction, f.streamed = session.Outgoing, false
	c := f.closeHook("success", len(f.pages))
	c.Hook = f.id
	f.hooks = []*hook{{fact: c, at: last.at}}
	if rng.IntN(2) == 0 {
		failed := f.closeHook("failed_busy", 0)
		failed.Hook = f.id
		c.Hook = "retry-1"
		f.hooks = []*hook{{fact: failed, at: simStart}, {fact: c, at: last.at}}
	}
}

func closeRank(c session.Closed) int {
	switch s := strings.ToLower(strings.TrimSpace(c.Status)); {
	case s == "success":
		return 2
	case strings.HasPrefix(s, "partially_"):
		return 1
	}
	return 0
}
