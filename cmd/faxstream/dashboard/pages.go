package dashboard

import (
	"embed"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/access"
	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/cmd/faxstream/health"
	"github.com/faxstream/faxstream/cmd/faxstream/layout"
	"github.com/faxstream/faxstream/pipeline/session"
)

//go:embed *.html
var files embed.FS

var pages = layout.Parse(files, "*.html")

// listView is what index.html shows.
type listView struct {
	api.FaxList
	Letters   uint64
	Uncertain bool       // JetStream did not say how many letters there are
	User      string     // who is logged in; empty without a login
	Search    bool       // there is an index
	Query     url.Values // the filter, as it was asked for
	Cursor    string
	Statuses  []string
	Views     []View
	MayThumbs bool   // there are thumbnails
	Thumbs    bool   // those of the first pages are shown
	Mark      string // says that the faxes of a list by text are recorded; empty: it is no such list
	Masked    bool   // the reader sees no numbers, and gets no file that has them
	Full      bool   // it cannot fill in live, because maxFoundTabs lists do

	MayWork, MayOperate, MayAdmin bool

	filter faxFilter
	after  orderKey
}

// listView is the list that a request asks for, as it is now.
func (s *server) listView(r *http.Request) (v listView, err error) {
	if v.after, err = parseCursor(r.FormValue("cursor")); err != nil {
		return v, err
	}
	if v.filter, err = s.filter(r); err != nil {
		return v, err
	}
	for _, view := range s.Views {
		if view.shownTo(v.filter.reader) {
			v.Views = append(v.Views, view)
		}
	}
	v.Statuses, v.User, v.Search = statuses, userOf(r), s.Search != nil
	v.MayWork, v.MayOperate, v.MayAdmin = may(r, access.ScopeWork), may(r, access.ScopeOperate), may(r, access.ScopeAdmin)
	v.Masked = v.filter.reader.Masked
	v.Query, v.Cursor = url.Values{}, r.FormValue("cursor")
	for _, name := range filterNames {
		if value := r.FormValue(name); value != "" {
			v.Query.Set(name, value)
		}
	}
	if thumbs := r.FormValue("thumbs"); thumbs != "" && thumbs != "1" {
		return v, api.BadRequest("thumbs %q: want 1, or nothing", thumbs)
	}
	v.MayThumbs = s.Thumbnail != nil
	v.Thumbs = v.MayThumbs && r.FormValue("thumbs") == "1"
	v.FaxList = s.list(r.Context(), v.filter, v.after, defaultLimit)
	return v, nil
}

// Live is the URL of the changes of the list.
func (v listView) Live() string {
	live := "/live?" + v.at(v.Cursor)
	if v.Mark != "" {
		live += "&view=" + v.Mark
	}
	return live
}

// at is the query of the list from a cursor on.
func (v listView) at(cursor string) string {
	query := maps.Clone(v.Query)
	if cursor != "" {
		query.Set("cursor", cursor)
	}
	if v.Thumbs {
		query.Set("thumbs", "1")
	}
	return query.Encode()
}

// List is the URL of the list from its beginning.
func (v listView) List() string { return "/?" + v.at("") }

// Older is the URL of the faxes after the list.
func (v listView) Older() string { return "/?" + v.at(v.Next) }

// Asked is what the filter has under a name.
func (v listView) Asked(name string) string { return v.Query.Get(name) }

// Hidden is what the filter has under names that have no field in its form.
func (v listView) Hidden() url.Values {
	hidden := url.Values{}
	for _, name := range []string{"verification", "assigned"} {
		if v.Query.Has(name) {
			hidden.Set(name, v.Asked(name))
		}
	}
	return hidden
}

// TimeType is the type of the field for a time, since or until: a field for a day cannot have an hour.
func (v listView) TimeType(name string) string {
	if _, err := time.Parse(time.DateOnly, v.Asked(name)); err != nil && v.Asked(name) != "" {
		return "text"
	}
	return "date"
}

// MayChoose reports whether the reader may order something for faxes of the list.
func (v listView) MayChoose() bool { return v.MayWork || v.MayOperate || v.MayAdmin }

// Filtered reports whether a filter leaves out faxes.
func (v listView) Filtered() bool { return len(v.Query) > 0 }

// StatusText says in words what state a fax is in, and what to do.
func (listView) StatusText(f api.Fax) string { return f.StatusText() }

func (s *server) indexPage(w http.ResponseWriter, r *http.Request) {
	v, err := s.listView(r)
	if err == nil && r.Method != http.MethodHead {
		err = s.recordFound(r.Context(), r, v.filter, v.Faxes)
	}
	if err != nil {
		s.problem(w, r, err)
		return
	}
	v.Mark = s.foundMark(r, v)
	v.Full = v.filter.found != nil && len(s.foundTabs) == cap(s.foundTabs)
	if !restricted(r) {
		var err error
		if v.Letters, err = s.Letters.LiveLetters(r.Context()); err != nil {
			s.Log.Error("the number of dead letters is unknown", "err", err)
			v.Uncertain = true
		}
	}
	s.render(w, r, http.StatusOK, "index.html", v)
}

// healthPage shows how this process is, and how the last hour was.
func (s *server) healthPage(w http.ResponseWriter, r *http.Request) {
	v := struct {
		health.Report
		Problem     string // empty: the pipeline can work
		Warnings    []string
		Subscribers []api.Subscriber
		Unknown     bool // the subscribers cannot be listed
		MayOperate  bool
	}{MayOperate: may(r, access.ScopeOperate)}
	if s.Health != nil {
		v.Report = s.Health()
	}
	err := s.Ready(r.Context())
	if err == nil && s.Warnings != nil {
		v.Warnings, err = s.Warnings(r.Context())
	}
	if err != nil {
		v.Problem = err.Error()
	}
	if s.Subscribers != nil {
		all, err := s.Subscribers.List(r.Context())
		if v.Unknown = err != nil; v.Unknown {
			s.Log.Error("the subscribers cannot be listed", "err", err)
		}
		for _, sub := range all {
			v.Subscribers = append(v.Subscribers, subscriberOf(sub))
		}
	}
	s.render(w, r, http.StatusOK, "health.html", v)
}

// userOf names who is logged in.
func userOf(r *http.Request) string {
	t, _ := access.Caller(r)
	return t.Name
}

// problem answers with an error as a page.
func (s *server) problem(w http.ResponseWriter, r *http.Request, err error) {
	e, ok := errors.AsType[*api.Error](err)
	if !ok {
		if r.Context().Err() == nil {
			s.Log.Error("a page failed", "path", r.URL.Path, "err", err)
		}
		e = api.Errorf(http.StatusServiceUnavailable, "unavailable", "a store did not answer: try again, and look at /readyz and the log")
	}
	back := "/"
	if id := r.PathValue("session"); session.ValidToken(id) && e.Status != http.StatusNotFound && e.Status != http.StatusGone {
		back = faxOf(r)
	}
	s.render(w, r, e.Status, "problem.html", struct{ Message, Back, Draft string }{e.Message, back, r.PostFormValue("note")})
}

func (s *server) render(w http.ResponseWriter, r *http.Request, status int, page string, data any) {
	pages.Write(w, r, s.Log, status, page, data)
}
