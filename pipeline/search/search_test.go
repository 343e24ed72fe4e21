package search

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/faxstream/faxstream/pipeline/session"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func opened(t testing.TB, dir string) *Index {
	t.Helper()
	x, _, err := Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := x.Close(); err != nil {
			t.Error(err)
		}
	})
	return x
}

// fax is a received fax whose pages have these texts.
func fax(id, to string, start time.Time, pages ...string) Fax {
	f := Fax{
		Session: id, Manifest: "m-" + id, Revision: 1, Direction: session.Incoming, From: "+1 334-304-5554", To: to,
		Status: session.StatusComplete, Start: start, Pages: len(pages), Texts: map[int]Text{},
	}
	for i, p := range pages {
		f.Texts[i+1] = Text{Body: p}
	}
	return f
}

func written(t testing.TB, x *Index, faxes ...Fax) {
	t.Helper()
	if err := x.Write(t.Context(), Update{Faxes: faxes}); err != nil {
		t.Fatal(err)
	}
}

// found gives what a query finds, as "session:page,page".
func found(t testing.TB, x *Index, q Query) (all []string) {
	t.Helper()
	if q.Limit == 0 {
		q.Limit = 10
	}
	hits, _, err := x.Find(t.Context(), q)
	if err != nil {
		t.Fatalf("%q: %v", q.Text, err)
	}
	for _, h := range hits {
		var pages []string
		for _, p := range h.Found {
			pages = append(pages, fmt.Sprint(p.Page))
		}
		all = append(all, h.Session+":"+strings.Join(pages, ","))
	}
	return all
}

const (
	office = "+1 (555) 010-0000"
	lab    = "+49 30 5550199"
)

func library(t *testing.T) *Index {
	x := opened(t, t.TempDir())
	sent := fax("sent", lab, noon.Add(time.Hour), "please confirm order 4711")
	sent.Direction, sent.From = session.Outgoing, office
	first := fax("first", office, noon, "Order 4711 of salbutamol", "", "order 4711 again, café")
	first.Texts[2] = Text{Body: "the information about selfemployed people", Parts: "infor- mation self- employed"}
	partial := fax("partial", office, noon.Add(2*time.Hour), "ORDER 4712 for Dr. Müller, Hauptstraße 5")
	partial.Status = session.StatusPartial
	written(t, x,
		first, sent, partial,
		fax("lab", lab, noon.Add(48*time.Hour), "result 88-1207-4415: order"),
	)
	return x
}

// What people look for is found, newest fax first, with the pages that have it.
func TestWhatIsFound(t *testing.T) {
	t.Parallel()
	x := library(t)
	for query, want := range map[string][]string{
		"order 4711":          {"sent:1", "first:1,3"},
		"4711 order":          {"sent:1", "first:1,3"},
		`"order 4711"`:        {"sent:1", "first:1,3"},
		`"4711 order"`:        nil,
		"ORDER":               {"lab:1", "partial:1", "sent:1", "first:1,3"},
		"salbut*":             {"first:1"},
		"salbut":              nil,
		"information":         {"first:2"},
		"mation":              {"first:2"},
		"self-employed":       {"first:2"},
		"cafe":                {"first:3"},
		"CAFÉ":                {"first:3"},
		"muller":              {"partial:1"},
		"Mueller":             {"partial:1"},
		"hauptstrasse":        {"partial:1"},
		"Hauptstraße":         {"partial:1"},
		"88-1207-4415":        {"lab:1"},
		"3343045554":          {"lab:0", "partial:0", "first:0"},
		"334-304-5554":        {"lab:0", "partial:0", "first:0"},
		"5554":                {"lab:0", "partial:0", "first:0"},
		"2026-11-25":          {"lab:0"},
		"first":               {"first:0"},
		"nothing":             nil,
		`order" OR "x`:        nil,
		"order AND 4712":      nil, // AND is a word
		`NEAR(order 4711)`:    nil,
		"body:order":          nil,
		"order -4711":         {"sent:1", "first:1,3"},
		`"order`:              {"lab:1", "partial:1", "sent:1", "first:1,3"},
		"order\x00 4711 ()^:": {"sent:1", "first:1,3"},
	} {
		if got := found(t, x, Query{Text: query}); !slices.Equal(got, want) {
			t.Errorf("%q finds %v, want %v", query, got, want)
		}
	}
}

// Who must not see numbers finds the words of pages, and neither a number, a date nor a session.
func TestPagesOnly(t *testing.T) {
	t.Parallel()
	x := library(t)
	for _, c := range []struct {
		query string
		want  []string
	}{
		{"order", []string{"lab:1", "partial:1", "sent:1", "first:1,3"}},
		{"88-1207-4415", []string{"lab:1"}},
		{"3343045554", nil},
		{"334-304-5554", nil},
		{"5554", nil},
		{"2026-11-25", nil},
		{"first", nil},
	} {
		if got := found(t, x, Query{Text: c.query, PagesOnly: true}); !slices.Equal(got, c.want) {
			t.Errorf("%q finds %v, want %v", c.query, got, c.want)
		}
		if m, _, err := x.Matching(t.Context(), Query{Text: c.query, PagesOnly: true, Limit: 10}); err != nil || len(m) != len(c.want) {
			t.Errorf("%q matches %v, %v; want %v", c.query, m, err, c.want)
		}
	}
	// With one fax a page of results nothing says either that there are others.
	hits, next, err := x.Find(t.Context(), Query{Text: "3343045554", PagesOnly: true, Limit: 1})
	if err != nil || len(hits) > 0 || next != "" {
		t.Errorf("%v, next %q, %v", hits, next, err)
	}
}

// Filters hold for numbers in any spelling, times and statuses, and a reader sees only the faxes of his numbers.
func TestFilters(t *testing.T) {
	t.Parallel()
	x := library(t)
	for want, q := range map[string]Query{
		"partial:1 first:1,3":        {To: "555 0100000"},
		"lab:1 sent:1":               {To: "0049305550199"},
		"sent:1":                     {From: office},
		"lab:1":                      {Since: noon.Add(2*time.Hour + time.Millisecond)},
		"lab:1 partial:1":            {Since: noon.Add(2 * time.Hour)},
		"sent:1 first:1,3":           {Until: noon.Add(2 * time.Hour)},
		"partial:1":                  {Status: session.StatusPartial},
		"":                           {To: "1", Status: session.StatusPartial},
		"partial:1 sent:1 first:1,3": {Sees: func(n string) bool { return n == session.NumberToken(office) }},
		"lab:1 ":                     {Sees: func(n string) bool { return n == session.NumberToken(lab) }},
		" ":                          {Sees: func(string) bool { return false }},
	} {
		q.Text = "order"
		if got := strings.Join(found(t, x, q), " "); got != strings.TrimSpace(want) {
			t.Errorf("%+v finds %q, want %q", q, got, want)
		}
	}
}

// Pages of results follow each other without a gap.
func TestResultsGoOn(t *testing.T) {
	t.Parallel()
	x := opened(t, t.TempDir())
	var want []string
	for i := range 25 { // several in the same second
		id := fmt.Sprintf("s%02d", i)
		written(t, x, fax(id, office, noon.Add(time.Duration(i/3)*time.Second), "order"))
		want = append(want, id)
	}
	slices.Reverse(want)
	var got []string
	for q := (Query{Text: "order", Limit: 4}); ; {
		hits, next, err := x.Find(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range hits {
			got = append(got, h.Session)
		}
		if q.After = next; next == "" {
			break
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("found %v, want %v", got, want)
	}
}

// A snippet has the words around what is found, which is marked.
func TestSnippets(t *testing.T) {
	t.Parallel()
	x := library(t)
	hits, _, err := x.Find(t.Context(), Query{Text: "salbutamol", Limit: 1})
	if want := "Order 4711 of " + Mark + "salbutamol" + EndMark; err != nil || len(hits) != 1 || hits[0].Found[0].Snippet != want {
		t.Fatalf("%+v, %v; want %q", hits, err, want)
	}
	h := hits[0]
	if h.To != office || h.From != "+1 334-304-5554" || !h.Start.Equal(noon) || h.Pages != 3 || h.Revision != 1 ||
		h.Direction != session.Incoming || h.Status != session.StatusComplete {
		t.Errorf("the fax is %+v", h)
	}
}

// What cannot be looked for gets a sentence.
func TestBadQueries(t *testing.T) {
	t.Parallel()
	x := library(t)
	for query, want := range map[string]string{
		"or*": "at least 4 letters before a star", "": "nothing to look for", " - ": "nothing to look for", `""`: "nothing to look for",
		strings.Repeat("x", 1001): "1001 bytes, want at most 1000", strings.Repeat("x ", 33): "33 words, want at most 32",
	} {
		_, _, err := x.Find(t.Context(), Query{Text: query, Limit: 1})
		if bad, ok := errors.AsType[*BadQuery](err); !ok || !strings.Contains(bad.Error(), want) {
			t.Errorf("%.20q: %v, want %q", query, err, want)
		}
	}
	for _, cursor := range []string{"x", "-1", "1x", "99999999999999999999"} {
		if _, _, err := x.Find(t.Context(), Query{Text: "order", After: cursor, Limit: 1}); err == nil {
			t.Errorf("cursor %q is taken", cursor)
		}
	}
}

// A fax that is written again replaces what was there; a page that gets a text is found; a removed fax is gone.
func TestFaxesAreReplaced(t *testing.T) {
	t.Parallel()
	x := library(t)
	again := fax("first", office, noon, "nothing of it")
	again.Manifest, again.Revision = "m2", 2
	written(t, x, again, again)
	if got := found(t, x, Query{Text: "4711"}); !slices.Equal(got, []string{"sent:1"}) {
		t.Errorf("the old text is found: %v", got)
	}
	text := Text{Body: "order 4711 after all"}
	err := x.Write(t.Context(), Update{Place: "1-2-3", Texts: []PageText{
		{"first", "m2", 1, text}, {"first", "m-first", 1, Text{Body: "too old"}}, {"unknown", "m", 1, text},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if got := found(t, x, Query{Text: "4711", To: office}); !slices.Equal(got, []string{"first:1"}) {
		t.Errorf("the new text is not found alone: %v", got)
	}
	if place, at, err := x.Place(t.Context()); place != "1-2-3" || time.Since(at) > time.Hour || err != nil {
		t.Errorf("the place is %q of %s, %v", place, at, err)
	}
	moved := again
	moved.Start = noon.Add(time.Minute)
	written(t, x, moved)
	if err := x.Write(t.Context(), Update{Removed: []string{"sent", "unknown"}}); err != nil {
		t.Fatal(err)
	}
	if got := found(t, x, Query{Text: "nothing of it"}); !slices.Equal(got, []string{"first:1"}) {
		t.Errorf("after another start: %v", got)
	}
	if got := found(t, x, Query{Text: "confirm"}); got != nil {
		t.Errorf("a removed fax is found: %v", got)
	}
	if m, err := x.Manifest(t.Context(), "sent"); m != "" || err != nil {
		t.Errorf("a removed fax has the manifest %q, %v", m, err)
	}
}

// Of a purged fax nothing is left in the files, not even what its pages said before they were written again.
func TestNothingIsLeftOfARemovedFax(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	x := opened(t, dir)
	for _, text := range []string{"xylophone quokka", "zeppelin quokka"} {
		first := fax("first", office, noon, text)
		first.From = "+1 777 888 9999"
		written(t, x, first, fax("other", office, noon, "order 4711"))
	}
	inFiles := func(word string) bool {
		t.Helper()
		files, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil || len(files) == 0 {
			t.Fatal(files, err)
		}
		for _, path := range files {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(data), word) {
				return true
			}
		}
		return false
	}
	if !inFiles("zeppelin") {
		t.Fatal("the words of a fax are not in the files: this test sees nothing")
	}
	if err := x.Write(t.Context(), Update{Removed: []string{"first"}}); err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"xylophone", "zeppelin", "quokka", "uokka", "ylophone", "777 888 9999", "7778889999"} {
		if inFiles(word) {
			t.Errorf("%q is still in the files", word)
		}
	}
	if got := found(t, x, Query{Text: "4711", To: office}); !slices.Equal(got, []string{"other:1"}) {
		t.Errorf("the other fax is found as %v", got)
	}
}

// The index is there after it was closed; one that is damaged, or of another version, is made again, empty.
func TestTheIndexIsMadeAgain(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(t *testing.T, dir string){
		"nothing": func(*testing.T, string) {},
		"no database": func(t *testing.T, dir string) {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(strings.Repeat("this is no database ", 500)), 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"another version": func(t *testing.T, dir string) {
			x := opened(t, dir)
			if _, err := x.write.ExecContext(t.Context(), "PRAGMA user_version = 99"); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			x, made, err := Open(t.Context(), dir)
			if err != nil || !made {
				t.Fatal(made, err)
			}
			written(t, x, fax("first", office, noon, "order"))
			if err := x.Close(); err != nil {
				t.Fatal(err)
			}
			spoil(t, dir)
			x, made, err = Open(t.Context(), dir)
			if err != nil || made != (name != "nothing") {
				t.Fatal(made, err)
			}
			defer x.Close()
			if got := found(t, x, Query{Text: "order"}); (len(got) == 1) == made {
				t.Errorf("made %t, and found is %v", made, got)
			}
		})
	}
}

// An index that cannot be opened for another reason than its content stays.
func TestAnIndexThatCannotBeOpenedStays(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, file)
	if err := os.Mkdir(path, 0o700); err != nil { // what nobody can open as a file
		t.Fatal(err)
	}
	if x, _, err := Open(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "open the search index") {
		t.Errorf("%v, %v", x, err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("it was removed: %v", err)
	}
}

// A reader of many numbers, and one who looks for many, gets an answer.
func TestManyNumbers(t *testing.T) {
	t.Parallel()
	x := opened(t, t.TempDir())
	var all []Fax
	for i := range 1000 {
		all = append(all, fax(fmt.Sprint("s", i), fmt.Sprintf("+1 555 01%05d", i), noon.Add(time.Duration(i)*time.Second), "order"))
	}
	written(t, x, all...)
	got := found(t, x, Query{Text: "order", Limit: 2000, Sees: func(string) bool { return true }})
	if len(got) != len(all) {
		t.Errorf("%d of %d faxes are found", len(got), len(all))
	}
}

// A file whose inside is damaged is an error that says what to do.
func TestADamagedIndexSaysWhatToDo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	x, _, err := Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		written(t, x, fax(fmt.Sprint("s", i), office, noon, strings.Repeat("order ", 300)))
	}
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, file)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const page = 4096
	for i := page; i < len(data); i++ { // the first page says that it is a database of this version
		data[i] = 'x'
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	x = opened(t, dir)
	_, _, found := x.Find(t.Context(), Query{Text: "order", Limit: 1})
	wrote := x.Write(t.Context(), Update{Faxes: []Fax{fax("new", office, noon, "order")}})
	for what, err := range map[string]error{"read": found, "write": wrote} {
		if err == nil || !strings.Contains(err.Error(), what+" the search index") || !strings.Contains(err.Error(), "it is made again") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// Whatever people write becomes strings of FTS5 in quotes, or gets a sentence: it is never a query in FTS5's own language.
func FuzzTerms(f *testing.F) {
	for _, query := range []string{
		"order 4711", `"order 4711`, "order* AND (NOT x)", "body:order ^a + b", "{meta} : t1", "a\x00b\x01", `""""x""*`, "ß Ä é",
	} {
		f.Add(query)
	}
	quoted := regexp.MustCompile(`^"[^"\x00-\x1f]*"\*?$`)
	f.Fuzz(func(t *testing.T, query string) {
		phrases, err := terms(query)
		if _, ok := errors.AsType[*BadQuery](err); (err == nil) != (len(phrases) > 0) || err != nil && !ok {
			t.Errorf("%q: %q, %v", query, phrases, err)
		}
		for _, p := range phrases {
			if !quoted.MatchString(p) || !utf8.ValidString(p) {
				t.Errorf("%q becomes %q", query, p)
			}
		}
	})
}

// Matching gives the same faxes as Find, and no more than it is asked for.
func TestMatching(t *testing.T) {
	t.Parallel()
	x := library(t)
	for _, row := range []struct {
		q    Query
		want string
		more bool
	}{
		{Query{Text: "order"}, "lab partial sent first", false},
		{Query{Text: "order", Limit: 4}, "lab partial sent first", false},
		{Query{Text: "order", Limit: 3}, "lab partial sent", true},
		{Query{Text: "order 4711", Limit: 2}, "sent first", false}, // two pages of one fax are one fax
		{Query{Text: "order", To: lab}, "lab sent", false},
		{Query{Text: "order", Since: noon.Add(time.Hour), Until: noon.Add(3 * time.Hour)}, "partial sent", false},
		{Query{Text: "order", Sees: func(n string) bool { return n == "15550100000" }}, "partial sent first", false},
		{Query{Text: "order", To: "+1 999"}, "", false},
		{Query{Text: "nothing"}, "", false},
	} {
		if row.q.Limit == 0 {
			row.q.Limit = 10
		}
		found, more, err := x.Matching(t.Context(), row.q)
		var got []string
		for _, m := range found {
			got = append(got, m.Session)
		}
		if err != nil || more != row.more || strings.Join(got, " ") != row.want {
			t.Errorf("%+v: %v, more %t, %v; want %s, more %t", row.q, got, more, err, row.want, row.more)
		}
	}
	if found, _, err := x.Matching(t.Context(), Query{Text: "salbutamol", Limit: 1}); err != nil || !found[0].At.Equal(noon) {
		t.Errorf("it started at %v, %v", found, err)
	}
	if _, _, err := x.Matching(t.Context(), Query{Text: "!", Limit: 1}); err == nil {
		t.Error("a query of no words has no error")
	}
	before := x.Changes()
	if written(t, x, fax("new", lab, noon, "order")); x.Changes() == before {
		t.Error("an update is no change")
	}
}

// What is marked in a text is what the index finds in it.
func TestMarked(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ query, text, want string }{
		{"order", "An ORDER of orders, order.", "ORDER order."},
		{"4711 order", "order no. 4711", "order 4711"},
		{`"order 4711"`, "order 4711, 4711 order", "order 4711,"},
		{`"4711 of"`, "order 4711 of (of)", "4711 of"},
		{"salb*", "salbutamol salami Salben", "salbutamol Salben"},
		{"mueller", "Dr. Müller muller", "Müller"},
		{"muller", "Dr. Müller Mu\u0308ller", "Müller Mu\u0308ller"},
		{"strasse", "Hauptstraße Straße", "Straße"},
		{"cafe", "Café", "Café"},
		{"88-1207", "no. 88-1207-4415: 88 1207", "88-1207-4415: 88 1207"},
		{"self", "self-employed", "self-employed"},
		{"order", "", ""},
	} {
		terms, err := ParseTerms(row.query)
		words := strings.Fields(row.text)
		var got []string
		for i, is := range terms.Marked(words) {
			if is {
				got = append(got, words[i])
			}
		}
		if err != nil || strings.Join(got, " ") != row.want {
			t.Errorf("%s in %q: %q, %v; want %q", row.query, row.text, got, err, row.want)
		}
	}
	if _, err := ParseTerms("!"); err == nil {
		t.Error("a query of no words has no error")
	}
	if marked := (Terms{}).Marked([]string{"a"}); marked[0] {
		t.Error("no query marks a word")
	}
}

func FuzzMarked(f *testing.F) {
	f.Add(`"order 4711" salb*`, "an order\u0308 4711 ß")
	f.Fuzz(func(t *testing.T, query, text string) {
		terms, err := ParseTerms(query)
		if err != nil {
			return
		}
		words := strings.Fields(text)
		if marked := terms.Marked(words); len(marked) != len(words) {
			t.Errorf("%d words have %d marks", len(words), len(marked))
		}
	})
}
