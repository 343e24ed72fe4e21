package faxplustest

import (
	"cmp"
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Config says who may use the simulator, and how long things take. The faults are in each Fax.
type Config struct {
	Token  string         // required as a bearer token; empty: no token is required
	UserID string         // accepted in paths, as is "self"; default that of Fax.UID
	Seed   uint64         // of all random choices
	Delay  time.Duration  // longest wait before a webhook; each waits a random part of it
	While  time.Duration  // how long a late webhook is late and a dead token is dead; default 2 s
	Zone   *time.Location // of the times in webhooks, records and lists, which name none; nil: UTC
	Logger *slog.Logger   // nil: silent
}

// Server is the simulator. It holds every fax in memory. Its methods may be called concurrently.
type Server struct {
	cfg    Config
	mux    *http.ServeMux
	client *http.Client // of webhooks
	served atomic.Int64 // bytes of files

	refused atomic.Bool // the last webhook was not accepted; one line of the log is enough

	mu      sync.Mutex
	faxes   map[string]*record // by session id and by listed id
	order   []*record          // in the order in which they were added
	tries   map[file]int
	scripts map[file]func(try int) Answer
	hooks   []hook
	hookSeq int
	dead    time.Time // until then every request is 401
}

// record is a fax and how much of it has arrived.
type record struct {
	fax    Fax
	ready  int // pages 1 to ready can be fetched
	closed bool
}

// file is a page of a session; page 0 is the whole file.
type file struct {
	session string
	page    int
}

// New returns a simulator without faxes.
func New(cfg Config) *Server {
	if cfg.UserID == "" {
		cfg.UserID = Fax{}.withDefaults().UID
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Zone == nil {
		cfg.Zone = time.UTC
	}
	cfg.While = cmp.Or(cfg.While, 2*time.Second)
	s := &Server{
		cfg: cfg, mux: http.NewServeMux(), client: newClient(),
		faxes: map[string]*record{}, tries: map[file]int{}, scripts: map[file]func(int) Answer{},
	}
	s.mux.HandleFunc("GET /accounts/{user}/files/{fax}", s.getWhole)
	s.mux.HandleFunc("GET /accounts/{user}/files/{fax}/pages/{page}", s.getPage)
	s.mux.HandleFunc("GET /accounts/{user}/faxes/{fax}", s.getRecord)
	s.mux.HandleFunc("GET /accounts/{user}/faxes", s.listRecords)
	s.mux.HandleFunc("GET /hooks", s.listHooks)
	s.mux.HandleFunc("POST /hooks", s.addHook)
	s.mux.HandleFunc("DELETE /hooks/{id}", s.removeHook)
	s.mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		problem(w, http.StatusNotFound, "not_found", "resource not found")
	})
	return s
}

// ServeHTTP serves the REST API below the root.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Add makes all files of a fax available at once, without a webhook.
func (s *Server) Add(f Fax) { s.arrive(f, len(f.Pages), true) }

// arrive makes the first ready pages of a fax available, and if it is closed the whole file. What was available stays.
func (s *Server) arrive(f Fax, ready int, closed bool) {
	f = s.spoil(f)
	s.mu.Lock()
	defer s.mu.Unlock()
	rec := s.faxes[f.Session]
	if rec == nil {
		if f.has(DeadToken) {
			s.dead = time.Now().Add(s.cfg.While)
		}
		rec = &record{}
		s.faxes[f.Session], s.faxes[f.ListedID()] = rec, rec
		s.order = append(s.order, rec)
	}
	rec.fax, rec.ready, rec.closed = f, max(rec.ready, ready), rec.closed || closed
}

// Script lets answer decide the answers to requests for a page of a session, also if the simulator does not have that
// fax. page 0 is the whole file. try counts from 1. The bearer token is still required. nil ends the script.
func (s *Server) Script(session string, page int, answer func(try int) Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scripts[file{session, page}] = answer
}

// Tries returns how often a page was requested, with or without success; page 0 is the whole file.
func (s *Server) Tries(session string, page int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tries[file{session, page}]
}

// Served returns how many bytes of files were sent.
func (s *Server) Served() int64 { return s.served.Load() }

// try counts a request for a file and returns the fax, the number of the try, and the script.
func (s *Server) try(fax string, page int) (rec record, n int, script func(int) Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.faxes[fax]; known != nil {
		rec = *known
		fax = rec.fax.Session // a listed id names the same file
	}
	f := file{fax, page}
	s.tries[f]++
	return rec, s.tries[f], s.scripts[f]
}

func (s *Server) getPage(w http.ResponseWriter, r *http.Request) {
	page, err := strconv.Atoi(r.PathValue("page"))
	if err != nil || page < 1 {
		problem(w, http.StatusBadRequest, "bad_request", "page must be a number from 1")
		return
	}
	s.getFile(w, r, page)
}

func (s *Server) getWhole(w http.ResponseWriter, r *http.Request) {
	if format := r.URL.Query().Get("format"); format != "tiff" {
		problem(w, http.StatusNotAcceptable, "not_acceptable", "the simulator knows only format=tiff")
		return
	}
	s.getFile(w, r, 0)
}

func (s *Server) getFile(w http.ResponseWriter, r *http.Request, page int) {
	rec, try, script := s.try(r.PathValue("fax"), page) // counts also if the token is refused
	if !s.admit(w, r) {
		return
	}
	var content []byte
	switch {
	case page == 0 && rec.closed:
		content = rec.fax.Whole
	case page > 0 && page <= min(rec.ready, len(rec.fax.Pages)):
		content = rec.fax.Pages[page-1]
	}
	answer := notFound
	switch {
	case script != nil:
		answer = script(try)
	case content != nil:
		answer = s.faulty(rec.fax, page, try, content)
	case rec.fax.has(Foreign):
		answer = forbidden
	}
	s.cfg.Logger.Debug("file requested", "fax", r.PathValue("fax"), "page", page, "try", try, "status", answer.Status)
	s.send(r.Context(), w, answer, content)
}

// send writes an answer; if it has no body, the body is content.
func (s *Server) send(ctx context.Context, w http.ResponseWriter, a Answer, content []byte) {
	if a.Status == 0 {
		a.Status = http.StatusOK
	}
	if a.Status == http.StatusOK {
		w.Header().Set("Content-Type", "image/tiff")
		if a.Body == nil {
			a.Body = content
		}
	}
	for name, value := range a.Header {
		w.Header().Set(name, value)
	}
	switch {
	case a.ContentLength > 0:
		w.Header().Set("Content-Length", strconv.FormatInt(a.ContentLength, 10))
	case a.ContentLength == 0:
		w.Header().Set("Content-Length", strconv.Itoa(len(a.Body)))
	}
	w.WriteHeader(a.Status)
	part := a.Body
	if a.CutAt > 0 {
		part = part[:min(a.CutAt, len(part))]
	}
	n, err := trickle(ctx, w, part, a.Over)
	s.served.Add(int64(n))
	if (a.ContentLength < 0 || a.CutAt > 0) && err == nil {
		err = http.NewResponseController(w).Flush() // before the end: else net/http sends a Content-Length
	}
	if a.CutAt > 0 || err != nil {
		panic(http.ErrAbortHandler) // the documented way to end the connection here
	}
}

// trickle writes b in pieces over some time; if over is 0, at once.
func trickle(ctx context.Context, w http.ResponseWriter, b []byte, over time.Duration) (n int, err error) {
	const pieces = 10
	for i := 0; over > 0 && i < pieces; i++ {
		piece := b[n : len(b)*(i+1)/(pieces+1)]
		written, err := w.Write(piece)
		n += written
		if err = errors.Join(err, http.NewResponseController(w).Flush(), sleep(ctx, over/pieces)); err != nil {
			return n, err
		}
	}
	written, err := w.Write(b[n:])
	return n + written, err
}

// admit checks the bearer token and the account of a path that names one.
func (s *Server) admit(w http.ResponseWriter, r *http.Request) bool {
	s.mu.Lock()
	dead := time.Now().Before(s.dead)
	s.mu.Unlock()
	want := "Bearer " + s.cfg.Token
	if dead || s.cfg.Token != "" && subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte(want)) != 1 {
		problem(w, http.StatusUnauthorized, "unauthorized", "the access token is missing or not valid")
		return false
	}
	if user := r.PathValue("user"); user != "" && user != "self" && user != s.cfg.UserID {
		problem(w, http.StatusForbidden, "forbidden", "no access to this account")
		return false
	}
	return true
}

func problem(w http.ResponseWriter, status int, code, description string) {
	a := failure(status, code, description)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(a.Body) // fails only if the client is gone
}

func respond(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // fails only if the client is gone
}
