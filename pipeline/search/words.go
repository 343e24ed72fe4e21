package search

import (
	"strings"
	"unicode/utf8"
)

// Text is what is searched of a page.
type Text struct {
	Body  string // is shown too
	Parts string // words that are found and not shown, such as the parts of a word that a hyphen divides; may be empty
}

// variants are the words that find a text beside its own.
func (t Text) variants() string {
	return strings.TrimSpace(t.Parts + " " + variants(t.Body))
}

// spellings are letters that are no letter with a mark, and that people without these keys write in these ways.
var spellings = map[rune][]string{
	'ß': {"ss"}, 'æ': {"ae"}, 'œ': {"oe"}, 'ø': {"o", "oe"}, 'ł': {"l"}, 'đ': {"d"}, 'ð': {"d"}, 'þ': {"th"}, 'ı': {"i"},
	'ä': {"ae"}, 'ö': {"oe"}, 'ü': {"ue"}, 'å': {"aa"},
}

// variants are other spellings of the words of a text, for those who search: "strasse" for "Straße", "mueller" for "Müller". Marks alone
// need none: the index folds "é" to "e".
func variants(body string) string {
	if !strings.ContainsFunc(body, func(c rune) bool { return c >= utf8.RuneSelf }) {
		return ""
	}
	var out []string
	for word := range strings.FieldsSeq(strings.ToLower(body)) {
		for way := range 2 {
			var b strings.Builder
			for _, c := range word {
				ways := spellings[c]
				if len(ways) == 0 {
					b.WriteRune(c)
					continue
				}
				b.WriteString(ways[min(way, len(ways)-1)])
			}
			if other := b.String(); other != word && (len(out) == 0 || out[len(out)-1] != other) {
				out = append(out, other)
			}
		}
	}
	return strings.Join(out, " ")
}

// leastDigits is the shortest end of a number that finds it.
const leastDigits = 4

// numberVariants are the digits of numbers without signs between them, and every end of them: so a number is found however it is written,
// without its country code, and by its last digits.
func numberVariants(numbers ...string) string {
	var out []string
	for _, number := range numbers {
		digits := digitsOf(number)
		for ; len(digits) >= leastDigits; digits = digits[1:] {
			out = append(out, digits)
		}
	}
	return strings.Join(out, " ")
}

func digitsOf(number string) string {
	return strings.Map(func(c rune) rune {
		if c < '0' || c > '9' {
			return -1
		}
		return c
	}, number)
}
