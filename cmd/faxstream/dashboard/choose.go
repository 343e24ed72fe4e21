package dashboard

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"net/http"
	"strings"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/pipeline/session"
)

// images gives both images of the pages that differ from the whole file, by page and name. A report that is gone has none.
func (s *server) images(ctx context.Context, st session.State, pages session.Ranges) (map[int]map[string]session.PageArchived, error) {
	all := map[int]map[string]session.PageArchived{}
	if s.Images == nil {
		return all, nil
	}
	for _, d := range st.Disputes {
		wanted := d.Pages.Intersect(pages)
		if len(wanted) == 0 {
			continue
		}
		found, err := s.Images(ctx, d.Report)
		if errors.Is(err, fs.ErrNotExist) {
			s.Log.Error("a report on pages that differ is missing in the archive", "session", st.Session, "key", d.Report.Key)
			continue
		}
		if err != nil {
			return nil, err
		}
		for page := range wanted.All() {
			all[page] = found[page]
		}
	}
	return all, nil
}

// imageOf gives one image of a page that differs from the whole file.
func (s *server) imageOf(ctx context.Context, st session.State, page int, image string) (session.PageArchived, error) {
	if !validImage(image) {
		return session.PageArchived{}, errImage(image)
	}
	images, err := s.images(ctx, st, session.Span(page, page))
	if err != nil {
		return session.PageArchived{}, err
	}
	f, ok := images[page][image]
	if !ok {
		return f, api.NotFound("page %d of session %s has one image only: no comparison with the whole file found a difference", page, st.Session)
	}
	return f, nil
}

func validImage(image string) bool {
	return image == session.ImageStreamed || image == session.ImageFile
}

func errImage(image string) error {
	return api.BadRequest("image %q: want %s (the page as it was fetched by itself) or %s (the page of the whole file)",
		image, session.ImageStreamed, session.ImageFile)
}

// choosePage stores a person's choice of one of two images of pages, and waits a while for the document that has it.
func (s *server) choosePage(w http.ResponseWriter, r *http.Request) {
	var o api.ChoiceOrder
	err := readOrderInto(w, r, &o, &o.Order)
	var done api.ChoiceAnswer
	if err == nil {
		done, err = s.choose(r, o)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	api.Write(w, http.StatusOK, done)
}

// chooseForm is choosePage for the form of the fax's page.
func (s *server) chooseForm(r *http.Request, o api.Order) (next string, err error) {
	_, err = s.choose(r, api.ChoiceOrder{Order: o, Image: r.PostFormValue("image")})
	return faxOf(r), err
}

// choose stores the choice for the pages in the path, of which a person wants the same image. All of them get it, or none.
func (s *server) choose(r *http.Request, o api.ChoiceOrder) (done api.ChoiceAnswer, err error) {
	pages, err := session.ParseRanges(r.PathValue("page"), session.MaxPages)
	switch {
	case err != nil:
		return done, api.BadRequest("%v", err)
	case !validImage(o.Image):
		return done, errImage(o.Image)
	case o.Why == "":
		return done, api.BadRequest("why: give a reason for the choice; FAX_AUDIT and the manifest keep it")
	}
	st, err := s.find(r)
	if err != nil {
		return done, err
	}
	if err := choosable(st, pages); err != nil {
		return done, err
	}
	act := session.Action{Kind: session.ActionChosen, By: o.By, Why: o.Why, Session: st.Session, Page: pages[0].First, Image: o.Image}
	if pages.Len() > 1 {
		act.Pages = pages
	}
	if _, err := s.Letters.Act(r.Context(), act); err != nil {
		return done, err
	}
	s.Log.Info("image chosen", "session", st.Session, "pages", pages.Text(), "image", o.Image, "by", o.By)
	done = api.ChoiceAnswer{Session: st.Session, Page: act.Page, Pages: act.Pages, Image: o.Image}
	done.Revision, done.Done = s.awaitChoice(r.Context(), act, pages)
	done.Revision = max(done.Revision, st.Revision())
	return done, nil
}

// choosable refuses a choice that the ledger would not take.
func choosable(st session.State, pages session.Ranges) error {
	if st.FoldedInto != "" {
		return api.Errorf(http.StatusConflict, "folded", "session %s is the same fax as %s: choose there", st.Session, st.FoldedInto)
	}
	rest := pages
	for _, d := range st.Disputes {
		rest = rest.Minus(d.Pages)
	}
	if len(rest) > 0 {
		return api.Errorf(http.StatusConflict, "no_difference",
			"there is nothing to choose for %s of session %s: no comparison with the whole file found a difference", rest.Text(), st.Session)
	}
	return nil
}

// awaitChoice waits until the newest document follows a choice, for orderPatience at most. done: it does.
func (s *server) awaitChoice(ctx context.Context, a session.Action, pages session.Ranges) (revision int, done bool) {
	done = await(ctx, func(ctx context.Context) bool {
		st, _, err := s.Ledgers.Load(ctx, a.Session)
		rest := pages
		for _, c := range st.Choices {
			if c.Image == a.Image && c.By == a.By && c.Why == a.Why {
				rest = rest.Remove(c.Page)
			}
		}
		revision = st.Revision()
		return err == nil && revision >= st.Ordered && len(rest) == 0
	})
	if !done {
		return 0, false
	}
	return revision, true
}

// differView is what fax.html shows of a page that differs from the whole file.
type differView struct {
	faxView
	P      api.Page
	Choice session.Choice // the zero value: nobody has chosen
	Images []string
}

// Differ is what to show of a page that differs.
func (v faxView) Differ(p api.Page) differView {
	d := differView{faxView: v, P: p, Images: v.BothImages()}
	for _, c := range v.Choices {
		if c.Page == p.Page {
			d.Choice = c
		}
	}
	return d
}

// DifferenceText says in words what differs.
func (faxView) DifferenceText(name string) string {
	return cmp.Or(map[string]string{
		"inverted":          "black and white are exchanged",
		"blank_against_ink": "one of them is blank",
	}[name], "they have other pixels")
}

// BothImages are the images between which a person chooses.
func (faxView) BothImages() []string { return []string{session.ImageStreamed, session.ImageFile} }

// Undecided are the pages that differ, if these are several: they may have one choice together. It is written as in a path; empty: they
// are fewer.
func (v faxView) Undecided() string {
	if v.Differing.Len() < 2 {
		return ""
	}
	_, ranges, _ := strings.Cut(v.Differing.Text(), " ")
	return strings.ReplaceAll(ranges, " ", "")
}

// ImageText names an image in words.
func (faxView) ImageText(image string) string {
	if image == session.ImageFile {
		return "the page of the whole file"
	}
	return "the page as it was streamed"
}
