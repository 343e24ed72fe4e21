package document_test

import (
	"bytes"
	"testing"

	"github.com/faxstream/faxstream/pipeline/ccitt"
	"github.com/faxstream/faxstream/pipeline/pipelinetest"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// The strip in the documents is the one whose hash the manifest has, also if the file of the page says the wrong order of bits or another
// end of the strip.
func TestTheStripOfADocumentHasItsHash(t *testing.T) {
	honest := pipelinetest.Testdata(t, "a4-fine-g4.tiff")
	turned := bytes.Clone(honest)
	strip := stripOf(t, turned)
	copy(strip, ccitt.ReverseBits(bytes.Clone(strip)))
	for name, data := range map[string][]byte{"honest": honest, "turned": turned} {
		for end, change := range map[string]int{"as it is": 0, "one byte before": -1, "one byte behind": 1} {
			wb := pipelinetest.NewWorkbench(t, pipelinetest.LocalArchive(t))
			wb.Page("fax", 1, data)
			f := wb.Facts["fax"][1]
			if f.CleanStrip == nil {
				t.Fatalf("%s: nothing to copy", name)
			}
			f.CleanStrip = &session.Strip{Size: f.CleanStrip.Size + change, SHA256: f.CleanStrip.SHA256}
			wb.Facts["fax"][1] = f
			m := wb.Assemble(wb.Order("fax", nil))
			p, want := m.Pages[0], stripOf(t, honest)
			for _, place := range []struct {
				o  session.Object
				at int64
			}{{*m.TIFF, p.TIFFOffset}, {m.PDF, p.PDFOffset}} {
				got := wb.Read(place.o.Key)[place.at:][:p.StripSize]
				if pipelinetest.SHA(got) != p.StripSHA256 || !bytes.Equal(got, want[:min(p.StripSize, len(want))]) {
					t.Errorf("%s, its end %s: %s has another strip than the page, or than the manifest says", name, end, place.o.Key)
				}
			}
		}
	}
}

// stripOf returns the bytes of the only strip of a file.
func stripOf(t *testing.T, data []byte) []byte {
	t.Helper()
	file, err := tiff.Parse(data, tiff.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	im, err := file.Page(0)
	if err != nil {
		t.Fatal(err)
	}
	m, err := im.Decode(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(data, m.CleanG4)
	if at < 0 {
		t.Fatal("the page has no strip that can be copied")
	}
	return data[at:][:len(m.CleanG4)]
}

// The strip of a page that was cut from the whole file is copied, although the file is in Group 3: the documents are those that decoding
// and encoding gives.
func TestACutPageIsCopied(t *testing.T) {
	var documents [2][2]string
	for i := range documents {
		wb := pipelinetest.NewWorkbench(t, pipelinetest.LocalArchive(t))
		if lost := wb.Cut("fax", pipelinetest.Testdata(t, "three-pages-fine-g3-2d-fill-lsb.tiff")); len(lost) > 0 {
			t.Fatalf("lost: %v", lost)
		}
		for page, f := range wb.Facts["fax"] {
			if f.CleanStrip == nil {
				t.Errorf("page %d: nothing to copy", page)
			}
			if i == 1 {
				f.CleanStrip = nil
				wb.Facts["fax"][page] = f
			}
		}
		m := wb.Assemble(wb.Order("fax", nil))
		documents[i] = [2]string{m.TIFF.SHA256, m.PDF.SHA256}
	}
	if documents[0] != documents[1] {
		t.Errorf("documents by copying %v, by decoding %v", documents[0], documents[1])
	}
}
