// Package matrix_test is no part of the product: it sets other people's writers and readers of fax pages against ours. Every writer in
// TestWriters writes a known page, which our decoder must give back; TestReaders shows documents that we write to every reader. Tools
// are Debian packages (PACKAGES in the Makefile); pdf.js comes from npm, pinned in testdata/matrix.
package matrix_test

import (
	"context"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/faxstream/faxstream/pipeline/tiff"
)

// need skips the test for want of a program; in CI it fails.
func need(t *testing.T, program, debian string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		missing(t, program, debian)
	}
}

func missing(t *testing.T, what, debian string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing: apt-get install %s", what, debian)
	}
	t.Skipf("%s is missing: apt-get install %s", what, debian)
}

// shell runs a command line in dir, with the environment variable M naming testdata/matrix, and returns what it prints.
func shell(t *testing.T, dir, line string) string {
	t.Helper()
	cmd := exec.Command("sh", "-euc", line)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "M="+matrixFiles(t), "LC_ALL=C", "HOME="+dir)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%.2000s%.2000s", line, err, out, stderr.String())
	}
	return string(out)
}

func matrixFiles(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../../testdata/matrix")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// javaClasses compiles testdata/matrix/Pages.java against Debian's PDFBox and returns where the classes are. Without a compiler it does
// not, and needJava skips or fails.
func javaClasses(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if _, err := exec.LookPath("ecj"); err == nil {
		shell(t, dir, `ecj -17 -nowarn -proc:none -cp /usr/share/java/pdfbox2.jar -d . "$M/Pages.java"`)
	}
	return dir
}

func needJava(t *testing.T) {
	t.Helper()
	need(t, "ecj", "ecj")
	need(t, "java", "default-jre-headless")
}

// decoded is what our decoder makes of a page of a file.
func decoded(t *testing.T, path string) []*tiff.Decoded {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := tiff.Parse(data, tiff.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Check(); err != nil {
		t.Error(err)
	}
	var pages []*tiff.Decoded
	for i := range f.NumPages() {
		im, err := f.Page(i)
		if err != nil {
			t.Fatal(err)
		}
		d, err := im.Decode(context.Background())
		if err != nil {
			t.Fatalf("page %d: %v", i+1, err)
		}
		pages = append(pages, d)
	}
	return pages
}

// near tells whether two sizes agree to 0.5 %.
func near(a, b float64) bool { return math.Abs(a-b) <= b/200 }
