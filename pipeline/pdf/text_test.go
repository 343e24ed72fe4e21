package pdf

import (
	"bytes"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"image"
	"io"
	"testing"
)

// subsetOf returns the subset that the text needs and its tables by name.
func subsetOf(t *testing.T, text string) (*font, map[string][]byte) {
	t.Helper()
	f, err := parseFont("GoRegular", false)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range text {
		f.id(r)
	}
	file := f.file()
	if sum := checksum(file); sum != 0xB1B0AFBA {
		t.Errorf("the file's sum is %#x, want the constant of the head table", sum)
	}
	tables := map[string][]byte{}
	for i := range int(binary.BigEndian.Uint16(file[4:])) {
		e := file[12+16*i:]
		at, size := binary.BigEndian.Uint32(e[8:]), binary.BigEndian.Uint32(e[12:])
		tables[string(e[:4])] = file[at : at+size]
	}
	return f, tables
}

func TestSubsetHasTheGlyphsItNames(t *testing.T) {
	f, tables := subsetOf(t, "Page Ž é ½ ΐ Й 中")
	if n := int(binary.BigEndian.Uint16(tables["maxp"][4:])); n != len(f.glyphs) || n > 30 {
		t.Fatalf("%d glyphs in the file, %d in use", n, len(f.glyphs))
	}
	for i, g := range f.glyphs {
		from, to := binary.BigEndian.Uint32(tables["loca"][4*i:]), binary.BigEndian.Uint32(tables["loca"][4*i+4:])
		got, want := tables["glyf"][from:to], f.outline(g.source)
		if !bytes.Equal(tables["hmtx"][4*i+2:4*i+4], f.bearing(g.source)) {
			t.Errorf("glyph %d (%q) has another side bearing", i, g.text)
		}
		if !bytes.HasPrefix(got, want) || len(got) > len(want)+3 {
			t.Errorf("glyph %d (%q) has another outline", i, g.text)
		}
	}
}

func TestNoGlyphIsComposite(t *testing.T) {
	f, err := parseFont("GoRegular", false)
	if err != nil {
		t.Fatal(err)
	}
	for i := range f.whole.NumGlyphs() {
		if o := f.outline(uint16(i)); len(o) > 0 && o[0] >= 0x80 { // the number of contours is negative
			t.Errorf("glyph %d is composed of others, which the subset would lack", i)
		}
	}
}

func TestWrapKeepsEveryWord(t *testing.T) {
	f, err := parseFont("GoRegular", false)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		text string
		room float64
		want []string
	}{
		{"", 10, []string{""}},
		{" \t\n ", 10, []string{""}},
		{"one two three", 100, []string{"one two three"}},
		{"one two three", 5, []string{"one two", "three"}},
		{"mmmmmm", 2, []string{"mm", "mm", "mm"}},
		{"i mmm", 2, []string{"i", "mm", "m"}},
		{"mm", 0.1, []string{"m", "m"}},
	} {
		got := f.wrap(c.text, c.room)
		if len(got) != len(c.want) {
			t.Errorf("%q in %g ems: %q, want %q", c.text, c.room, got, c.want)
			continue
		}
		for i := range got {
			if got[i] != c.want[i] {
				t.Errorf("%q in %g ems: %q, want %q", c.text, c.room, got, c.want)
				break
			}
		}
	}
}

// FuzzTexts: for all words and sheets, the document is valid or the page is refused.
func FuzzTexts(f *testing.F) {
	f.Add("Page 2 is missing", "HTTP 404", "2", 612.0, 792.0)
	f.Add("\x00\xff(\\", "]]></rdf:li>&\uffff", "00099999999999", 3.0, 3.0)
	f.Add("", "W", "", 3.0, 75_000_000.0)
	f.Fuzz(func(t *testing.T, heading, line, label string, width, height float64) {
		var out bytes.Buffer
		w := NewWriter(&out, Meta{Title: heading, Author: line, Subject: label})
		err := w.AddSlip(SlipPage{WidthPoints: width, HeightPoints: height, Heading: heading, Lines: []string{line}, Label: label})
		if errors.Is(err, ErrInput) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		words := []Word{{heading, image.Rect(0, 0, 1, 1)}, {line, image.Rect(0, 0, 1728, 2)}}
		if _, err := w.AddImage(ImagePage{Width: 1728, Height: 2, Strip: white(2), Words: words}); err != nil && !errors.Is(err, ErrInput) {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		checkXref(t, out.Bytes())
		_, packet, _ := bytes.Cut(out.Bytes(), []byte("<x:xmpmeta"))
		packet, _, _ = bytes.Cut(packet, []byte("<?xpacket end"))
		for d := xml.NewDecoder(bytes.NewReader(append([]byte("<x:xmpmeta"), packet...))); ; {
			if _, err := d.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatalf("metadata: %v\n%s", err, packet)
			}
		}
	})
}
