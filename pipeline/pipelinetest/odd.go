package pipelinetest

import (
	"bytes"
	"crypto/sha256"
	"testing"
	"time"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/intake"
	"github.com/faxstream/faxstream/pipeline/session"
)

// OddDesk returns a Desk with the documents of two faxes: "fax", whose pages were streamed, and "whole", whose pages were cut
// from the whole file.
func OddDesk(t testing.TB) *Desk {
	t.Helper()
	d, order := NewDesk(t)
	if err := Assemble(t.Context(), d.AssemblerOf(t, "v1"), order, time.Now()); err != nil {
		t.Fatal(err)
	}
	wb := NewWorkbench(t, d)
	WholeFile(t, d, "three-pages-fine-g4.tiff")
	wb.Cut("whole", Testdata(t, "three-pages-fine-g4.tiff"))
	wb.Assembler.Builder.Software = "v1"
	wb.Assemble(wb.Order("whole", nil))
	return d
}

// WholeFile archives a file as the whole file of "whole", and returns its key.
func WholeFile(t testing.TB, d *Desk, name string) string {
	t.Helper()
	data := Testdata(t, name)
	sum := sha256.Sum256(data)
	o := intake.Origin{Session: "whole", Source: session.SourceWholeFile}
	obj := archive.NewObject(archive.WholeFileKey("whole", sum), int64(len(data)), sum)
	if _, err := archive.CreateFile(t.Context(), d, bytes.NewReader(data), sum, o.Sidecar(obj, "")); err != nil {
		t.Fatal(err)
	}
	return obj.Key
}
