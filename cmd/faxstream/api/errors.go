package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
)

// Error is the one shape of errors: {"error":{"code":…,"message":…}}.
type Error struct {
	Status  int    `json:"-"` // of HTTP
	Code    string `json:"code"`
	Message string `json:"message"`
}

func (e *Error) Error() string { return e.Message }

// ErrorAnswer is the body of an answer that is not 200.
type ErrorAnswer struct {
	Error *Error `json:"error"`
}

// Errorf is for what has a code of its own.
func Errorf(status int, code, format string, a ...any) *Error {
	return &Error{status, code, fmt.Sprintf(format, a...)}
}

// NotFound is 404: the fax, page or document is not there (yet).
func NotFound(format string, a ...any) error {
	return Errorf(http.StatusNotFound, "not_found", format, a...)
}

// BadRequest is 400: the message says what is wanted instead.
func BadRequest(format string, a ...any) error {
	return Errorf(http.StatusBadRequest, "bad_request", format, a...)
}

// Unavailable is 503: the same request may succeed later.
func Unavailable(format string, a ...any) error {
	return Errorf(http.StatusServiceUnavailable, "unavailable", format, a...)
}

// Fail answers with an error. An error that is not an Error is logged, unless the caller went away: the caller is not told its text.
func Fail(w http.ResponseWriter, r *http.Request, log *slog.Logger, err error) {
	if _, ok := errors.AsType[*Error](err); !ok && r.Context().Err() == nil {
		log.Error("a request to the API or the dashboard failed, and may be repeated: look at /readyz", "path", r.URL.Path, "err", err)
	}
	WriteError(w, err)
}

// WriteError is the one table from an error to a status; any other error means that a store does not answer.
func WriteError(w http.ResponseWriter, err error) {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		e = &Error{http.StatusServiceUnavailable, "unavailable", "a store did not answer: try again, and look at /readyz and the log"}
	}
	Write(w, e.Status, ErrorAnswer{e})
}

// Write answers with JSON and a line feed.
func Write(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		b, status = []byte(`{"error":{"code":"internal","message":"the answer could not be written as JSON"}}`), http.StatusInternalServerError
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff") // no page may run what strangers wrote as a script
	w.WriteHeader(status)
	// When the client goes away, there is nobody to tell.
	_, _ = w.Write(append(b, '\n'))
}
