package dashboard

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/access"
	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/pipeline/session"
)

// Texts takes and gives what OCR engines recognise.
type Texts interface {
	// Take archives and publishes a result of the image that f describes. repeat: it was there already. A session.BadResult is the sender's
	// mistake.
	Take(ctx context.Context, f session.PageArchived, r session.OCRResult) (fact session.TextRecognised, repeat bool, err error)
	// Text gives the text that counts of the image that f describes, and its key: as txt, words or sent; with an engine, of its results only.
	// An error that matches fs.ErrNotExist: there is none.
	Text(ctx context.Context, f session.PageArchived, as, engine string) (body []byte, key string, err error)
	// Searchable gives the PDF with text that counts of a revision. An error that matches fs.ErrNotExist: there is none.
	Searchable(ctx context.Context, id string, revision int) (session.Object, error)
}

// maxResults bounds the results that are read at once, of at most session.MaxOCRResult bytes each.
const maxResults = 4

// putText takes what an OCR engine recognised on a page.
func (s *server) putText(w http.ResponseWriter, r *http.Request) {
	fact, repeat, err := s.takeText(w, r)
	if bad, ok := errors.AsType[*session.BadResult](err); ok {
		err = api.BadRequest("%v", bad)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	status := http.StatusCreated
	if repeat {
		status = http.StatusOK
	}
	api.Write(w, status, fact)
}

func (s *server) takeText(w http.ResponseWriter, r *http.Request) (fact session.TextRecognised, repeat bool, err error) {
	f, err := s.readImage(r)
	if err != nil {
		return fact, false, err
	}
	select {
	case s.results <- struct{}{}:
		defer func() { <-s.results }()
	case <-r.Context().Done():
		return fact, false, r.Context().Err()
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, session.MaxOCRResult))
	if over := (*http.MaxBytesError)(nil); errors.As(err, &over) {
		return fact, false, api.Errorf(http.StatusRequestEntityTooLarge, "too_large",
			"the text is too large: at most %d bytes are allowed for a page", session.MaxOCRResult)
	}
	if err != nil {
		return fact, false, api.BadRequest("the body is incomplete; send it again: %v", err)
	}
	q := r.URL.Query()
	res := session.OCRResult{
		Engine: q.Get("engine"), Version: q.Get("version"), Languages: languages(q), Format: q.Get("format"), Read: q.Get("read"),
		By: textSender(r), Data: data, At: time.Now(),
	}
	if res.Read == "" {
		res.Read = session.ReadPNG
	}
	if res.Orientation, err = orientation(q); err != nil {
		return fact, false, err
	}
	return s.Texts.Take(r.Context(), f, res)
}

// orientation reads orientation=90&orientation_confidence=2.5.
func orientation(q url.Values) (*session.TextOrientation, error) {
	if q.Get("orientation") == "" {
		return nil, nil
	}
	degrees, err := strconv.Atoi(q.Get("orientation"))
	if err != nil {
		return nil, api.BadRequest("orientation %.20q: want 0, 90, 180 or 270", q.Get("orientation"))
	}
	confidence, err := strconv.ParseFloat(q.Get("orientation_confidence"), 64)
	if err != nil {
		return nil, api.BadRequest("orientation_confidence %.20q: want a number", q.Get("orientation_confidence"))
	}
	return &session.TextOrientation{Degrees: degrees, Confidence: confidence}, nil
}

// languages reads languages=eng,deu.
func languages(q url.Values) []string {
	if q.Get("languages") == "" {
		return nil
	}
	return strings.Split(q.Get("languages"), ",")
}

// textSender names who sends a result, as the audit would.
func textSender(r *http.Request) string {
	if t, ok := access.Caller(r); ok {
		return t.Name
	}
	return stated(r.Header.Get(api.HeaderBy))
}

// readImage finds the image that an engine says it has read: raster is the raster hash in the event of the page.
func (s *server) readImage(r *http.Request) (session.PageArchived, error) {
	st, page, err := s.findText(r)
	if err != nil {
		return session.PageArchived{}, err
	}
	raster := strings.ToLower(r.URL.Query().Get("raster"))
	if sum, err := hex.DecodeString(raster); err != nil || len(sum) != sha256.Size {
		return session.PageArchived{}, api.BadRequest("raster: want the raster_sha256 of the page's event, 64 hex digits")
	}
	span := session.Span(page, page)
	counts, err := s.facts(r.Context(), st, span)
	if err != nil {
		return session.PageArchived{}, err
	}
	f, ok := counts[page]
	if !ok {
		return f, api.NotFound("session %s has no archived page %d", st.Session, page)
	}
	published, err := s.published(r.Context(), st, span)
	if err != nil {
		return f, err
	}
	images, err := s.images(r.Context(), st, span)
	if err != nil {
		return f, err
	}
	for _, image := range []session.PageArchived{
		f, published[page], images[page][session.ImageStreamed], images[page][session.ImageFile],
	} {
		if image.RasterSHA256 == raster {
			image.Session, image.Page, image.ToToken = st.Session, page, f.ToToken
			return image, nil
		}
	}
	return f, api.Errorf(http.StatusConflict, "other_image",
		"page %d of session %s has no image with the raster %s; the image that counts has %s: read the page again", page, st.Session, raster,
		f.RasterSHA256)
}

// findText finds the fax and the page in the path of a text.
func (s *server) findText(r *http.Request) (session.State, int, error) {
	if s.Texts == nil {
		return session.State{}, 0, api.NotFound("this server takes no texts")
	}
	return s.findPage(r)
}

// findPage finds the fax and the page in the path.
func (s *server) findPage(r *http.Request) (session.State, int, error) {
	page, err := strconv.Atoi(r.PathValue("page"))
	if err != nil || page < 1 || page > session.MaxPages {
		return session.State{}, 0, api.BadRequest("page %q: want 1 to %d", r.PathValue("page"), session.MaxPages)
	}
	st, err := s.find(r)
	return st, page, err
}

// textKinds are the forms of a page's text, and their media types.
var textKinds = map[string]string{
	"txt": "text/plain; charset=utf-8", "words": "application/json", "sent": "application/octet-stream",
}

// pageText serves the text of a page: as txt, words or sent. With ?engine=NAME it is that of one engine.
func (s *server) pageText(w http.ResponseWriter, r *http.Request) {
	if err := s.givePageText(w, r); err != nil {
		s.fail(w, r, err)
	}
}

func (s *server) givePageText(w http.ResponseWriter, r *http.Request) error {
	st, page, err := s.findText(r)
	if err != nil {
		return err
	}
	as := r.PathValue("form")
	if textKinds[as] == "" {
		return api.BadRequest("%q: want txt, words or sent", as)
	}
	counts, err := s.facts(r.Context(), st, session.Span(page, page))
	if err != nil {
		return err
	}
	f, ok := counts[page]
	if !ok {
		return api.NotFound("session %s has no archived page %d", st.Session, page)
	}
	body, key, err := s.Texts.Text(r.Context(), f, as, r.URL.Query().Get("engine"))
	if errors.Is(err, fs.ErrNotExist) {
		return api.NotFound("page %d of session %s has no text yet: no OCR engine has sent one of the image that counts", page, st.Session)
	}
	if err != nil {
		return err
	}
	return s.sendText(w, r, st, key, body, page, as)
}

// documentText serves the text of a fax: that of its pages, each ended by a form feed.
func (s *server) documentText(w http.ResponseWriter, r *http.Request) error {
	if s.Texts == nil {
		return api.NotFound("this server takes no texts")
	}
	st, err := s.find(r)
	if err != nil {
		return err
	}
	counts, err := s.facts(r.Context(), st, st.Usable)
	if err != nil {
		return err
	}
	var all bytes.Buffer
	found := 0
	for page := range st.Expected().Union(st.Usable).All() {
		err := fs.ErrNotExist
		var text []byte
		if f, ok := counts[page]; ok {
			text, _, err = s.Texts.Text(r.Context(), f, "txt", "")
		}
		switch {
		case err == nil:
			found++
			all.Write(text)
		case errors.Is(err, fs.ErrNotExist):
			fmt.Fprintf(&all, "[page %d: no text]\n", page)
		default:
			return err
		}
		all.WriteByte('\f')
	}
	if found == 0 {
		return api.NotFound("session %s has no text yet: no OCR engine has sent one", st.Session)
	}
	return s.sendText(w, r, st, "", all.Bytes(), 0, "txt")
}

// searchable gives the PDF with the text of a fax.
func (s *server) searchable(ctx context.Context, st session.State) (file, error) {
	if s.Texts == nil || st.Document == nil {
		return file{}, api.NotFound("session %s has no searchable document: it is %s", st.Session, st.Status())
	}
	pdf, err := s.Texts.Searchable(ctx, st.Session, st.Document.Revision)
	if errors.Is(err, fs.ErrNotExist) {
		return file{}, api.NotFound("session %s has no searchable document yet: it is made when every usable page has a text of an OCR engine",
			st.Session)
	}
	return file{session: st.Session, object: pdf, mime: "application/pdf", name: st.Session + "-searchable.pdf"}, err
}

// sendText sends a text that is made of objects; page 0 is that of the fax.
func (s *server) sendText(w http.ResponseWriter, r *http.Request, st session.State, key string, body []byte, page int, as string) error {
	name := st.Session + "-text"
	if page > 0 {
		name = fmt.Sprintf("%s-page-%d-%s", st.Session, page, as)
	}
	sum := sha256.Sum256(body)
	f := file{
		session: st.Session, page: page, name: name, mime: textKinds[as],
		object: session.Object{Key: key, Size: int64(len(body)), SHA256: hex.EncodeToString(sum[:])},
	}
	return s.send(w, r, f, f.access(session.AccessRead), bytes.NewReader(body))
}
