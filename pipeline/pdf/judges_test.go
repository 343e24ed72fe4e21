package pdf

import (
	"bytes"
	"errors"
	"fmt"
	"image/color"
	"image/png"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// missing skips the test for want of a Debian package; in CI it fails.
func missing(t *testing.T, what, debian string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing: apt-get install %s", what, debian)
	}
	t.Skipf("%s is missing: apt-get install %s", what, debian)
}

// run runs a judge and returns what it says; the test fails if the judge does.
func run(t *testing.T, debian, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		missing(t, name, debian)
	}
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return string(out)
}

func save(t *testing.T, file []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "document.pdf")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// documents are what the judges see, one of each kind of page and their mixtures.
func documents(t *testing.T) map[string][]any {
	slip := SlipPage{Heading: "Page 2 is missing", Lines: []string{
		"The sender announced this page, but it never came (HTTP 404).", "",
		"Žofie, Νίκος и Мария: 中文 " + strings.Repeat("endlessword", 30),
	}}
	shortSlip := slip
	shortSlip.WidthPoints, shortSlip.HeightPoints, shortSlip.Label = 610, 60, "9"
	fax := fixture(t, "three-pages-fine-g4.tiff")
	fax[2].Label = "4"
	many := make([]any, 250)
	for i := range many {
		many[i] = ImagePage{Width: 1728, Height: 20 + i, Strip: white(20 + i)}
	}
	return map[string][]any{
		"plain": {fixture(t, "letter-fine-g4.tiff")[0]},
		"slip":  {slip},
		"mixed": {
			fax[0], slip, fax[1], fax[2], shortSlip,
			fixture(t, "letter-standard-g4.tiff")[0], fixture(t, "letter-superfine-g4.tiff")[0],
			ImagePage{Width: 1728, Height: 3, Strip: white(3)},
		},
		"gray and colour": {tones(60, 40, 1), fixture(t, "letter-fine-g4.tiff")[0], tones(60, 41, 3)},
		"many":            many,
	}
}

// tones is a page whose samples count up, in Flate with differences to the left.
func tones(width, height, samples int) ImagePage {
	rows := make([]byte, width*height*samples)
	for y := range height {
		row := rows[y*width*samples:][:width*samples]
		for x := width - 1; x >= 0; x-- {
			for s := range samples {
				row[x*samples+s] = 3 + byte(s) // what is to be added to the left
			}
		}
	}
	strip, err := deflate(rows)
	if err != nil {
		panic(err) // into memory
	}
	return ImagePage{Width: width, Height: height, XRes: 200, YRes: 200, Strip: strip, Samples: samples}
}

func TestGrayAndColourAreShownAsTheyAre(t *testing.T) {
	pages := []ImagePage{tones(60, 40, 1), tones(60, 41, 3)}
	path := save(t, build(t, Meta{}, 2, pages[0], pages[1]))
	root := filepath.Join(filepath.Dir(path), "image")
	run(t, "poppler-utils", "pdfimages", "-png", path, root)
	for i, p := range pages {
		f, err := os.Open(fmt.Sprintf("%s-%03d.png", root, i))
		if err != nil {
			t.Fatal(err)
		}
		img, err := png.Decode(f)
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		if b := img.Bounds(); b.Dx() != p.Width || b.Dy() != p.Height {
			t.Fatalf("image %d: %v", i, b)
		}
		for y := range p.Height {
			for x := range p.Width {
				want := color.RGBA{R: byte(3 * (x + 1)), G: byte(4 * (x + 1)), B: byte(5 * (x + 1)), A: 255}
				if p.Samples == 1 {
					want.G, want.B = want.R, want.R
				}
				if got := color.RGBAModel.Convert(img.At(x, y)); got != want {
					t.Fatalf("image %d: pixel %d, %d is %v, want %v", i, x, y, got, want)
				}
			}
		}
	}
}

func TestJudgesAcceptDocuments(t *testing.T) {
	for name, pages := range documents(t) {
		t.Run(name, func(t *testing.T) {
			file := build(t, exampleMeta(), 2, pages...)
			path := save(t, file)
			t.Run("qpdf", func(t *testing.T) {
				if out := run(t, "qpdf", "qpdf", "--check", path); !strings.Contains(out, "No syntax or stream encoding errors") {
					t.Error(out)
				}
			})
			t.Run("poppler", func(t *testing.T) {
				if out := run(t, "poppler-utils", "pdfinfo", path); !strings.Contains(out, fmt.Sprintf("Pages:           %d\n", len(pages))) ||
					strings.Contains(out, "Error") || strings.Contains(out, "Warning") {
					t.Error(out)
				}
			})
			t.Run("preflight", func(t *testing.T) {
				if verdict, valid := preflight(t, build(t, exampleMeta(), 1, pages...)); !valid {
					t.Error(verdict)
				}
			})
		})
	}
}

// preflight validates PDF/A-1b, which differs for these documents from PDF/A-2b only in its name and the header.
func preflight(t *testing.T, file []byte) (verdict string, valid bool) {
	t.Helper()
	var class []string
	for _, jar := range []string{"preflight", "pdfbox2", "fontbox2", "xmpbox", "commons-logging", "commons-io", "javax.activation", "jaxb-api"} {
		jar = "/usr/share/java/" + jar + ".jar"
		if _, err := os.Stat(jar); err != nil {
			missing(t, jar, "libpdfbox2-java libcommons-logging-java libactivation-java libjaxb-api-java libcommons-io-java")
		}
		class = append(class, jar)
	}
	if _, err := exec.LookPath("java"); err != nil {
		missing(t, "java", "default-jre-headless")
	}
	out, err := exec.Command("java", "-cp", strings.Join(class, ":"), "org.apache.pdfbox.preflight.Validator_A1b", save(t, file)).CombinedOutput()
	return string(out), err == nil && strings.Contains(string(out), "is a valid PDF/A-1b file")
}

// TestPreflightSeesFaults shows that the validator looks at what the writer takes care of.
func TestPreflightSeesFaults(t *testing.T) {
	file := build(t, exampleMeta(), 1, fixture(t, "letter-fine-g4.tiff")[0], SlipPage{Heading: "x"})
	for _, c := range []struct{ name, part, fault, verdict string }{
		{"no output intent", "/OutputIntents[", "/NoneAtAllxxxx[", "DestOutputProfile is missing"},
		{"another title", "&lt;2 pages", "&lt;3 pages", "Title present in the document"},
		{"another width", "/W[0[", "/W[9[", "width"},
	} {
		broken := bytes.Replace(file, []byte(c.part), []byte(c.fault), 1)
		if bytes.Equal(file, broken) {
			t.Fatalf("%s: nothing was broken", c.name)
		}
		if verdict, valid := preflight(t, broken); valid || !strings.Contains(verdict, c.verdict) {
			t.Errorf("%s: got %s", c.name, verdict)
		}
	}
}

func TestMetadataIsReadEqual(t *testing.T) {
	path := save(t, build(t, exampleMeta(), 2, SlipPage{Heading: "x"}))
	out := run(t, "poppler-utils", "pdfinfo", "-isodates", path) + run(t, "poppler-utils", "pdfinfo", "-meta", path)
	for _, want := range []string{
		`Title:           Fax (from) +1 555 0100 \ <2 pages> & "more"`, "Author:          Žofie Нова 中 𝔉", "Subject:         session 0123",
		"CreationDate:    2026-11-23T13:05:06Z", `Fax (from) +1 555 0100 \ &lt;2 pages&gt; &amp; &#34;more&#34;</rdf:li>`,
		"<rdf:li>Žofie Нова 中 𝔉</rdf:li>", "<pdfaid:part>2</pdfaid:part>",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

func TestSheetsHaveTheirSize(t *testing.T) {
	sheets := map[string][2]float64{ // millimetres
		"A4": {210, 297}, "letter": {215.9, 279.4}, "legal": {215.9, 355.6}, "B4": {250, 353}, "A3": {297, 420},
		"20 cm": {215.9, 200}, "3 m": {215.9, 3000},
	}
	var pages []any
	var want [][2]float64
	for _, res := range [][2]float64{{204, 98}, {204, 196}, {204, 391}, {300, 300}, {400, 400}} {
		for _, mm := range sheets {
			rows := int(math.Round(mm[1] / 25.4 * res[1]))
			pages = append(pages, ImagePage{Width: int(math.Round(mm[0] / 25.4 * res[0])), Height: rows, XRes: res[0], YRes: res[1], Strip: white(rows)})
			want = append(want, [2]float64{mm[0] / 25.4 * 72, mm[1] / 25.4 * 72})
		}
	}
	pages = append(pages, SlipPage{WidthPoints: 595.28, HeightPoints: 841.89, Heading: "x"})
	want = append(want, [2]float64{595.28, 841.89})
	path := save(t, build(t, Meta{}, 2, pages...))
	out := run(t, "poppler-utils", "pdfinfo", "-l", strconv.Itoa(len(pages)), path)
	got := regexp.MustCompile(`(?m)^Page +\d+ size: +([\d.]+) x ([\d.]+)`).FindAllStringSubmatch(out, -1)
	if len(got) != len(want) {
		t.Fatalf("%d sizes for %d pages:\n%s", len(got), len(want), out)
	}
	for i, m := range got {
		for side := range 2 {
			if v, err := strconv.ParseFloat(m[1+side], 64); err != nil || math.Abs(v/want[i][side]-1) > 0.005 {
				t.Errorf("page %d: %s points, want %.2f within 0.5 %%", i+1, m[1+side], want[i][side])
			}
		}
	}
}

func TestStripsComeBackUnchanged(t *testing.T) {
	var pages []any
	for _, name := range []string{"letter-standard-g4.tiff", "letter-superfine-g4.tiff", "three-pages-fine-g4.tiff"} {
		for _, p := range fixture(t, name) {
			pages = append(pages, p)
		}
	}
	path := save(t, build(t, Meta{}, 2, pages...))
	root := filepath.Join(filepath.Dir(path), "image")
	run(t, "poppler-utils", "pdfimages", "-all", path, root)
	for i, p := range pages {
		got, err := os.ReadFile(fmt.Sprintf("%s-%03d.ccitt", root, i))
		if err != nil || !bytes.Equal(got, p.(ImagePage).Strip) {
			t.Errorf("page %d: %d bytes, want the strip's %d unchanged (%v)", i+1, len(got), len(p.(ImagePage).Strip), err)
		}
	}
	list := strings.Split(strings.TrimSpace(run(t, "poppler-utils", "pdfimages", "-list", path)), "\n")
	for i, res := range [][2]string{{"204", "98"}, {"204", "391"}, {"204", "196"}} {
		if f := strings.Fields(list[2+i]); !slices.Equal(f[12:14], res[:]) {
			t.Errorf("page %d: %s pixels per inch, want %s", i+1, f[12:14], res)
		}
	}
}

// TestPagesLookTheSame compares what poppler draws of the PDF, pixel for pixel, with what libtiff reads from the TIFF.
func TestPagesLookTheSame(t *testing.T) {
	for _, name := range []string{"letter-standard-g4.tiff", "letter-fine-g4.tiff", "letter-superfine-g4.tiff", "legal-fine-g4.tiff"} {
		page := fixture(t, name)[0]
		path := save(t, build(t, Meta{}, 2, page))
		drawn := strings.TrimSuffix(path, ".pdf")
		run(t, "poppler-utils", "pdftoppm", "-mono", "-singlefile", "-rx", fmt.Sprint(page.XRes), "-ry", fmt.Sprint(page.YRes), path, drawn)
		got, err := os.ReadFile(drawn + ".pbm")
		if err != nil {
			t.Fatal(err)
		}
		want := run(t, "netpbm", "tifftopnm", "-quiet", filepath.Join("..", "..", "testdata", name))
		if !bytes.Equal(raster(got), raster([]byte(want))) {
			t.Errorf("%s: the pixels differ", name)
		}
	}
}

// raster drops a raw PBM's header: P4, an optional comment, and the size.
func raster(pbm []byte) []byte {
	return pbm[len(regexp.MustCompile(`^P4\s(#[^\n]*\n)?\s*\d+\s+\d+\s`).Find(pbm)):]
}

func TestSlipWordsAreRead(t *testing.T) {
	for _, c := range []struct {
		name  string
		slip  SlipPage
		words []string
	}{
		{
			"letter",
			SlipPage{Heading: "Page 3 of 12 is missing", Lines: []string{"fax from +1 555 0100", "HTTP 404 until 14:05"}},
			[]string{"Page 3 of 12 is missing", "fax from +1 555 0100", "HTTP 404 until 14:05"},
		},
		{
			"alphabets",
			SlipPage{Heading: "Žluťoučký", Lines: []string{"Größe ½ € “œuvre”", "Ωραία Быстро"}},
			[]string{"Žluťoučký", "Größe ½ € “œuvre”", "Ωραία Быстро"},
		},
		{
			"replaced",
			SlipPage{Heading: "from 東京", Lines: []string{"bad \xff byte, bell \a!", "שלום 😀"}},
			[]string{"from □□", "bad � byte, bell !", "□"},
		},
		{
			"short sheet",
			SlipPage{WidthPoints: 610, HeightPoints: 40, Heading: "Page 3 is missing", Lines: []string{"first", "second", "third", "last"}},
			[]string{"Page 3 is missing", "first", "last"},
		},
		{"long line", SlipPage{Lines: []string{strings.Repeat("never cut ", 200) + "end"}}, []string{"end"}},
		{"long word", SlipPage{WidthPoints: 200, HeightPoints: 300, Lines: []string{strings.Repeat("0123456789", 30) + "E"}}, []string{"E"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := save(t, build(t, Meta{}, 2, c.slip))
			out := run(t, "poppler-utils", "pdftotext", "-layout", path, "-")
			for _, want := range c.words {
				if !strings.Contains(out, want) {
					t.Errorf("no %q in\n%s", want, out)
				}
			}
			insideSheet(t, path, c.slip)
		})
	}
}

// insideSheet fails when a word's box, as poppler sees it, reaches past the sheet.
func insideSheet(t *testing.T, path string, s SlipPage) {
	t.Helper()
	width, height := s.WidthPoints, s.HeightPoints
	if width == 0 {
		width, height = letterWidth, letterHeight
	}
	words := regexp.MustCompile(`<word xMin="([^"]*)" yMin="([^"]*)" xMax="([^"]*)" yMax="([^"]*)"`).
		FindAllStringSubmatch(run(t, "poppler-utils", "pdftotext", "-bbox", path, "-"), -1)
	if len(words) == 0 {
		t.Error("no words")
	}
	for _, m := range words {
		var box [4]float64
		for i := range box {
			box[i], _ = strconv.ParseFloat(m[i+1], 64)
		}
		if box[0] < 0 || box[1] < 0 || box[2] > width || box[3] > height {
			t.Errorf("text at %v on a sheet of %g by %g points", box, width, height)
		}
	}
}
