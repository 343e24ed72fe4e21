package archive

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/faxstream/faxstream/pipeline/session"
)

// Sidecar is archived beside a page object and says what that object is, so that the archive alone has all that is known about it. Its
// JSON is one line. The last field, sum, has the first 16 hex digits of the SHA-256 of all bytes before `,"sum":"`: no manifest has a
// hash of the sidecar of an object that is in no document.
type Sidecar struct {
	Session    string         `json:"session"`
	Page       int            `json:"page"` // from 1; 0: the whole file
	From       string         `json:"from"`
	To         string         `json:"to"`
	EventTime  time.Time      `json:"event_time,omitzero"`
	BodySHA256 string         `json:"body_sha256,omitempty"` // of the webhook that announced the page
	Source     string         `json:"source"`
	Reason     session.Reason `json:"reason,omitempty"` // why the bytes were rejected
	Object     session.Object `json:"object"`
}

// errSidecar: the bytes are not a sidecar as we write it.
var errSidecar = errors.New("damaged sidecar")

// sumLen is the length of `,"sum":"0123456789abcdef"}`.
const sumLen = 8 + 16 + 2

func sumField(body []byte) string { return `,"sum":"` + Hash16(sha256.Sum256(body)) + `"}` }

// withSum returns the JSON of an object with fields, with its sum as the last field.
func withSum(v any) ([]byte, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	body := data[:len(data)-1]
	return append(body, sumField(body)...), nil
}

// withoutSum checks the sum of what withSum returned, and returns the JSON without it.
func withoutSum(data []byte) ([]byte, error) {
	if len(data) < sumLen+1 {
		return nil, fmt.Errorf("it has only %d bytes", len(data))
	}
	body := data[:len(data)-sumLen]
	if !bytes.Equal(data[len(body):], []byte(sumField(body))) {
		return nil, errors.New("the sum at its end does not match its text")
	}
	return append(bytes.Clone(body), '}'), nil
}

// Text returns the sidecar as it is archived.
func (s Sidecar) Text() ([]byte, error) {
	data, err := withSum(s)
	if err != nil {
		return nil, fmt.Errorf("sidecar of %s: %w", s.Object.Key, err)
	}
	return data, nil
}

// ParseSidecar reads a sidecar. If any byte was changed after it was written, it returns an error, and Broken reports true for it.
func ParseSidecar(data []byte) (Sidecar, error) {
	var s Sidecar
	body, err := withoutSum(data)
	if err == nil {
		err = ParseStrict(body, &s)
	}
	if err != nil {
		return Sidecar{}, fmt.Errorf("%w: %w", errSidecar, err)
	}
	return s, nil
}

// CreateFile archives the file of a page, or the whole file, of s.Object.Size bytes under s.Object.Key. It writes the sidecar s first: so
// an object always has its sidecar, and a sidecar without an object does not count. sum is the SHA-256 of the bytes. existed: the same
// bytes are there already.
func CreateFile(ctx context.Context, a Store, body io.ReadSeeker, sum [sha256.Size]byte, s Sidecar) (existed bool, err error) {
	sidecar, err := s.item()
	if err != nil {
		return false, err
	}
	return CreateAll(ctx, a, sidecar, Item{Key: s.Object.Key, Body: body, Size: s.Object.Size, Sum: sum})
}

// CreateSidecar archives the sidecar of an object that exists, if it has none. After a loss of power a file system without a journal may
// have the object and not the sidecar, although the sidecar was written first.
func CreateSidecar(ctx context.Context, a Store, s Sidecar) error {
	o, err := s.item()
	if err == nil {
		_, err = CreateFrom(ctx, a, o.Key, o.Body, o.Size, o.Sum)
	}
	return err
}

func (s Sidecar) item() (Item, error) {
	text, err := s.Text()
	return NewItem(SidecarKey(s.Object.Key), text), err
}
