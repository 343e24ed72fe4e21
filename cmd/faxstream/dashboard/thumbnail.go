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
