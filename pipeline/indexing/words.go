package indexing

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/faxstream/faxstream/pipeline/search"
	"github.com/faxstream/faxstream/pipeline/text"
)

// textOf makes what is searched of the words of a page. A word that a hyphen divides at the end of a line is found as one word and as its
// parts.
func textOf(words []text.Word) search.Text {
	var body, parts strings.Builder
	for i, w := range words {
		if i+1 < len(words) && divided(w, words[i+1]) {
			body.WriteString(strings.TrimRight(w.Text, hyphens))
			parts.WriteString(w.Text + " " + words[i+1].Text + " ")
			continue
		}
		body.WriteString(w.Text)
		body.WriteByte(' ')
	}
	return search.Text{Body: strings.TrimSuffix(body.String(), " "), Parts: strings.TrimSuffix(parts.String(), " ")}
}

// hyphens are those at the ends of lines: hyphen-minus, soft hyphen and hyphen.
const hyphens = "-\u00ad\u2010"

// divided reports whether a hyphen divides a word at the end of a line: "infor-" before "mation", but not "2026-" or "Smith-" before
// "Jones".
func divided(w, next text.Word) bool {
	part := strings.TrimRight(w.Text, hyphens)
	last, _ := utf8.DecodeLastRuneInString(part)
	first, _ := utf8.DecodeRuneInString(next.Text)
	return next.Line > w.Line && len(part) > 0 && len(part) < len(w.Text) && unicode.IsLetter(last) && unicode.IsLower(first)
}
