package dashboard

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

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

// derivedLists has the lists that pages show, for a while: a page that fills in live does not read the archive at each change of its fax.
// The zero value is empty.
type derivedLists struct {
	mu sync.Mutex
	of map[string]derivedList // guarded by mu; by session
}

type derivedList struct {
	documents []api.Derived
	read      time.Time
}

const (
	derivedFor = time.Minute // a list is shown that is not older
	maxLists   = 1000
)

func (l *derivedLists) get(id string) ([]api.Derived, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	d, ok := l.of[id]
	return d.documents, ok && time.Since(d.read) < derivedFor
}

func (l *derivedLists) put(id string, documents []api.Derived) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of == nil || len(l.of) >= maxLists {
		l.of = map[string]derivedList{}
	}
	l.of[id] = derivedList{documents, time.Now()}
}

func (l *derivedLists) forget(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.of, id)
}

// showDerived is derived for a page, which is there without the list too. live: it may be a list of a minute ago. problem says why there is
// none.
func (s *server) showDerived(ctx context.Context, fax api.Fax, live bool) (documents []api.Derived, problem string) {
	if fax.Revision == 0 {
		return nil, ""
	}
	if documents, ok := s.lists.get(fax.Session); ok && live {
		return documents, ""
	}
	documents, err := s.derived(ctx, fax.Session)
	if err != nil {
		if ctx.Err() == nil {
			s.Log.Warn("the derived documents of a fax cannot be listed", "session", fax.Session, "err", err)
		}
		return nil, "The archive does not answer: derived documents are not listed. Load the page again in a while."
	}
	s.lists.put(fax.Session, documents)
	return documents, ""
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
	id, ext, _ := strings.Cut(r.PathValue("file"), ".")
	f, err := s.findDerived(r, id, ext)
	if err == nil {
		err = s.serveFile(w, r, f, f.access(session.AccessRead))
	}
	if err != nil {
		s.fail(w, r, err)
	}
}

// findDerived gives pdf, tiff or json of a derived document of the fax in the path.
func (s *server) findDerived(r *http.Request, id, ext string) (file, error) {
	st, err := s.find(r)
	if err != nil {
		return file{}, err
	}
	f := file{session: st.Session, mime: map[string]string{
		"pdf": "application/pdf", "tiff": "image/tiff", "json": "application/json",
	}[ext]}
	if f.mime == "" {
		return f, api.BadRequest("%q: want pdf, tiff or json of a derived document", ext)
	}
	if masked(r) && ext != "tiff" {
		return f, errMasked("the PDF and the record have them: the TIFF has the same pages")
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
	if err := s.storeDerived(r, st, o.Order, orders); err != nil {
		return done, err
	}
	done = api.DeriveAnswer{Session: st.Session, Documents: []api.Derived{}}
	var made []session.Derived
	done.Done = s.awaitDerived(r.Context(), func(ctx context.Context) bool {
		all, err := s.Derived.Documents(ctx, st.Session)
		made = slices.DeleteFunc(all, func(d session.Derived) bool { return !among(orders, d) })
		return err == nil && len(made) >= len(orders)
	})
	s.lists.forget(st.Session)
	s.Board.changed(st.Session)
	if may(r, access.ScopeRead) {
		for _, d := range made {
			done.Documents = append(done.Documents, derivedOf(d))
		}
	}
	return done, nil
}

// storeDerived stores an order for each document that is not there yet.
func (s *server) storeDerived(r *http.Request, st session.State, who api.Order, orders []session.Derivation) error {
	before, err := s.Derived.Documents(r.Context(), st.Session)
	if err != nil {
		return err
	}
	n := 0
	for _, d := range before {
		if d.Revision == st.Document.Revision {
			n++
		}
	}
	fresh := slices.DeleteFunc(slices.Clone(orders), func(o session.Derivation) bool {
		return slices.ContainsFunc(before, func(d session.Derived) bool { return d.Derivation.Same(o) })
	})
	if n+len(fresh) > session.MaxDerived {
		return api.Errorf(http.StatusConflict, "full", "revision %d of session %s has %d derived documents, and may have %d",
			st.Document.Revision, st.Session, n, session.MaxDerived)
	}
	for _, d := range fresh {
		act := session.Action{Kind: session.ActionDerived, By: who.By, Why: who.Why, Session: st.Session, Derive: &d}
		if _, err := s.Letters.Act(r.Context(), act); err != nil {
			return err
		}
	}
	s.Log.Info("derived documents ordered", "session", st.Session, "documents", len(fresh), "by", who.By)
	return nil
}

// derivedLook is how often the archive is looked at while documents are made: each look is a list of the fax's objects.
const derivedLook = 500 * time.Millisecond

// awaitDerived waits for documents, as await does.
func (s *server) awaitDerived(ctx context.Context, done func(ctx context.Context) bool) bool {
	ctx, cancel := context.WithTimeout(ctx, orderPatience)
	defer cancel()
	for !done(ctx) {
		if !pause(ctx, time.After(derivedLook)) {
			return false
		}
	}
	return true
}

func among(orders []session.Derivation, d session.Derived) bool {
	return slices.ContainsFunc(orders, func(o session.Derivation) bool { return d.Derivation.Same(o) })
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
		if !slices.ContainsFunc(all, d.Same) {
			all = append(all, d)
		}
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
		err = api.Errorf(http.StatusAccepted, "accepted",
			"the documents are being made: look at the fax again in a while; if they do not come, look at the dead letters")
	}
	return faxOf(r) + "#derived", err
}
