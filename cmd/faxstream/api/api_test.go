package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/faxstream/faxstream/pipeline/session"
)

// A list says in the same words everywhere why a fax is as it is.
func TestTheReasonOfAFax(t *testing.T) {
	for _, c := range []struct{ reason, want string }{
		{"", ""},
		{"whole_file_refused", "whole_file_refused"},
		{session.RecoveredBeyond, "the whole file has more pages than the provider counts"},
	} {
		if got := (Fax{Reason: c.reason}).ReasonText(); got != c.want {
			t.Errorf("%q: %q, want %q", c.reason, got, c.want)
		}
	}
}

// The caller is told what an Error says; the text of every other error is for the log, unless nobody waits for the answer any longer.
func TestErrorsAreAnsweredOrLogged(t *testing.T) {
	for _, c := range []struct {
		name   string
		err    error
		gone   bool
		status int
		answer string
		logged bool
	}{
		{"an Error", NotFound("no fax %q", "a"), false, 404, `{"error":{"code":"not_found","message":"no fax \"a\""}}`, false},
		{
			"an Error that is wrapped", errors.Join(io.EOF, Unavailable("later")), false, 503,
			`{"error":{"code":"unavailable","message":"later"}}`, false,
		},
		{"another error", errors.New("secret detail"), false, 503, `"code":"unavailable","message":"a store did not answer`, true},
		{"another error for a caller who went away", errors.New("secret detail"), true, 503, `"code":"unavailable"`, false},
	} {
		var log strings.Builder
		ctx, cancel := context.WithCancel(t.Context())
		if c.gone {
			cancel()
		}
		w := httptest.NewRecorder()
		Fail(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/api/v1/x", nil), slog.New(slog.NewTextHandler(&log, nil)), c.err)
		cancel()
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.answer) || strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%s: %d %s", c.name, w.Code, w.Body)
		}
		if strings.Contains(log.String(), "secret detail") != c.logged || c.logged && !strings.Contains(log.String(), "path=/api/v1/x") {
			t.Errorf("%s: log %q", c.name, log.String())
		}
	}
}

// What cannot be written as JSON is an error and not half an answer.
func TestAnAnswerThatIsNoJSON(t *testing.T) {
	w := httptest.NewRecorder()
	if Write(w, http.StatusOK, func() {}); w.Code != http.StatusInternalServerError || !json.Valid(w.Body.Bytes()) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// A filter finds the session of an entry and of a letter in it, and its times are a half-open interval.
func TestAuditFilter(t *testing.T) {
	noon := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	line := func(entry string) AuditLine { return AuditLine{Time: noon, Entry: json.RawMessage(entry)} }
	own, letter := line(`{"by":"alice","session":"abc"}`), line(`{"by":"bob","letter":{"session":"abc"}}`)
	broken := AuditLine{Time: noon, Bytes: []byte{0xff}}
	for _, c := range []struct {
		name   string
		filter AuditFilter
		line   AuditLine
		want   bool
	}{
		{"everything", AuditFilter{}, broken, true},
		{"its session", AuditFilter{Session: "abc"}, own, true},
		{"the session of its letter", AuditFilter{Session: "abc"}, letter, true},
		{"another session", AuditFilter{Session: "ab"}, own, false},
		{"its person", AuditFilter{By: "alice", Session: "abc"}, own, true},
		{"another person", AuditFilter{By: "alice", Session: "abc"}, letter, false},
		{"an entry without JSON", AuditFilter{By: "alice"}, broken, false},
		{"since its time", AuditFilter{Since: noon}, own, true},
		{"since after it", AuditFilter{Since: noon.Add(1)}, own, false},
		{"until its time", AuditFilter{Until: noon}, own, false},
		{"until after it", AuditFilter{Until: noon.Add(1)}, own, true},
	} {
		if got := c.filter.Has(c.line); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
