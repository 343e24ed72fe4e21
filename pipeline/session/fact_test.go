package session

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// typeConstants are the values of the constants of this package that begin with fax.v1., by their names.
func typeConstants(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if spec, ok := n.(*ast.ValueSpec); ok && len(spec.Values) == 1 {
				if text, ok := spec.Values[0].(*ast.BasicLit); ok && strings.HasPrefix(text.Value, `"fax.v1.`) {
					all[spec.Names[0].Name] = strings.Trim(text.Value, `"`)
				}
			}
			return true
		})
	}
	return all
}

// A subject is that of a fact, which ParseFact reads and FactTypes lists, or it is a timer, a dead letter or the audit. Purges rely on it.
func TestEveryTypeOfFactIsListed(t *testing.T) {
	types := FactTypes()
	constants := typeConstants(t)
	if len(constants) < len(types) {
		t.Fatalf("the package has %d types of facts, and its source %d", len(types), len(constants))
	}
	for name, value := range constants {
		other := value == TypeDeadLetter || strings.HasPrefix(value, "fax.v1.timer.") || strings.HasPrefix(value, TypeAudit)
		if !other && !slices.Contains(types, value) {
			t.Errorf("%s = %q is not in forms (fact.go)", name, value)
		}
	}
}

func payload(t testing.TB, f Fact) []byte {
	b, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func oneOfEach() []Fact {
	hash := strings.Repeat("ab", 32)
	page := PageArchived{Session: "s-1_X", Page: 3, ToToken: testToken, Source: SourceFetch, RasterSHA256: hash}
	done := WholeDone{Session: "s-1_X", ToToken: testToken, N: 1, Pages: 2, Object: &Object{Key: "k"}, Lost: PageReasons{1: ReasonDamaged}}
	failed := done
	failed.Object = nil
	return []Fact{
		Kept{Session: "s-1_X", Kind: ActionHeld, Asked: "a8", At: testStart},
		Desk{Session: "s-1_X", Work: Work{N: 2, Assignee: "ada", Labels: []string{"urgent"}, At: testStart}},
		Again{Session: "s-1_X", Asked: "a7", Pages: Span(2, 3), Whole: true},
		PageAnnounced{Session: "s-1_X", Page: 3, To: testNumber, EventTime: testStart},
		Closed{Session: "s-1_X", Direction: Incoming, Status: "success", Pages: 3},
		Closed{Session: "s-1_X", Direction: Outgoing, Hook: "a hook that is no token", Status: "success"},
		WholeOrdered{Session: "s-1_X", N: 1, Wanted: Span(1, 3), TryFor: time.Minute},
		RecordAsked{Session: "s-1_X", N: 2},
		RecordSaid{Session: "s-1_X", N: 2, Says: RecordOpen, At: testStart},
		DocVerified{
			Session: "s-1_X", ToToken: "49123", Revision: 1, N: 1, Report: Object{SHA256: strings.Repeat("ab", 32)}, Compared: Span(1, 2),
			At: testStart,
		},
		page,
		PageAmended{page},
		PageFailed{Session: "s-1_X", Page: 3, ToToken: UnknownToken, Attempt: 1, Stage: "fetch", Reason: ReasonEmpty},
		DocReady{Session: "s-1_X", ToToken: testToken, Revision: 1, Pages: Span(1, 3)},
		DocAssembled{Session: "s-1_X", ToToken: testToken, Revision: 1},
		DocFailed{Session: "s-1_X", ToToken: testToken, Revision: 1, Pages: Span(2, 3), Reason: ReasonLost, Detail: "d", At: testStart},
		done, failed,
		DocSearchable{Session: "s-1_X", ToToken: testToken, Revision: 2, Pages: 3, Record: Object{SHA256: hash}, At: testStart},
		DocDerived{
			Session: "s-1_X", ToToken: testToken, Record: Object{SHA256: hash}, At: testStart,
			Derivation: Derivation{Revision: 2, Pages: Span(1, 3), Right: Span(2, 2)},
		},
		TextRecognised{Session: "s-1_X", Page: 3, ToToken: testToken, Engine: "tesseract", Words: Object{SHA256: hash}, At: testStart},
	}
}

func TestFactsComeBackFromTheirPayload(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range oneOfEach() {
		back, err := ParseFact(f.Type(), payload(t, f))
		if err != nil {
			t.Errorf("%s: %v", f.Subject(), err)
			continue
		}
		if back.Subject() != f.Subject() || back.ID() != f.ID() || back.SessionID() != f.SessionID() || !back.Time().Equal(f.Time()) {
			t.Errorf("%s comes back as %s (id %s, was %s)", f.Subject(), back.Subject(), back.ID(), f.ID())
		}
		if !f.Same(payload(t, back)) {
			t.Errorf("%s is not the same as itself", f.Subject())
		}
		if !strings.HasPrefix(f.Subject(), f.Type()+".") {
			t.Errorf("subject %s does not begin with its type %s", f.Subject(), f.Type())
		}
		seen[f.Type()] = true
	}
	for _, typ := range FactTypes() {
		if !seen[typ] {
			t.Errorf("no fact of type %s was tried", typ)
		}
	}
}

func TestFactsThatWouldMakeAnotherSubjectAreRefused(t *testing.T) {
	for _, row := range []struct{ name, factType, data string }{
		{"session with dots", TypePageAnnounced, `{"session":"a.b","page":1}`},
		{"session with a path", TypePageAnnounced, `{"session":"../../x","page":1}`},
		{"session absent", TypeClosed, `{"status":"success"}`},
		{"session too long", TypeClosed, `{"session":"` + strings.Repeat("a", 65) + `"}`},
		{"number token with dots", TypePageArchived, `{"session":"s","page":1,"to_token":"1.s.2"}`},
		{"number token as a wildcard", TypePageArchived, `{"session":"s","page":1,"to_token":"*"}`},
		{"number token absent", TypeDocReady, `{"session":"s","revision":1}`},
		{"stage with spaces", TypePageFailed, `{"session":"s","page":1,"to_token":"1","stage":"a b","attempt":1}`},
		{"stage with dots", TypePageFailed, `{"session":"s","page":1,"to_token":"1","stage":"a.b","attempt":1}`},
		{"raster hash with a dot", TypePageAmended, `{"session":"s","page":1,"to_token":"1","raster_sha256":"ab.cd"}`},
		{"raster hash absent", TypePageAmended, `{"session":"s","page":1,"to_token":"1"}`},
		{"sent fax as received", TypeClosed, `{"session":"s","direction":"outgoing","status":"success"}`},
		{"received fax as sent", TypeSent, `{"session":"s","direction":"incoming","status":"success"}`},
		{"failure of the whole file as success", TypeWholeCut, `{"session":"s","to_token":"1","n":1}`},
		{"pages out of every bound", TypeDocReady, `{"session":"s","to_token":"1","revision":1,"pages":[[1,1000000000]]}`},
		{"no JSON", TypeClosed, `{`},
		{"no fact at all", TypeDeadLetter, `{"session":"s"}`},
		{"timer", TypeTimerDue, `{"session":"s"}`},
	} {
		t.Run(row.name, func(t *testing.T) {
			if f, err := ParseFact(row.factType, []byte(row.data)); err == nil {
				t.Errorf("read as %s", f.Subject())
			}
		})
	}
}

func TestSameIgnoresWhatAProviderWritesAnew(t *testing.T) {
	page := PageAnnounced{Session: "s", Page: 1, From: "+1", To: "+2", EventTime: testStart, BodySHA256: "aa"}
	other := PageAnnounced{Session: "s", Page: 1, From: "anonymous", EventTime: testStart.Add(time.Hour), BodySHA256: "bb"}
	if !page.Same(payload(t, other)) {
		t.Error("a repeat with other numbers and times is another fact")
	}
	other.Page = 2
	if page.Same(payload(t, other)) || page.Same([]byte("{")) {
		t.Error("another page, or what cannot be read, is the same fact")
	}
	closed := Closed{Session: "s", Direction: Incoming, Status: "success", Pages: 1, From: "+1", EventTime: testStart, BodySHA256: "aa"}
	repeat := Closed{Session: "s", Direction: Incoming, Status: " Success", Pages: 1, From: "+2", BodySHA256: "bb"}
	if closed.Subject() != repeat.Subject() || !closed.Same(payload(t, repeat)) {
		t.Error("a close whose status is written in another case is another fact on the same subject")
	}
	repeat.FileName = "other.tiff"
	if closed.Same(payload(t, repeat)) {
		t.Error("a close of another file name is the same fact")
	}
}

func TestClosesThatDifferHaveSubjectsOfTheirOwn(t *testing.T) {
	seen := map[string]Closed{}
	for _, c := range []Closed{
		{Status: "success", Pages: 1, File: "f"},
		{Status: "failed", Pages: 1, File: "f"},
		{Status: "success", Pages: 2, File: "f"},
		{Status: "success", Pages: 1, File: "g"},
		{Status: "success", Pages: 1, File: "f", Direction: Outgoing, Hook: "s"},
		{Status: "success", Pages: 1, File: "f", Direction: Outgoing, Hook: "t"},
		{Status: "success1", Pages: 1, File: "f"},
		{Status: "success", Pages: 11, File: "f"},
		{Status: "success", Pages: 1, File: "1f"},
	} {
		c.Session = "s"
		if other, twice := seen[c.Subject()]; twice {
			t.Errorf("%+v and %+v share the subject %s", c, other, c.Subject())
		}
		seen[c.Subject()] = c
	}
}

func TestDeadLetterIsStoredOnce(t *testing.T) {
	a := DeadLetter{Stage: "ingest", Reason: ReasonBadRequest, Body: []byte("x"), Detail: "one", Received: testStart}
	b := a
	b.Detail, b.Received = "two", testStart.Add(time.Hour)
	if a.Subject() != b.Subject() {
		t.Error("the same refusal has another subject the second time")
	}
	b.Body = []byte("y")
	if a.Subject() == b.Subject() {
		t.Error("another body has the same subject")
	}
}

// FuzzParseFact: whatever the JSON says, a fact that was read can stand on a subject, and comes back from its own payload.
func FuzzParseFact(f *testing.F) {
	for _, fact := range oneOfEach() {
		f.Add(fact.Type(), string(payload(f, fact)))
	}
	f.Add(TypePageArchived, `{"session":"s","page":-1,"to_token":"a.b","SESSION":"x"}`)
	f.Add(TypePageFailed, `{"session":"s","page":1,"to_token":"1","stage":"","attempt":-5}`)
	f.Fuzz(func(t *testing.T, factType, data string) {
		fact, err := ParseFact(factType, []byte(data))
		if err != nil {
			return
		}
		rest, ok := strings.CutPrefix(fact.Subject(), factType+".")
		if !ok {
			t.Fatalf("a %s has the subject %q", factType, fact.Subject())
		}
		for _, token := range strings.Split(rest, ".") {
			if !ValidToken(token) {
				t.Fatalf("subject %q has the token %q", fact.Subject(), token)
			}
		}
		b, err := json.Marshal(fact)
		if err != nil {
			return // a time beyond year 9999
		}
		back, err := ParseFact(factType, b)
		if err != nil || back.Subject() != fact.Subject() || !back.Same(b) {
			t.Fatalf("%s\ncomes back from %s\nas %v, %v", data, b, back, err)
		}
		state := State{Session: fact.SessionID()}
		if next, err := Next(streaming(), state, Event{At: testStart, Fact: fact}); err == nil {
			roundTrip(t, next)
		}
	})
}

// How far the work on a fax is has the same words everywhere.
func TestHowFarTheWorkIs(t *testing.T) {
	for _, c := range []struct {
		work Work
		want string
	}{
		{Work{}, "unread"},
		{Work{Read: true}, "read, not done"},
		{Work{Read: true, Done: true}, "done"},
	} {
		if got := c.work.Text(); got != c.want {
			t.Errorf("%+v: %q, want %q", c.work, got, c.want)
		}
	}
}
