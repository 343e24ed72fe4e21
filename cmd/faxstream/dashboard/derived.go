package dashboard

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/faxstream/faxstream/cmd/faxstream/access"
	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/pipeline/session"
)

// Derived has the derived documents of faxes.
type Derived interface {
	// Documents are those of a fax, oldest first.
	Documents(ctx context.Context, id string) ([]session.Derived, error)
	// Pages are the pages that a manifest lists. An error that matches fs.ErrNotExist: the manifest is missing or altered.
	Pages(ctx context.Context, manifest session.Object) (session.ManifestPages, error)
}

// listDerived lists the derived documents of the fax in the path.
func (s *server) listDerived(w http.ResponseWriter, r *http.Request) {
	st, err := s.find(r)
	l := api.DerivedList{Session: st.Session}
	if err == nil {
		l.Documents, err = s.derived(r.Context(), st.Session)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	api.Write(w, http.StatusOK, l)
}

func (s *server) derived(ctx context.Context, id string) ([]api.Derived, error) {
	all := []api.Derived{}
	if s.Derived == nil {
		return all, nil
	}
	documents, err := s.Derived.Documents(ctx, id)
	for _, d := range documents {
		all = append(all, derivedOf(d))
	}
	return all, err
}

func derivedOf(d session.Derived) api.Derived {
	return api.Derived{
		ID: derivedID(d), Text: d.Derivation.Text(), By: d.By, At: d.At, TIFF: d.TIFF, PDF: d.PDF, Derivation: d.Derivation,
	}
}

// derivedID names a derived document of a fax.
func derivedID(d session.Derived) string { return fmt.Sprintf("%.16s", d.Record.SHA256) }

// derivedFile serves derived/ID.pdf, derived/ID.tiff and derived/ID.json, which is its record.
func (s *server) derivedFile(w http.ResponseWriter, r *http.Request) {
	f, err := s.findDerived(r)
	if err == nil {
		err = s.serveFile(w, r, f, f.access(session.AccessRead))
	}
	if err != nil {
		s.fail(w, r, err)
	}
}

func (s *server) findDerived(r *http.Request) (file, error) {
	st, err := s.find(r)
	if err != nil {
		return file{}, err
	}
	id, ext, _ := strings.Cut(r.PathValue("file"), ".")
	f := file{session: st.Session, mime: map[string]string{
		"pdf": "application/pdf", "tiff": "image/tiff", "json": "application/json",
	}[ext]}
	if f.mime == "" {
		return f, api.BadRequest("%q: want ID.pdf, ID.tiff or ID.json with the ID of a derived document", r.PathValue("file"))
	}
	if masked(r) && ext == "pdf" {
		return f, errMasked("the PDF has them: the TIFF has the same pages")
	}
	var all []session.Derived
	if s.Derived != nil {
		if all, err = s.Derived.Documents(r.Context(), st.Session); err != nil {
			return f, err
		}
	}
	i := slices.IndexFunc(all, func(d session.Derived) bool { return derivedID(d) == id })
	if i < 0 {
		return f, api.NotFound("session %s has no derived document %s", st.Session, id)
	}
	f.object = map[string]session.Object{"pdf": all[i].PDF, "tiff": all[i].TIFF, "json": all[i].Record}[ext]
	f.name = st.Session + "-derived-" + id + "." + ext
	return f, nil
}

// derive makes documents of chosen pages of the fax in the path.
func (s *server) derive(w http.ResponseWriter, r *http.Request) {
	var o api.DeriveOrder
	err := readOrderInto(w, r, &o, &o.Order)
	var done api.DeriveAnswer
	if err == nil {
		done, err = s.orderDerived(r, o)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	api.Write(w, http.StatusOK, done)
}

// orderDerived stores an order for each document, and waits a while until they are made.
func (s *server) orderDerived(r *http.Request, o api.DeriveOrder) (done api.DeriveAnswer, err error) {
	st, err := s.find(r)
	if err != nil {
		return done, err
	}
	if st.Document == nil || s.Derived == nil {
		return done, api.NotFound("session %s has no document yet: it is %s", st.Session, st.Status())
	}
	listed, err := s.Derived.Pages(r.Context(), st.Document.Manifest)
	if errors.Is(err, fs.ErrNotExist) {
		return done, s.gone(file{object: st.Document.Manifest})
	}
	if err != nil {
		return done, err
	}
	orders, err := derivations(o, st.Document.Revision, listed)
	if err != nil {
		return done, err
	}
	before, err := s.Derived.Documents(r.Context(), st.Session)
	if err != nil {
		return done, err
	}
	of := func(d session.Derived) bool { return d.Revision == st.Document.Revision }
	if n := len(slices.DeleteFunc(slices.Clone(before), func(d session.Derived) bool { return !of(d) })); n+len(orders) > session.MaxDerived {
		return done, api.Errorf(http.StatusConflict, "full", "revision %d of session %s has %d derived documents, and may have %d",
			st.Document.Revision, st.Session, n, session.MaxDerived)
	}
	var asked []string
	for _, d := range orders {
		sequence, err := s.Letters.Act(r.Context(), session.Action{
			Kind: session.ActionDerived, By: o.By, Why: o.Why, Session: st.Session, Derive: &d,
		})
		if err != nil {
			return done, err
		}
		asked = append(asked, "a"+strconv.FormatUint(sequence, 10)+"-")
	}
	s.Log.Info("derived documents ordered", "session", st.Session, "documents", len(orders), "by", o.By)
	done = api.DeriveAnswer{Session: st.Session, Documents: []api.Derived{}}
	var made []session.Derived
	done.Done = await(r.Context(), func(ctx context.Context) bool {
		made = s.madeOf(ctx, st.Session, before, asked)
		return len(made) == len(orders)
	})
	if may(r, access.ScopeRead) {
		for _, d := range made {
			done.Documents = append(done.Documents, derivedOf(d))
		}
	}
	return done, nil
}

// madeOf are the documents of these orders that are made, in the order of the orders. Those of before do not count: the sequences in the
// names of orders begin again when FAX_AUDIT is lost.
func (s *server) madeOf(ctx context.Context, id string, before []session.Derived, asked []string) (made []session.Derived) {
	all, err := s.Derived.Documents(ctx, id)
	if err != nil {
		return nil // it is asked again
	}
	for _, name := range asked {
		i := slices.IndexFunc(all, func(d session.Derived) bool {
			return strings.HasPrefix(d.Asked, name) && !slices.ContainsFunc(before, func(b session.Derived) bool { return b.Record == d.Record })
		})
		if i >= 0 {
			made = append(made, all[i])
		}
	}
	return made
}

// derivations are the documents that an order asks for, of the pages that a revision lists.
func derivations(o api.DeriveOrder, revision int, listed session.ManifestPages) (all []session.Derivation, err error) {
	pages := listed.Usable.Union(listed.Missing)
	ranges := func(text string) session.Ranges {
		var r session.Ranges
		if strings.TrimSpace(text) != "" && err == nil {
			r, err = session.ParseRanges(text, pages.Max())
		}
		return r
	}
	turned := session.Derivation{Right: ranges(o.Right), Over: ranges(o.Over), Left: ranges(o.Left)}
	if len(o.Documents) > api.MaxDocuments {
		return nil, api.BadRequest("%d documents: want at most %d in one order", len(o.Documents), api.MaxDocuments)
	}
	if len(o.Documents) == 0 {
		o.Documents = []string{"1-"}
	}
	var chosen session.Ranges
	for _, text := range o.Documents {
		d := session.Derivation{Revision: revision, Pages: ranges(text).Intersect(pages)}
		chosen = chosen.Union(d.Pages)
		if o.SkipBlank {
			d.Pages = d.Pages.Minus(listed.Blank)
		}
		d.Right, d.Over, d.Left = turned.Right.Intersect(d.Pages), turned.Over.Intersect(d.Pages), turned.Left.Intersect(d.Pages)
		switch {
		case err != nil:
		case len(d.Pages.Intersect(listed.Usable)) == 0:
			err = fmt.Errorf("document %q: none of its pages can be used: they are missing, or blank and left out", text)
		default:
			err = d.Check()
		}
		all = append(all, d)
	}
	if lost := turned.Right.Union(turned.Over).Union(turned.Left).Minus(chosen); err == nil && len(lost) > 0 {
		err = fmt.Errorf("%s to turn: in none of the documents", lost.Text())
	}
	if err != nil {
		return nil, api.BadRequest("%v", err)
	}
	return all, nil
}

// deriveForm is derive for the form of the fax's page: each line is a document.
func (s *server) deriveForm(r *http.Request, o api.Order) (next string, err error) {
	order := api.DeriveOrder{
		Order: o, Right: r.PostFormValue("right"), Over: r.PostFormValue("over"), Left: r.PostFormValue("left"),
		SkipBlank: r.PostFormValue("skip_blank") == "yes",
	}
	for line := range strings.Lines(r.PostFormValue("documents")) {
		if line = strings.TrimSpace(line); line != "" {
			order.Documents = append(order.Documents, line)
		}
	}
	done, err := s.orderDerived(r, order)
	if err == nil && !done.Done {
		err = api.Unavailable("the order is stored, but not carried out yet: look at /readyz and at the dead letters")
	}
	return faxOf(r) + "#derived", err
}
