package ingest

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/faxstream/faxstream/ingest/faxplus"
	"github.com/faxstream/faxstream/pipeline/session"
)

// Path is the path of webhooks; if a secret is configured, it is Path + "/" + secret.
const Path = "/v1/faxplus"

// maxBody is the largest accepted webhook body, bytes. Real ones are below 1 KiB.
const maxBody = 64 << 10

// Recorder stores the facts of webhooks.
type Recorder interface {
	// Record stores f durably: after a nil error it survives a crash. repeat: the same fact was stored before. It
	// returns an error when ctx ends.
	Record(ctx context.Context, f session.Fact) (repeat bool, err error)
	// Bury stores d durably as a dead letter. A second call with the same letter is no error.
	Bury(ctx context.Context, d session.DeadLetter) error
}

// Config says which webhooks a Handler accepts and where it stores them.
type Config struct {
	Recorder Recorder // required
	// AllowFrom has the addresses that may send; empty: the two of Fax.Plus, DefaultAllowFrom.
	AllowFrom []netip.Prefix
	// TrustedProxies has the proxies whose X-Forwarded-For counts; empty: no proxy.
	TrustedProxies []netip.Prefix
	// Secrets returns the secrets that are valid now (two during a rotation). It is called for each request. nil: no
	// secret is required, and Path itself accepts webhooks. If it returns no secret, every webhook is refused.
	Secrets func() []string
	// Zone converts the times of webhooks and learns from them; nil: they are UTC, and nothing is learned.
	Zone *Zone
	// Ready returns nil if Recorder can store webhooks now, ErrSpooling if it can on this machine alone, else why not: ReadyPath answers it.
	// nil: there is no such path.
	Ready         func(context.Context) error
	RecordTimeout time.Duration         // for Record, Bury and Ready; default 5 s, less than a sender waits
	Logger        *slog.Logger          // nil: silent
	Registerer    prometheus.Registerer // for the metrics; nil: not registered
	// Trace is called with the fact of each webhook, before it is recorded, with the time when its body was there, and with the headers of
	// the request, nil for a body that came in long ago. The context that it returns is for recording; end is called with the status and
	// the code of the answer. nil: not called.
	Trace func(ctx context.Context, f session.Fact, began time.Time, header http.Header) (_ context.Context, end func(status int, code string))
}

// Handler is the http.Handler of webhooks, and of ReadyPath. It handles every path, so it needs a listener of its own. It may be
// called concurrently.
type Handler struct {
	cfg     Config
	ready   *readiness // nil without Config.Ready
	source  *source
	refused *refusals
	metrics *metrics
}

// NewHandler checks cfg and returns the handler. It fails without a Recorder, for an address range that is not valid,
// and if the metrics are registered already.
func NewHandler(cfg Config) (*Handler, error) {
	if cfg.Recorder == nil {
		return nil, errors.New("ingest: Config.Recorder is nil")
	}
	cfg.RecordTimeout = cmp.Or(cfg.RecordTimeout, 5*time.Second)
	if cfg.Zone == nil {
		var err error
		if cfg.Zone, err = NewZone(ZoneConfig{Configured: time.UTC}); err != nil {
			return nil, err
		}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	src, err := newSource(cfg.AllowFrom, cfg.TrustedProxies)
	if err != nil {
		return nil, err
	}
	m, err := newMetrics(cfg.Registerer)
	if err != nil {
		return nil, err
	}
	h := &Handler{cfg: cfg, source: src, refused: &refusals{source: src}, metrics: m}
	if cfg.Ready != nil {
		h.ready = &readiness{check: cfg.Ready, timeout: cfg.RecordTimeout}
	}
	return h, nil
}

// reply is the answer to one webhook.
type reply struct {
	status  int
	code    string // of the error, or the result; also the outcome in the metrics
	message string // for the sender; contains no secrets
	err     error  // for the log
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h.ready != nil && r.URL.Path == ReadyPath {
		write(w, h.ready.answer(w, r))
		return
	}
	began := time.Now()
	client := h.source.client(r)
	rep := h.admit(w, r, client)
	h.metrics.count(rep, time.Since(began))
	write(w, rep)
	if rep.code == codeForbidden {
		h.refuse(r, client)
		return
	}
	if rep.status != http.StatusOK {
		level := slog.LevelWarn
		if rep.code == codeNotFound {
			level = slog.LevelDebug // unknown senders must not fill the log; faxstream_webhooks_total counts them
		}
		words := "a webhook is refused: its code says why, and what was in it is perhaps a dead letter"
		if rep.status == http.StatusServiceUnavailable {
			words = "a webhook cannot be stored, and is answered 503: the provider sends it again; look at /readyz"
		}
		h.cfg.Logger.Log(r.Context(), level, words, "status", rep.status, "code", rep.code, "client", client.String(), "err", rep.err)
	}
}

// refuse notes a request that was refused because of its address. Strangers must not fill the log, and only a few webhooks may.
func (h *Handler) refuse(r *http.Request, client netip.Addr) {
	refusal, warn := h.refused.refuse(r, client, h.admitPath(r.URL.Path))
	level := slog.LevelDebug
	if warn {
		level = slog.LevelWarn
	}
	h.cfg.Logger.Log(r.Context(), level, "webhook refused because of its address", "client", refusal.Address, "peer", refusal.Peer,
		"right_path", refusal.RightPath, "refused", refusal.Count, "since", refusal.First, "advice", refusal.Advice)
}

var tooLarge = reply{
	http.StatusRequestEntityTooLarge, codeTooLarge, fmt.Sprintf("the body is too large: at most %d bytes are allowed", maxBody), nil,
}

// admit makes the checks of the request, in the order of the package comment, and then records the body.
func (h *Handler) admit(w http.ResponseWriter, r *http.Request, client netip.Addr) reply {
	if !h.source.allowed(client) {
		return reply{http.StatusForbidden, codeForbidden, "webhooks from this address are not accepted", nil}
	}
	if !h.admitPath(r.URL.Path) {
		return reply{http.StatusNotFound, codeNotFound, "not found", nil}
	}
	h.refused.admit()
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return reply{http.StatusMethodNotAllowed, codeMethod, "send webhooks with POST", nil}
	}
	if r.ContentLength > maxBody {
		return tooLarge
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if over := (*http.MaxBytesError)(nil); errors.As(err, &over) {
		return tooLarge
	}
	if err != nil {
		return reply{http.StatusRequestTimeout, codeIncomplete, "the body is incomplete; send it again", err}
	}
	ctx, cancel := context.WithTimeout(r.Context(), h.cfg.RecordTimeout)
	defer cancel()
	return h.take(ctx, body, time.Now(), r.Header)
}

// admitPath reports whether path has a valid secret, or is Path itself if no secret is required.
func (h *Handler) admitPath(path string) bool {
	if h.cfg.Secrets == nil {
		return path == Path
	}
	given, ok := strings.CutPrefix(path, Path+"/")
	return ok && validSecret(h.cfg.Secrets(), given)
}

// take records the fact in body. arrived is zero for a body that came in long ago, and header nil.
func (h *Handler) take(ctx context.Context, body []byte, arrived time.Time, header http.Header) reply {
	event, err := faxplus.ParseEvent(body)
	if err != nil {
		return h.bury(ctx, body, err)
	}
	if !arrived.IsZero() {
		h.cfg.Zone.Learn(event.Session, event.EventTime, arrived)
	}
	sum := sha256.Sum256(body)
	fact, known := event.In(h.cfg.Zone.Location()).Fact(hex.EncodeToString(sum[:]))
	if !known {
		h.cfg.Logger.Info("webhook of an unknown event ignored", "event", fmt.Sprintf("%.64s", event.Name))
		return reply{http.StatusOK, codeUnknownEvent, "", nil}
	}
	if h.cfg.Trace == nil {
		return h.record(ctx, event, fact)
	}
	ctx, end := h.cfg.Trace(ctx, fact, cmp.Or(arrived, time.Now()), header)
	rep := h.record(ctx, event, fact)
	end(rep.status, rep.code)
	return rep
}

func (h *Handler) record(ctx context.Context, event faxplus.Event, fact session.Fact) reply {
	repeat, err := h.cfg.Recorder.Record(ctx, fact)
	if err != nil {
		return reply{http.StatusServiceUnavailable, codeNotRecorded, "the webhook is not stored; send it again", err}
	}
	if h.cfg.Logger.Enabled(ctx, slog.LevelDebug) { // the masks cost more than the rest of the line
		h.cfg.Logger.Debug("webhook recorded", "event", event.Name, "session", event.Session, "page", event.Page,
			"from", session.MaskNumber(event.From), "to", session.MaskNumber(event.To), "status", event.Status, "repeat", repeat)
	}
	if repeat {
		return reply{http.StatusOK, codeRepeated, "", nil}
	}
	return reply{http.StatusOK, codeRecorded, "", nil}
}

// Again processes the body of a webhook that was refused and buried, as if it came now. If it is refused again, it is
// buried again; that is no error. An error means that it is neither recorded nor buried.
func (h *Handler) Again(ctx context.Context, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, h.cfg.RecordTimeout)
	defer cancel()
	rep := h.take(ctx, body, time.Time{}, nil)
	h.cfg.Logger.Info("refused webhook processed again", "outcome", rep.code)
	if rep.status == http.StatusServiceUnavailable {
		return fmt.Errorf("process a refused webhook again: %w", rep.err)
	}
	return nil
}

// bury stores a body that can never be valid as a dead letter, and answers why it is not valid.
func (h *Handler) bury(ctx context.Context, body []byte, why error) reply {
	clean := h.scrub()
	rep := reply{http.StatusBadRequest, codeMalformed, clean(why.Error()), nil}
	if field := (*faxplus.FieldError)(nil); errors.As(why, &field) {
		rep.code = codeBadField
	}
	rep.err = errors.New(rep.message)
	err := h.cfg.Recorder.Bury(ctx, session.DeadLetter{
		Stage:    session.StageIngest,
		Reason:   session.ReasonBadRequest,
		Detail:   rep.message,
		Body:     []byte(clean(string(faxplus.RedactTarget(body)))),
		Received: time.Now().UTC(),
	})
	if err != nil {
		return reply{
			http.StatusServiceUnavailable, codeNotRecorded,
			"the webhook is not valid, and storing it as a dead letter failed; send it again", err,
		}
	}
	return rep
}

// write sends rep: {"result":code} with 200, else {"error":{"code","message"}}.
func write(w http.ResponseWriter, rep reply) {
	type problem struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	answer := struct {
		Result string   `json:"result,omitempty"`
		Error  *problem `json:"error,omitempty"`
	}{Result: rep.code}
	if rep.status != http.StatusOK {
		answer.Result, answer.Error = "", &problem{rep.code, rep.message}
	}
	if rep.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(rep.status)
	_ = json.NewEncoder(w).Encode(answer) // fails only if the sender is gone; then it sends again
}
