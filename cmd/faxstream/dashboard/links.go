package dashboard

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/access"
	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/pipeline/session"
)

// Linker is an archive that lets others fetch an object until a time, such as an S3 service.
type Linker interface {
	// Link gives a URL that serves the object under key for ttl, as a file of this name and type.
	Link(ctx context.Context, key string, ttl time.Duration, name, mime string) (string, error)
}

// MaxTTL is the longest life of a link: what S3 allows a presigned URL.
const MaxTTL = 7 * 24 * time.Hour

// link makes a link to an object. Its holder needs nothing else, until it expires.
func (s *server) link(w http.ResponseWriter, r *http.Request) {
	l, err := s.makeLink(w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	api.Write(w, http.StatusOK, l)
}

func (s *server) makeLink(w http.ResponseWriter, r *http.Request) (api.Link, error) {
	var o api.LinkOrder
	if err := readOrderInto(w, r, &o, &o.Order); err != nil {
		return api.Link{}, err
	}
	return s.orderLink(r, o)
}

// orderLink makes a link to an object of the fax in the path.
func (s *server) orderLink(r *http.Request, o api.LinkOrder) (api.Link, error) {
	o.By, o.Why = stated(o.By), stated(o.Why) // with long reasons a reader could fill FAX_AUDIT
	ttl, err := time.ParseDuration(o.TTL)
	if err != nil || ttl < time.Second || ttl > MaxTTL {
		return api.Link{}, api.BadRequest("ttl %q: want 1s to %s, such as 10m", o.TTL, MaxTTL)
	}
	f, err := s.linked(r, o)
	if err != nil {
		return api.Link{}, err
	}
	l := api.Link{Expires: time.Now().Add(ttl).UTC().Truncate(time.Second)}
	read := f.access(session.AccessLink)
	read.By, read.Why, read.Until = o.By, o.Why, l.Expires
	if err := s.record(r, read); err != nil {
		return api.Link{}, err
	}
	if archive, ok := s.Archive.(Linker); ok {
		l.URL, err = archive.Link(r.Context(), f.object.Key, ttl, f.name, f.mime)
		return l, err
	}
	l.URL, err = s.Gate.LinkURL(r, access.Link{
		Session: f.session, Page: f.page, Key: f.object.Key, SHA256: f.object.SHA256, Name: f.name, Mime: f.mime,
		Expires: l.Expires.Unix(), By: o.By,
	})
	return l, err
}

// linked is the object that a link is to.
func (s *server) linked(r *http.Request, o api.LinkOrder) (file, error) {
	switch {
	case o.Derived == "":
		return s.file(r, o.As, o.Page)
	case o.Page != 0:
		return file{}, api.BadRequest("page %d: a link to a derived document is to all of it", o.Page)
	}
	return s.findDerived(r, o.Derived, o.As)
}

// linkForm is link for the form of the fax's page: it answers with a page that has the link.
func (s *server) linkForm(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxOrder)
	o := api.LinkOrder{
		Order: api.Order{By: r.PostFormValue("by"), Why: r.PostFormValue("why")}, As: r.PostFormValue("as"), TTL: r.PostFormValue("ttl"),
		Derived: r.PostFormValue("derived"),
	}
	err := checkOrder(r, &o.Order)
	var l api.Link
	if err == nil {
		l, err = s.orderLink(r, o)
	}
	if err != nil {
		s.problem(w, r, err)
		return
	}
	s.render(w, r, http.StatusOK, "link.html", struct {
		api.Link
		Session string
	}{l, r.PathValue("session")})
}

// followLink serves the object of a link. The path is a credential, so no error is logged with it.
func (s *server) followLink(w http.ResponseWriter, r *http.Request) {
	err := s.serveLink(w, r)
	if err == nil {
		return
	}
	if _, ok := errors.AsType[*api.Error](err); !ok && r.Context().Err() == nil {
		s.Log.Error("serve a link failed", "err", err)
	}
	api.WriteError(w, err)
}

func (s *server) serveLink(w http.ResponseWriter, r *http.Request) error {
	l, maker, err := s.Gate.OpenLink(r.PathValue("link"))
	if err != nil {
		return err
	}
	if maker.Limited() {
		st, err := s.findAny(r, l.Session)
		if _, gone := errors.AsType[*api.Error](err); gone || err == nil && !maker.Sees(numberOf(summary(st))) {
			err = access.ErrOrphanLink
		}
		if err != nil {
			return err
		}
	}
	if maker.Masked && (l.Mime == "application/pdf" || l.Mime == "application/json") { // they have the numbers in them
		return access.ErrOrphanLink
	}
	f := file{session: l.Session, page: l.Page, object: session.Object{Key: l.Key, SHA256: l.SHA256}, name: l.Name, mime: l.Mime}
	read := f.access(session.AccessLinkUsed)
	read.By = "link of " + l.By
	return s.serveFile(w, r, f, read)
}
