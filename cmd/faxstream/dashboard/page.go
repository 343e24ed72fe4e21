package dashboard

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/pipeline/search"
	"github.com/faxstream/faxstream/pipeline/session"
)

// word is a word of a page in an overlay: a box in pixels of the page.
type word struct {
	Text  string `json:"text"`
	Box   []int  `json:"box"` // left, top, right, bottom; empty: the engine does not say where it is
	Found bool   `json:"-"`   // it is of what is looked for
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
	Text    []api.Part // what an OCR engine read; empty: nothing
	Words   []word     // those with a place, if the page is stored upright
	Query   string     // words that are marked; empty: none are
	HasBad  bool       // it has bad rows that can be marked
	Bad     bool       // they are
	BadRows []badRows  // from the top, as the page is stored
	MoreBad bool       // others are left out
	NoRows  string     // why they cannot be marked; empty: they can
	Zoom    string     // fit, or a percentage
	Turn    int        // clockwise, for the eye only: 0, 90, 180 or 270
	W, H    int        // of the PNG, pixels

	terms search.Terms // of Query
}

// badRows are bad rows that follow each other.
type badRows struct {
	First, Last int   // from 1
	Box         []int // on the upright page, pixels: left, top, right, bottom
}

// maxBadRows bounds the ranges that are marked.
const maxBadRows = 1000

// Width is that of the box.
func (b badRows) Width() int { return b.Box[2] - b.Box[0] }

// Height is that of the box.
func (b badRows) Height() int { return b.Box[3] - b.Box[1] }

// UprightWidth is the width of the upright page before its PNG is scaled, pixels.
func (v pageView) UprightWidth() int {
	if v.P.Orientation >= 5 {
		return v.P.Height
	}
	return v.P.Width
}

// UprightHeight is its height.
func (v pageView) UprightHeight() int { return v.P.Width + v.P.Height - v.UprightWidth() }

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

// At is the address of a page with a zoom and a turn, and with the marks that are shown.
func (v pageView) At(page int, zoom string, turn int) string {
	at := fmt.Sprintf("/fax/%s/pages/%d?zoom=%s&turn=%d", v.Session, page, zoom, turn)
	if v.Bad {
		at += "&rows=bad"
	}
	if v.Query != "" {
		at += "&words=" + url.QueryEscape(v.Query)
	}
	return at
}

// Toggled is the address of the page with its bad rows marked, or not if they are.
func (v pageView) Toggled() string {
	v.Bad = !v.Bad
	return v.At(v.P.Page, v.Zoom, v.Turn)
}

// Unmarked is the address of the page without marks of words.
func (v pageView) Unmarked() string {
	v.Query = ""
	return v.At(v.P.Page, v.Zoom, v.Turn)
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
	if err := v.readMarks(r); err != nil {
		return v, err
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
	if err := s.readText(r.Context(), f, &v); err != nil {
		return v, err
	}
	return v, s.markBadRows(r, f, &v)
}

// readMarks reads what is to be marked.
func (v *pageView) readMarks(r *http.Request) (err error) {
	if rows := r.FormValue("rows"); rows != "" && rows != "bad" {
		return api.BadRequest("rows %q: want bad, or nothing", rows)
	}
	v.Bad = r.FormValue("rows") == "bad"
	if v.Query = strings.TrimSpace(r.FormValue("words")); v.Query == "" {
		return nil
	}
	if v.terms, err = search.ParseTerms(v.Query); err != nil {
		return api.BadRequest("words: %v", err)
	}
	return nil
}

// markBadRows decodes a page that has bad rows, if they are to be marked: the archive knows only how many they are.
func (s *server) markBadRows(r *http.Request, f session.PageArchived, v *pageView) error {
	if v.HasBad = f.BadRows > 0 && s.BadRows != nil; !v.HasBad || !v.Bad {
		return nil
	}
	var rows [][2]int
	original := file{session: v.Session, page: v.P.Page, object: f.Original}
	err := s.withOriginal(r, original, func(ctx context.Context, original io.Reader) (err error) {
		rows, err = s.BadRows(ctx, original)
		return err
	})
	if e, ok := errors.AsType[*api.Error](err); ok && e.Status == http.StatusNotFound {
		v.NoRows, err = e.Message, nil // the page itself can be shown
	}
	if v.MoreBad = len(rows) > maxBadRows; v.MoreBad {
		rows = rows[:maxBadRows]
	}
	for _, row := range rows {
		v.BadRows = append(v.BadRows, badRows{First: row[0] + 1, Last: row[1] + 1, Box: uprightRows(f, row[0], row[1]+1)})
	}
	return err
}

// uprightRows is the box of the rows from first to before end of a page, as stored, on the upright page. TIFF 6.0 says where the first row
// of an orientation is: 1 and 2 at the top, 3 and 4 at the bottom, 5 and 8 at the left, 6 and 7 at the right.
func uprightRows(f session.PageArchived, first, end int) []int {
	if o := f.Orientation; o == 3 || o == 4 || o == 6 || o == 7 {
		first, end = f.Height-end, f.Height-first
	}
	if f.Orientation >= 5 {
		return []int{first, 0, end, f.Width}
	}
	return []int{0, first, f.Width, end}
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
	v.Text = markedText(string(body), v.terms)
	if body, _, err = s.Texts.Text(ctx, f, "words", ""); err != nil || v.P.Orientation > 1 {
		return err
	}
	var of struct {
		Words []word `json:"words"`
	}
	if err := json.Unmarshal(body, &of); err != nil {
		return fmt.Errorf("words of page %d of session %s: %w", v.P.Page, v.Session, err)
	}
	texts := make([]string, len(of.Words))
	for i, w := range of.Words {
		texts[i] = w.Text
	}
	for i, found := range v.terms.Marked(texts) {
		of.Words[i].Found = found
	}
	v.Words = slices.DeleteFunc(of.Words, func(w word) bool { return len(w.Box) != 4 })
	return nil
}

// markedText divides a text at the words that are of what is looked for.
func markedText(text string, terms search.Terms) (all []api.Part) {
	add := func(text string, hit bool) {
		if text != "" {
			all = append(all, api.Part{Text: text, Hit: hit})
		}
	}
	words := strings.Fields(text)
	plain, at := 0, 0 // where the text without a mark begins; where the next word is looked for
	for i, found := range terms.Marked(words) {
		begin := at + strings.Index(text[at:], words[i])
		if at = begin + len(words[i]); found {
			add(text[plain:begin], false)
			add(words[i], true)
			plain = at
		}
	}
	add(text[plain:], false)
	return all
}
