package dashboard

import (
	"errors"
	"io"
	"io/fs"
	"net/http"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/pipeline/session"
)

// faxFormName is the last part of the path of a document in the form for fax machines.
const faxFormName = "document.fax.tiff"

// maxFaxForms bounds the documents that are made at the same time: each has an original in memory and one core.
const maxFaxForms = 2

// faxForm serves document.fax.tiff, which it makes at each request. It has the headers of other documents: the same document gives the same
// bytes.
func (s *server) faxForm(w http.ResponseWriter, r *http.Request) error {
	if s.FaxForm == nil {
		return api.NotFound("this server makes no %s", faxFormName)
	}
	st, err := s.find(r)
	if err != nil {
		return err
	}
	f, err := documentOf(st, "tiff")
	if err != nil {
		return err
	}
	select {
	case s.faxForms <- struct{}{}:
		defer func() { <-s.faxForms }()
	case <-r.Context().Done():
		return r.Context().Err()
	}
	body, sum, err := s.FaxForm(r.Context(), st.Document.Manifest)
	if errors.Is(err, fs.ErrNotExist) {
		s.Log.Error("a document for fax machines cannot be made", "session", f.session, "err", err)
		return api.Errorf(
			http.StatusBadGateway, "object_gone", "the archive no longer has what %s is made from: run faxstream verify", faxFormName,
		)
	}
	if err != nil {
		return err
	}
	defer s.closeFaxForm(body)
	read := f.access(session.AccessFaxForm)
	f.object.SHA256, f.name = sum, f.session+"-"+faxFormName
	return s.send(w, r, f, read, body)
}

// closeFaxForm deletes the file. What is left after an error goes at the next start.
func (s *server) closeFaxForm(body io.Closer) {
	if err := body.Close(); err != nil && !errors.Is(err, fs.ErrClosed) {
		s.Log.Error("a document for fax machines cannot be deleted", "err", err)
	}
}
