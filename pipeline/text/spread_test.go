package text

import "testing"

// Words without a place get one on the page, in the order of reading; those that have a place keep it. No line is too strange for it.
func TestSpread(t *testing.T) {
	own := Box{1, 2, 3, 4}
	words := []Word{{Text: "two", Line: 1}, {Text: "words", Line: 1}, {Text: "placed", Line: 2, Box: &own}, {Text: "last", Line: 3}}
	for orientation := range 9 {
		im := Image{Width: 200, Height: 90, Orientation: orientation}
		got := Spread(words, im)
		for i, w := range got {
			if w.Text != words[i].Text || w.Box == nil {
				t.Fatalf("orientation %d: word %d is %+v", orientation, i, w)
			}
			if b := *w.Box; b.Left < 0 || b.Top < 0 || b.Right > im.Width || b.Bottom > im.Height || b.Left >= b.Right || b.Top >= b.Bottom {
				t.Errorf("orientation %d: %s is at %v", orientation, w.Text, b)
			}
		}
		if *got[2].Box != own {
			t.Errorf("orientation %d: the placed word is at %v", orientation, *got[2].Box)
		}
	}
	upright := Spread(words, Image{Width: 200, Height: 90})
	a, b, last := *upright[0].Box, *upright[1].Box, *upright[3].Box
	if a.Right > b.Left || a.Top != b.Top || last.Top != 60 || last.Bottom != 90 {
		t.Errorf("the words are at %v, %v and %v", a, b, last)
	}
	for _, line := range []int{0, -5, 1 << 40} {
		if b := Spread([]Word{{Text: "x", Line: line}}, Image{Width: 200, Height: 90})[0].Box; b == nil || b.Bottom > 90 {
			t.Errorf("line %d: %v", line, b)
		}
	}
}
