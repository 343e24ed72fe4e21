package pipeline

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// check looks at what is left when everything has come to rest, and compares it with what was sent, announced and served.
func (w *world) check() {
	s, err := w.bus.ledger(w.fax.id)
	if err != nil {
		w.broken("the ledger cannot be read: %v", err)
		return
	}
	w.checkRest(s)
	if len(w.recorded()) == 0 {
		return
	}
	w.checkAccounted(s)
	w.checkArchive()
	w.checkGrace()
	m, ok := w.checkRevisions(s)
	if !ok {
		return
	}
	w.checkPages(m)
	w.checkStatus(s, m)
	w.checkSubscribers(s, m)
	w.checkVerification(s, m)
}

// recorded returns what the provider said, as it is stored: webhooks, and the close from its record.
func (w *world) recorded() (facts []session.Fact) {
	for _, m := range w.bus.all {
		switch kind := bus.EventType(m.subject); kind {
		case session.TypePageAnnounced, session.TypeClosed, session.TypeSent:
			f, err := session.ParseFact(kind, m.data)
			if err != nil {
				w.broken("%s: %v", m.subject, err)
				continue
			}
			facts = append(facts, f)
		}
	}
	return facts
}

// checkRest: no work is left, and there is no dead letter of a handler.
func (w *world) checkRest(s session.State) {
	for _, c := range w.bus.consumers {
		for _, m := range c.msgs {
			if !m.acked {
				w.broken("%s never finished %s", c.durable, m.subject)
			}
		}
	}
	for _, d := range w.bus.dead {
		w.broken("dead letter: %s", d)
	}
	if len(w.bus.schedules) > 0 {
		w.broken("schedules are left: %v", w.bus.schedules)
	}
	if s.WholeOpen {
		w.broken("an order for the whole file is open")
	}
	if s.Ordered != s.Revision() {
		w.broken("revision %d is ordered, %d is in the archive", s.Ordered, s.Revision())
	}
}

// checkAccounted: the ledger knows every webhook that was recorded.
func (w *world) checkAccounted(s session.State) {
	for _, h := range w.fax.hooks {
		if _, ok := w.bus.last[h.fact.Subject()]; h.recorded && !ok {
			w.broken("%s was answered 200, but is not stored", h.fact.Subject())
		}
	}
	for _, f := range w.recorded() {
		switch f := f.(type) {
		case session.PageAnnounced:
			if !s.Announced.Has(f.Page) {
				w.broken("the ledger does not know of page %d, which was announced", f.Page)
			}
		case session.Closed:
			same := func(o session.Closed) bool { return o.Subject() == f.Subject() }
			if !(s.Close != nil && same(*s.Close)) && !slices.ContainsFunc(s.OtherCloses, same) {
				w.broken("the ledger does not know of close %s", f.Subject())
			}
		}
	}
}

// checkGrace: while a page may still come by itself, the whole file is not asked for it before the grace after the close is over.
//
// A session that was given up while the bus was away, and whose close is stored at the moment in which the bus is back, is left
// out: its ledger may order the file before it has folded the close.
func (w *world) checkGrace() {
	if !w.bus.outage.never() {
		return
	}
	var closed time.Time
	final := map[int]bool{}
	for _, m := range w.bus.all {
		kind := bus.EventType(m.subject)
		if m.stream == bus.StreamTimers {
			continue
		}
		f, err := session.ParseFact(kind, m.data)
		if err != nil {
			w.broken("%s: %v", m.subject, err)
			continue
		}
		switch f := f.(type) {
		case session.Closed:
			if closed.IsZero() {
				closed = m.at
			}
		case session.PageFailed:
			if f.Final {
				final[f.Page] = true
			}
		case session.WholeOrdered:
			for p := range f.Wanted.All() {
				if coming := w.fax.direction == session.Incoming && w.fax.policy.Streaming && !final[p]; coming &&
					m.at.Before(closed.Add(w.fax.policy.Grace)) {
					w.broken("page %d was asked of the whole file %s after the close", p, m.at.Sub(closed))
				}
			}
		}
	}
}

// checkArchive: the object of a page or file has a sidecar that describes it, and the hashes in keys are right.
func (w *world) checkArchive() {
	for key, data := range w.archive.objects {
		name := key[strings.LastIndexByte(key, '/')+1:]
		if parts := strings.Split(name, "."); len(parts) > 2 && parts[len(parts)-1] != "json" {
			if sum := hash(sha256.Sum256(data)); parts[1] != sum[:16] {
				w.broken("%s has the hash %s", key, sum)
			}
		}
		original := strings.Contains(key, "/pages/") || strings.Contains(key, "/original.")
		if !original || strings.HasSuffix(key, ".json") || strings.HasSuffix(key, ".png") {
			continue
		}
		var side archive.Sidecar
		if err := json.Unmarshal(w.archive.objects[key+".json"], &side); err != nil {
			w.broken("%s has no sidecar: %v", key, err)
		} else if side.Object.Key != key || side.Session != w.fax.id || side.Object.SHA256 != hash(sha256.Sum256(data)) {
			w.broken("the sidecar of %s says %+v", key, side)
		}
	}
}

func (w *world) manifest(revision int) (m archive.Manifest, data []byte) {
	key := fmt.Sprintf("faxes/%s/r%d/manifest.json", w.fax.id, revision)
	data, ok := w.archive.objects[key]
	if !ok {
		w.broken("there is no %s", key)
		return m, nil
	}
	if err := json.Unmarshal(data, &m); err != nil {
		w.broken("%s: %v", key, err)
	}
	return m, data
}

// checkRevisions: every revision up to the newest was made once, of its plan, and names the one before.
func (w *world) checkRevisions(s session.State) (newest archive.Manifest, ok bool) {
	if s.Revision() == 0 {
		w.broken("there is no document")
		return newest, false
	}
	var before []byte
	for r := 1; r <= s.Revision(); r++ {
		m, data := w.manifest(r)
		if data == nil {
			return newest, false
		}
		if r > 1 && m.Previous != hash(sha256.Sum256(before)) {
			w.broken("revision %d does not name the manifest before it", r)
		}
		before, newest = data, m
		w.checkDocument(m)
	}
	if n := len(w.archive.keys("index/")); n != 1 {
		w.broken("the fax is listed %d times", n)
	}
	var said session.DocAssembled
	subject := session.DocAssembled{ToToken: newest.ToToken, Session: w.fax.id, Revision: newest.Revision}.Subject()
	if err := json.Unmarshal(w.bus.last[subject].data, &said); err != nil {
		w.broken("nobody was told of revision %d: %v", newest.Revision, err)
	}
	if said.Status != newest.Status || said.Manifest.SHA256 != hash(sha256.Sum256(before)) {
		w.broken("the event says %+v of manifest %+v", said, newest)
	}
	if s.Status() != newest.Status {
		w.broken("the fax is %s, its document %s", s.Status(), newest.Status)
	}
	return newest, true
}

// checkDocument: a revision has one TIFF and one PDF, which have the pages that the manifest says.
func (w *world) checkDocument(m archive.Manifest) {
	prefix := fmt.Sprintf("faxes/%s/r%d/document.", w.fax.id, m.Revision)
	want := []string{m.PDF.Key}
	if m.TIFF != nil {
		want = append(want, m.TIFF.Key)
	}
	if got := w.archive.keys(prefix); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
		w.broken("revision %d has the documents %v, its manifest %v", m.Revision, got, want)
		return
	}
	pdf := w.archive.objects[m.PDF.Key]
	i := 0
	for _, p := range m.Pages {
		if p.Status != session.PageStatusArchived {
			continue
		}
		if m.TIFF == nil {
			w.broken("revision %d has page %d, but no TIFF", m.Revision, p.Page)
			return
		}
		if got := rasterOf(w.archive.objects[m.TIFF.Key], i); got != p.RasterSHA256 {
			w.broken("revision %d, page %d: the TIFF has raster %.16s, the manifest %.16s", m.Revision, p.Page, got, p.RasterSHA256)
		}
		i++
		strip := pdf[min(int(p.PDFOffset), len(pdf)):]
		if hash(sha256.Sum256(strip[:min(p.StripSize, len(strip))])) != p.StripSHA256 {
			w.broken("revision %d, page %d: the PDF does not have the strip", m.Revision, p.Page)
		}
		if _, ok := w.archive.objects[p.Original.Key]; !ok {
			w.broken("revision %d, page %d: the original %s is not there", m.Revision, p.Page, p.Original.Key)
		}
	}
	if m.TIFF != nil {
		if file, err := tiff.Parse(w.archive.objects[m.TIFF.Key], tiff.Limits{}); err != nil || file.NumPages() != i {
			w.broken("revision %d: the TIFF does not have %d pages: %v", m.Revision, i, err)
		}
	}
}

// accepted is the best close that was recorded, nil for none.
func (w *world) accepted() *session.Closed {
	var best *session.Closed
	for _, f := range w.recorded() {
		c, ok := f.(session.Closed)
		if !ok {
			continue
		}
		if best == nil || cmp.Or(cmp.Compare(closeRank(c), closeRank(*best)), cmp.Compare(c.Pages, best.Pages),
			strings.Compare(c.Subject(), best.Subject())) > 0 {
			best = &c
		}
	}
	return best
}

// counted is how many pages the fax has, as the accepted close, the whole file as it was taken or the highest announced page says;
// 0: nobody does. A file that grows after it was taken for a close that counts no pages is beyond what anybody can know.
func (w *world) counted() int {
	c := w.accepted()
	switch {
	case c == nil:
		n := 0
		for page := range w.announced() {
			n = max(n, page)
		}
		return n
	case c.Pages > 0:
		return max(c.Pages, w.newest())
	default:
		return w.taken()
	}
}

// taken is the most pages of a whole file that was taken.
func (w *world) taken() (pages int) {
	for _, m := range w.bus.all {
		if f, err := session.ParseFact(bus.EventType(m.subject), m.data); err == nil {
			if done, ok := f.(session.WholeDone); ok {
				pages = max(pages, done.Pages)
			}
		}
	}
	return pages
}

// newest is how many pages the newest whole file has that was taken: those beyond the close's count are pages of the fax.
func (w *world) newest() (pages int) {
	last := 0
	for _, m := range w.bus.all {
		if f, err := session.ParseFact(bus.EventType(m.subject), m.data); err == nil {
			if done, ok := f.(session.WholeDone); ok && done.Object != nil && done.N > last {
				last, pages = done.N, done.Pages
			}
		}
	}
	return pages
}

// announced gives the pages that were announced, and when.
func (w *world) announced() map[int]time.Time {
	pages := map[int]time.Time{}
	for page := range w.fax.pages {
		if m, ok := w.bus.last[w.fax.pageHook(page+1).Subject()]; ok {
			pages[page+1] = m.at
		}
	}
	return pages
}

// checkPages: the document has exactly the expected pages. One that is there has pixels that were served for it; one that
// could be had is there.
func (w *world) checkPages(m archive.Manifest) {
	announced := w.announced()
	expected := map[int]bool{}
	for p := range announced {
		expected[p] = true
	}
	for p := 1; p <= w.counted(); p++ {
		expected[p] = true
	}
	for i, p := range m.Pages {
		if !expected[p.Page] {
			w.broken("page %d is in the document, but not expected", p.Page)
		}
		if i > 0 && m.Pages[i-1].Page >= p.Page {
			w.broken("page %d stands after page %d", p.Page, m.Pages[i-1].Page)
		}
		delete(expected, p.Page)
		switch {
		case p.Status == session.PageStatusArchived:
			w.checkPixels(p)
		case p.Reason == "" || p.Reason == session.ReasonInternal || p.Reason == session.ReasonLost:
			w.broken("page %d is %s for the reason %q", p.Page, p.Status, p.Reason)
		case p.Reason == session.ReasonNotAnnounced && !announced[p.Page].IsZero():
			w.broken("page %d is said to be not announced, but it was", p.Page)
		default:
			if why, ok := w.fax.couldBeHad(p.Page, announced[p.Page]); ok {
				w.broken("page %d is missing (%s), but could be had: %s", p.Page, p.Reason, why)
			}
		}
	}
	for p := range expected {
		w.broken("page %d is expected, but neither there nor missing", p)
	}
}

func (w *world) checkPixels(p archive.ManifestPage) {
	f := w.fax
	own := p.Page <= len(f.pages) && f.pages[p.Page-1].served[p.RasterSHA256]
	inFile := p.Page <= len(f.whole.rasters) && f.whole.rasters[p.Page-1][p.RasterSHA256]
	if p.Source == session.SourceFetch && !own || p.Source == session.SourceWholeFile && !inFile {
		w.broken("page %d (%s) has pixels that were never served for it", p.Page, p.Source)
	}
}

// couldBeHad reports whether the provider gave a page in time whatever else happened, and how. Where it was out of order itself,
// only what it has from the first answer on counts.
func (f *fax) couldBeHad(page int, announced time.Time) (how string, ok bool) {
	calm := f.outage.never() && f.token.never()
	if page <= len(f.pages) && !announced.IsZero() && f.policy.Streaming {
		switch p := f.pages[page-1]; p.mode {
		case pageGood, pageTwoFaced:
			return "its own file was always there", true
		case pageSlow, pageLate:
			if calm {
				return "its own file was there in time, after a few tries", true
			}
		}
	}
	h := f.whole
	if h.never || h.damaged || h.short < 0 || page > len(f.pages)+h.extra || !calm && h.tries+h.short > 0 {
		return "", false
	}
	return "the whole file has it", true
}

// checkStatus: the document's status is what the webhooks and its pages say.
func (w *world) checkStatus(s session.State, m archive.Manifest) {
	missing, usable, cut, beyond := 0, 0, 0, 0
	c := w.accepted()
	announced := w.announced()
	for _, p := range m.Pages {
		switch {
		case p.Status != session.PageStatusArchived:
			missing++
		case c != nil && c.Pages > 0 && p.Page > c.Pages && announced[p.Page].IsZero() && p.Page <= w.newest() &&
			w.published(m.ToToken, p.Page).Source == session.SourceWholeFile:
			beyond++
			usable++
		case w.published(m.ToToken, p.Page).Source == session.SourceWholeFile && !announced[p.Page].IsZero():
			cut++
			usable++
		default:
			usable++
		}
	}
	status, reason := session.StatusPartial, ""
	switch {
	case c == nil:
		reason = session.PartialNoClose
	case closeRank(*c) < 2:
		reason = c.Status
	case usable == 0 && missing == 0:
		reason = session.PartialNoPages
	case w.counted() == 0:
		reason = session.PartialUncounted
	case missing > 0:
		reason = session.PartialMissing
	case beyond > 0:
		status, reason = session.StatusRecovered, session.RecoveredBeyond
	case cut > 0:
		status = session.StatusRecovered
	default:
		status = session.StatusComplete
	}
	if m.Status != status || m.Reason != reason {
		w.broken("the document is %s (%s), want %s (%s)", m.Status, m.Reason, status, reason)
	}
	if w.accepted() == nil && w.fax.policy.Ask && w.fax.record != nil {
		w.broken("the provider's record says how the fax ended, but nobody asked")
	}
	if owner := w.bus.owners[session.AliasListed+w.fax.listed()]; w.told() && owner != s.Session {
		w.broken("the provider's record was read, but its name in the lists belongs to %q", owner)
	}
	if c != nil && (m.From != c.From || m.To != c.To) {
		w.broken("the document is from %q to %q, the close says %q to %q", m.From, m.To, c.From, c.To)
	}
	if m.Direction != w.fax.direction {
		w.broken("the document is %s", m.Direction)
	}
	if want := cmp.Or(w.bus.bound[s.Session], session.UnknownToken); m.ToToken != want {
		w.broken("the document went to %s, want %s", m.ToToken, want)
	}
}

// told reports whether the provider's record counted as a close.
func (w *world) told() bool {
	for _, m := range w.bus.all {
		f, err := session.ParseFact(bus.EventType(m.subject), m.data)
		said, ok := f.(session.RecordSaid)
		if err == nil && ok && said.Says == session.RecordClosed {
			return true
		}
	}
	return false
}

// published is the first image of a page that subscribers got under a number.
func (w *world) published(toToken string, page int) (f session.PageArchived) {
	m := w.bus.last[session.PageArchived{ToToken: toToken, Session: w.fax.id, Page: page}.Subject()]
	if err := json.Unmarshal(m.data, &f); err != nil {
		w.broken("page %d was published as %q: %v", page, m.data, err)
	}
	return f
}

// checkVerification: what is said of the comparison with the whole file is true.
func (w *world) checkVerification(s session.State, m archive.Manifest) {
	verdict := s.Verification()
	if verdict == session.VerificationPending {
		w.broken("the comparison with the whole file is never over")
	}
	if w.fax.policy.Reconcile == session.ReconcileOff && verdict == session.VerificationDiffers {
		w.broken("pages were compared, but should not be")
	}
	if verdict != session.VerificationVerified {
		return
	}
	for _, p := range m.Pages {
		if p.Status == session.PageStatusArchived && (p.Page > len(w.fax.whole.rasters) || !w.fax.whole.rasters[p.Page-1][p.RasterSHA256]) {
			w.broken("the fax is said to be verified, but page %d is another one in the whole file", p.Page)
		}
	}
}

// checkSubscribers: every usable page was published under the number that is bound, with an id that is the same wherever else it was.
func (w *world) checkSubscribers(s session.State, m archive.Manifest) {
	for _, p := range m.Pages {
		if p.Status != session.PageStatusArchived {
			continue
		}
		said := session.PageArchived{ToToken: m.ToToken, Session: s.Session, Page: p.Page}
		msg, ok := w.bus.last[said.Subject()]
		if !ok {
			w.broken("nobody was told of page %d under %s", p.Page, m.ToToken)
			continue
		}
		if msg.id != said.ID() {
			w.broken("page %d was published with the id %s, want %s", p.Page, msg.id, said.ID())
		}
		if err := json.Unmarshal(msg.data, &said); err != nil {
			w.broken("page %d was published as %s: %v", p.Page, msg.data, err)
		}
		if amended := (session.PageAmended{PageArchived: said}); said.RasterSHA256 != p.RasterSHA256 {
			amended.RasterSHA256 = p.RasterSHA256
			if err := json.Unmarshal(w.bus.last[amended.Subject()].data, &said); err != nil {
				w.broken("nobody was told that page %d was repaired: %v", p.Page, err)
			}
		}
		if said.RasterSHA256 != p.RasterSHA256 || !bytes.HasPrefix(w.archive.objects[said.PNG.Key], []byte("\x89PNG")) {
			w.broken("page %d was published as %+v, the document has raster %.16s", p.Page, said, p.RasterSHA256)
		}
	}
}
