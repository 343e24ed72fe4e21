package text

import "unicode/utf8"

// Spread gives a place to the words that have none: each line gets its share of the height of the upright page, each word its share of its
// line. So a search finds the page, and marks a place near the word. Boxes are in pixels of the page as stored, as those of Place.
func Spread(words []Word, im Image) []Word {
	lines := 1
	for _, w := range words {
		lines = max(lines, w.Line)
	}
	im.ScaleX, im.ScaleY = 1, 1
	width, height := im.Width, im.Height
	if im.Orientation >= 5 {
		width, height = height, width
	}
	spread := make([]Word, len(words))
	for i := 0; i < len(words); {
		end, letters := i, 0
		for ; end < len(words) && words[end].Line == words[i].Line; end++ {
			letters += utf8.RuneCountInString(words[end].Text) + 1
		}
		top := (max(words[i].Line, 1) - 1) * height / lines
		for at := 0; i < end; i++ {
			n := utf8.RuneCountInString(words[i].Text)
			if spread[i] = words[i]; words[i].Box == nil {
				b := im.stored(within(Box{at * width / letters, top, (at + n) * width / letters, top + height/lines}, width, height))
				spread[i].Box = &b
			}
			at += n + 1
		}
	}
	return spread
}
