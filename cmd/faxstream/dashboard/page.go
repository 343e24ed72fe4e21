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
