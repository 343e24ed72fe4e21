package text

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// What Tesseract writes of one page is the same in every format that it has.
func TestTesseractsFormats(t *testing.T) {
	if _, err := exec.LookPath("tesseract"); err != nil {
		const help = "tesseract is missing: apt-get install tesseract-ocr"
		if os.Getenv("CI") == "true" {
			t.Fatal(help)
		}
		t.Skip(help)
	}
	page, base := filepath.Join("..", "..", "testdata", "letter-fine-g4.tiff"), filepath.Join(t.TempDir(), "page")
	cmd := exec.Command("tesseract", page, base, "--psm", "6", "txt", "tsv", "hocr", "alto")
	cmd.Env = append(os.Environ(), "OMP_THREAD_LIMIT=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
	all := map[string][]Word{}
	for format, ending := range map[string]string{Plain: ".txt", TSV: ".tsv", HOCR: ".hocr", ALTO: ".xml"} {
		data, err := os.ReadFile(base + ending)
		if err != nil {
			t.Fatal(err)
		}
		if all[format], err = Parse(format, data); err != nil {
			t.Fatal(err)
		}
	}
	want := all[TSV]
	if len(want) < 20 {
		t.Fatalf("the page has %d words: %s", len(want), brief(want))
	}
	for format, words := range all {
		if len(words) != len(want) {
			t.Errorf("%s has %d words, the table %d", format, len(words), len(want))
			continue
		}
		for i, w := range words {
			same := w.Text == want[i].Text && w.Line == want[i].Line
			if format != Plain { // which has no boxes
				same = same && *w.Box == *want[i].Box && w.Confidence != nil
			}
			if format == HOCR { // its blocks are those of the table; those of ALTO are paragraphs
				same = same && w.Block == want[i].Block
			}
			if !same {
				t.Errorf("%s says\n%sand the table\n%s", format, brief(words[i:i+1]), brief(want[i:i+1]))
				break
			}
		}
	}
}
