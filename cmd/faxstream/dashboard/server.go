// Package dashboard answers on the admin listener: the HTTP API under /api/v1, the pages for people, links, and the health of the process.
// Call NewHandler first; routes.go lists every path with the scope that it needs.
//
// It reads the ledgers, the page facts and the archive. It stores the orders hold, release, purge, retry, drop, choose, replay, derive and
// those of the desk (assign, label, note, read, done) as actions in FAX_AUDIT before it answers, and the pipeline carries them out, also
// after a crash. A read of a document or page is in FAX_AUDIT before the first byte leaves, so a crash may leave a record of a read that
// did not happen, but never a read without a record. A look at a fax in the dashboard is one record, for all its small images. The list of
// faxes is no read, except that each fax of a list by text is recorded, as one that a search shows, and so is each small image that a
// browser gets for the list. The list is in memory and is built again at every start.
//
// Pages fill in live (live.go): the board tells which ledgers changed, and tabs with the same view share what is rendered. Each event has
// the whole of what is shown, so a page that comes back shows nothing old. The scripts are in package layout; without them a page is as of
// when it was loaded.
//
// Thumbnails and the form for fax machines are made at each request and not stored.
//
// A token that is limited to numbers sees a fax of another number nowhere: server.find, faxFilter and events are the three places that
// decide (own_test.go).
package dashboard

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/access"
	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/cmd/faxstream/health"
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
	// PageKey gives the key of an object of a page by its name, such as 0001.<16 hex digits>.png, and the page; ok is false for any other
	// name. nil: objects have no names here.
	PageKey func(id, name string) (key string, page int, ok bool)
	// Images gives the two images of each page that a report found different, by page and by session.ImageStreamed and session.ImageFile.
	// An error matching fs.ErrNotExist: the report is gone. nil: no page was ever compared.
	Images func(ctx context.Context, report session.Object) (map[int]map[string]session.PageArchived, error)
	// Thumbnail makes a small PNG of a page's original; nil: there are no thumbnails.
	Thumbnail func(ctx context.Context, original io.Reader) ([]byte, error)
	// BadRows finds the rows of a page's original that could not be decoded as they were sent: the first and the last row of each range, from
	// 0, as the page is stored. nil: they are not looked for.
	BadRows func(ctx context.Context, original io.Reader) ([][2]int, error)
	// PNGScale is how many pixels of the PNG of a page one pixel of the upright page is; nil: one.
	PNGScale func(f session.PageArchived) (x, y int)
	// FaxForm makes the form for fax machines of the document that a manifest describes, and gives its hex SHA-256; the caller closes it. An
	// error matching fs.ErrNotExist: an object is missing or altered. nil: there are no such forms.
	FaxForm func(ctx context.Context, manifest session.Object) (io.ReadSeekCloser, string, error)
	// Verify proves a fax from the archive alone, as faxstream verify does. An error matching fs.ErrNotExist: the archive has nothing of it.
	// nil: this server cannot.
	Verify func(ctx context.Context, id string) (Verdict, error)
	Audit  interface {
		// RecordAccess stores an access durably before it returns nil.
		RecordAccess(ctx context.Context, a session.Access) error
	}
	// Events calls f with each event of pages, documents and texts and the place after it, until ctx ends or f returns false: from a place
	// on, or from now on if that is nil.
	Events func(ctx context.Context, after *bus.Place, f func(bus.Stored, bus.Place) bool) error
	// Facts gives what JetStream has of a fax, in the order of their times, at most most of them; more: there are later ones. nil: nothing is.
	Facts func(ctx context.Context, id string, most int) (facts []bus.Stored, more bool, err error)
	Ready func(ctx context.Context) error // nil error: the pipeline can work
	// Warnings says what will soon stop the pipeline, or makes it work worse than it could; nil: there are no warnings.
	Warnings func(ctx context.Context) ([]string, error)
	Refused  func() []api.Refusal // the addresses whose webhooks were refused last, the newest first
	// Reconcile looks at the provider for faxes that started since then and are unknown here, takes them in unless dry, and gives a report
	// that is written as JSON.
	Reconcile func(ctx context.Context, since time.Time, dry bool) any
	Older     Older             // nil: only faxes that have a ledger are known
	Holds     Holds             // nil: nothing was ever held or purged
	Trail     Trail             // the audit
	Names     map[string]string // of numbers, by session.NumberToken; nil: none has a name
	Views     []View            // that the list offers
	Desk      Desk
	Derived   Derived // nil: there are no derived documents
	Texts     Texts   // nil: none are taken
	Search    Search  // nil: there is no index

	Subscribers Subscribers
	Metrics     http.Handler
	Health      func() health.Report // nil: nothing is remembered
	Log         *slog.Logger

	Gate *access.Gate // who is let in

	Roles  []string // of this process; empty: all
	Narrow bool     // only /healthz, /readyz and /metrics are served; what else has no role here may be nil
}

type server struct {
	Config
	streams    chan struct{} // a place for each stream of events that is open
	thumbnails chan struct{} // a place for each original in memory
	faxForms   chan struct{} // a place for each document that is made
	proofs     chan struct{} // a place for each fax that is verified
	results    chan struct{} // a place for each result of an OCR engine that is read
	views      hub           // what pages of the dashboard show live
	tabs       chan struct{} // a place for each page of the dashboard that fills in live
	foundTabs  chan struct{} // a place for each of them that has a text
	lists      derivedLists  // derived documents, as pages show them
	viewKey    []byte        // of this process; makes the marks of views
}

const (
	// maxStreams bounds the streams of events: each has one of the thousand consumers that FAX_PAGES, FAX_DOCS and FAX_TEXT may have; the
	// others are for OCR services.
	maxStreams = 100
	// maxOriginals bounds the originals in memory, of at most maxOriginal bytes each.
	maxOriginals = 4
	// eventWithin is how long a reader may leave an event unread.
	eventWithin = 30 * time.Second
)

// Handler serves the admin API under /api/v1, the dashboard, links, /healthz, /readyz and /metrics to those whom the gate lets through.
type Handler struct {
	http.Handler
	mux *http.ServeMux
}

// As serves requests that this process makes itself, without the gate, as those of a token: of its name and numbers, whatever its scopes.
func (h *Handler) As(t access.Token) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, access.As(r, t)) })
}

// NewHandler makes the handler of the admin listener.
func NewHandler(c Config) *Handler {
	s := &server{Config: c, streams: make(chan struct{}, maxStreams), thumbnails: make(chan struct{}, maxOriginals)}
	s.faxForms, s.results = make(chan struct{}, maxFaxForms), make(chan struct{}, maxResults)
	s.proofs = make(chan struct{}, maxProofs)
	s.tabs, s.foundTabs = make(chan struct{}, maxTabs), make(chan struct{}, maxFoundTabs)
	s.viewKey = make([]byte, sha256.Size)
	_, _ = rand.Read(s.viewKey) // never fails
	mux, rules := s.mux(s.routes())
	if c.Narrow {
		narrow, few := s.mux(s.healthRoutes())
		return &Handler{noEmptyParts(c.Gate.Guard(narrow, few)), mux}
	}
	return &Handler{noEmptyParts(c.Gate.Guard(mux, rules)), mux}
}

// mux serves some routes, and says which scope each needs.
func (s *server) mux(routes []route) (*http.ServeMux, access.Rules) {
	mux, rules := http.NewServeMux(), access.Rules{}
	for _, route := range routes {
		handle := route.handle
		if strings.Contains(route.pattern, "{session}") {
			handle = s.resolved(handle)
		}
		mux.HandleFunc(route.pattern, handle)
		rules[route.pattern] = route.scope
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if s.Narrow {
			api.WriteError(w, api.NotFound("no such path: %s %s; this process does not have the role admin", r.Method, r.URL.Path))
			return
		}
		api.WriteError(w, api.NotFound("no such path: %s %s; the API is under /api/v1", r.Method, r.URL.Path))
	})
	return mux, rules
}

func (s *server) fail(w http.ResponseWriter, r *http.Request, err error) { api.Fail(w, r, s.Log, err) }

// refusedWebhooks lists the addresses whose webhooks were refused last.
func (s *server) refusedWebhooks(w http.ResponseWriter, _ *http.Request) {
	api.Write(w, http.StatusOK, api.RefusalList{Refused: s.Refused()})
}

func (s *server) readyz(w http.ResponseWriter, r *http.Request) {
	state := api.Readiness{Status: "ready", Roles: s.Roles}
	err := s.Ready(r.Context())
	if err == nil && s.Warnings != nil {
		state.Warnings, err = s.Warnings(r.Context())
	}
	if t, ok := access.Caller(r); s.Gate.NeedsLogin() && (!ok || t.Limited() || t.Masked) {
		state.Warnings = nil
		if err != nil {
			err = errors.New("send a token that sees the numbers of all faxes to see the reason")
		}
	}
	if err != nil {
		api.WriteError(w, api.Unavailable("not ready: %v", err))
		return
	}
	api.Write(w, http.StatusOK, state)
}

// resolved lets a handler find the whole session id in the path where the request has only the beginning of one.
func (s *server) resolved(handle http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id, err := s.resolveFor(r, r.PathValue("session"))
		if err != nil {
			s.fail(w, r, err)
			return
		}
		r.SetPathValue("session", id)
		handle(w, r)
	}
}

// resolveFor is resolve for whoever made a request. A token that sees only some numbers gives whole ids: a short one would tell it of
// faxes that it must not see.
func (s *server) resolveFor(r *http.Request, id string) (string, error) {
	if limited(r) {
		return wholeID(r.Context(), id)
	}
	return s.resolve(r.Context(), id)
}

// resolve returns the session that an id stands for: the whole id, or its first letters if only one fax has them. An id that stands
// for no fax is returned as it is.
func (s *server) resolve(ctx context.Context, id string) (string, error) {
	if _, err := wholeID(ctx, id); err != nil {
		return "", err
	}
	if len(id) < session.MinShortID || s.Board.has(id) {
		return id, nil
	}
	st, _, err := s.Ledgers.Load(ctx, id)
	if errors.Is(err, fs.ErrInvalid) {
		return id, nil // there is such a fax, and its archive is damaged: it can still be held, released and purged
	}
	if err != nil || !st.Opened.IsZero() || st.Purged {
		return id, err
	}
	like := s.Board.beginning(id, session.MaxNamed+1)
	if s.Older != nil {
		older, err := s.Older.Sessions(ctx, id, session.MaxNamed+1)
		if err != nil {
			return "", err // a guess could be another fax
		}
		like = append(like, older...)
	}
	whole, err := session.ShortFor(id, like)
	switch {
	case errors.Is(err, session.ErrAmbiguous):
		return "", api.Errorf(http.StatusBadRequest, "ambiguous", "%v", err)
	case whole == "" || whole == id || s.Holds == nil:
		return cmp.Or(whole, id), err
	}
	log, err := s.Holds.Log(ctx, id)
	if len(log) > 0 { // it is the whole id of a purged fax, which has left nothing else
		return id, err
	}
	return whole, err
}

// wholeID returns an id as it is, if it can be one.
func wholeID(_ context.Context, id string) (string, error) {
	if !session.ValidToken(id) {
		return "", api.BadRequest("session %q: want 1 to %d letters, digits, '-' and '_'", id, session.MaxTokenLen)
	}
	return id, nil
}

// noEmptyParts refuses a path with an empty part, such as an empty session, or with dots. A ServeMux would lead the client to another path.
func noEmptyParts(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := r.URL.Path
		clean := path.Clean(p)
		if clean != p && (clean == "/" || clean+"/" != p) || p == "/api/v1/faxes/" || p == "/fax/" {
			api.WriteError(w, api.BadRequest("the path %s has an empty part, '.' or '..': is the session id empty?", p))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// beginning returns up to most sessions that begin with some letters.
func (b *Board) beginning(with string, most int) (ids []string) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	_, first := b.find(with)
	for _, e := range b.byID[first:] {
		if len(ids) == most || !strings.HasPrefix(e.session(), with) {
			break
		}
		ids = append(ids, e.session())
	}
	return ids
}
