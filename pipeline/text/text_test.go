package text

import (
	"encoding/json"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"testing"
)

// brief writes words as people compare them: block.line text box confidence.
func brief(words []Word) string {
	var b strings.Builder
	for _, w := range words {
		fmt.Fprintf(&b, "%d.%d %s", w.Block, w.Line, w.Text)
		if w.Box != nil {
			fmt.Fprintf(&b, " %d,%d-%d,%d", w.Box.Left, w.Box.Top, w.Box.Right, w.Box.Bottom)
		}
		if w.Confidence != nil {
			fmt.Fprintf(&b, " %.2f", *w.Confidence)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// Two blocks: "Order 4711" in one line, and "now" in the next; then "Übergabe".
var samples = map[string]string{
	Plain: "Order 4711\nnow\n\n\fÜbergabe\n",
	TSV: "level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\twidth\theight\tconf\ttext\n" +
		"1\t1\t0\t0\t0\t0\t0\t0\t600\t400\t-1\t\n2\t1\t1\t0\t0\t0\t10\t20\t100\t60\t-1\n" +
		"5\t1\t1\t1\t1\t1\t10\t20\t40\t15\t91.5\tOrder\n5\t1\t1\t1\t1\t2\t60\t20\t50\t15\t87\t4711\n" +
		"5\t1\t1\t1\t2\t1\t10\t60\t30\t12\t50\tnow\r\n5\t1\t2\t1\t1\t1\t10\t100\t90\t15\t99\tÜbergabe\n",
	HOCR: `<?xml version="1.0" encoding="UTF-8"?><html><head><title>t</title><meta name="ocr-system" content="x"></head><body>
<div class='ocr_page' title='image "a; bbox 1.png"; bbox 0 0 600 400'><div class="ocr_carea" title="bbox 10 20 110 80"><p class="ocr_par">
<span class="ocr_line" title="bbox 10 20 110 35; baseline 0 -1">
<span class="ocrx_word" title="bbox 10 20 50 35; x_wconf 91.5">Or<em>der</em></span>
<span class='ocrx_word' title='bbox 60 20 110 35; x_wconf 87'><strong>4711</strong></span></span>
<span class="ocr_line" title="bbox 10 60 40 72; x_wconf 50">now</span></p></div>
<div class="ocr_carea"><span class="ocr_header"><span class="ocrx_word" title="bbox 10 100 100 115; x_wconf 99">&Uuml;bergabe</span></span>
</div></div></body></html>`,
	ALTO: `<alto xmlns="http://www.loc.gov/standards/alto/ns-v4#"><Description><MeasurementUnit>pixel</MeasurementUnit></Description>
<Layout><Page><PrintSpace><TextBlock><TextLine><String CONTENT="Order" HPOS="10" VPOS="20" WIDTH="40" HEIGHT="15" WC="0.915"/><SP/>
<String CONTENT="4711" HPOS="60.2" VPOS="20" WIDTH="50" HEIGHT="15" WC="0.87"/></TextLine>
<TextLine><String CONTENT="now" HPOS="10" VPOS="60" WIDTH="30" HEIGHT="12" WC="0.5"/></TextLine></TextBlock>
<TextBlock><TextLine><String CONTENT="&#220;bergabe" HPOS="10" VPOS="100" WIDTH="90" HEIGHT="15" WC="0.99"/></TextLine></TextBlock>
</PrintSpace></Page></Layout></alto>`,
	PAGE: `<PcGts xmlns="http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15"><Page><TextRegion><Coords points="0,0 9,9"/>
<TextLine><Coords points="10,20 110,20 110,35 10,35"/><Word><Coords points="10,20 50,20 50,35 10,35"/>
<Glyph><Coords points="1,1 2,2"/><TextEquiv conf="0.1"><Unicode>x</Unicode></TextEquiv></Glyph>
<TextEquiv conf="0.915"><Unicode>Order</Unicode></TextEquiv><TextEquiv conf="0.1"><Unicode>Older</Unicode></TextEquiv></Word>
<Word><Coords points="60,20 110,20 110,35 60,35"/><TextEquiv conf="0.87"><Unicode>4711</Unicode></TextEquiv></Word>
<TextEquiv><Unicode>Order 4711</Unicode></TextEquiv></TextLine>
<TextLine><Coords points="10,60 40,60 40,72 10,72"/><TextEquiv conf="0.5"><Unicode>now</Unicode></TextEquiv></TextLine>
<TextEquiv><Unicode>all of it</Unicode></TextEquiv></TextRegion>
<TextRegion><TextLine><Word><Coords points="10,100 100,115"/>
<TextEquiv conf="0.99"><Unicode>Übergabe</Unicode></TextEquiv></Word></TextLine>
</TextRegion>
</Page></PcGts>`,
}

// Every format gives the same words, with the lines, blocks, boxes and confidences that it has.
func TestFormatsSayTheSame(t *testing.T) {
	const (
		placed = "1.1 Order 10,20-50,35 0.92\n1.1 4711 60,20-110,35 0.87\n1.2 now 10,60-40,72 0.50\n2.3 Übergabe 10,100-100,115 0.99\n"
		plain  = "1.1 Order\n1.1 4711\n1.2 now\n2.3 Übergabe\n"
	)
	for _, format := range Formats() {
		want := placed
		if format == Plain {
			want = plain
		}
		words, err := Parse(format, []byte(samples[format]))
		if got := brief(words); err != nil || got != want {
			t.Errorf("%s: %v\n%swant\n%s", format, err, got, want)
		}
	}
}

// What is wrong with a text is said in a sentence, with its place.
func TestBadTexts(t *testing.T) {
	alto := func(unit, word string) string {
		return `<alto><MeasurementUnit>` + unit + `</MeasurementUnit><TextLine><String CONTENT="` + word +
			`" HPOS="1" VPOS="1" WIDTH="1" HEIGHT="1"/></TextLine></alto>`
	}
	for _, row := range []struct{ format, data, want string }{
		{"doc", "x", `format "doc": want one of ["plain"`},
		{Plain, strings.Repeat("x", MaxBytes+1), "want at most 8388608"},
		{Plain, "\xff", "is not UTF-8"},
		{Plain, "a\x00b", `word 1 ("a\x00b") has a control character`},
		{Plain, strings.Repeat("x ", MaxWords+1), "more than 8000 words"},
		{Plain, strings.Repeat("x", 1001), "has 1001 bytes, want at most 1000"},
		{TSV, "level\tleft\n", "the first row has no column block_num"},
		{TSV, strings.Replace(samples[TSV], "91.5", "191", 1), `row 4: confidence "191": want 0 to 100`},
		{TSV, strings.Replace(samples[TSV], "\t40\t15", "\tNaN\t15", 1), `row 4: position "NaN": want a number of pixels`},
		{HOCR, "<html><body>hello</body></html>", "there is no element of hOCR"},
		{HOCR, `<span class="ocrx_word" title="bbox 1 2 x 4">a</span>`, `position "x"`},
		{HOCR, `<span class="ocrx_word" title="bbox 1 2 3 4; x_wconf 101">a</span>`, `confidence "101": want 0 to 100`},
		{HOCR, strings.Repeat(`<div class="ocr_line">`, 300), "more than 256 elements"},
		{ALTO, "", "EOF"},
		{ALTO, "<alto><TextLine>", "unexpected EOF"},
		{ALTO, "<html></html>", `the outermost element is "html", want alto`},
		{ALTO, alto("mm10", "x"), `MeasurementUnit "mm10": want pixel`},
		{ALTO, strings.Repeat("<alto>", 300), "more than 256 elements"},
		{ALTO, `<!DOCTYPE alto [<!ENTITY a "aaaa">]>` + alto("pixel", "&a;"), "invalid character entity &a;"},
		{ALTO, strings.Replace(alto("pixel", "x"), `HPOS="1"`, `HPOS=""`, 1), `position "": want a number of pixels`},
		{ALTO, `<?xml version="1.0" encoding="UTF-16"?><alto/>`, "encoding"},
		{PAGE, `<PcGts><TextLine><Coords points="1 2"/></TextLine></PcGts>`, `position ""`},
	} {
		words, err := Parse(row.format, []byte(row.data))
		if err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s %.60q: %d words, error %v, want %q", row.format, row.data, len(words), err, row.want)
		}
	}
}

// A page without words is blank, in every format; that is no fault.
func TestBlankPagesHaveNoWords(t *testing.T) {
	for format, data := range map[string]string{
		Plain: " \n\f\n", TSV: strings.Join(strings.SplitAfter(samples[TSV], "\n")[:2], ""), HOCR: `<div class="ocr_page"></div>`,
		ALTO: "<alto></alto>", PAGE: "<PcGts/>",
	} {
		if words, err := Parse(format, []byte(data)); err != nil || words == nil || len(words) > 0 {
			t.Errorf("%s: %v, %v", format, words, err)
		}
	}
}

func TestABoxIsFourNumbers(t *testing.T) {
	var w Word
	if err := json.Unmarshal([]byte(`{"text":"a","box":[1, 2,3,4],"line":1,"block":1}`), &w); err != nil || *w.Box != (Box{1, 2, 3, 4}) {
		t.Errorf("%+v, %v", w, err)
	}
	if text, err := json.Marshal(w); err != nil || string(text) != `{"text":"a","box":[1,2,3,4],"line":1,"block":1}` {
		t.Errorf("%s, %v", text, err)
	}
	for _, bad := range []string{`[1,2,3]`, `[1,2,3,"x"]`, `{}`, `[1,2,3,4,5]`} {
		if json.Unmarshal([]byte(`{"box":`+bad+`}`), &w) == nil {
			t.Errorf("%s is let through", bad)
		}
	}
}

// Whatever the bytes are, parsing takes little more memory than they have.
func TestHostileTextsTakeLittleMemory(t *testing.T) {
	many := strings.Repeat("x ", MaxBytes/2-500)
	for format, data := range map[string]string{
		Plain: many, TSV: strings.Repeat("\t", MaxBytes), HOCR: `<a class="ocr_line" title="` + many + `">`,
		PAGE: `<PcGts><TextLine><Coords points="` + many + `"/></TextLine></PcGts>`,
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _ = Parse(format, []byte(data))
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 10*MaxBytes {
			t.Errorf("%s takes %d MB for %d MB", format, used>>20, len(data)>>20)
		}
	}
}

// FuzzParse reads hostile bytes: whatever comes of it has the bounds that others rely on.
func FuzzParse(f *testing.F) {
	for i, format := range Formats() {
		f.Add(uint8(i), []byte(samples[format]))
	}
	f.Fuzz(func(t *testing.T, format uint8, data []byte) {
		words, err := Parse(Formats()[int(format)%len(Formats())], data)
		if err != nil {
			return
		}
		line, block := 1, 1
		for i, w := range words {
			if w.Text == "" || len(w.Text) > maxWord || len(strings.Fields(w.Text)) != 1 {
				t.Fatalf("word %d is %q", i, w.Text)
			}
			if w.Line < line || w.Line > line+1 || w.Block < block || w.Block > block+1 {
				t.Fatalf("word %d is in line %d of block %d, after line %d of block %d", i, w.Line, w.Block, line, block)
			}
			if c := w.Confidence; c != nil && !(*c >= 0 && *c <= 1) {
				t.Fatalf("word %d has the confidence %g", i, *c)
			}
			line, block = w.Line, w.Block
		}
		data, err = json.Marshal(words)
		if err != nil {
			t.Fatal(err)
		}
		var again []Word
		if err := json.Unmarshal(data, &again); err != nil || !reflect.DeepEqual(again, words) {
			t.Fatalf("written and read again it is %v: %v", again, err)
		}
	})
}
