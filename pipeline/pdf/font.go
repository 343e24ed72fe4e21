package pdf

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"

	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/sfnt"
)

// replacement is the character for one that the font lacks, on the sheet and in text extraction.
const replacement = '□'

// font is the subset of Go Regular (Latin, Greek and Cyrillic) that the texts of one document use. Glyphs get numbers
// without gaps in the order of their first use, so that text can be written before the subset is known.
type font struct {
	name   string // after the tag of a subset
	object int    // its number in the document
	blank  bool   // its glyphs have widths but no outlines, so every character has one

	tables     map[string][]byte // of the whole font
	whole      *sfnt.Font
	buf        sfnt.Buffer
	unitsPerEm int
	metrics    int     // entries of hmtx with an advance width
	glyphs     []glyph // by their number in the subset; 0 is .notdef, which no text uses
	ids        map[rune]uint16
}

type glyph struct {
	source uint16 // number in the whole font
	text   rune   // 0: .notdef
}

// newFont returns an empty subset, and reserves its object.
func (w *Writer) newFont(name string, blank bool) (*font, error) {
	f, err := parseFont(name, blank)
	if err != nil {
		return nil, fmt.Errorf("pdf: font: %w", err)
	}
	f.object = w.reserve()
	return f, nil
}

func parseFont(name string, blank bool) (*font, error) {
	whole, err := sfnt.Parse(goregular.TTF)
	if err != nil {
		return nil, err
	}
	f := &font{
		name:   name,
		blank:  blank,
		tables: map[string][]byte{},
		whole:  whole,
		glyphs: make([]glyph, 1),
		ids:    map[rune]uint16{},
	}
	for i := range int(binary.BigEndian.Uint16(goregular.TTF[4:])) {
		e := goregular.TTF[12+16*i:]
		offset, size := binary.BigEndian.Uint32(e[8:]), binary.BigEndian.Uint32(e[12:])
		f.tables[string(e[:4])] = goregular.TTF[offset : offset+size]
	}
	f.unitsPerEm = int(binary.BigEndian.Uint16(f.tables["head"][18:]))
	f.metrics = int(binary.BigEndian.Uint16(f.tables["hhea"][34:]))
	if binary.BigEndian.Uint16(f.tables["head"][50:]) != 0 {
		return nil, errors.New("long glyph offsets are not supported")
	}
	return f, nil
}

// resource is the font's entry among a page's resources.
func (f *font) resource() string { return fmt.Sprintf("/Font<</F %d 0 R>>", f.object) }

// id returns the glyph number for r, or for the replacement.
func (f *font) id(r rune) uint16 {
	if id, ok := f.ids[r]; ok {
		return id
	}
	source, err := f.whole.GlyphIndex(&f.buf, r)
	lacking := !f.blank && (err != nil || source == 0)
	if r != replacement && (lacking || len(f.glyphs) == math.MaxUint16) { // one number is left for the replacement
		return f.id(replacement)
	}
	f.glyphs = append(f.glyphs, glyph{uint16(source), r})
	f.ids[r] = uint16(len(f.glyphs) - 1)
	return f.ids[r]
}

// codes returns the glyph numbers of a text in hexadecimal, as Identity-H needs them.
func (f *font) codes(text string) string {
	var b strings.Builder
	for _, r := range text {
		fmt.Fprintf(&b, "%04X", f.id(r))
	}
	return b.String()
}

// width returns the width of r in thousandths of the font size.
func (f *font) width(r rune) float64 { return float64(f.advance(f.glyphs[f.id(r)].source)) }

func (f *font) advance(source uint16) int {
	i := min(int(source), f.metrics-1)
	units := int(binary.BigEndian.Uint16(f.tables["hmtx"][4*i:]))
	return (units*1000 + f.unitsPerEm/2) / f.unitsPerEm
}

// measure reads a length from a table, in thousandths of the font size.
func (f *font) measure(table string, at int) int {
	return int(int16(binary.BigEndian.Uint16(f.tables[table][at:]))) * 1000 / f.unitsPerEm
}

func (f *font) ascent() int  { return f.measure("hhea", 4) }
func (f *font) descent() int { return f.measure("hhea", 6) } // below the baseline, so negative

func (f *font) bearing(source uint16) []byte {
	at := 4*int(source) + 2
	if int(source) >= f.metrics {
		at = 4*f.metrics + 2*(int(source)-f.metrics)
	}
	return f.tables["hmtx"][at : at+2]
}

// outline returns a glyph's outline. It can be copied alone: no glyph of the font is composed of others.
func (f *font) outline(source uint16) []byte {
	loca := f.tables["loca"][2*int(source):]
	return f.tables["glyf"][2*int(binary.BigEndian.Uint16(loca)) : 2*int(binary.BigEndian.Uint16(loca[2:]))]
}

// file returns the subset as a TrueType font with the tables that a CIDFontType2 needs, 9.9.
func (f *font) file() []byte {
	var glyf, hmtx []byte
	loca := make([]byte, 4)
	for i, g := range f.glyphs {
		source := g.source
		if !f.blank || i == 0 { // readers refuse an empty table
			glyf = append(glyf, f.outline(source)...)
		}
		glyf = append(glyf, make([]byte, -len(glyf)&3)...)
		loca = binary.BigEndian.AppendUint32(loca, uint32(len(glyf)))
		hmtx = append(append(hmtx, f.tables["hmtx"][4*min(int(source), f.metrics-1):][:2]...), f.bearing(source)...)
	}
	patch := func(table string, at int, v uint16) []byte {
		b := append([]byte(nil), f.tables[table]...)
		binary.BigEndian.PutUint16(b[at:], v)
		return b
	}
	head := patch("head", 50, 1)              // indexToLocFormat: long
	binary.BigEndian.PutUint32(head[8:], 0)   // checkSumAdjustment, set below
	count := uint16(len(f.glyphs))            // never above 65,535: see id
	file, headAt := assembleFont([]fontTable{ // in the order of their names
		{"cvt ", f.tables["cvt "]},
		{"fpgm", f.tables["fpgm"]},
		{"glyf", glyf},
		{"head", head},
		{"hhea", patch("hhea", 34, count)},
		{"hmtx", hmtx},
		{"loca", loca},
		{"maxp", patch("maxp", 4, count)},
		{"prep", f.tables["prep"]},
	})
	binary.BigEndian.PutUint32(file[headAt+8:], 0xB1B0AFBA-checksum(file))
	return file
}

type fontTable struct {
	name string
	data []byte
}

// assembleFont writes the table directory and the tables, and returns the offset of head.
func assembleFont(tables []fontTable) (file []byte, headAt int) {
	n := len(tables)
	log := 0
	for 2<<log <= n {
		log++
	}
	file = []byte{0, 1, 0, 0}
	for _, v := range []int{n, 16 << log, log, 16*n - 16<<log} {
		file = binary.BigEndian.AppendUint16(file, uint16(v))
	}
	var data []byte
	for _, t := range tables {
		at := 12 + 16*n + len(data)
		if t.name == "head" {
			headAt = at
		}
		file = append(file, t.name...)
		for _, v := range []uint32{checksum(t.data), uint32(at), uint32(len(t.data))} {
			file = binary.BigEndian.AppendUint32(file, v)
		}
		data = append(data, t.data...)
		data = append(data, make([]byte, -len(data)&3)...)
	}
	return append(file, data...), headAt
}

func checksum(b []byte) (sum uint32) {
	for ; len(b) >= 4; b = b[4:] {
		sum += binary.BigEndian.Uint32(b)
	}
	var rest [4]byte
	copy(rest[:], b)
	return sum + binary.BigEndian.Uint32(rest[:])
}

// toUnicode returns the CMap with which text extraction reads the text, 9.10.3.
func (f *font) toUnicode() string {
	var b strings.Builder
	b.WriteString("/CIDInit/ProcSet findresource begin 12 dict begin begincmap\n" +
		"/CIDSystemInfo<</Registry(Adobe)/Ordering(UCS)/Supplement 0>>def/CMapName/Adobe-Identity-UCS def/CMapType 2 def\n" +
		"1 begincodespacerange<0000><FFFF>endcodespacerange\n")
	for i, g := range f.glyphs {
		if g.text != 0 {
			fmt.Fprintf(&b, "1 beginbfchar<%04X><%s>endbfchar\n", i, utf16Hex(string(g.text)))
		}
	}
	b.WriteString("endcmap CMapName currentdict/CMap defineresource pop end end")
	return b.String()
}

// writeFont writes the subset and its descriptions, 9.7.4 and 9.8. If f is nil, no text uses it and nothing is written.
func (w *Writer) writeFont(f *font) {
	if f == nil {
		return
	}
	program := f.file()
	packed, err := deflate(program)
	w.fail(err)
	file, set, descriptor, cid, unicode := w.reserve(), w.reserve(), w.reserve(), w.reserve(), w.reserve()
	w.stream(file, fmt.Sprintf("/Filter/FlateDecode/Length1 %d", len(program)), packed)

	present := make([]byte, (len(f.glyphs)+7)/8)
	widths := make([]string, len(f.glyphs))
	for i, g := range f.glyphs {
		present[i/8] |= 0x80 >> (i % 8)
		widths[i] = fmt.Sprint(f.advance(g.source))
	}
	w.stream(set, "", present)
	w.stream(unicode, "", []byte(f.toUnicode()))

	digest := sha256.Sum256(program)
	for i := range 6 {
		digest[i] = 'A' + digest[i]%26
	}
	name := "/" + string(digest[:6]) + "+" + f.name // the tag of a subset, 9.6.4
	w.object(descriptor, fmt.Sprintf("<</Type/FontDescriptor/FontName%s/Flags 4/FontBBox[%d %d %d %d]/ItalicAngle 0"+
		"/Ascent %d/Descent %d/CapHeight 700/StemV 80/FontFile2 %d 0 R/CIDSet %d 0 R>>", name,
		f.measure("head", 36), f.measure("head", 38), f.measure("head", 40), f.measure("head", 42), f.ascent(), f.descent(), file, set))
	w.object(cid, fmt.Sprintf("<</Type/Font/Subtype/CIDFontType2/BaseFont%s/CIDSystemInfo<</Registry(Adobe)"+
		"/Ordering(Identity)/Supplement 0>>/FontDescriptor %d 0 R/CIDToGIDMap/Identity/W[0[%s]]>>",
		name, descriptor, strings.Join(widths, " ")))
	w.object(f.object, fmt.Sprintf("<</Type/Font/Subtype/Type0/BaseFont%s/Encoding/Identity-H"+
		"/DescendantFonts[%d 0 R]/ToUnicode %d 0 R>>", name, cid, unicode))
}
