package pdf

import (
	"bytes"
	"errors"
	"fmt"
	"image/color"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
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
	many := make([]any, kidsPerNode+10)
	for i := range many {
		many[i] = ImagePage{Width: 1728, Height: 20 + i, Strip: white(20 + i)}
	}
	words := fixture(t, "letter-fine-g4.tiff")[0]
	words.Words = someWords
	return map[string][]any{
		"plain": {fixture(t, "letter-fine-g4.tiff")[0]},
		"slip":  {slip},
		"words": {words, ImagePage{Width: 1728, Height: 20, Strip: white(20)}, slip},
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
	path := save(t, build(t, Meta{}, pages[0], pages[1]))
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

// Each judge sees every document.
func TestJudgesAcceptDocuments(t *testing.T) {
	asPart1 := t.TempDir()
	for name, pages := range documents(t) {
		file := build(t, exampleMeta(), pages...)
		path := save(t, file)
		if out := run(t, "qpdf", "qpdf", "--check", path); !strings.Contains(out, "No syntax or stream encoding errors") {
			t.Errorf("%s: %s", name, out)
		}
		if out := run(t, "poppler-utils", "pdfinfo", path); !strings.Contains(out, fmt.Sprintf("Pages:           %d\n", len(pages))) ||
			strings.Contains(out, "Error") || strings.Contains(out, "Warning") {
			t.Errorf("%s: %s", name, out)
		}
		if err := pdfcpuStrict(file); err != nil {
			t.Errorf("%s: pdfcpu: %v", name, err)
		}
		if err := os.WriteFile(filepath.Join(asPart1, name+".pdf"), part1(t, file), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, verdict := range preflight(t, asPart1) {
		if !strings.Contains(verdict, "is a valid PDF/A-1b file") {
			t.Errorf("%s: %s", name, verdict)
		}
	}
}

// part1 turns a document into PDF/A-1b, for which a free validator exists: these documents differ only in its name.
func part1(t *testing.T, file []byte) []byte {
	t.Helper()
	for _, change := range [][2]string{{"%PDF-1.7", "%PDF-1.4"}, {"<pdfaid:part>2<", "<pdfaid:part>1<"}} {
		file = replaced(t, file, change[0], change[1])
	}
	return file
}

// replaced is file with the first old replaced by something as long, so that every offset stays right.
func replaced(t *testing.T, file []byte, old, by string) []byte {
	t.Helper()
	changed := bytes.Replace(file, []byte(old), []byte(by), 1)
	if bytes.Equal(file, changed) || len(changed) != len(file) {
		t.Fatalf("%q is not replaced by %q", old, by)
	}
	return changed
}

// preflight validates every file of a folder as PDF/A-1b, in one start of Java, and returns what it says of each.
func preflight(t *testing.T, dir string) map[string]string {
	t.Helper()
	var class []string
	for _, jar := range []string{
		"preflight", "pdfbox2", "fontbox2", "xmpbox", "commons-logging", "commons-io", "javax.activation", "jaxb-api",
	} {
		jar = "/usr/share/java/" + jar + ".jar"
		if _, err := os.Stat(jar); err != nil {
			missing(t, jar, "libpdfbox2-java libcommons-logging-java libactivation-java libjaxb-api-java libcommons-io-java")
		}
		class = append(class, jar)
	}
	if _, err := exec.LookPath("java"); err != nil {
		missing(t, "java", "default-jre-headless")
	}
	out, err := exec.Command(
		"java", "-cp", strings.Join(class, ":"), "org.apache.pdfbox.preflight.Validator_A1b", "group", dir,
	).CombinedOutput()
	if err != nil && len(out) == 0 {
		t.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	verdicts := map[string]string{}
	for _, f := range files {
		_, verdict, _ := bytes.Cut(out, []byte(f.Name()+" is "))
		if verdict, _, _ = bytes.Cut(verdict, []byte("The file ")); verdict == nil {
			t.Fatalf("no verdict on %s in\n%s", f.Name(), out)
		}
		verdicts[f.Name()] = "is " + string(verdict)
	}
	return verdicts
}

// TestPreflightSeesFaults shows that the validator looks at what the writer takes care of.
func TestPreflightSeesFaults(t *testing.T) {
	file := part1(t, build(t, exampleMeta(), documents(t)["words"]...))
	faults := map[string][3]string{ // what is broken, how, and what is said of it
		"no output intent": {"/OutputIntents[", "/NoneAtAllxxxx[", "DestOutputProfile is missing"},
		"another title":    {"&lt;2 pages", "&lt;3 pages", "Title present in the document"},
		"another width":    {"/W[0[", "/W[9[", "width"},
	}
	dir := t.TempDir()
	for name, f := range faults {
		if err := os.WriteFile(filepath.Join(dir, name+".pdf"), replaced(t, file, f[0], f[1]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	verdicts := preflight(t, dir)
	for name, f := range faults {
		if verdict := verdicts[name+".pdf"]; strings.Contains(verdict, "is a valid") || !strings.Contains(verdict, f[2]) {
			t.Errorf("%s: got %s", name, verdict)
		}
	}
}

func TestMetadataIsReadEqual(t *testing.T) {
	path := save(t, build(t, exampleMeta(), SlipPage{Heading: "x"}))
	out := run(t, "poppler-utils", "pdfinfo", "-isodates", path) + run(t, "poppler-utils", "pdfinfo", "-meta", path)
	for _, want := range []string{
		`Title:           Fax [from] +1 555 0100 / <2 pages> & "more"`, "Author:          Žofie Нова 中 𝔉",
		"Subject:         session 0123",
		"CreationDate:    2026-11-23T13:05:06Z", `Fax [from] +1 555 0100 / &lt;2 pages&gt; &amp; &#34;more&#34;</rdf:li>`,
		"<rdf:li>Žofie Нова 中 𝔉</rdf:li>", "<pdfaid:part>2</pdfaid:part>",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
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
			path := save(t, build(t, Meta{}, c.slip))
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
	words := wordsOf(t, path)
	if len(words) == 0 {
		t.Error("no words")
	}
	for _, w := range words {
		if w.box[0] < 0 || w.box[1] < 0 || w.box[2] > width || w.box[3] > height {
			t.Errorf("text at %v on a sheet of %g by %g points", w.box, width, height)
		}
	}
}
