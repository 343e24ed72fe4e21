package dashboard

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/pipeline/session"
)

// maxThumbnailed bounds the original from which a thumbnail is made, bytes.
const maxThumbnailed = 64 << 20

// thumbnail serves pages/N.thumbnail.png, which it makes from the original at each request.
func (s *server) thumbnail(w http.ResponseWriter, r *http.Request, page int) error {
	if s.Thumbnail == nil {
		return api.NotFound("this server makes no thumbnails")
	}
	f, err := s.file(r, "original", page)
	if err != nil {
		return err
	}
	etag := `"` + f.object.SHA256 + `-thumbnail"`
	if r.Header.Get("If-None-Match") == etag {
		w.Header().Set("ETag", etag)
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	if !s.viewed(r, f) {
		if err := s.record(r, f.access(session.AccessThumbnail)); err != nil {
			return err
		}
	}
	select {
	case s.thumbnails <- struct{}{}:
		defer func() { <-s.thumbnails }()
	case <-r.Context().Done():
		return r.Context().Err()
	}
	small, err := s.small(r, f)
	if err != nil {
		return err
	}
	h := w.Header() // only now: a browser must not cache an error under the ETag of the image
	h.Set("ETag", etag)
	h.Set("Cache-Control", "private, no-cache")
	h.Set("Content-Type", "image/png")
	h.Set("X-Content-Type-Options", "nosniff")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(small))
	return nil
}

// small makes the thumbnail of an original.
func (s *server) small(r *http.Request, f file) ([]byte, error) {
	body, size, err := s.Archive.Open(r.Context(), f.object.Key)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, s.gone(f)
	}
	if err != nil {
		return nil, err
	}
	defer body.Close()
	if size > maxThumbnailed {
		return nil, api.NotFound("page %d of session %s has %d bytes, which is too large for a thumbnail", f.page, f.session, size)
	}
	original := &source{Reader: body}
	small, err := s.Thumbnail(r.Context(), original)
	switch {
	case original.err != nil:
		return nil, fmt.Errorf("read %s: %w", f.object.Key, original.err)
	case err != nil:
		return nil, api.NotFound("page %d of session %s cannot be shown: %v", f.page, f.session, err)
	}
	return small, nil
}

// source keeps the error of an archive that cannot be read, so that it is not taken for one of the page.
type source struct {
	io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

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
