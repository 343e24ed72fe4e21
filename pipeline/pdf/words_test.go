package pdf

import (
	"fmt"
	"html"
	"image"
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// someWords stand on a page of letter size at 204 by 196 pixels per inch.
var someWords = []Word{
	{"Invoice", image.Rect(100, 100, 400, 150)},
	{"№4711", image.Rect(420, 100, 700, 150)},
	{" Größe ", image.Rect(100, 200, 300, 240)},
	{"東京都", image.Rect(320, 200, 500, 240)},
	{"שלום", image.Rect(520, 200, 700, 240)},
	{"😀&<", image.Rect(720, 200, 800, 240)},
	{"\t", image.Rect(900, 200, 910, 240)},
	{"tiny", image.Rect(0, 2000, 1, 2001)},
	{"edge", image.Rect(1600, 2100, 1728, 2156)},
}

// TestWordsAreFoundWhereTheyStand has poppler read the text and the place of every word, in pixels of each kind of page.
func TestWordsAreFoundWhereTheyStand(t *testing.T) {
	for _, p := range []ImagePage{
		{Width: 1728, Height: 2156, XRes: 204, YRes: 196},
		{Width: 1728, Height: 2156, XRes: 204, YRes: 98},
		{Width: 1728, Height: 2156, XRes: 300, YRes: 300},
		{Width: 1728, Height: 70_000, XRes: 204, YRes: 196}, // in a larger unit: 9 m
	} {
		p.Strip, p.Words = white(p.Height), someWords
		path := save(t, build(t, Meta{}, p))
		got := wordsOf(t, path)
		var want []Word
		for _, word := range p.Words {
			if word.Text = strings.TrimSpace(word.Text); word.Text != "" {
				want = append(want, word)
			}
		}
		if len(got) != len(want) {
			t.Fatalf("%d words, want %d: %v", len(got), len(want), got)
		}
		unit := newMediaBox(0, float64(p.Height)/p.YRes*pointsPerIn).unit
		for i, w := range want {
			if got[i].text != w.Text && got[i].text != reversed(w.Text) { // poppler turns what is read from the right
				t.Errorf("word %d is %q, want %q", i+1, got[i].text, w.Text)
			}
			for side, pixels := range []float64{
				got[i].box[0] / pointsPerIn * p.XRes * unit, got[i].box[1] / pointsPerIn * p.YRes * unit,
				got[i].box[2] / pointsPerIn * p.XRes * unit, got[i].box[3] / pointsPerIn * p.YRes * unit,
			} {
				box := []int{w.Box.Min.X, w.Box.Min.Y, w.Box.Max.X, w.Box.Max.Y}
				if math.Abs(pixels-float64(box[side])) > 1 {
					t.Errorf("%gx%g: %q: side %d at pixel %.2f, want %d", p.XRes, p.YRes, w.Text, side, pixels, box[side])
				}
			}
		}
		if text := run(t, "poppler-utils", "pdftotext", path, "-"); !strings.HasPrefix(text, "Invoice №4711\n") {
			t.Errorf("the text begins with %.40q", text)
		}
		if plain := run(t, "qpdf", "qpdf", "--stream-data=uncompress", path, "-"); !strings.Contains(plain, "\nBT 3 Tr\n") {
			t.Error("the text is not in the rendering mode of text that is not to be seen")
		}
		if unit > 1 {
			continue // to draw 9 m takes long
		}
		run(t, "poppler-utils", "pdftoppm", "-mono", "-rx", fmt.Sprint(p.XRes), "-ry", fmt.Sprint(p.YRes), "-singlefile", path, path)
		look, err := os.ReadFile(path + ".pbm")
		if err != nil {
			t.Fatal(err)
		}
		if _, rows := pbm(look); strings.Trim(string(rows), "\x00") != "" {
			t.Errorf("%gx%g: words are seen on a white page", p.XRes, p.YRes)
		}
	}
}

func reversed(s string) string {
	var b strings.Builder
	for r := []rune(s); len(r) > 0; r = r[:len(r)-1] {
		b.WriteRune(r[len(r)-1])
	}
	return b.String()
}

type placed struct {
	text string
	box  [4]float64 // xMin, yMin, xMax, yMax in user space units from the sheet's upper left corner
}

// wordsOf has poppler read the words of a document.
func wordsOf(t *testing.T, path string) (words []placed) {
	t.Helper()
	for _, m := range regexp.MustCompile(`<word xMin="([^"]*)" yMin="([^"]*)" xMax="([^"]*)" yMax="([^"]*)">(.*)</word>`).
		FindAllStringSubmatch(run(t, "poppler-utils", "pdftotext", "-bbox", path, "-"), -1) {
		w := placed{text: html.UnescapeString(m[5])}
		for i := range w.box {
			v, err := strconv.ParseFloat(m[i+1], 64)
			if err != nil {
				t.Fatal(err)
			}
			w.box[i] = v
		}
		words = append(words, w)
	}
	return words
}

// TestWordsOnTurnedImages stores one page in every orientation: the sheet and the places of its words on it stay the same.
func TestWordsOnTurnedImages(t *testing.T) {
	at := image.Rect(100, 200, 400, 250) // on the upright page of 1000 by 1400 pixels
	for orientation, stored := range map[int]image.Rectangle{
		1: at,
		2: image.Rect(600, 200, 900, 250),
		3: image.Rect(600, 1150, 900, 1200),
		4: image.Rect(100, 1150, 400, 1200),
		5: image.Rect(200, 100, 250, 400),
		6: image.Rect(200, 600, 250, 900),
		7: image.Rect(1150, 600, 1200, 900),
		8: image.Rect(1150, 100, 1200, 400),
	} {
		p := ImagePage{Width: 1000, Height: 1400, XRes: 204, YRes: 98, Orientation: orientation, Words: []Word{{"turned", stored}}}
		if orientation >= 5 {
			p.Width, p.Height, p.XRes, p.YRes = p.Height, p.Width, p.YRes, p.XRes
		}
		p.Strip = white(p.Height)
		got := wordsOf(t, save(t, build(t, Meta{Unicode: true}, p)))
		if len(got) != 1 || got[0].text != "turned" {
			t.Fatalf("orientation %d: poppler reads %v", orientation, got)
		}
		for side, want := range []float64{
			float64(at.Min.X) / 204, float64(at.Min.Y) / 98, float64(at.Max.X) / 204, float64(at.Max.Y) / 98, // inches
		} {
			if math.Abs(got[0].box[side]/pointsPerIn-want) > 0.005 {
				t.Errorf("orientation %d: side %d at %.3f inches, want %.3f", orientation, side, got[0].box[side]/pointsPerIn, want)
			}
		}
	}
}
