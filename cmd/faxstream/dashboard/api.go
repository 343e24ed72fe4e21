package dashboard

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/session"
)

// Config is what the admin listener serves from.
type Config struct {
	Board   *Board
	Ledgers interface {
		Load(ctx context.Context, id string) (session.State, uint64, error)
		PageFacts(ctx context.Context, id string, pages session.Ranges) (map[int]session.PageArchived, error)
	}
	Letters Letters
	Archive interface {
		Open(ctx context.Context, key string) (io.ReadSeekCloser, int64, error)
	}
	// Events calls f with each event of pages and documents from now on, until ctx ends or f returns false.
	Events func(ctx context.Context, f func(bus.Stored) bool) error
	Ready  func(ctx context.Context) error // nil error: the pipeline can work
	// Reconcile looks for faxes at the provider that started since then and that nobody knows of, feeds them in unless dry,
	// and gives a report that is written as JSON.
	Reconcile func(ctx context.Context, since time.Time, dry bool) any
	Metrics   http.Handler
	Log       *slog.Logger
}

type server struct{ Config }

// NewHandler serves the admin API under /api/v1, the dashboard, /healthz, /readyz and /metrics.
// It has no login: whoever reaches the listener may read everything and order retries. So it answers only requests made to a
// loopback address, and no page of another origin may change anything.
func NewHandler(c Config) http.Handler {
	s := &server{c}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.indexPage)
	mux.HandleFunc("GET /fax/{session}", s.faxPage)
	mux.HandleFunc("GET /api/v1/faxes", s.listFaxes)
	mux.HandleFunc("GET /api/v1/faxes/{session}", s.fax)
	mux.HandleFunc("GET /api/v1/faxes/{session}/{document}", s.document)
	mux.HandleFunc("GET /api/v1/faxes/{session}/pages/{file}", s.page)
	mux.HandleFunc("POST /api/v1/faxes/{session}/replay", s.replay)
	mux.HandleFunc("GET /api/v1/dlq", s.listLetters)
	mux.HandleFunc("GET /api/v1/dlq/{id}", s.letter)
	mux.HandleFunc("POST /api/v1/dlq/{id}/retry", s.actOnLetter(session.ActionRetried))
	mux.HandleFunc("POST /api/v1/dlq/{id}/drop", s.actOnLetter(session.ActionDropped))
	mux.HandleFunc("POST /api/v1/reconcile", s.reconcile)
	mux.HandleFunc("GET /api/v1/events", s.events)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.Handle("GET /metrics", c.Metrics)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		writeError(w, notFound("no such path: %s %s; the API is under /api/v1", r.Method, r.URL.Path))
	})
	return loopbackOnly(sameOrigin(mux))
}

// apiError is the one shape of errors: {"error":{"code":…,"message":…}}.
type apiError struct {
	status  int
	Code    string `json:"code"`
	Message string `json:"message"`
}

func (e *apiError) Error() string { return e.Message }

func notFound(format string, a ...any) error {
	return &apiError{http.StatusNotFound, "not_found", fmt.Sprintf(format, a...)}
}

func badRequest(format string, a ...any) error {
	return &apiError{http.StatusBadRequest, "bad_request", fmt.Sprintf(format, a...)}
}

func unavailable(format string, a ...any) error {
	return &apiError{http.StatusServiceUnavailable, "unavailable", fmt.Sprintf(format, a...)}
}

// writeError is the one table from an error to a status; whatever is not an apiError is a store that does not answer.
func writeError(w http.ResponseWriter, err error) {
	e, ok := errors.AsType[*apiError](err)
	if !ok {
		e = &apiError{http.StatusServiceUnavailable, "unavailable", "a store did not answer; try again, and look at /readyz and the log"}
	}
	writeJSON(w, e.status, map[string]any{"error": e})
}

func (s *server) fail(w http.ResponseWriter, r *http.Request, err error) {
	if _, ok := errors.AsType[*apiError](err); !ok && r.Context().Err() == nil {
		s.Log.Error("admin request failed", "path", r.URL.Path, "err", err)
	}
	writeError(w, err)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		b, status = []byte(`{"error":{"code":"internal","message":"the answer could not be written as JSON"}}`), http.StatusInternalServerError
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// A client that went away is none of our errors.
	_, _ = w.Write(append(b, '\n'))
}

const (
	defaultLimit = 50
	maxLimit     = 500
)

// faxList is a page of faxes. Next, where it is not empty, is the cursor of the following page.
type faxList struct {
	Faxes []Fax  `json:"faxes"`
	Next  string `json:"next,omitempty"`
}

func (s *server) listFaxes(w http.ResponseWriter, r *http.Request) {
	limit := defaultLimit
	if v := r.FormValue("limit"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > maxLimit {
			writeError(w, badRequest("limit %q: want 1 to %d", v, maxLimit))
			return
		}
		limit = n
	}
	after, err := parseCursor(r.FormValue("cursor"))
	if err != nil {
		writeError(w, err)
		return
	}
	writeJSON(w, http.StatusOK, s.list(after, limit))
}

func (s *server) list(after orderKey, limit int) faxList {
	faxes, more := s.Board.before(after, limit)
	l := faxList{Faxes: faxes}
	if l.Faxes == nil {
		l.Faxes = []Fax{}
	}
	if more {
		last := faxes[len(faxes)-1]
		l.Next = orderKey{last.Opened, last.Session}.cursor()
	}
	return l
}

func (k orderKey) cursor() string {
	return base64.RawURLEncoding.EncodeToString([]byte(k.opened.UTC().Format(time.RFC3339Nano) + " " + k.session))
}

func parseCursor(c string) (k orderKey, err error) {
	if c == "" {
		return k, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(c)
	if err == nil {
		at, id, _ := strings.Cut(string(b), " ")
		k.session = id
		k.opened, err = time.Parse(time.RFC3339Nano, at)
	}
	if err != nil || !session.ValidToken(k.session) {
		return orderKey{}, badRequest("cursor %q is none that this server gave: take `next` of the previous page", c)
	}
	return k, nil
}

// FaxDetail is one fax with its pages.
type FaxDetail struct {
	Fax
	Pages []Page `json:"pages"`
}

// Page is one page of a fax, as far as it has come.
type Page struct {
	Page   int            `json:"page"`
	Status string         `json:"status"` // announced, then archived or missing
	Source string         `json:"source"` // fetch or whole_file; empty until archived
	Reason session.Reason `json:"reason"` // of the last failure; empty once archived
	SHA256 string         `json:"sha256"` // of the bytes as fetched
	Width  int            `json:"width"`  // pixels
	Height int            `json:"height"`
	Bad    int            `json:"bad_rows"`
}

// load reads a session's ledger fresh, so that a reader sees what it was just told.
func (s *server) load(r *http.Request) (session.State, error) {
	id := r.PathValue("session")
	if !session.ValidToken(id) {
		return session.State{}, badRequest("session %q: want 1 to %d letters, digits, '-' and '_'", id, session.MaxTokenLen)
	}
	st, _, err := s.Ledgers.Load(r.Context(), id)
	if err == nil && st.Opened.IsZero() {
		err = notFound("no fax has the session %s", id)
	}
	return st, err
}

func (s *server) detail(r *http.Request) (FaxDetail, error) {
	st, err := s.load(r)
	if err != nil {
		return FaxDetail{}, err
	}
	facts, err := s.Ledgers.PageFacts(r.Context(), st.Session, st.Usable)
	if err != nil {
		return FaxDetail{}, err
	}
	d := FaxDetail{Fax: summary(st), Pages: []Page{}}
	for n := range st.Expected().Union(st.Usable).All() {
		p := Page{Page: n}
		p.Status, p.Source, p.Reason = st.PageStatus(n)
		if f, ok := facts[n]; ok {
			p.SHA256, p.Width, p.Height, p.Bad = f.Original.SHA256, f.Width, f.Height, f.BadRows
		}
		d.Pages = append(d.Pages, p)
	}
	return d, nil
}

func (s *server) fax(w http.ResponseWriter, r *http.Request) {
	d, err := s.detail(r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, d)
}

// document serves document.pdf, document.tiff and manifest.json of the newest revision.
func (s *server) document(w http.ResponseWriter, r *http.Request) {
	st, err := s.load(r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	name := r.PathValue("document")
	if st.Document == nil {
		s.fail(w, r, notFound("session %s has no document yet: it is %s", st.Session, st.Status()))
		return
	}
	types := map[string]struct {
		object *session.Object
		mime   string
	}{
		"document.pdf":  {&st.Document.PDF, "application/pdf"},
		"document.tiff": {st.Document.TIFF, "image/tiff"},
		"manifest.json": {&st.Document.Manifest, "application/json"},
	}
	t, ok := types[name]
	switch {
	case !ok:
		err = notFound("no %s: want document.pdf, document.tiff, manifest.json or pages/N.tiff and pages/N.png", name)
	case t.object == nil:
		err = notFound("session %s has no document.tiff: no page of it is usable; document.pdf says why", st.Session)
	default:
		err = s.serve(w, r, *t.object, t.mime, st.Session+"-"+name)
	}
	if err != nil {
		s.fail(w, r, err)
	}
}

// page serves pages/N.tiff (the bytes as fetched) and pages/N.png.
func (s *server) page(w http.ResponseWriter, r *http.Request) {
	if err := s.pageFile(w, r); err != nil {
		s.fail(w, r, err)
	}
}

func (s *server) pageFile(w http.ResponseWriter, r *http.Request) error {
	number, ext, _ := strings.Cut(r.PathValue("file"), ".")
	n, err := strconv.Atoi(number)
	if err != nil || n < 1 || n > session.MaxPages || ext != "tiff" && ext != "png" {
		return badRequest("%q: want N.tiff or N.png with N from 1 to %d", r.PathValue("file"), session.MaxPages)
	}
	st, err := s.load(r)
	if err != nil {
		return err
	}
	facts, err := s.Ledgers.PageFacts(r.Context(), st.Session, session.Span(n, n))
	if err != nil {
		return err
	}
	f, ok := facts[n]
	if !ok {
		return notFound("session %s has no archived page %d", st.Session, n)
	}
	name := fmt.Sprintf("%s-page-%d.%s", st.Session, n, ext)
	if ext == "png" {
		return s.serve(w, r, f.PNG, "image/png", name)
	}
	return s.serve(w, r, f.Original, "image/tiff", name)
}

// serve sends an archived object, with ranges; its hash is its ETag, since an object never changes.
func (s *server) serve(w http.ResponseWriter, r *http.Request, o session.Object, mime, name string) error {
	body, _, err := s.Archive.Open(r.Context(), o.Key)
	if errors.Is(err, fs.ErrNotExist) {
		s.Log.Error("an archived object is gone", "key", o.Key)
		return &apiError{http.StatusBadGateway, "object_gone", fmt.Sprintf("the archive has no %s any more; look for it in a backup", o.Key)}
	}
	if err != nil {
		return err
	}
	defer body.Close()
	w.Header().Set("Content-Type", mime)
	w.Header().Set("ETag", `"`+o.SHA256+`"`)
	w.Header().Set("Content-Disposition", fmt.Sprintf("inline; filename=%q", name))
	http.ServeContent(w, r, "", time.Time{}, body)
	return nil
}

func (s *server) readyz(w http.ResponseWriter, r *http.Request) {
	if err := s.Ready(r.Context()); err != nil {
		writeError(w, unavailable("not ready: %v", err))
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{"status": "ready"})
}

// event is one line of the stream.
type event struct {
	Type string          `json:"type"`
	Time time.Time       `json:"time"`
	Data json.RawMessage `json:"data"`
}

// events streams page and document events as server-sent events, from now on. A first comment says that it listens.
func (s *server) events(w http.ResponseWriter, r *http.Request) {
	rc := http.NewResponseController(w)
	if err := rc.SetWriteDeadline(time.Time{}); err != nil {
		s.fail(w, r, fmt.Errorf("stream events: %w", err))
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = io.WriteString(w, ": listening\n\n")
	_ = rc.Flush()
	err := s.Events(r.Context(), func(e bus.Stored) bool {
		line, err := json.Marshal(event{bus.EventType(e.Subject), e.Time, e.Data})
		if err != nil {
			s.Log.Error("an event is no JSON", "subject", e.Subject, "err", err)
			return true
		}
		var b bytes.Buffer
		fmt.Fprintf(&b, "data: %s\n\n", line)
		if _, err := w.Write(b.Bytes()); err != nil {
			return false // the reader went away
		}
		return rc.Flush() == nil
	})
	if err != nil {
		s.Log.Error("event stream ended", "err", err)
	}
}
