package ingest_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/faxstream/faxstream/ingest"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/pipeline/session"
)

const (
	provider  = "34.65.253.117"
	secret    = "s3cret-0123456789_abcdef"
	newSecret = "n3w-secret-0123456789abc"
	target    = "https://fax.example/v1/faxplus/" + secret
)

// store is a Recorder in memory. It holds one fact per subject, as the real one does.
type store struct {
	tb     testing.TB
	fail   error // of every call
	mu     sync.Mutex
	facts  map[string]session.Fact
	buried []session.DeadLetter
}

func (s *store) Record(ctx context.Context, f session.Fact) (bool, error) {
	s.check(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return false, s.fail
	}
	if s.facts == nil {
		s.facts = map[string]session.Fact{}
	}
	_, repeat := s.facts[f.Subject()]
	s.facts[f.Subject()] = f
	return repeat, nil
}

func (s *store) Bury(ctx context.Context, d session.DeadLetter) error {
	s.check(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return s.fail
	}
	s.buried = append(s.buried, d)
	return nil
}

// check: nothing may wait for ever on a store that does not answer.
func (s *store) check(ctx context.Context) {
	if _, ok := ctx.Deadline(); !ok {
		s.tb.Error("the recorder was called without a deadline")
	}
}

// sender is a handler with its store, log and metrics.
type sender struct {
	*store
	handler http.Handler
	log     *bytes.Buffer
	reg     *prometheus.Registry
}

func newSender(tb testing.TB, change func(*ingest.Config)) *sender {
	tb.Helper()
	s := &sender{store: &store{tb: tb}, log: &bytes.Buffer{}, reg: prometheus.NewRegistry()}
	cfg := ingest.Config{
		Recorder: s.store, Secrets: func() []string { return []string{secret, newSecret} }, Registerer: s.reg,
		Logger: slog.New(slog.NewJSONHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if change != nil {
		change(&cfg)
	}
	h, err := ingest.NewHandler(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	s.handler = h
	return s
}

// request is a webhook from the provider itself with the right secret, until it is changed.
func request(body []byte) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/v1/faxplus/"+secret, bytes.NewReader(body))
	r.RemoteAddr = provider + ":40000"
	return r
}

// send gives the status and the error code of the answer.
func (s *sender) send(r *http.Request) (int, string) {
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	var answer struct {
		Error struct{ Code, Message string }
	}
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		s.tb.Errorf("the answer %q is not JSON: %v", w.Body, err)
	}
	if w.Code != http.StatusOK && (answer.Error.Code == "" || answer.Error.Message == "") {
		s.tb.Errorf("HTTP %d without code or message: %s", w.Code, w.Body)
	}
	if (w.Code == http.StatusServiceUnavailable) != (w.Header().Get("Retry-After") == "1") {
		s.tb.Errorf("HTTP %d with Retry-After %q", w.Code, w.Header().Get("Retry-After"))
	}
	if (w.Code == http.StatusMethodNotAllowed) != (w.Header().Get("Allow") == http.MethodPost) {
		s.tb.Errorf("HTTP %d with Allow %q", w.Code, w.Header().Get("Allow"))
	}
	return w.Code, answer.Error.Code
}

func fax() faxplustest.Fax {
	return faxplustest.Fax{Session: "s1", From: "+1 334-304-1111", To: "+1 334-304-2222", Pages: make([][]byte, 3)}
}

// TestChecksInOrder takes a request that is wrong in every way and mends one thing after the other.
func TestChecksInOrder(t *testing.T) {
	s := newSender(t, nil)
	r := httptest.NewRequest(http.MethodGet, "/v1/faxplus/"+strings.ToUpper(secret), strings.NewReader(strings.Repeat("x", 70_000)))
	r.RemoteAddr = "192.0.2.1:1"
	want := func(status int, code string) {
		t.Helper()
		if gotStatus, gotCode := s.send(r); gotStatus != status || gotCode != code {
			t.Errorf("got %d %s, want %d %s", gotStatus, gotCode, status, code)
		}
	}
	want(403, "forbidden_source")
	r.RemoteAddr = "34.65.146.131:1"
	want(404, "not_found")
	r.URL.Path = "/v1/faxplus/" + secret
	want(405, "method_not_allowed")
	r.Method = http.MethodPost
	want(413, "too_large")
	if len(s.buried) != 0 {
		t.Errorf("buried %+v of what was not admitted", s.buried)
	}
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader("{")), 1
	want(400, "malformed")
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader(`{"hook":{"event":"fax_received"}}`)), -1
	want(400, "bad_field")
	r.Body = io.NopCloser(bytes.NewReader(faxplustest.ClosedEvent(fax(), target)))
	want(200, "")
	if len(s.buried) != 2 || len(s.facts) != 1 {
		t.Errorf("%d buried, %d facts", len(s.buried), len(s.facts))
	}
}

func TestSizeIsCountedWhereItIsNotAnnounced(t *testing.T) {
	s := newSender(t, nil)
	valid := faxplustest.ClosedEvent(fax(), target)
	for size, want := range map[int]int{64 << 10: 200, 64<<10 + 1: 413} {
		body := append(bytes.Clone(valid), bytes.Repeat([]byte(" "), size-len(valid))...)
		for _, announced := range []int64{int64(size), -1} {
			r := request(body)
			r.ContentLength = announced
			if got, _ := s.send(r); got != want {
				t.Errorf("%d bytes, %d announced: got %d, want %d", size, announced, got, want)
			}
		}
	}
}

func TestBodyAnnouncedTooLargeIsNotRead(t *testing.T) {
	s := newSender(t, nil)
	r := request(nil)
	r.Body, r.ContentLength = io.NopCloser(brokenReader{}), 64<<10+1
	if status, code := s.send(r); status != 413 || code != "too_large" {
		t.Errorf("got %d %s", status, code)
	}
}

func TestBodyCutOffIsNotJudged(t *testing.T) {
	s := newSender(t, nil)
	r := request(nil)
	r.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"hook":`), brokenReader{}))
	if status, code := s.send(r); status != 408 || code != "incomplete" || len(s.buried) != 0 {
		t.Errorf("got %d %s, %d buried", status, code, len(s.buried))
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestSecretOpensItsPathAlone(t *testing.T) {
	none := func(cfg *ingest.Config) { cfg.Secrets = nil }
	lost := func(cfg *ingest.Config) { cfg.Secrets = func() []string { return nil } }
	cases := []struct {
		name, path string
		change     func(*ingest.Config)
		want       int
	}{
		{"first secret", "/v1/faxplus/" + secret, nil, 200},
		{"second secret", "/v1/faxplus/" + newSecret, nil, 200},
		{"bare path with secrets", "/v1/faxplus", nil, 404},
		{"bare path and slash", "/v1/faxplus/", nil, 404},
		{"wrong secret", "/v1/faxplus/" + secret + "x", nil, 404},
		{"part of the secret", "/v1/faxplus/" + secret[:20], nil, 404},
		{"more path", "/v1/faxplus/" + secret + "/", nil, 404},
		{"other path", "/" + secret, nil, 404},
		{"root", "/", nil, 404},
		{"no secret demanded", "/v1/faxplus", none, 200},
		{"no secret demanded, one given", "/v1/faxplus/" + secret, none, 404},
		{"no secret demanded, slash", "/v1/faxplus/", none, 404},
		{"secrets lost, bare", "/v1/faxplus", lost, 404},
		{"secrets lost, empty", "/v1/faxplus/", lost, 404},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := newSender(t, c.change)
			r := request(faxplustest.ClosedEvent(fax(), target))
			r.URL.Path = c.path
			if got, _ := s.send(r); got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
}

func TestRotationNeedsNoRestart(t *testing.T) {
	valid := []string{secret}
	s := newSender(t, func(cfg *ingest.Config) { cfg.Secrets = func() []string { return valid } })
	send := func() int {
		got, _ := s.send(request(faxplustest.ClosedEvent(fax(), target)))
		return got
	}
	first := send()
	valid = []string{newSecret, secret}
	both := send()
	valid = []string{newSecret}
	if after := send(); first != 200 || both != 200 || after != 404 {
		t.Errorf("before %d, while rotating %d, after %d", first, both, after)
	}
}

func TestOnlyTrustedProxiesSayWhoSent(t *testing.T) {
	proxies := []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8"), netip.MustParsePrefix("::ffff:172.16.0.0/108"),
	}
	cases := []struct {
		name, peer string
		forwarded  []string
		want       int
	}{
		{"the provider itself", provider + ":1", nil, 200},
		{"the provider, mapped", "[::ffff:" + provider + "]:1", nil, 200},
		{"a stranger", "192.0.2.1:1", nil, 403},
		{"a stranger who says he is the provider", "192.0.2.1:1", []string{provider}, 403},
		{"the provider, whatever he says", provider + ":1", []string{"192.0.2.1"}, 200},
		{"a proxy for the provider", "10.1.2.3:1", []string{provider}, 200},
		{"a proxy, mapped, for the provider, mapped", "[::ffff:10.1.2.3]:1", []string{"::ffff:" + provider}, 200},
		{"a proxy given as mapped", "172.16.9.9:1", []string{provider}, 200},
		{"a proxy over IPv6", "[fd00::1%eth0]:1", []string{provider}, 200},
		{"two proxies for the provider", "10.1.2.3:1", []string{provider + ", 10.9.9.9"}, 200},
		{"a stranger behind a proxy", "10.1.2.3:1", []string{"192.0.2.1"}, 403},
		{"a stranger's lie behind a proxy", "10.1.2.3:1", []string{provider + ", 192.0.2.1"}, 403},
		{"a stranger's lie in a header of its own", "10.1.2.3:1", []string{provider, "192.0.2.1, 10.9.9.9"}, 403},
		{"a proxy that says nothing", "10.1.2.3:1", nil, 403},
		{"a proxy that knows proxies only", "10.1.2.3:1", []string{"10.9.9.9"}, 403},
		{"a proxy that says nonsense", "10.1.2.3:1", []string{provider + ", unknown"}, 403},
		{"no address", "@", []string{provider}, 403},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := newSender(t, func(cfg *ingest.Config) { cfg.TrustedProxies = proxies })
			r := request(faxplustest.ClosedEvent(fax(), target))
			r.RemoteAddr = c.peer
			for _, line := range c.forwarded {
				r.Header.Add("X-Forwarded-For", line)
			}
			if got, _ := s.send(r); got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
	t.Run("allowed range given as mapped", func(t *testing.T) {
		s := newSender(t, func(cfg *ingest.Config) {
			cfg.AllowFrom = []netip.Prefix{netip.MustParsePrefix("::ffff:192.0.2.0/120")}
		})
		r := request(faxplustest.ClosedEvent(fax(), target))
		r.RemoteAddr = "192.0.2.77:1"
		if got, _ := s.send(r); got != 200 {
			t.Errorf("got %d", got)
		}
		if got, _ := s.send(request(nil)); got != 403 {
			t.Errorf("the default was allowed beside what is configured: %d", got)
		}
	})
}

func TestFactsAreRecordedWithTheHashOfTheBodyAsReceived(t *testing.T) {
	s := newSender(t, nil)
	body := faxplustest.PageEvent(fax(), 2, target)
	if got, _ := s.send(request(body)); got != 200 {
		t.Fatal(got)
	}
	sum := sha256.Sum256(body)
	fact, ok := s.facts["fax.v1.in.page.s1.2"].(session.PageAnnounced)
	if !ok || fact.BodySHA256 != hex.EncodeToString(sum[:]) || fact.From != fax().From || fact.EventTime.IsZero() {
		t.Errorf("recorded %+v", s.facts)
	}
}

func TestRepeatAndUnknownEventAreTakenAndCounted(t *testing.T) {
	s := newSender(t, nil)
	for _, body := range [][]byte{
		faxplustest.PageEvent(fax(), 1, target), faxplustest.PageEvent(fax(), 1, target),
		faxplustest.ClosedEvent(fax(), target), []byte(`{"hook":{"event":"fax_eaten"}}`),
	} {
		if got, _ := s.send(request(body)); got != 200 {
			t.Errorf("got %d for %s", got, body)
		}
	}
	if len(s.facts) != 2 || len(s.buried) != 0 {
		t.Errorf("%d facts, %d buried", len(s.facts), len(s.buried))
	}
	for outcome, want := range map[string]float64{"recorded": 2, "repeated": 1, "unknown_event": 1, "bad_field": 0} {
		if got := s.counter(outcome); got != want {
			t.Errorf("%s counted %v, want %v", outcome, got, want)
		}
	}
}

func (s *sender) counter(outcome string) float64 {
	families, err := s.reg.Gather()
	if err != nil {
		s.tb.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.Metric {
			if family.GetName() == "faxstream_webhooks_total" && m.Label[0].GetValue() == outcome {
				return m.Counter.GetValue()
			}
		}
	}
	s.tb.Fatalf("no series of %s", outcome)
	return 0
}

func TestStoreThatFailsIs503(t *testing.T) {
	s := newSender(t, nil)
	s.fail = errors.New("disk full")
	for _, body := range []string{string(faxplustest.ClosedEvent(fax(), target)), "{", `{"hook":{}}`} {
		if status, code := s.send(request([]byte(body))); status != 503 || code != "not_recorded" {
			t.Errorf("got %d %s for %.40s", status, code, body)
		}
	}
	if !strings.Contains(s.log.String(), "disk full") {
		t.Error("the log does not say why")
	}
}

// TestSecretsAreKeptNowhere looks for both secrets, plain and decoded, in all that is stored, logged and answered.
func TestSecretsAreKeptNowhere(t *testing.T) {
	escaped := strings.Replace(secret, "s3c", `\u0073\u0033c`, 1)
	percent := strings.Replace(secret, "s3c", "%73%33c", 1)
	hook := `"hook":{"event":"fax_page_received","target":"` + target + `?k=` + newSecret + `"}`
	for name, body := range map[string]string{
		"no session":         `{` + hook + `}`,
		"no page":            `{` + hook + `,"data":{"id":"s"}}`,
		"session the secret": `{` + hook + `,"data":{"id":"../` + secret + `"}}`,
		"page the secret":    `{` + hook + `,"data":{"id":"s","page":"` + newSecret + `"}}`,
		"secret elsewhere":   `{"x":["` + secret + `"],` + hook + `}`,
		"target twice":       `{"hook":{"event":"fax_sent","target":"` + target + `","target":"x"}}`,
		"malformed":          `{` + hook,
		"target cut":         `{"hook":{"target":"https://h/` + secret,
		"escaped":            `{"a":"` + escaped + `","hook":{"event":"fax_sent"}}`,
		"escaped, malformed": `{"a":"` + escaped,
		"percent":            `{"a":"` + percent + `",` + hook + `}`,
		"bare":               secret,
	} {
		t.Run(name, func(t *testing.T) {
			s := newSender(t, nil)
			w := httptest.NewRecorder()
			s.handler.ServeHTTP(w, request([]byte(body)))
			if w.Code != 400 || len(s.buried) != 1 {
				t.Fatalf("HTTP %d, %d buried", w.Code, len(s.buried))
			}
			d := s.buried[0]
			if d.Stage != "ingest" || d.Reason != session.ReasonBadRequest || d.Detail == "" || d.Received.IsZero() {
				t.Errorf("buried %+v", d)
			}
			for what, text := range map[string]string{
				"dead letter": fmt.Sprintf("%s %s", d.Body, d.Detail), "log": s.log.String(), "answer": w.Body.String(),
			} {
				for _, leak := range []string{secret, newSecret, escaped, percent, "0123456789"} {
					if strings.Contains(text, leak) {
						t.Errorf("%s: %s", what, text)
					}
				}
			}
		})
	}
}

func TestAcceptedBodiesLeaveNoSecretAndNoNumberInTheLog(t *testing.T) {
	s := newSender(t, nil)
	s.send(request(faxplustest.PageEvent(fax(), 1, target)))
	s.send(request(faxplustest.ClosedEvent(fax(), target)))
	stored, err := json.Marshal(s.facts)
	if err != nil || strings.Contains(string(stored), secret) {
		t.Errorf("stored %s, %v", stored, err)
	}
	for _, leak := range []string{secret, "334-304", "3343041111"} {
		if strings.Contains(s.log.String(), leak) {
			t.Errorf("the log has %q: %s", leak, s.log)
		}
	}
	if !strings.Contains(s.log.String(), "***1111") {
		t.Errorf("the log has no masked number: %s", s.log)
	}
}

func TestConfigThatCannotWorkIsRefused(t *testing.T) {
	reg := prometheus.NewRegistry()
	if _, err := ingest.NewHandler(ingest.Config{Recorder: &store{}, Registerer: reg}); err != nil {
		t.Fatal(err)
	}
	for name, cfg := range map[string]ingest.Config{
		"no recorder":             {},
		"an invalid range":        {Recorder: &store{}, AllowFrom: make([]netip.Prefix, 1)},
		"an invalid proxy":        {Recorder: &store{}, TrustedProxies: make([]netip.Prefix, 1)},
		"metrics that are in use": {Recorder: &store{}, Registerer: reg},
	} {
		if _, err := ingest.NewHandler(cfg); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// BenchmarkWebhook is the cost of a webhook but for its storage.
func BenchmarkWebhook(b *testing.B) {
	h, err := ingest.NewHandler(ingest.Config{Recorder: &store{tb: b}, Secrets: func() []string { return []string{secret, newSecret} }})
	if err != nil {
		b.Fatal(err)
	}
	body := faxplustest.PageEvent(fax(), 1, target)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, request(body)); w.Code != http.StatusOK {
			b.Fatal(w.Code)
		}
	}
}

func FuzzHandler(f *testing.F) {
	f.Add("POST", secret, provider, []byte(faxplustest.ClosedEvent(fax(), target)))
	f.Add("POST", secret, provider, []byte(faxplustest.PageEvent(fax(), 1, target)))
	f.Add("POST", newSecret, provider, []byte(`{"hook":{"target":"http://h/`+secret))
	f.Add("GET", "", "10.0.0.1, x", []byte(`{"hook":{"event":"fax_page_received"},"data":{"id":"../../x","page":"`+secret+`"}}`))
	f.Fuzz(func(t *testing.T, method, given, forwarded string, body []byte) {
		s := newSender(t, func(cfg *ingest.Config) {
			cfg.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
		})
		r := request(body)
		r.Method, r.URL.Path, r.RemoteAddr = method, "/v1/faxplus/"+given, "10.0.0.1:1"
		r.Header.Set("X-Forwarded-For", forwarded)
		status, code := s.send(r)
		switch status {
		case 200, 400, 403, 404, 405, 413:
		default:
			t.Fatalf("got %d %s from a healthy recorder", status, code)
		}
		if (status == 400) != (len(s.buried) == 1) || status != 200 && len(s.facts) > 0 {
			t.Fatalf("HTTP %d, %d buried, %d facts", status, len(s.buried), len(s.facts))
		}
		for _, d := range s.buried {
			if strings.Contains(string(d.Body)+d.Detail, secret) {
				t.Fatalf("the secret was kept: %s %s", d.Detail, d.Body)
			}
		}
	})
}

// A refused body that is taken again is judged as if it had come now; a store that refuses is an error and not an outcome.
func TestARefusedBodyIsTakenAgain(t *testing.T) {
	s := &store{tb: t}
	h, err := ingest.NewHandler(ingest.Config{Recorder: s})
	if err != nil {
		t.Fatal(err)
	}
	good := []byte(`{"hook":{"event":"fax_page_received"},"data":{"id":"s","page":2}}`)
	bad := []byte(`{"hook":{"event":"fax_page_received"},"data":{"id":"s","page":0}}`)
	for _, body := range [][]byte{good, bad} {
		if err := h.Again(t.Context(), body); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.facts) != 1 || s.facts["fax.v1.in.page.s.2"] == nil || len(s.buried) != 1 || s.buried[0].Stage != session.StageIngest {
		t.Errorf("recorded %v, buried %v", s.facts, s.buried)
	}
	s.fail = errors.New("full")
	for _, body := range [][]byte{good, bad} {
		if err := h.Again(t.Context(), body); !errors.Is(err, s.fail) {
			t.Errorf("with a store that refuses: %v", err)
		}
	}
}
