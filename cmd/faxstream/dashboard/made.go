package dashboard

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/pipeline/session"
)

// maxOriginal bounds the original from which a thumbnail is made, or of which bad rows are looked for, bytes.
const maxOriginal = 64 << 20

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
	var small []byte
	err = s.withOriginal(r, f, func(ctx context.Context, original io.Reader) (err error) {
		small, err = s.Thumbnail(ctx, original)
		return err
	})
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

// withOriginal calls do with the original of a page. An error of do is about the page.
func (s *server) withOriginal(r *http.Request, f file, do func(ctx context.Context, original io.Reader) error) error {
	select {
	case s.thumbnails <- struct{}{}:
		defer func() { <-s.thumbnails }()
	case <-r.Context().Done():
		return r.Context().Err()
	}
	body, size, err := s.Archive.Open(r.Context(), f.object.Key)
	if errors.Is(err, fs.ErrNotExist) {
		return s.gone(f)
	}
	if err != nil {
		return err
	}
	defer body.Close()
	if size > maxOriginal {
		return api.NotFound("page %d of session %s has %d bytes, which is too large for this", f.page, f.session, size)
	}
	original := &source{Reader: body}
	err = do(r.Context(), original)
	switch {
	case original.err != nil:
		return fmt.Errorf("read %s: %w", f.object.Key, original.err)
	case err != nil:
		return api.NotFound("page %d of session %s cannot be shown: %v", f.page, f.session, err)
	}
	return nil
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
