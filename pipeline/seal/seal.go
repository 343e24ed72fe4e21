package seal

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/faxstream/faxstream/pipeline/session"
)

const (
	// clockError is how far the clock of a server may be ahead of ours. The day of a later entry does not count.
	clockError = 24 * time.Hour
	// sealDelay is how long after its end a day is sealed: servers whose clocks are late have stored their entries by then.
	sealDelay = 10 * time.Minute
	// sealRetry is the delay after an attempt that failed.
	sealRetry = 5 * time.Minute
	// maxSealDays is the largest number of days in one run. With more the clock is probably wrong, and a seal cannot be removed.
	maxSealDays = 400
)

// Seal is the header of the object of a day, or of a part of a day.
type Seal struct {
	Day      string    `json:"day"`                       // such as 2026-11-27, UTC
	Part     int       `json:"part,omitempty"`            // from 1; absent: this is the seal of the whole day
	Previous string    `json:"previous_sha256,omitempty"` // of the whole object before it in its chain; empty: this is the first one
	Stream   time.Time `json:"stream_created"`            // when FAX_AUDIT was made; sequences belong to this stream
	After    uint64    `json:"after"`                     // the last sequence of the seal before, 0 if that is of another stream
	Last     uint64    `json:"last"`                      // the last sequence in this seal, After if it has no entry
	Entries  int       `json:"entries"`
	SHA256   string    `json:"entries_sha256"`   // of the lines of the entries, with their line breaks
	KeyID    string    `json:"key_id,omitempty"` // of the key that signed the seal; empty: not signed
}

// Entry is one line of a seal.
type Entry struct {
	Sequence uint64          `json:"sequence"`
	Time     time.Time       `json:"time"` // UTC; when JetStream stored it
	Subject  string          `json:"subject"`
	Entry    json.RawMessage `json:"entry,omitempty"`        // a session.Access or session.Action
	Bytes    []byte          `json:"entry_base64,omitempty"` // instead of Entry, if the entry is not JSON

	Restored *session.AuditOrigin `json:"restored,omitempty"` // of an entry that a rebuild restored
}

// Line returns the line of an entry.
func Line(e session.AuditEntry) Entry {
	s := Entry{Sequence: e.Sequence, Time: e.Time.UTC(), Subject: e.Subject, Restored: e.Restored}
	if json.Valid(e.Data) {
		s.Entry = e.Data
	} else {
		s.Bytes = e.Data
	}
	return s
}

const prefix = "audit/"

func keyOf(day time.Time) string { return prefix + day.Format("2006/01/02") + ".jsonl" }

// sealDay returns the day in the key of a seal; ok is false for any other key.
func sealDay(key string) (time.Time, bool) {
	day, err := time.Parse("2006/01/02", strings.TrimSuffix(strings.TrimPrefix(key, prefix), ".jsonl"))
	return day, err == nil && keyOf(day) == key
}

func dayOf(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }

// LastSealable returns the last day, in UTC, that can be sealed at the time now.
func LastSealable(now time.Time) time.Time { return dayOf(now.Add(-sealDelay)).AddDate(0, 0, -1) }

// sealedDay is a seal in the archive.
type sealedDay struct {
	Seal
	day time.Time // zero: there is no seal
	sum string    // SHA-256 of the object, hex
}

// compareWithin is the age up to which FAX_AUDIT has all entries of a seal: less than the 30 days that it stores them.
const compareWithin = 25 * 24 * time.Hour

// signed returns the bytes that are signed: the line of the header, which has the hash of the other lines.
func (s Seal) signed(head []byte) []byte { return append([]byte("faxstream audit seal\n"), head...) }
