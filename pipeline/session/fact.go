package session

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// A Fact is one thing that happened. It is published once on its own subject.
//
// A store of facts has at most one payload per subject. If a second payload is Same, it is a repeat. If not, it is a
// contradiction: a person must look at it, and it never replaces the first.
type Fact interface {
	// Subject returns the JetStream subject, fax.v1.…; every token of it is valid (ValidToken).
	Subject() string
	// ID returns the CloudEvents id. It is the same for repeats, and also if the receiving number in the subject changes.
	ID() string
	// Type returns the CloudEvents type: the fixed part of the subject.
	Type() string
	// SessionID returns the session of the fact.
	SessionID() string
	// Time returns when it happened, UTC, as the provider says; zero if unknown.
	Time() time.Time
	// Same reports whether the stored payload is the same fact. Event times, numbers and the body's hash do not count: they
	// are different if the provider repeats an event. Of a start time only its place in the quarter of an hour counts.
	Same(stored []byte) bool
}

// Subjects of facts; tokens follow.
const (
	TypePageAnnounced  = "fax.v1.in.page"
	TypeClosed         = "fax.v1.in.closed"
	TypeSent           = "fax.v1.in.sent"
	TypeWholeOrdered   = "fax.v1.in.whole"
	TypeRecordAsked    = "fax.v1.in.ask"
	TypeRecordSaid     = "fax.v1.in.record"
	TypePageArchived   = "fax.v1.page.archived"
	TypePageAmended    = "fax.v1.page.amended"
	TypePageFailed     = "fax.v1.page.failed"
	TypeDocReady       = "fax.v1.doc.ready"
	TypeDocAssembled   = "fax.v1.doc.assembled"
	TypeDocFailed      = "fax.v1.doc.failed"
	TypeDocVerified    = "fax.v1.doc.verified"
	TypeWholeCut       = "fax.v1.doc.whole_cut"
	TypeWholeFailed    = "fax.v1.doc.whole_failed"
	TypeDocSearchable  = "fax.v1.doc.searchable"
	TypeDocDerived     = "fax.v1.doc.derived"
	TypeTextRecognised = "fax.v1.text.recognised"
	TypeTimerSet       = "fax.v1.timer.set"
	TypeTimerDue       = "fax.v1.timer.due"
	TypeDeadLetter     = "fax.v1.dlq"
)

// Directions of a fax.
const (
	Incoming = "incoming"
	Outgoing = "outgoing"
)

// form is how the payload of a type is read, and how many tokens follow the type in its subject.
type form struct {
	parse  func([]byte) (Fact, error)
	tokens int
}

// forms has every type of fact.
func forms() map[string]form {
	return map[string]form{
		TypePageAnnounced:  {parseAs[PageAnnounced], 2},
		TypeClosed:         {parseAs[Closed], 2},
		TypeSent:           {parseAs[Closed], 3},
		TypeWholeOrdered:   {parseAs[WholeOrdered], 2},
		TypeRecordAsked:    {parseAs[RecordAsked], 2},
		TypeRecordSaid:     {parseAs[RecordSaid], 2},
		TypeAgain:          {parseAs[Again], 2},
		TypeKept:           {parseAs[Kept], 2},
		TypeDesk:           {parseAs[Desk], 2},
		TypePageArchived:   {parseAs[PageArchived], 3},
		TypePageAmended:    {parseAs[PageAmended], 4},
		TypePageFailed:     {parseAs[PageFailed], 4},
		TypeDocReady:       {parseAs[DocReady], 3},
		TypeDocAssembled:   {parseAs[DocAssembled], 3},
		TypeDocFailed:      {parseAs[DocFailed], 3},
		TypeDocVerified:    {parseAs[DocVerified], 4},
		TypeDocSearchable:  {parseAs[DocSearchable], 4},
		TypeDocDerived:     {parseAs[DocDerived], 4},
		TypeTextRecognised: {parseAs[TextRecognised], 4},
		TypeWholeCut:       {parseAs[WholeDone], 3},
		TypeWholeFailed:    {parseAs[WholeDone], 3},
	}
}

// FactTypes returns the types of all facts, ascending.
func FactTypes() []string { return slices.Sorted(maps.Keys(forms())) }

// ParseFact reads the payload of a message; factType is the type at the start of its subject. It returns an error for an
// unknown type, for a payload of another type, and for a payload whose subject is not valid.
func ParseFact(factType string, data []byte) (Fact, error) {
	form, ok := forms()[factType]
	if !ok {
		return nil, fmt.Errorf("unknown fact type %q", factType)
	}
	f, err := form.parse(data)
	if err == nil {
		err = checkSubject(f, factType, form.tokens)
	}
	if err != nil {
		return nil, fmt.Errorf("fact %s: %w", factType, err)
	}
	return f, nil
}

// checkSubject refuses a payload whose values make a subject of another form than that of its type.
func checkSubject(f Fact, factType string, tokens int) error {
	if !ValidToken(f.SessionID()) {
		return fmt.Errorf("session %q is not a valid session id", f.SessionID())
	}
	rest, ok := strings.CutPrefix(f.Subject(), factType+".")
	if !ok {
		return fmt.Errorf("the payload is of type %s", f.Type())
	}
	parts := strings.Split(rest, ".")
	if len(parts) != tokens || slices.ContainsFunc(parts, func(t string) bool { return !ValidToken(t) }) {
		return fmt.Errorf("the payload makes the subject %q: want %d tokens after the type, each 1 to %d letters, digits, '-' or '_'",
			f.Subject(), tokens, MaxTokenLen)
	}
	return nil
}

func parseAs[T Fact](data []byte) (Fact, error) {
	var f T
	err := json.Unmarshal(data, &f)
	return f, err
}

// sameJSON compares two payloads of one type after clear has emptied the fields that do not count.
func sameJSON[T any](mine T, stored []byte, clear func(*T)) bool {
	var theirs T
	if err := json.Unmarshal(stored, &theirs); err != nil {
		return false
	}
	clear(&mine)
	clear(&theirs)
	a, errA := json.Marshal(mine)
	b, errB := json.Marshal(theirs)
	return errA == nil && errB == nil && string(a) == string(b)
}
