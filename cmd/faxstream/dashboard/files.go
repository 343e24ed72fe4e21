package dashboard

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/pipeline/session"
)

// file is an archived object as a reader gets it.
type file struct {
	session string
	page    int // from 1; 0: of the document
	object  session.Object
	name    string // of the file that a browser saves
	mime    string
}

func (f file) access(kind string) session.Access {
	return session.Access{Kind: kind, Session: f.session, Page: f.page, Object: f.object.Key}
}

// file finds an object: pdf, searchable, tiff or manifest of the newest revision, or png or original (the bytes as fetched) of a page.
func (s *server) file(r *http.Request, as string, page int) (file, error) {
	switch {
	case page < 0 || page > session.MaxPages:
		return file{}, api.BadRequest("page %d: want 1 to %d, or none for the document", page, session.MaxPages)
	case page > 0:
		return s.pageFile(r, page, as)
	default:
		return s.documentFile(r, as)
	}
}

func (s *server) documentFile(r *http.Request, as string) (file, error) {
	st, err := s.find(r)
	if err != nil {
		return file{}, err
	}
	if masked(r) && slices.Contains([]string{"pdf", "searchable", "manifest"}, as) {
		return file{}, errMasked("the PDF and the manifest have them: document.tiff and the images of the pages are as they came")
	}
	if as == "searchable" {
		return s.searchable(r.Context(), st)
	}
	return documentOf(st, as)
}

// documentOf gives pdf, tiff or manifest of a fax.
func documentOf(st session.State, as string) (file, error) {
	d := st.Document
	if d == nil {
		return file{}, api.NotFound("session %s has no document yet: it is %s", st.Session, st.Status())
	}
	f := file{session: st.Session}
	switch as {
	case "pdf":
		f.object, f.mime, f.name = d.PDF, "application/pdf", st.Session+"-document.pdf"
	case "tiff":
		if d.TIFF == nil {
			return file{}, api.NotFound("session %s has no document.tiff: no page of it is usable; document.pdf says why", st.Session)
		}
		f.object, f.mime, f.name = *d.TIFF, "image/tiff", st.Session+"-document.tiff"
	case "manifest":
		f.object, f.mime, f.name = d.Manifest, "application/json", st.Session+"-manifest.json"
	default:
		return file{}, api.BadRequest("%q: want pdf, searchable, tiff or manifest for a document", as)
	}
	return f, nil
}

func (s *server) pageFile(r *http.Request, page int, as string) (file, error) {
	st, err := s.find(r)
	if err != nil {
		return file{}, err
	}
	facts, err := s.facts(r.Context(), st, session.Span(page, page))
	if err != nil {
		return file{}, err
	}
	p, ok := facts[page]
	if !ok {
		return file{}, api.NotFound("session %s has no archived page %d", st.Session, page)
	}
	f := file{session: st.Session, page: page}
	name := fmt.Sprintf("%s-page-%d.", st.Session, page)
	if image := r.URL.Query().Get("image"); image != "" {
		if p, err = s.imageOf(r.Context(), st, page, image); err != nil {
			return file{}, err
		}
		name = fmt.Sprintf("%s-page-%d-%s.", st.Session, page, image)
	}
	switch as {
	case "png":
		f.object, f.mime, f.name = p.PNG, "image/png", name+"png"
	case "original", "tiff":
		f.object, f.mime, f.name = p.Original, "image/tiff", name+"tiff"
	default:
		return file{}, api.BadRequest("%q: want png or original for a page", as)
	}
	return f, nil
}

// document serves document.pdf, document.searchable.pdf, document.tiff, document.fax.tiff and manifest.json of the newest revision, and
// document.txt.
func (s *server) document(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("document")
	if made, ok := map[string]func(http.ResponseWriter, *http.Request) error{
		faxFormName: s.faxForm, "document.txt": s.documentText,
	}[name]; ok {
		if err := made(w, r); err != nil {
			s.fail(w, r, err)
		}
		return
	}
	as, ok := map[string]string{
		"document.pdf": "pdf", "document.searchable.pdf": "searchable", "document.tiff": "tiff", "manifest.json": "manifest",
	}[name]
	if !ok {
		s.fail(w, r, api.NotFound("no %s: want document.pdf, document.searchable.pdf, document.tiff, document.fax.tiff, document.txt, "+
			"manifest.json, pages/N.tiff or pages/N.png", name))
		return
	}
	s.give(w, r, as, 0)
}

// page serves pages/N.tiff (the bytes as fetched), pages/N.png and pages/N.thumbnail.png. With ?image=streamed or file it serves that image
// of a page that differs from the whole file. Under the name that an object has in its key it serves that object, whatever image of the
// page counts now.
func (s *server) page(w http.ResponseWriter, r *http.Request) {
	if s.PageKey != nil {
		if key, n, ok := s.PageKey(r.PathValue("session"), r.PathValue("file")); ok {
			if err := s.giveObject(w, r, key, n); err != nil {
				s.fail(w, r, err)
			}
			return
		}
	}
	number, ext, _ := strings.Cut(r.PathValue("file"), ".")
	n, err := strconv.Atoi(number)
	if err != nil || n < 1 || n > session.MaxPages || ext != "tiff" && ext != "png" && ext != "thumbnail.png" {
		s.fail(w, r, api.BadRequest("%q: want N.tiff, N.png or N.thumbnail.png with N from 1 to %d", r.PathValue("file"), session.MaxPages))
		return
	}
	if ext == "thumbnail.png" {
		if err := s.thumbnail(w, r, n); err != nil {
			s.fail(w, r, err)
		}
		return
	}
	s.give(w, r, ext, n)
}

func (s *server) give(w http.ResponseWriter, r *http.Request, as string, page int) {
	f, err := s.file(r, as, page)
	if err == nil {
		err = s.serveFile(w, r, f, f.access(session.AccessRead))
	}
	if err != nil {
		s.fail(w, r, err)
	}
}

// giveObject serves the object under a key of a page of the fax in the path.
func (s *server) giveObject(w http.ResponseWriter, r *http.Request, key string, page int) error {
	st, err := s.find(r)
	if err != nil {
		return err
	}
	body, size, err := s.Archive.Open(r.Context(), key)
	if errors.Is(err, fs.ErrNotExist) {
		return api.NotFound("session %s has no object %s", st.Session, path.Base(key))
	}
	if err != nil {
		return err
	}
	defer body.Close()
	sum := sha256.New()
	if _, err = io.Copy(sum, body); err == nil {
		_, err = body.Seek(0, io.SeekStart)
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", key, err)
	}
	f := file{
		session: st.Session, page: page, object: session.Object{Key: key, Size: size, SHA256: hex.EncodeToString(sum.Sum(nil))},
		name: st.Session + "-" + path.Base(key), mime: "image/tiff",
	}
	if path.Ext(key) == ".png" {
		f.mime = "image/png"
	}
	return s.send(w, r, f, f.access(session.AccessRead), body)
}

// serveFile sends an archived object, with ranges; its hash is its ETag, since an object never changes. The read is in FAX_AUDIT before the
// first byte leaves.
func (s *server) serveFile(w http.ResponseWriter, r *http.Request, f file, a session.Access) error {
	body, _, err := s.Archive.Open(r.Context(), f.object.Key)
	if errors.Is(err, fs.ErrNotExist) {
		return s.gone(f)
	}
	if err != nil {
		return err
	}
	defer body.Close()
	return s.send(w, r, f, a, body)
}

// send is serveFile for a body that is open.
func (s *server) send(w http.ResponseWriter, r *http.Request, f file, a session.Access, body io.ReadSeeker) error {
	etag := `"` + f.object.SHA256 + `"`
	if r.Method != http.MethodHead && r.Header.Get("If-None-Match") != etag { // else no byte of it leaves
		if err := s.record(r, a); err != nil {
			return err
		}
	}
	h := w.Header()
	h.Set("Content-Type", f.mime)
	h.Set("ETag", etag)
	h.Set("Content-Disposition", fmt.Sprintf("inline; filename=%q", f.name))
	h.Set("Cache-Control", "private, no-cache")
	h.Set("X-Content-Type-Options", "nosniff")
	http.ServeContent(w, r, "", time.Time{}, body)
	return nil
}

// gone is the error of an object that is missing in the archive.
func (s *server) gone(f file) error {
	s.Log.Error("an archived object is missing", "key", f.object.Key)
	return api.Errorf(http.StatusBadGateway, "object_gone", "the archive no longer has %s: look for it in a backup", f.object.Key)
}
