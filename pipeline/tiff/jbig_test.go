package tiff_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/faxstream/faxstream/pipeline/ccitt"
	"github.com/faxstream/faxstream/pipeline/raster"
)

func TestJBIGDecodesFromWhatLibtiffWrites(t *testing.T) {
	cp := tool(t, "tiffcp", "libtiff-tools")
	p := clipped(textPage(1725, 230))
	in := filepath.Join(t.TempDir(), "in.tiff")
	negative := onePage(4, 1725, 230, g4(p))
	negative[8+2+12*3+8] = 1 // Photometric
	for _, file := range [][]byte{onePage(4, 1725, 230, g4(p)), negative} {
		if err := os.WriteFile(in, file, 0o600); err != nil {
			t.Fatal(err)
		}
		want := decodeAll(t, file)[0].Raster
		for _, args := range [][]string{{}, {"-f", "lsb2msb"}, {"-B", "-f", "msb2lsb"}, {"-8"}} {
			d := decodeAll(t, runTIFF(t, in, cp, append([]string{"-c", "jbig"}, args...)...))[0]
			if d.Raster.SHA256() != want.SHA256() || d.Coding != "jbig" || len(d.BadRows) > 0 || d.RowsFound != 230 {
				t.Errorf("%v: %d x %d, %s, bad rows %v, warnings %q", args, d.Raster.Width, d.Raster.Height, d.Coding, d.BadRows, d.Warnings)
			}
		}
	}
}

// t85 is a page as a fax machine codes it.
func t85(t testing.TB, p *raster.Page, args ...string) []byte {
	t.Helper()
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in.pbm"), filepath.Join(dir, "out.jbg")
	if err := os.WriteFile(in, append(fmt.Appendf(nil, "P4\n%d %d\n", p.Width, p.Height), p.Pix...), 0o600); err != nil {
		t.Fatal(err)
	}
	if msg, err := exec.Command(tool(t, "pbmtojbg85", "jbigkit-bin"), append(args, in, out)...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, msg)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TIFF-FX keeps T.85 as it is sent, in either bit order.
func TestJBIGOfTIFFFXIsRead(t *testing.T) {
	p := textPage(1728, 230)
	data := t85(t, p)
	for name, file := range map[string][]byte{
		"FillOrder 1":              onePage(9, 1728, 230, data),
		"FillOrder 2":              onePage(9, 1728, 230, ccitt.ReverseBits(data), field{266, 3, 1, 2}),
		"FillOrder 2, not turned":  onePage(9, 1728, 230, data, field{266, 3, 1, 2}),
		"34661, not turned":        onePage(34661, 1728, 230, data),
		"no ImageLength":           onePage(9, 1728, 0, data),
		"StripByteCount too small": stripsFile(9, 230, 230, 1728, [][]byte{data}, []uint32{99}),
	} {
		d := decodeAll(t, file)[0]
		if d.Raster.SHA256() != p.SHA256() || len(d.BadRows) > 0 || d.Coding != "jbig" {
			t.Errorf("%s: %d x %d, bad rows %v, warnings %q", name, d.Raster.Width, d.Raster.Height, d.BadRows, d.Warnings)
		}
	}
}

func TestDamagedOrOtherwiseTaggedJBIGKeepsItsRows(t *testing.T) {
	p := textPage(1728, 230)
	data := t85(t, p, "-s", "16")
	d := decodeAll(t, onePage(9, 1728, 230, data[:len(data)/2]))[0]
	if len(d.BadRows) != 1 || d.BadRows[0].Last != 229 || d.BadRows[0].First < 50 {
		t.Errorf("cut: bad rows %v, warnings %q", d.BadRows, d.Warnings)
	}
	for y := range d.BadRows[0].First {
		if string(d.Raster.Row(y)) != string(p.Row(y)) {
			t.Fatalf("cut: row %d differs", y)
		}
	}
	if d = decodeAll(t, onePage(9, 1720, 240, data))[0]; d.Raster.Width != 1720 || fmt.Sprint(d.BadRows) != "[{230 239}]" {
		t.Errorf("other tags: %d x %d, bad rows %v, warnings %q", d.Raster.Width, d.Raster.Height, d.BadRows, d.Warnings)
	}
	wantWarning(t, d, "a JBIG of 1728 pixels a row instead of 1720")
}

// smallJBIG is an image of 37 x 40 pixels from JBIG-KIT's encoder.
var smallJBIG = []byte{
	0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x25, 0x00, 0x00, 0x00, 0x28, 0x00, 0x00, 0x00, 0x02, 0x08, 0x00, 0x03, 0x1c, 0xfa, 0xb5, 0x0f,
	0xcf,
	0xff, 0x02, 0xa9, 0x9b, 0x18, 0xff, 0x02, 0xff, 0x02, 0xca, 0x19, 0x8a, 0xff, 0x02, 0x85, 0xe2, 0xff, 0x02, 0xff, 0x02, 0x37, 0xda, 0xff,
	0x02,
	0x85, 0xc0, 0xff, 0x02, 0xff, 0x02, 0x60, 0x87, 0x38, 0xff, 0x02, 0xd4, 0x98, 0xff, 0x02, 0xff, 0x02, 0x84, 0xde, 0x18, 0xff, 0x02, 0xcf,
	0x68,
	0xff, 0x02, 0xff, 0x02, 0xe1, 0x7b, 0x19, 0xff, 0x02, 0x79, 0xff, 0x02, 0xff, 0x02, 0xed, 0x9b, 0x98, 0xc0, 0xff, 0x02, 0x8b, 0xe0, 0xff,
	0x02,
}
