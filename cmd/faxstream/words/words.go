// Package words has the words of the pages that people see, in English and in German. Start with In, which gives the words of one language;
// Asked says which language a request wants.
//
// The catalogue is german.txt: each English text, and below it the German one. It has two parts. The first part has the texts of templates,
// which the template function t looks up; a %s or %d in them stands for an argument, and one | divides the text for one from the text for
// other numbers. The second part has the sentences that Go code makes. These are also in the API and the logs, so they come in English and
// finished, and the template function said finds their form again. A name in braces stands for what differs:
//
//   - {n}, {n1} and so on: digits
//   - {pages}: digits with commas and hyphens between them
//   - {words}, {words1} and so on: a sentence or word that is in the catalogue too; one that is not stays as it is
//   - any other name: anything, which stays as it is
//
// A sentence without a form stays English: it is better than no sentence. Nothing here is HTML; the template escapes what it gets.
package words

import (
	_ "embed"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
	"golang.org/x/text/message/catalog"
	"golang.org/x/text/number"
)

// The languages of pages.
const (
	English = "en"
	German  = "de"
)

// Cookie names the cookie with the language that a person has chosen.
const Cookie = "faxstream_language"

// Languages are all of them; the first is for those who ask for none of them.
func Languages() []string { return []string{English, German} }

var wanted = language.NewMatcher([]language.Tag{language.English, language.German})

// Asked is the language that a request wants: the one that the person has chosen, or what the browser prefers.
func Asked(r *http.Request) string {
	if c, err := r.Cookie(Cookie); err == nil && slices.Contains(Languages(), c.Value) {
		return c.Value
	}
	tags, _, err := language.ParseAcceptLanguage(r.Header.Get("Accept-Language"))
	if err != nil {
		return English
	}
	_, i, _ := wanted.Match(tags...)
	return Languages()[i]
}

// Words are those of one language, safe for concurrent use.
type Words struct {
	Language string
	printer  *message.Printer
	known    map[string]bool
	forms    []form            // of sentences; none in English
	plain    map[string]string // sentences without anything that differs
}

//go:embed german.txt
var german string

var book = read(german)

// In gives the words of a language; those of an unknown one are English.
func In(lang string) *Words {
	w := &Words{Language: English, printer: message.NewPrinter(language.English, message.Catalog(book.texts)), known: book.known}
	if lang == German {
		w.Language, w.forms, w.plain = German, book.forms, book.plain
		w.printer = message.NewPrinter(language.German, message.Catalog(book.texts))
	}
	return w
}

// Text is a text of the catalogue with its arguments. A key that the catalogue does not have is an error: it is a fault of a template.
func (w *Words) Text(key string, args ...any) (string, error) {
	if !w.known[key] {
		return "", fmt.Errorf("the catalogue of words has no text %q", key)
	}
	for i, a := range args {
		switch a.(type) {
		case int, uint64: // a page has 1000 rows in every language, not 1,000 or 1.000
			args[i] = number.Decimal(a, number.NoSeparator())
		}
	}
	return w.printer.Sprintf(key, args...), nil
}

// Said is a sentence that Go code has made, in the language. One that has no form stays as it is.
func (w *Words) Said(sentence string) string { return w.said(sentence, maxDepth) }

// maxDepth bounds how deep sentences in sentences are looked for.
const maxDepth = 4

func (w *Words) said(sentence string, depth int) string {
	if text, ok := w.plain[sentence]; ok || depth == 0 {
		if ok {
			return text
		}
		return sentence
	}
	for _, f := range w.forms {
		if text, ok := f.say(sentence, func(part string) string { return w.said(part, depth-1) }); ok {
			return text
		}
	}
	if end := strings.Index(sentence, ". "); end > 0 { // a known sentence, and another one with details
		if text, ok := w.plain[sentence[:end+1]]; ok {
			return text + " " + w.said(sentence[end+2:], depth-1)
		}
	}
	return sentence
}

// form is a kind of sentences.
type form struct {
	begin  string // before the first name
	match  *regexp.Regexp
	german string
}

var names = regexp.MustCompile(`\{[a-z]+[0-9]?\}`)

func newForm(english, german string) form {
	f := form{german: german}
	f.begin = english[:names.FindStringIndex(english)[0]]
	var b strings.Builder
	last := 0
	for _, at := range names.FindAllStringIndex(english, -1) {
		name := english[at[0]+1 : at[1]-1]
		class := `.+?`
		switch {
		case strings.HasPrefix(name, "pages"):
			class = `[0-9]+(?:[-, ]+[0-9]+)*`
		case name == "n" || len(name) == 2 && name[0] == 'n':
			class = `[0-9]+`
		}
		fmt.Fprintf(&b, "%s(?P<%s>%s)", regexp.QuoteMeta(english[last:at[0]]), name, class)
		last = at[1]
	}
	f.match = regexp.MustCompile(`(?s)^` + b.String() + regexp.QuoteMeta(english[last:]) + `$`)
	return f
}

// say gives the German sentence; ok is false for a sentence of another form.
func (f form) say(sentence string, part func(string) string) (text string, ok bool) {
	if !strings.HasPrefix(sentence, f.begin) {
		return "", false
	}
	found := f.match.FindStringSubmatch(sentence)
	if found == nil {
		return "", false
	}
	values := map[string]string{}
	for i, name := range f.match.SubexpNames() {
		if values[name] = found[i]; strings.HasPrefix(name, "words") {
			values[name] = part(found[i])
		}
	}
	return names.ReplaceAllStringFunc(f.german, func(name string) string { return values[name[1:len(name)-1]] }), true
}

// catalogue is german.txt.
type catalogue struct {
	texts *catalog.Builder
	known map[string]bool
	forms []form
	plain map[string]string
}

// divider is the line between the two parts.
const divider = "== Sentences that Go code makes"

// read reads a catalogue. It panics on a fault in it: it is in the binary.
func read(text string) catalogue {
	c := catalogue{catalog.NewBuilder(catalog.Fallback(language.English)), map[string]bool{}, nil, map[string]string{}}
	templates, sentences, ok := strings.Cut(text, divider+"\n")
	if !ok {
		panic("german.txt: no line " + divider)
	}
	for _, e := range entries(templates) {
		c.known[e.english] = true
		for tag, text := range map[language.Tag]string{language.English: e.english, language.German: e.german} {
			var err error
			if one, other, ok := strings.Cut(text, " | "); ok {
				err = c.texts.Set(tag, e.english, plural.Selectf(1, "%d", plural.One, one, plural.Other, other))
			} else {
				err = c.texts.SetString(tag, e.english, text)
			}
			if err != nil {
				panic(fmt.Sprintf("german.txt: %q: %v", e.english, err))
			}
		}
	}
	for _, e := range entries(sentences) {
		if names.MatchString(e.english) {
			c.forms = append(c.forms, newForm(e.english, e.german))
		} else {
			c.plain[e.english] = e.german
		}
	}
	return c
}

type entry struct{ english, german string }

// entries reads pairs of lines: the English text, and the German one after two spaces. Other lines are empty, or begin with # and a space.
func entries(text string) (all []entry) {
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		german, ok := strings.CutPrefix(line, "  ")
		switch {
		case line == "" || strings.HasPrefix(line, "# "):
		case !ok:
			all = append(all, entry{english: line})
		case len(all) == 0 || all[len(all)-1].german != "":
			panic(fmt.Sprintf("german.txt: %q is below no English text", german))
		default:
			all[len(all)-1].german = german
		}
	}
	for _, e := range all {
		if e.german == "" {
			panic(fmt.Sprintf("german.txt: %q has no German text", e.english))
		}
	}
	return all
}
