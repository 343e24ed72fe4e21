package matrix_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/faxstream/faxstream/pipeline/archive"
	room "github.com/faxstream/faxstream/pipeline/document" // document is a helper of this package
	"github.com/faxstream/faxstream/pipeline/intake"
	"github.com/faxstream/faxstream/pipeline/pipelinetest"
	"github.com/faxstream/faxstream/pipeline/session"
)

// TestSpandspSendsTheFaxForm: of a document with a colour and a gray page spandsp sends what is before these, and says that all is well.
// The form for fax machines arrives whole, pixel by pixel.
func TestSpandspSendsTheFaxForm(t *testing.T) {
	if testing.Short() {
		t.Skip("two calls: runs without -short")
	}
	need(t, "gcc", "gcc")
	if _, err := os.Stat("/usr/include/spandsp/t30.h"); err != nil {
		missing(t, "spandsp/t30.h", "libspandsp-dev")
	}
	dir := t.TempDir()
	shell(t, dir, "gcc -O2 -Wall -Wextra -Werror -o loopback $M/../spandsp/loopback.c -lspandsp -ltiff -lm")
	form, original := mixedDocument(t)
	for name, data := range map[string][]byte{"form.tif": form, "document.tif": original} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	call := func(name string) (pages int) {
		report := shell(t, dir, "./loopback "+name+" received-"+name+" ecm mmr")
		if _, err := fmt.Sscanf(report, "pages=%d", &pages); err != nil {
			t.Fatalf("%q: %v", report, err)
		}
		return pages
	}
	if n := call("document.tif"); n != 1 {
		t.Errorf("%d pages of document.tiff arrive, want 1: the form is for senders like this", n)
	}
	if n := call("form.tif"); n != 4 {
		t.Fatalf("%d pages of the form arrive, want 4", n)
	}
	sent, got := decoded(t, filepath.Join(dir, "form.tif")), decoded(t, filepath.Join(dir, "received-form.tif"))
	if len(got) != len(sent) {
		t.Fatalf("%d pages are stored, want %d", len(got), len(sent))
	}
	for i, d := range got {
		if diff := ofPage(d.Raster).differs(ofPage(sent[i].Raster), 0); diff != "" {
			t.Errorf("page %d: %s", i+1, diff)
		}
		if !near(d.Raster.YRes, sent[i].Raster.YRes) {
			t.Errorf("page %d: %g lines per inch, want %g", i+1, d.Raster.YRes, sent[i].Raster.YRes)
		}
	}
}

// mixedDocument is the form and the document.tiff of a fax with a fax page, a colour and a gray scan, and a page in standard resolution.
func mixedDocument(t *testing.T) (form, original []byte) {
	t.Helper()
	wb := pipelinetest.NewWorkbench(t, pipelinetest.LocalArchive(t))
	for i, data := range [][]byte{
		pipelinetest.Testdata(t, "letter-fine-g4.tiff"), pipelinetest.TonesFile(t, 340, 440, 3), pipelinetest.TonesFile(t, 850, 300, 1),
		pipelinetest.Testdata(t, "letter-standard-g4.tiff"),
	} {
		wb.Page("mixed", i+1, data)
	}
	m := wb.Assemble(wb.Order("mixed", nil))
	key := archive.RevisionKey("mixed", 1, "manifest.json")
	forms := room.FaxForms{Archive: wb.Assembler.Archive, Decoder: intake.NewDecoder(1), ScratchDir: t.TempDir()}
	file, _, err := forms.Make(t.Context(), session.Object{Key: key, SHA256: pipelinetest.SHA(wb.Read(key))})
	if err != nil {
		t.Fatal(err)
	}
	form, err = io.ReadAll(file)
	if err = errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
	return form, wb.Read(m.TIFF.Key)
}
