package seal

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/faxstream/faxstream/pipeline/session"
)

const (
	// clockError is how far ahead of ours the clock of a server that stamps entries may be, so that its days still count.
	clockError = 24 * time.Hour
	// sealDelay is how long after its end a day is sealed: the entries of servers whose clocks lag are in by then.
	sealDelay = 10 * time.Minute
	// sealRetry is how long a sealing that failed waits.
	sealRetry = 5 * time.Minute
	// maxSealDays bounds what one run may seal: of more the clock is likely wrong, and seals cannot be taken back.
	maxSealDays = 400
)

// Seal is the header of one day's object.
type Seal struct {
	Day      string    `json:"day"`                       // such as 2026-11-27, UTC
	Previous string    `json:"previous_sha256,omitempty"` // of the whole object of the day before; empty: this is the first seal
	Stream   time.Time `json:"stream_created"`            // of FAX_AUDIT; sequences are of this stream
	After    uint64    `json:"after"`                     // the last sequence of the seal before, 0 where that has another stream
	Last     uint64    `json:"last"`                      // the last sequence in here, After where there is no entry
	Entries  int       `json:"entries"`
	SHA256   string    `json:"entries_sha256"`   // of the lines of the entries
	KeyID    string    `json:"key_id,omitempty"` // of the key that signed; empty: not signed
}

// Entry is one line of a seal.
type Entry struct {
	Sequence uint64          `json:"sequence"`
	Time     time.Time       `json:"time"` // UTC; when JetStream stored it
	Subject  string          `json:"subject"`
	Entry    json.RawMessage `json:"entry,omitempty"`        // a session.Access or session.Action
	Bytes    []byte          `json:"entry_base64,omitempty"` // instead of Entry where that is no JSON
}

// Line makes the line of an entry.
func Line(e session.AuditEntry) Entry {
	s := Entry{Sequence: e.Sequence, Time: e.Time.UTC(), Subject: e.Subject}
	if json.Valid(e.Data) {
		s.Entry = e.Data
	} else {
		s.Bytes = e.Data
	}
	return s
}

const prefix = "audit/"

func keyOf(day time.Time) string { return prefix + day.Format("2006/01/02") + ".jsonl" }

// sealDay is the day that a key of a seal names.
func sealDay(key string) (time.Time, bool) {
	day, err := time.Parse("2006/01/02", strings.TrimSuffix(strings.TrimPrefix(key, prefix), ".jsonl"))
	return day, err == nil && keyOf(day) == key
}

func dayOf(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }

// LastSealable is the last day that can be sealed by now.
func LastSealable(now time.Time) time.Time { return dayOf(now.Add(-sealDelay)).AddDate(0, 0, -1) }

// sealedDay is a seal that stands in the archive.
type sealedDay struct {
	Seal
	day time.Time // zero: there is no seal
	sum string    // SHA-256 of the object, hex
}

// compareWithin is how old a seal may be so that FAX_AUDIT surely still has its entries.
const compareWithin = 25 * 24 * time.Hour

// signed is what the signature is over: the header's line, which has the hash of the others.
func (s Seal) signed(head []byte) []byte { return append([]byte("faxstream audit seal\n"), head...) }
