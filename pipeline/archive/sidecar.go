package archive

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/faxstream/faxstream/pipeline/session"
)

// Sidecar says beside a page object what it is, so that the archive alone tells the whole story. Its JSON is one line; the last
// field, sum, is the first 16 hex digits of the SHA-256 of all bytes before `,"sum":"`, for no manifest names a sidecar of
// what never came into a document.
type Sidecar struct {
	Session    string         `json:"session"`
	Page       int            `json:"page"` // 0: the whole file
	From       string         `json:"from"`
	To         string         `json:"to"`
	EventTime  time.Time      `json:"event_time,omitzero"`
	BodySHA256 string         `json:"body_sha256,omitempty"` // of the webhook that announced the page
	Source     string         `json:"source"`
	Reason     session.Reason `json:"reason,omitempty"` // of rejected bytes
	Object     session.Object `json:"object"`
}

// errSidecar: bytes are no sidecar that we wrote.
var errSidecar = errors.New("it is no sidecar as it was written")

// sumLen is the length of `,"sum":"0123456789abcdef"}`.
const sumLen = 8 + 16 + 2

func sumField(body []byte) string { return `,"sum":"` + Hash16(sha256.Sum256(body)) + `"}` }

// Text is what is archived of a sidecar.
func (s Sidecar) Text() ([]byte, error) {
	data, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("sidecar of %s: %w", s.Object.Key, err)
	}
	body := data[:len(data)-1]
	return append(body, sumField(body)...), nil
}

// ParseSidecar reads a sidecar; the error matches errSidecar when a byte of it is not as it was written.
func ParseSidecar(data []byte) (Sidecar, error) {
	if len(data) < sumLen+1 {
		return Sidecar{}, fmt.Errorf("%w: %d bytes are too few", errSidecar, len(data))
	}
	body := data[:len(data)-sumLen]
	if !bytes.Equal(data[len(body):], []byte(sumField(body))) {
		return Sidecar{}, fmt.Errorf("%w: its text does not have the sum that it ends with", errSidecar)
	}
	var s Sidecar
	if err := ParseStrict(append(bytes.Clone(body), '}'), &s); err != nil {
		return Sidecar{}, fmt.Errorf("%w: %w", errSidecar, err)
	}
	return s, nil
}

// CreateFile archives bytes under their key, the sidecar before them: a sidecar without its object is no page, an object is
// never without its sidecar. existed: the same bytes were there.
func CreateFile(ctx context.Context, a Store, data []byte, sum [sha256.Size]byte, s Sidecar) (existed bool, err error) {
	text, err := s.Text()
	if err != nil {
		return false, err
	}
	if _, err := Create(ctx, a, SidecarKey(s.Object.Key), text); err != nil {
		return false, err
	}
	return CreateSum(ctx, a, s.Object.Key, data, sum)
}
