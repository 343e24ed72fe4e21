package dashboard

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
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
	Archive interface { // a Linker, or links are signed here
		Open(ctx context.Context, key string) (io.ReadSeekCloser, int64, error)
	}
	// Thumbnail makes a small PNG of a page's original; nil: there are no thumbnails.
	Thumbnail func(ctx context.Context, original []byte) ([]byte, error)
	Audit     interface {
		// RecordAccess stores an access durably before it returns nil.
		RecordAccess(ctx context.Context, a session.Access) error
	}
	// Events calls f with each event of pages and documents from now on, until ctx ends or f returns false.
	Events func(ctx context.Context, f func(bus.Stored) bool) error
	Ready  func(ctx context.Context) error // nil error: the pipeline can work
	// Warnings says what will keep it from working soon, or lets it work worse than it could; nil: nobody does.
	Warnings func(ctx context.Context) ([]string, error)
	// Reconcile looks for faxes at the provider that started since then and that nobody knows of, feeds them in unless dry,
	// and gives a report that is written as JSON.
	Reconcile func(ctx context.Context, since time.Time, dry bool) any
	Older     Older // nil: only faxes that have a ledger are known
	Keep      Keep
	Trail     Trail // the audit
	Metrics   http.Handler
	Log       *slog.Logger

	// Tokens gives the tokens that are let in, as they are now; nil: no login, and only requests made to a loopback address.
	Tokens    func() ([]Token, error)
	Refused   func(reason string)    // told of each request that is not let in: none, wrong, limited, scope or link; nil: nobody counts
	BehindTLS bool                   // a proxy speaks TLS for us
	LinkKey   func() ([]byte, error) // signs links
}

type server struct {
	Config
	logins     logins
	streams    chan struct{} // a place for each stream of events that is open
	thumbnails chan struct{} // a place for each original in memory
}

const (
	// maxStreams bounds the streams of events: each has two of the thousand consumers that FAX_PAGES and FAX_DOCS may have, OCR services the rest.
	maxStreams = 100
	// maxThumbnails bounds the originals in memory, of at most maxThumbnailed bytes each.
	maxThumbnails = 4
	// eventWithin is how long a reader may leave an event unread.
	eventWithin = 30 * time.Second
)

// NewHandler serves the admin API under /api/v1, the dashboard, links, /healthz, /readyz and /metrics. Without tokens whoever
// reaches the listener may do everything, so it answers only requests made to a loopback address; with them a rebound name is no
// danger, since a foreign page has neither token nor cookie. In both cases no page of another origin may change anything.
func NewHandler(c Config) http.Handler {
	s := &server{Config: c, streams: make(chan struct{}, maxStreams), thumbnails: make(chan struct{}, maxThumbnails)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.indexPage)
	mux.HandleFunc("GET /fax/{session}", s.faxPage)
	mux.HandleFunc("GET /api/v1/faxes", s.listFaxes)
	mux.HandleFunc("GET /api/v1/faxes/{session}", s.fax)
	mux.HandleFunc("GET /api/v1/faxes/{session}/{document}", s.document)
	mux.HandleFunc("GET /api/v1/faxes/{session}/pages/{file}", s.page)
	mux.HandleFunc("POST /api/v1/faxes/{session}/replay", s.replay)
	mux.HandleFunc("POST /api/v1/faxes/{session}/links", s.link)
	mux.HandleFunc("GET /api/v1/faxes/{session}/keep", s.kept)
	mux.HandleFunc("POST /api/v1/faxes/{session}/hold", s.orderKeep(session.ActionHeld))
	mux.HandleFunc("POST /api/v1/faxes/{session}/release", s.orderKeep(session.ActionReleased))
	mux.HandleFunc("POST /api/v1/faxes/{session}/purge", s.orderKeep(session.ActionPurged))
	mux.HandleFunc("GET /api/v1/holds", s.holds)
	mux.HandleFunc("GET /links/{link}", s.followLink)
	mux.HandleFunc("GET /api/v1/audit", s.audit)
	mux.HandleFunc("GET /login", s.loginPage)
	mux.HandleFunc("POST /login", s.logIn)
	mux.HandleFunc("POST /logout", s.logOut)
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
	if c.Tokens == nil {
		return loopbackOnly(sameOrigin(mux))
	}
	return sameOrigin(s.restricted(mux))
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

	Quality *session.Quality `json:"quality,omitempty"`
}

// load reads a session's ledger fresh, so that a reader sees what it was just told.
func (s *server) load(r *http.Request) (session.State, error) {
	id := r.PathValue("session")
	if !session.ValidToken(id) {
		return session.State{}, badRequest("session %q: want 1 to %d letters, digits, '-' and '_'", id, session.MaxTokenLen)
	}
	st, _, err := s.Ledgers.Load(r.Context(), id)
	if err == nil && (st.Opened.IsZero() || st.Purged) {
		err = s.notPurged(r, notFound("no fax has the session %s", id))
	}
	return st, err
}

// find is load for reading: a fax that has no ledger (any more) is looked for in the archive.
func (s *server) find(r *http.Request) (session.State, error) {
	st, err := s.load(r)
	if e, ok := errors.AsType[*apiError](err); !ok || e.status != http.StatusNotFound || s.Older == nil {
		return st, err
	}
	old, _, olderErr := s.Older.Fax(r.Context(), r.PathValue("session"))
	if errors.Is(olderErr, fs.ErrNotExist) {
		return st, err
	}
	return old, olderErr
}

// facts gives what is archived of some pages: from the stream, and of a fax that has a document from the archive where the stream
// has let them go.
func (s *server) facts(ctx context.Context, st session.State, pages session.Ranges) (map[int]session.PageArchived, error) {
	facts, err := s.Ledgers.PageFacts(ctx, st.Session, pages)
	if err != nil || s.Older == nil || st.Document == nil {
		return facts, err
	}
	gone := false
	for n := range pages.All() {
		if _, ok := facts[n]; !ok && st.Usable.Has(n) {
			gone = true
			break
		}
	}
	if !gone {
		return facts, nil
	}
	_, archived, err := s.Older.Fax(ctx, st.Session)
	if errors.Is(err, fs.ErrNotExist) {
		return facts, nil
	}
	for n := range pages.All() {
		if f, ok := archived[n]; ok && facts[n].Page == 0 {
			facts[n] = f
		}
	}
	return facts, err
}

func (s *server) detail(r *http.Request) (FaxDetail, error) {
	st, err := s.find(r)
	if err != nil {
		return FaxDetail{}, err
	}
	facts, err := s.facts(r.Context(), st, st.Usable)
	if err != nil {
		return FaxDetail{}, err
	}
	d := FaxDetail{Fax: summary(st), Pages: []Page{}}
	for n := range st.Expected().Union(st.Usable).All() {
		p := Page{Page: n}
		p.Status, p.Source, p.Reason = st.PageStatus(n)
		if f, ok := facts[n]; ok {
			p.SHA256, p.Width, p.Height, p.Bad, p.Quality = f.Original.SHA256, f.Width, f.Height, f.BadRows, f.Quality
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

// readiness is the answer of /readyz where the pipeline can work: green, and yellow with warnings. Red is an error.
type readiness struct {
	Status   string   `json:"status"`
	Warnings []string `json:"warnings,omitempty"`
}

func (s *server) readyz(w http.ResponseWriter, r *http.Request) {
	state := readiness{Status: "ready"}
	err := s.Ready(r.Context())
	if err == nil && s.Warnings != nil {
		state.Warnings, err = s.Warnings(r.Context())
	}
	if _, ok := callerOf(r); !ok && s.Tokens != nil {
		state.Warnings = nil
		if err != nil {
			err = errors.New("why is told to those who show a token")
		}
	}
	if err != nil {
		writeError(w, unavailable("not ready: %v", err))
		return
	}
	writeJSON(w, http.StatusOK, state)
}

// event is one line of the stream.
type event struct {
	Type string          `json:"type"`
	Time time.Time       `json:"time"`
	Data json.RawMessage `json:"data"`
}

// events streams page and document events as server-sent events, from now on. A first comment says that it listens.
func (s *server) events(w http.ResponseWriter, r *http.Request) {
	select {
	case s.streams <- struct{}{}:
		defer func() { <-s.streams }()
	default:
		s.fail(w, r, unavailable("%d streams of events are open, which is all there may be", maxStreams))
		return
	}
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
		if err := rc.SetWriteDeadline(time.Now().Add(eventWithin)); err != nil {
			return false
		}
		if _, err := w.Write(b.Bytes()); err != nil {
			return false // the reader went away
		}
		return rc.Flush() == nil && rc.SetWriteDeadline(time.Time{}) == nil // one that passes ends an HTTP/2 stream, written to or not
	})
	if err != nil {
		s.Log.Error("event stream ended", "err", err)
	}
}
