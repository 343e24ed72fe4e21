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

// Path is where webhooks are taken; with a secret configured, Path + "/" + secret.
const Path = "/v1/faxplus"

// maxBody is the largest webhook body taken, bytes. A real one has under 1 KiB.
const maxBody = 64 << 10

// Recorder stores what webhooks say.
type Recorder interface {
	// Record stores f durably: after a nil error it survives a crash. repeat says that it was there already. It gives
	// up when ctx ends.
	Record(ctx context.Context, f session.Fact) (repeat bool, err error)
	// Bury stores d durably among the dead letters. Burying the same again is no error.
	Bury(ctx context.Context, d session.DeadLetter) error
}

// Config says what a Handler admits and where it puts it.
type Config struct {
	Recorder Recorder // required
	// AllowFrom are the addresses that may send; empty: the two that Fax.Plus names, DefaultAllowFrom.
	AllowFrom []netip.Prefix
	// TrustedProxies are the proxies whose X-Forwarded-For is believed; empty: nobody's.
	TrustedProxies []netip.Prefix
	// Secrets gives the secrets that are valid now, two while rotating; it is asked at each request. nil: none is
	// demanded and Path itself takes webhooks. A function that gives none admits nobody.
	Secrets       func() []string
	RecordTimeout time.Duration         // for Record and Bury; default 5 s, less than a sender will wait
	Logger        *slog.Logger          // nil: silent
	Registerer    prometheus.Registerer // for the metrics; nil: not registered
}

// Handler is the http.Handler of webhooks. It handles every path, so it is mounted alone on its listener.
type Handler struct {
	cfg     Config
	source  *source
	metrics *metrics
}

// NewHandler checks cfg and gives the handler.
func NewHandler(cfg Config) (*Handler, error) {
	if cfg.Recorder == nil {
		return nil, errors.New("ingest: no Recorder")
	}
	cfg.RecordTimeout = cmp.Or(cfg.RecordTimeout, 5*time.Second)
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
	return &Handler{cfg: cfg, source: src, metrics: m}, nil
}

// reply is the answer to one webhook.
type reply struct {
	status  int
	code    string // of the error, or what was done; also the outcome in the metrics
	message string // for whoever sent the request; no secrets
	err     error  // for the log
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	client := h.source.client(r)
	rep := h.admit(w, r, client)
	h.metrics.count(rep, time.Since(began))
	write(w, rep)
	if rep.status != http.StatusOK {
		level := slog.LevelWarn
		if rep.code == codeForbidden || rep.code == codeNotFound {
			level = slog.LevelDebug // strangers must not fill the log; faxstream_webhooks_total counts them
		}
		h.cfg.Logger.Log(r.Context(), level, "webhook refused", "status", rep.status, "code", rep.code, "client", client.String(), "err", rep.err)
	}
}

// admit makes the checks that need no body, in the order that the package promises.
func (h *Handler) admit(w http.ResponseWriter, r *http.Request, client netip.Addr) reply {
	if !h.source.allowed(client) {
		return reply{http.StatusForbidden, codeForbidden, "webhooks are not taken from this address", nil}
	}
	if !h.admitPath(r.URL.Path) {
		return reply{http.StatusNotFound, codeNotFound, "nothing is here", nil}
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return reply{http.StatusMethodNotAllowed, codeMethod, "webhooks are sent with POST", nil}
	}
	tooLarge := reply{http.StatusRequestEntityTooLarge, codeTooLarge, fmt.Sprintf("a webhook has at most %d bytes", maxBody), nil}
	if r.ContentLength > maxBody {
		return tooLarge
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if over := (*http.MaxBytesError)(nil); errors.As(err, &over) {
		return tooLarge
	}
	if err != nil {
		return reply{http.StatusRequestTimeout, codeIncomplete, "the body did not arrive whole; send it again", err}
	}
	ctx, cancel := context.WithTimeout(r.Context(), h.cfg.RecordTimeout)
	defer cancel()
	return h.take(ctx, body)
}

// admitPath reports whether path is the one with a valid secret, or the bare one where none is demanded.
func (h *Handler) admitPath(path string) bool {
	if h.cfg.Secrets == nil {
		return path == Path
	}
	given, ok := strings.CutPrefix(path, Path+"/")
	return ok && validSecret(h.cfg.Secrets(), given)
}

// take records what body says.
func (h *Handler) take(ctx context.Context, body []byte) reply {
	event, err := faxplus.ParseEvent(body)
	if err != nil {
		return h.bury(ctx, body, err)
	}
	sum := sha256.Sum256(body)
	fact, known := event.Fact(hex.EncodeToString(sum[:]))
	if !known {
		h.cfg.Logger.Info("webhook of an unknown event ignored", "event", fmt.Sprintf("%.64s", event.Name))
		return reply{http.StatusOK, codeUnknownEvent, "", nil}
	}
	repeat, err := h.cfg.Recorder.Record(ctx, fact)
	if err != nil {
		return reply{http.StatusServiceUnavailable, codeNotRecorded, "not stored; send it again", err}
	}
	h.cfg.Logger.Debug("webhook recorded", "event", event.Name, "session", event.Session, "page", event.Page,
		"from", session.MaskNumber(event.From), "to", session.MaskNumber(event.To), "status", event.Status, "repeat", repeat)
	if repeat {
		return reply{http.StatusOK, codeRepeated, "", nil}
	}
	return reply{http.StatusOK, codeRecorded, "", nil}
}

// Again takes in the body of a webhook that was refused and buried, as if it had come now. One that is refused again is
// buried again, which is no error. An error means that it is neither recorded nor buried.
func (h *Handler) Again(ctx context.Context, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, h.cfg.RecordTimeout)
	defer cancel()
	rep := h.take(ctx, body)
	h.cfg.Logger.Info("refused webhook taken again", "outcome", rep.code)
	if rep.status == http.StatusServiceUnavailable {
		return fmt.Errorf("take a refused webhook again: %w", rep.err)
	}
	return nil
}

// bury keeps a body that can never be valid and says why it is not.
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
		return reply{http.StatusServiceUnavailable, codeNotRecorded, "not valid, but not stored either; send it again", err}
	}
	return rep
}

// write sends rep: {"result":code} for 200, else {"error":{"code","message"}}.
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
	_ = json.NewEncoder(w).Encode(answer) // fails only when the sender is gone; it will send again
}
