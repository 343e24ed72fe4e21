package words

import (
	"go/ast"
	"go/parser"
	"go/token"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// What a person has chosen counts before what the browser prefers; English is for everybody else.
func TestTheLanguageOfARequest(t *testing.T) {
	for _, c := range []struct{ cookie, accept, want string }{
		{"", "", "en"},
		{"", "de", "de"},
		{"", "de-AT,en;q=0.8", "de"},
		{"", "en-GB,de;q=0.8", "en"},
		{"", "fr,de;q=0.5,en;q=0.2", "de"},
		{"", "fr", "en"},
		{"", "\x00;;q=x", "en"},
		{"en", "de", "en"},
		{"de", "en", "de"},
		{"xx", "de", "de"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Accept-Language", c.accept)
		if c.cookie != "" {
			r.Header.Set("Cookie", Cookie+"="+c.cookie)
		}
		if got := Asked(r); got != c.want {
			t.Errorf("cookie %q, Accept-Language %q: %s, want %s", c.cookie, c.accept, got, c.want)
		}
	}
}

// Both languages have one form for one and another for the rest; numbers have no separators.
func TestPluralsAndNumbers(t *testing.T) {
	for _, c := range []struct {
		n                 int
		english, inGerman string
	}{
		{0, "0 pages", "0 Seiten"},
		{1, "1 page", "1 Seite"},
		{2, "2 pages", "2 Seiten"},
		{12345, "12345 pages", "12345 Seiten"},
	} {
		en, err := In(English).Text("%d page | %d pages", c.n)
		de, errDE := In(German).Text("%d page | %d pages", uint64(c.n))
		if err != nil || errDE != nil || en != c.english || de != c.inGerman {
			t.Errorf("%d: %q %v, %q %v", c.n, en, err, de, errDE)
		}
	}
	if text, err := In(German).Text("what nobody knows"); err == nil {
		t.Errorf("a text that is not in the catalogue: %q", text)
	}
	const hostile = `%d %s %!v(PANIC=) {words} ${x} <b> | 100%`
	if text, err := In(German).Text("Fax %s", hostile); err != nil || text != "Fax "+hostile {
		t.Errorf("a hostile argument: %q, %v", text, err)
	}
}

// Sentences that Go code makes are said in German, and what is in them stays as it is.
func TestSentencesOfGoCode(t *testing.T) {
	for english, want := range map[string]string{
		"recovered":               "wiederhergestellt",
		"receiving: 1 of 3 pages": "Empfang läuft: 1 von 3 Seiten",
		"partial: 1 page missing; open the fax to see why":        "unvollständig: 1 Seite fehlt; der Grund steht beim Fax",
		"partial: 2 pages missing; open the fax to see why":       "unvollständig: 2 Seiten fehlen; der Grund steht beim Fax",
		"pages 2, 4-6 differ":                                     "Seiten 2, 4-6 weichen ab",
		"pages 1-3 (pages 1, 3 turned right, page 2 turned left)": "Seiten 1-3 (Seiten 1, 3 nach rechts gedreht, Seite 2 nach links gedreht)",
		"attempt 2 failed (fetch): The fax provider could not be reached. refused There is no further attempt in this way.": "Versuch 2 " +
			"ist gescheitert (fetch): Der Fax-Anbieter war nicht erreichbar. refused Auf diesem Weg gibt es keinen weiteren Versuch.",
		"revision 2 is ready: complete, 3 pages":              "Fassung 2 ist da: vollständig, 3 Seiten",
		"worked: assigned it to read it; added a, b; read it": "bearbeitet: zugewiesen an read it; Etiketten hinzugefügt: a, b; gelesen",
		"your change has no effect: it was assigned to {n} <b>; look at the fax again": "Ihre Änderung hat keine Wirkung: Es wurde {n} <b> " +
			"zugewiesen. Sehen Sie sich das Fax noch einmal an.",
		"The signature of the manifest is wrong. SHA-256 is other.": "Die Signatur des Manifests ist falsch. SHA-256 is other.",
		"resolution 80.3 x 77 per inch read as per centimetre with X and Y exchanged: 196 x 204 per inch": "Auflösung 80.3 x 77 je Zoll " +
			"gelesen als je Zentimeter mit vertauschtem X und Y: 196 x 204 je Zoll",
		"what nobody has translated %s": "what nobody has translated %s",
	} {
		if got := In(German).Said(english); got != want {
			t.Errorf("%s:\n%s, want\n%s", english, got, want)
		}
		if got := In(English).Said(english); got != english {
			t.Errorf("in English %q is %q", english, got)
		}
	}
}

// Whatever a sentence is, it ends in finite time, and one in English stays as it is.
func FuzzSaid(f *testing.F) {
	f.Add("worked: a; b; c")
	f.Add(strings.Repeat("words: ", 9) + "x")
	inGerman, inEnglish := In(German), In(English)
	f.Fuzz(func(t *testing.T, sentence string) {
		sentence = sentence[:min(len(sentence), 300)] // a longer one takes longer and is no other case
		inGerman.Said(sentence)
		if got := inEnglish.Said(sentence); got != sentence {
			t.Errorf("%q became %q", sentence, got)
		}
	})
}

func templates(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, dir := range []string{"dashboard", "access", "layout"} {
		files, err := filepath.Glob(filepath.Join("..", dir, "*.html"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no templates in %s: %v", dir, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			all[file] = string(text)
		}
	}
	return all
}

var key = regexp.MustCompile(`[{(| ]t "((?:[^"\\]|\\.)*)"`)

// Each text of a template has a German one, and each German one is used.
func TestTheCatalogueHasTheTextsOfTheTemplatesAndNoOthers(t *testing.T) {
	used := map[string]bool{}
	for file, text := range templates(t) {
		for _, k := range key.FindAllStringSubmatch(text, -1) {
			if used[k[1]] = true; !book.known[k[1]] {
				t.Errorf("%s: german.txt has no %q", file, k[1])
			}
		}
	}
	for k := range book.known {
		if !used[k] {
			t.Errorf("no template has %q", k)
		}
	}
}

var (
	action  = regexp.MustCompile(`(?s)\{\{.*?\}\}`)
	letters = regexp.MustCompile(`\pL{2,}`)
	titles  = regexp.MustCompile(`\{\{template "head" \(?(?:printf? )?"([^"]*)"`)
)

// asTheyAre are words that are the same in both languages.
var asTheyAre = []string{"PDF", "TIFF", "PNG", "UTC", "SHA", "faxstream", "readyz"}

// raw finds a sentence of Go code that a template shows as it is.
var raw = regexp.MustCompile(`>\{\{\.(?:What|Do|Words|Message|Status|Source|Title|Unlisted|Incomplete|Notice)\}\}|` +
	`\{\{with \.(?:Notice|Unlisted|Problem|Incomplete|ResolutionAssumed|Error)\}\}[^{]*\{\{\.\}\}`)

// untold are the texts of a template that a person would read in English on a German page.
func untold(template string) (all []string) {
	check := func(text string) {
		for _, word := range letters.FindAllString(text, -1) {
			if !slices.Contains(asTheyAre, word) {
				all = append(all, strings.TrimSpace(text))
				return
			}
		}
	}
	for _, title := range titles.FindAllStringSubmatch(template, -1) {
		check(title[1])
	}
	all = append(all, raw.FindAllString(template, -1)...)
	z := html.NewTokenizer(strings.NewReader(action.ReplaceAllString(template, "")))
	var skip string // an element with a text that is no text of a language, or says its language
	for {
		switch z.Next() {
		case html.ErrorToken:
			return all
		case html.TextToken:
			if skip == "" {
				check(string(z.Text()))
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			token := z.Token()
			said := false
			for _, a := range token.Attr {
				said = said || a.Key == "lang" && token.Data != "html"
				button := a.Key == "value" && token.Data == "input" && slices.ContainsFunc(token.Attr, func(a html.Attribute) bool {
					return a.Key == "type" && (a.Val == "submit" || a.Val == "button" || a.Val == "reset")
				})
				if slices.Contains([]string{"title", "alt", "aria-label", "placeholder"}, a.Key) || button {
					check(a.Val)
				}
			}
			if skip == "" && (said || slices.Contains([]string{"style", "script", "code"}, token.Data)) {
				skip = token.Data
			}
		case html.EndTagToken:
			if name, _ := z.TagName(); string(name) == skip {
				skip = ""
			}
		}
	}
}

// A text that does not come from the catalogue would be English on a German page.
func TestTemplatesHaveNoTextOfTheirOwn(t *testing.T) {
	for file, text := range templates(t) {
		for _, found := range untold(text) {
			t.Errorf(`%s: %q is not in the form {{t "…"}}`, file, found)
		}
	}
	for _, wrong := range []string{
		`<p>Hello</p>`, `<img alt="Page {{.N}}">`, `<input placeholder="Name">`, `<b title="a tip">`, `<i aria-label="Views"></i>`,
		`<input type="submit" value="Send">`, `{{template "head" "Title"}}`, `{{template "head" (print "Fax " .Session)}}`,
		`<code>x</code> makes a token`,
		`<td>{{.What}}</td>`, `{{with .Problem}}<p>{{.}}</p>{{end}}`,
	} {
		if len(untold(wrong)) != 1 {
			t.Errorf("%s is not found", wrong)
		}
	}
}

// joined is where the Go code divides a text over lines.
var joined = regexp.MustCompile(`"\s*\+\s*"`)

// A sentence that no Go code makes any more, or that is made in other words, is noticed here.
func TestSentencesAreThoseOfGoCode(t *testing.T) {
	var code strings.Builder
	for _, dir := range []string{
		"../dashboard", "../access", "../api", "../health", "../../../pipeline/session", "../../../pipeline/verify", "../../../pipeline/hold",
		"../../../pipeline/search", "../../../pipeline/raster",
	} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no code in %s: %v", dir, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasSuffix(file, "_test.go") {
				code.WriteString(joined.ReplaceAllString(string(text), ""))
			}
		}
	}
	_, sentences, _ := strings.Cut(german, divider)
	for _, e := range entries(strings.TrimPrefix(sentences, "\n")) {
		for _, piece := range pieces.Split(e.english, -1) {
			if piece = strings.Trim(piece, " ();:.,?"); letters.MatchString(piece) && !strings.Contains(code.String(), piece) {
				t.Errorf("no Go code says %q, of %q", piece, e.english)
			}
		}
	}
}

// pieces divides a sentence at its names, and where Go code puts several texts together.
var pieces = regexp.MustCompile(`\{[a-z]+[0-9]?\}|: | (?:page|pages|right|over|left)\b|^(?:page|pages) |^[0-9] | turned |, |` +
	` by a person|whole file ordered|^replayed |^chosen | was (?:held|purged) on`)

// The German text of a sentence has all that differs, and nothing that the English one does not have.
func TestGermanSentencesHaveTheSameNames(t *testing.T) {
	_, sentences, _ := strings.Cut(german, divider)
	for _, e := range entries(strings.TrimPrefix(sentences, "\n")) {
		en, de := names.FindAllString(e.english, -1), names.FindAllString(e.german, -1)
		if slices.Sort(en); !slices.Equal(en, slices.Sorted(slices.Values(de))) {
			t.Errorf("%q has %v, and %q has %v", e.english, en, e.german, de)
		}
	}
}

// onlyInAnswers are files whose errors are for programs: no page shows them.
var onlyInAnswers = []string{
	"../dashboard/files.go", "../dashboard/subscribers.go", "../dashboard/texts.go", "../access/links.go",
	"../access/origin.go",
}

// alsoOnlyInAnswers are beginnings of such errors in other files.
var alsoOnlyInAnswers = []string{
	"the token is limited to numbers, so it sees the audit", "page %d of session %s has one image only", "session %s has no derived document",
	"Last-Event-ID", "%d event streams", "%d live pages", "this server makes no", "the archive no longer has what %s is made from",
	"want a JSON object", "this server has no search index", "no such path", "not ready", "the path %s", "this request needs a token",
	"%s is limited to numbers", "numbers are masked for %s", "%s does not have the scope",
}

// Each error that a page can show is said in German too.
func TestErrorsOfPagesAreInTheCatalogue(t *testing.T) {
	n := 0
	for _, dir := range []string{"../dashboard", "../access"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") || slices.Contains(onlyInAnswers, file) {
				continue
			}
			for _, format := range errorsIn(t, file) {
				answer := slices.ContainsFunc(alsoOnlyInAnswers, func(begin string) bool { return strings.HasPrefix(format, begin) })
				if n++; !answer && format != "%v" && In(German).Said(sampleOf(format)) == sampleOf(format) {
					t.Errorf("%s: german.txt has no form for %q", file, format)
				}
			}
		}
	}
	if n < 50 {
		t.Errorf("only %d errors are found", n)
	}
}

var verbs = regexp.MustCompile(`%[.0-9]*[a-z]`)

// sampleOf is a sentence of a format, with sixes and a word.
func sampleOf(format string) string {
	return verbs.ReplaceAllStringFunc(format, func(verb string) string {
		switch verb[len(verb)-1] {
		case 'd':
			return "6"
		case 'q':
			return `"a word"`
		}
		return "word"
	})
}

// errorsIn are the formats of the API's errors in a file.
func errorsIn(t *testing.T, file string) (formats []string) {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		name, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		at := slices.Index([]string{"BadRequest", "NotFound", "Unavailable", "Errorf"}, name.Sel.Name)
		pkg, ok := name.X.(*ast.Ident)
		if !ok || pkg.Name != "api" || at < 0 {
			return true
		}
		i := 0
		if name.Sel.Name == "Errorf" { // after the status and the code
			i = 2
		}
		formats = append(formats, textOf(call.Args[i]))
		return true
	})
	return formats
}

// textOf is a literal, which may be in several parts.
func textOf(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, _ := strconv.Unquote(e.Value)
		return text
	case *ast.BinaryExpr:
		return textOf(e.X) + textOf(e.Y)
	}
	return ""
}
