package search

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Terms are what a query looks for, to mark them in a text. The zero value marks nothing.
type Terms struct{ phrases []phrase }

// phrase is one term.
type phrase struct {
	words []string // folded
	begin bool     // the last one is the beginning of a word
}

// ParseTerms reads the text of a query. An error is a BadQuery.
func ParseTerms(query string) (t Terms, err error) {
	all, err := terms(query)
	for _, term := range all {
		p := phrase{begin: strings.HasSuffix(term, "*")}
		for _, w := range tokens(term) {
			p.words = append(p.words, fold(w))
		}
		t.phrases = append(t.phrases, p)
	}
	return t, err
}

// token is a word as the index has it.
type token struct {
	spellings []string // folded
	of        int      // the word of the text
}

// Marked reports which words of a text, in their order, are of what is looked for. It knows the spellings of words as the index does, but
// not words that a hyphen divides.
func (t Terms) Marked(words []string) []bool {
	var all []token
	for i, word := range words {
		for _, w := range tokens(word) {
			all = append(all, token{append([]string{fold(w)}, strings.Fields(fold(variants(w)))...), i})
		}
	}
	marked := make([]bool, len(words))
	for _, p := range t.phrases {
		for i := range all {
			if !p.begins(all[i:]) {
				continue
			}
			for _, found := range all[i : i+len(p.words)] {
				marked[found.of] = true
			}
		}
	}
	return marked
}

// begins reports whether a text begins with the phrase.
func (p phrase) begins(text []token) bool {
	if len(p.words) > len(text) {
		return false
	}
	for i, w := range p.words {
		is := func(spelling string) bool { return spelling == w }
		if p.begin && i == len(p.words)-1 {
			is = func(spelling string) bool { return strings.HasPrefix(spelling, w) }
		}
		if !slices.ContainsFunc(text[i].spellings, is) {
			return false
		}
	}
	return len(p.words) > 0
}

// tokens divides a text into words as the index does: of letters and digits, with their marks.
func tokens(text string) []string {
	return strings.FieldsFunc(text, func(c rune) bool { return !unicode.IsLetter(c) && !unicode.IsNumber(c) && !unicode.IsMark(c) })
}

// fold makes words comparable: neither case nor marks of letters count.
func fold(text string) string {
	return strings.ToLower(strings.Map(func(c rune) rune {
		if unicode.Is(unicode.Mn, c) {
			return -1
		}
		return c
	}, norm.NFD.String(text)))
}
