package dashboard

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/pipeline/session"
)

// load reads a session's ledger anew, so that a reader sees every event that it has got.
func (s *server) load(r *http.Request, id string) (session.State, error) {
	st, _, err := s.Ledgers.Load(r.Context(), id)
	if err == nil && (st.Opened.IsZero() || st.Purged) {
		err = s.notPurged(r, id, noFax(id))
	}
	return st, err
}

// find gives the fax in the path.
func (s *server) find(r *http.Request) (session.State, error) {
	return s.findSession(r, r.PathValue("session"))
}

// findSession is load for reading: it looks in the archive for a fax that has no ledger (any more). A fax that the reader may not see is
// not there; nor is, for a reader who is limited to numbers, a purged fax: nothing says any more whose it was.
func (s *server) findSession(r *http.Request, id string) (session.State, error) {
	st, err := s.findAny(r, id)
	gone, ok := errors.AsType[*api.Error](err)
	if err == nil && !sees(r, numberOf(summary(st))) || limited(r) && ok && gone.Status == http.StatusGone {
		return session.State{}, noFax(id)
	}
	return st, err
}

func noFax(id string) error { return api.NotFound("no fax has the session %s", id) }

func (s *server) findAny(r *http.Request, id string) (session.State, error) {
	st, err := s.load(r, id)
	if e, ok := errors.AsType[*api.Error](err); !ok || e.Status != http.StatusNotFound || s.Older == nil {
		return st, err
	}
	old, _, olderErr := s.Older.Fax(r.Context(), id)
	if errors.Is(olderErr, fs.ErrNotExist) {
		return st, err
	}
	return old, olderErr
}

// facts gives the facts of archived pages, and of a page of which a person has chosen an image those of that image.
func (s *server) facts(ctx context.Context, st session.State, pages session.Ranges) (map[int]session.PageArchived, error) {
	facts, err := s.published(ctx, st, pages)
	if err != nil || len(st.Choices) == 0 {
		return facts, err
	}
	images, err := s.images(ctx, st, pages)
	for _, c := range st.Choices {
		if f, ok := images[c.Page][c.Image]; ok {
			facts[c.Page] = f
		}
	}
	return facts, err
}

// published gives the facts of archived pages from the stream. If the stream no longer has them and the fax has a document, it reads them
// from the archive.
func (s *server) published(ctx context.Context, st session.State, pages session.Ranges) (map[int]session.PageArchived, error) {
	facts, err := s.Ledgers.PageFacts(ctx, st.Session, pages)
	if err != nil || s.Older == nil || st.Document == nil {
		return facts, err
	}
	gone := false
	for n := range pages.All() {
		if _, ok := facts[n]; !ok && st.Usable.Has(n) {
			gone = true
			break
		}
	}
	if !gone {
		return facts, nil
	}
	_, archived, err := s.Older.Fax(ctx, st.Session)
	if errors.Is(err, fs.ErrNotExist) {
		return facts, nil
	}
	for n := range pages.All() {
		if f, ok := archived[n]; ok && facts[n].Page == 0 {
			facts[n] = f
		}
	}
	return facts, err
}

func (s *server) detail(r *http.Request) (api.FaxDetail, error) {
	st, err := s.find(r)
	if err != nil {
		return api.FaxDetail{}, err
	}
	facts, err := s.facts(r.Context(), st, st.Usable)
	if err != nil {
		return api.FaxDetail{}, err
	}
	d := api.FaxDetail{Fax: summary(st), Choices: st.Choices, Work: st.Work, Pages: []api.Page{}}
	s.named(&d.Fax)
	for n := range st.Expected().Union(st.Usable).All() {
		p := api.Page{Page: n}
		p.Status, p.Source, p.Reason = st.PageStatus(n)
		if f, ok := facts[n]; ok {
			describe(&p, f)
		}
		p.Difference = st.Difference(n)
		d.Pages = append(d.Pages, p)
	}
	for _, c := range st.Choices {
		if i := slices.IndexFunc(d.Pages, func(p api.Page) bool { return p.Page == c.Page }); i >= 0 {
			d.Pages[i].Chosen = c.Image
		}
	}
	_, err = s.searchable(r.Context(), st)
	if e, ok := errors.AsType[*api.Error](err); ok && e.Status == http.StatusNotFound {
		return d, nil
	}
	d.Searchable = err == nil
	return d, err
}

// describe says of a page what its fact says.
func describe(p *api.Page, f session.PageArchived) {
	p.SHA256, p.Width, p.Height, p.Bad, p.Quality = f.Original.SHA256, f.Width, f.Height, f.BadRows, f.Quality
	p.Received, p.ReceivedBad = f.Received, f.Received.Bad()
	p.Orientation, p.ResolutionAssumed = f.Orientation, f.ResolutionAssumed
}

func (s *server) fax(w http.ResponseWriter, r *http.Request) {
	d, err := s.detail(r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	api.Write(w, http.StatusOK, d)
}

// word is a word of a page in an overlay: a box in pixels of the page.
type word struct {
	Text string `json:"text"`
	Box  []int  `json:"box"` // left, top, right, bottom; empty: the engine does not say where it is
}

// Width is that of the box.
func (w word) Width() int { return w.Box[2] - w.Box[0] }

// Height is that of the box.
func (w word) Height() int { return w.Box[3] - w.Box[1] }

// pageView is what page.html shows.
type pageView struct {
	Session string
	P       api.Page
	Prev    int // the page before; 0: there is none
	Next    int
	Text    string // what an OCR engine read; empty: nothing
	Words   []word // those with a place, if the page is stored upright
	Zoom    string // fit, or a percentage
	Turn    int    // clockwise, for the eye only: 0, 90, 180 or 270
	W, H    int    // of the PNG, pixels
}

// Lying reports whether width and height are exchanged.
func (v pageView) Lying() bool { return v.Turn%180 != 0 }

// Wide is the width of the page as it is shown, pixels.
func (v pageView) Wide() int {
	if v.Lying() {
		return v.H
	}
	return v.W
}

// High is the height of the page as it is shown, pixels.
func (v pageView) High() int { return v.W + v.H - v.Wide() }

// Scaled is Wide at the zoom, pixels; 0: it fits the window.
func (v pageView) Scaled() int {
	percent, _ := strconv.Atoi(v.Zoom) // viewPage has checked it
	return v.Wide() * percent / 100
}

// Part is the part of Wide that the page takes before it is turned, percent.
func (v pageView) Part() int { return 100 * v.W / max(v.Wide(), 1) }

// At is the address of a page with a zoom and a turn.
func (v pageView) At(page int, zoom string, turn int) string {
	return fmt.Sprintf("/fax/%s/pages/%d?zoom=%s&turn=%d", v.Session, page, zoom, turn)
}

// Turned is another turn by a quarter.
func (v pageView) Turned() int { return (v.Turn + 90) % 360 }

// Zooms are what can be chosen.
func (pageView) Zooms() []string { return zooms }

var zooms = []string{"fit", "50", "100", "200"}

// viewPage shows one page, with its text beside it.
func (s *server) viewPage(w http.ResponseWriter, r *http.Request) {
	v, err := s.pageView(r)
	if err == nil && r.Method != http.MethodHead {
		err = s.record(r, session.Access{Kind: session.AccessView, Session: v.Session, Page: v.P.Page})
	}
	if err != nil {
		s.problem(w, r, err)
		return
	}
	s.render(w, r, http.StatusOK, "page.html", v)
}

func (s *server) pageView(r *http.Request) (v pageView, err error) {
	st, page, err := s.findPage(r)
	if err != nil {
		return v, err
	}
	if v.Zoom = cmp.Or(r.FormValue("zoom"), "fit"); !slices.Contains(zooms, v.Zoom) {
		return v, api.BadRequest("zoom %q: want %s", v.Zoom, strings.Join(zooms, ", "))
	}
	if v.Turn, err = strconv.Atoi(cmp.Or(r.FormValue("turn"), "0")); err != nil || v.Turn < 0 || v.Turn > 270 || v.Turn%90 != 0 {
		return v, api.BadRequest("turn %q: want 0, 90, 180 or 270", r.FormValue("turn"))
	}
	facts, err := s.facts(r.Context(), st, session.Span(page, page))
	if err != nil {
		return v, err
	}
	f, ok := facts[page]
	if !ok {
		return v, api.NotFound("session %s has no archived page %d", st.Session, page)
	}
	v.Session, v.P = st.Session, api.Page{Page: page}
	describe(&v.P, f)
	v.W, v.H = s.pngSize(f)
	for n := range st.Usable.All() {
		switch {
		case n < page:
			v.Prev = n
		case n > page && v.Next == 0:
			v.Next = n
		}
	}
	return v, s.readText(r.Context(), f, &v)
}

// pngSize is the size of the PNG of a page, which is upright and has square pixels.
func (s *server) pngSize(f session.PageArchived) (width, height int) {
	width, height = f.Width, f.Height
	if f.Orientation >= 5 {
		width, height = height, width
	}
	if s.PNGScale != nil {
		x, y := s.PNGScale(f)
		width, height = width*x, height*y
	}
	return width, height
}

// readText adds the text of a page, if an OCR engine has sent one.
func (s *server) readText(ctx context.Context, f session.PageArchived, v *pageView) error {
	if s.Texts == nil {
		return nil
	}
	body, _, err := s.Texts.Text(ctx, f, "txt", "")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	v.Text = string(body)
	if body, _, err = s.Texts.Text(ctx, f, "words", ""); err != nil || v.P.Orientation > 1 {
		return err
	}
	var of struct {
		Words []word `json:"words"`
	}
	if err := json.Unmarshal(body, &of); err != nil {
		return fmt.Errorf("words of page %d of session %s: %w", v.P.Page, v.Session, err)
	}
	v.Words = slices.DeleteFunc(of.Words, func(w word) bool { return len(w.Box) != 4 })
	return nil
}
