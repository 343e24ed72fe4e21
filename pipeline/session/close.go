package session

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Closed means: the provider says that a fax is over, by fax_received (Direction Incoming) or fax_sent (Outgoing).
type Closed struct {
	Session    string    `json:"session"`
	Direction  string    `json:"direction"`
	Hook       string    `json:"hook,omitempty"` // hook.id of a fax_sent: it differs from Session on a retry
	Status     string    `json:"status"`         // success, partially_received, failed, failed_…; the provider may add others
	Pages      int       `json:"pages"`          // 0 to MaxPages; 0 if the provider sent no valid number
	File       string    `json:"file,omitempty"` // the provider's id of the whole file
	FileName   string    `json:"file_name,omitempty"`
	UID        string    `json:"uid,omitempty"`
	From       string    `json:"from"`
	To         string    `json:"to"`
	StartTime  time.Time `json:"start_time,omitzero"`
	EventTime  time.Time `json:"event_time,omitzero"`
	BodySHA256 string    `json:"body_sha256"`
}

// Digest identifies the content of a close: 16 hex digits over the normalised status, the page count and the file id.
func (f Closed) Digest() string {
	return digest16(normalStatus(f.Status), strconv.Itoa(f.Pages), f.File)
}

// normalStatus returns a provider's status in lower case and without spaces at its ends.
func normalStatus(status string) string { return strings.ToLower(strings.TrimSpace(status)) }

func (f Closed) Subject() string {
	if f.Direction == Outgoing {
		return strings.Join([]string{TypeSent, f.Session, f.hookToken(), f.Digest()}, ".")
	}
	return strings.Join([]string{TypeClosed, f.Session, f.Digest()}, ".")
}

// hookToken returns the hook's id if it is a valid token, else a digest of it.
func (f Closed) hookToken() string {
	if ValidToken(f.Hook) {
		return f.Hook
	}
	return digest16(f.Hook)
}

func (f Closed) ID() string {
	return strings.TrimPrefix(strings.ReplaceAll(f.Subject(), ".", "/"), "fax/v1/")
}
func (f Closed) SessionID() string { return f.Session }
func (f Closed) Time() time.Time   { return f.EventTime }

func (f Closed) Type() string {
	if f.Direction == Outgoing {
		return TypeSent
	}
	return TypeClosed
}

func (f Closed) Same(stored []byte) bool {
	return sameJSON(f, stored, func(c *Closed) {
		c.From, c.To, c.EventTime, c.BodySHA256 = "", "", time.Time{}, ""
		c.Status = normalStatus(c.Status) // as in the digest
		c.StartTime = withinQuarter(c.StartTime)
	})
}

// withinQuarter returns the place of a time in its quarter of an hour, which is the same in every time zone: a repeat may
// come after ingest has learned in which zone the provider writes times.
func withinQuarter(t time.Time) time.Time {
	const quarter = 15 * time.Minute
	if t.IsZero() {
		return t
	}
	return time.Unix(0, 0).UTC().Add(t.Sub(t.Truncate(quarter)))
}

// maxOtherCloses limits how many different closes a ledger stores.
const maxOtherCloses = 8

// numbers stores the numbers of the lowest page that has any.
func (s *State) numbers(page int, from, to string) {
	if from == "" && to == "" || s.NumbersPage != 0 && s.NumbersPage <= page {
		return
	}
	s.NumbersPage, s.PageFrom, s.PageTo = page, from, to
	s.renumber()
}

// renumber sets the numbers: those of the accepted close, else those of the pages.
func (s *State) renumber() {
	s.From, s.To = s.PageFrom, s.PageTo
	if s.Close != nil {
		s.From, s.To = cmp.Or(s.Close.From, s.From), cmp.Or(s.Close.To, s.To)
	}
}

func (s *State) closed(f Closed) {
	switch {
	case s.Close == nil:
		s.accept(f)
		s.GraceAt, s.GraceFor = time.Time{}, nil // a grace time of a fax that was given up before does not count
	case s.Close.Subject() == f.Subject():
		return
	case better(f, *s.Close):
		s.record(*s.Close)
		s.accept(f)
	default:
		s.record(f)
	}
	s.Direction = s.Close.Direction
	s.renumber()
}

// accept makes f the accepted close. If its content is new, the provider may have another file now: it is fetched again.
func (s *State) accept(f Closed) {
	if closeDigest(s.Close) != f.Digest() {
		s.WholeTried, s.AllTried = nil, false
		s.Compared, s.VerifyTries = nil, 0
	}
	s.Close = &f
}

func (s *State) record(f Closed) {
	same := func(o Closed) bool { return o.Subject() == f.Subject() }
	if len(s.OtherCloses) < maxOtherCloses && !slices.ContainsFunc(s.OtherCloses, same) {
		s.OtherCloses = append(s.OtherCloses, f)
	}
}

// better is a total order of closes, so that the accepted one does not depend on the order in which they come.
func better(a, b Closed) bool {
	return cmp.Or(
		cmp.Compare(closeRank(a.Status), closeRank(b.Status)),
		cmp.Compare(a.Pages, b.Pages),
		cmp.Compare(a.Subject(), b.Subject())) > 0
}

func closeRank(status string) int {
	switch status = normalStatus(status); {
	case status == "success":
		return 2
	case strings.HasPrefix(status, "partially_"):
		return 1
	default:
		return 0
	}
}
