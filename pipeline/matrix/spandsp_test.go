package matrix_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/faxstream/faxstream/pipeline/raster"
)

// faxWidths are the widths of A4, B4 and A3 at 204 pixels per inch (T.4, clause 2).
var faxWidths = []int{1728, 2048, 2432}

// faxResolutions are lines per inch: standard, fine and superfine, as RFC 2306 writes them.
var faxResolutions = []float64{98, 196, 391}

// spandspCalls are the options of testdata/spandsp/loopback.c.
var spandspCalls = []string{
	"", "ecm", "mh", "mr v29 store-mh", "ecm mr store-mmr", "ecm mmr", "ecm mmr v27ter store-mh",
	"clicks=6", "clicks=6 mh v29", "clicks=6 ecm mmr",
}

// TestSpandspCalls sends pages through spandsp's own T.30 and line, and reads the file that the called side writes.
func TestSpandspCalls(t *testing.T) {
	if testing.Short() {
		t.Skip("many calls: runs without -short")
	}
	need(t, "gcc", "gcc")
	need(t, "tiffcp", "libtiff-tools")
	if _, err := os.Stat("/usr/include/spandsp/t30.h"); err != nil {
		missing(t, "spandsp/t30.h", "libspandsp-dev")
	}
	bin := t.TempDir()
	shell(t, bin, "gcc -O2 -Wall -Wextra -Werror -o loopback $M/../spandsp/loopback.c -lspandsp -ltiff -lm")
	for _, width := range faxWidths {
		for _, lines := range faxResolutions {
			for _, call := range spandspCalls {
				t.Run(fmt.Sprintf("%d wide, %g lines per inch, %s", width, lines, call), func(t *testing.T) {
					t.Parallel()
					spandspCall(t, filepath.Join(bin, "loopback"), call, width, lines)
				})
			}
		}
	}
}

func spandspCall(t *testing.T, loopback, call string, width int, lines float64) {
	t.Helper()
	dir := t.TempDir()
	sent := []*raster.Page{newSheet(width, 392, 204, lines), newSheet(width, 98, 204, lines)}
	save(t, dir, "sent.tif", document(t, sent, nil))
	report := shell(t, dir, loopback+" sent.tif received.tif "+call)
	var pages, ecm, bad, longest int
	if _, err := fmt.Sscanf(report, "pages=%d ecm=%d bad_rows=%d longest=%d", &pages, &ecm, &bad, &longest); err != nil {
		t.Fatalf("%q: %v", report, err)
	}
	noisy := strings.Contains(call, "clicks") && !strings.Contains(call, "ecm")
	if pages != 2 || ecm == 1 != strings.Contains(call, "ecm") || bad > 0 != noisy {
		t.Fatalf("the call is not as asked for: %s", report)
	}
	want := sent
	if noisy { // rows are lost, repeated and torn: what the receiver stored is right
		shell(t, dir, "tiffcp -c none received.tif plain.tif")
		want = nil
		for _, d := range decoded(t, filepath.Join(dir, "plain.tif")) {
			want = append(want, d.Raster)
		}
		if n := rowsKept(want[0], sent[0]); n < 300 {
			t.Fatalf("only %d rows of 392 came through", n)
		}
	}
	got := decoded(t, filepath.Join(dir, "received.tif"))
	if len(got) != 2 {
		t.Fatalf("%d pages, want 2", len(got))
	}
	for i, d := range got {
		if diff := ofPage(d.Raster).differs(ofPage(want[i]), 0); diff != "" {
			t.Errorf("page %d: %s", i+1, diff)
		}
		if len(d.BadRows) > 0 {
			t.Errorf("page %d: bad rows %v, but the receiver coded them anew; warnings %q", i+1, d.BadRows, d.Warnings)
		}
		if !near(d.Raster.XRes, 204) || !near(d.Raster.YRes, lines) {
			t.Errorf("page %d: %g x %g pixels per inch, want 204 x %g", i+1, d.Raster.XRes, d.Raster.YRes, lines)
		}
	}
}

// rowsKept counts the rows of sent that are somewhere in received.
func rowsKept(received, sent *raster.Page) (n int) {
	rows := map[string]bool{}
	for y := range received.Height {
		rows[string(received.Row(y))] = true
	}
	for y := range sent.Height {
		if rows[string(sent.Row(y))] {
			n++
		}
	}
	return n
}
