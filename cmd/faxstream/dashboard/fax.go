package dashboard

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/access"
	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/pipeline/bus"
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

// detail gives the fax in the path, and its ledger.
func (s *server) detail(r *http.Request) (d api.FaxDetail, st session.State, err error) {
	if st, err = s.find(r); err == nil {
		d, err = s.describeFax(r, st)
	}
	return d, st, err
}

func (s *server) describeFax(r *http.Request, st session.State) (api.FaxDetail, error) {
	facts, err := s.facts(r.Context(), st, st.Usable)
	if err != nil {
		return api.FaxDetail{}, err
	}
	d := api.FaxDetail{Fax: summary(st), Choices: st.Choices, Work: st.Work, Pages: []api.Page{}}
	reader, _ := access.Caller(r)
	s.shownTo(reader, &d.Fax)
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
	d, _, err := s.detail(r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	api.Write(w, http.StatusOK, d)
}

// faxView is what fax.html shows.
type faxView struct {
	api.FaxDetail
	Derived  []api.Derived
	Unlisted string         // why Derived may lack documents; empty: it has all
	Marks    map[int]string // of small images, by page; each is the query of an image's URL
	User     string         // who is logged in; empty without a login
	Letters  []api.Letter   // dead letters of the fax
	Trying   session.Ranges // missing pages for which the whole file is being fetched

	MayOperate, MayWork, MayAdmin, MayVerify bool

	Masked  bool   // the reader sees no numbers, and gets no file that has them
	Notice  string // what is wrong with the form that was sent; empty: nothing is
	Ordered string // what the form on the page before has ordered; empty: nothing
	Draft   string // the note in that form
	Live    string // the URL of its changes
}

// QualityText says in words what the quality of a page is; empty: there is nothing to say.
func (faxView) QualityText(q *session.Quality) (words []string) {
	if q == nil {
		return nil
	}
	if q.Blank {
		words = append(words, "blank")
	}
	if skew := float64(q.Skew) / 1000; q.SkewKnown && (skew > 1 || skew < -1) {
		words = append(words, fmt.Sprintf("turned by %.1f°", skew))
	}
	if q.Ink > 300_000 {
		words = append(words, "very dark")
	}
	if q.Border > 50_000 {
		words = append(words, "with a black border")
	}
	if q.Isolated > 200_000 && !q.Blank {
		words = append(words, "with many specks")
	}
	return words
}

// Partial: pages of the fax are missing, or it is unknown how many it has.
func (v faxView) Partial() bool { return v.Status == session.StatusPartial }

// StateOf says how far a page is: announced, failed and tried again, archived, recovered from the whole file, or missing.
func (v faxView) StateOf(p api.Page) string {
	switch {
	case p.Status == session.PageStatusAnnounced && p.Reason != "":
		return "a try failed, tried again"
	case p.Status == session.PageStatusArchived && p.Source == session.SourceWholeFile && v.Status == session.StatusRecovered:
		return session.StatusRecovered
	}
	return p.Status
}

// OnFax: the forms of dead letters lead back to the fax.
func (faxView) OnFax() bool { return true }

// faxPage shows a fax.
func (s *server) faxPage(w http.ResponseWriter, r *http.Request) {
	s.showFax(w, r, http.StatusOK, "", "")
}

// showFax shows a fax, with a notice, and the draft of a note, if there are any. One record stands for the page and the small images on it:
// their URLs have a mark that says so.
func (s *server) showFax(w http.ResponseWriter, r *http.Request, status int, notice, draft string) {
	v, err := s.faxView(r, false)
	if err == nil && r.Method != http.MethodHead {
		err = s.record(r, session.Access{Kind: session.AccessView, Session: v.Session})
	}
	if err != nil {
		s.problem(w, r, err)
		return
	}
	v.Notice, v.Draft, v.Ordered = notice, draft, orderedText(r)
	s.render(w, r, status, "fax.html", v)
}

// faxView is the fax in the path, as it is now. live: for a page that fills in.
func (s *server) faxView(r *http.Request, live bool) (v faxView, err error) {
	d, st, err := s.detail(r)
	if err != nil {
		return v, err
	}
	v = faxView{
		FaxDetail: d, Marks: map[int]string{}, User: userOf(r),
		MayOperate: may(r, access.ScopeOperate), MayWork: may(r, access.ScopeWork), MayAdmin: may(r, access.ScopeAdmin),
		Masked: masked(r),
	}
	v.MayVerify = v.MayOperate && s.Verify != nil
	if st.WholeOpen {
		v.Trying = st.WholeWanted.Minus(st.Usable)
	}
	if !restricted(r) {
		letters, _, err := s.Letters.Letters(r.Context(), bus.LetterFilter{Session: d.Session}, defaultLimit)
		if err != nil {
			return v, err
		}
		for _, l := range letters {
			v.Letters = append(v.Letters, shown(l))
		}
	}
	v.Derived, v.Unlisted = s.showDerived(r.Context(), d.Fax, live)
	ends := viewEnds(time.Now())
	v.Live = "/live/" + d.Session + "?view=" + s.mark(r, d.Session, 0, liveMark, ends)
	for _, p := range d.Pages {
		v.Marks[p.Page] = s.mark(r, d.Session, p.Page, p.SHA256, ends)
	}
	return v, nil
}
