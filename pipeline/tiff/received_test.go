package tiff_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/faxstream/faxstream/pipeline/tiff"
)

func TestWhatTheReceiverSaysOfItsRowsIsRead(t *testing.T) {
	p := textPage(1728, 30)
	for _, c := range []struct {
		fields []field
		want   tiff.Received
		bad    bool
		warned string
	}{
		{nil, tiff.Received{CleanFaxData: -1}, false, ""},
		{[]field{{326, 4, 1, 0}, {327, 3, 1, 0}, {328, 3, 1, 0}}, tiff.Received{Told: true}, false, ""},
		{
			[]field{{326, 3, 1, 12}, {327, 3, 1, 1}, {328, 4, 1, 3}},
			tiff.Received{Told: true, BadRows: 12, Consecutive: 3, CleanFaxData: 1},
			true,
			"the receiver reports 12 bad rows, up to 3 in a row, which it made anew",
		},
		{[]field{{327, 3, 1, 2}}, tiff.Received{Told: true, CleanFaxData: 2}, true, "still bad"},
		{[]field{{326, 4, 1, 7}}, tiff.Received{Told: true, BadRows: 7, CleanFaxData: -1}, true, "7 bad rows"},
	} {
		d := decodeAll(t, onePage(4, 1728, 30, g4(p), c.fields...))[0]
		if d.Received != c.want || d.Received.Bad() != c.bad || len(d.BadRows) > 0 {
			t.Errorf("%+v, bad %t, our own count %v; want %+v", d.Received, d.Received.Bad(), d.BadRows, c.want)
		}
		if c.warned != "" {
			wantWarning(t, d, c.warned)
		} else if strings.Contains(strings.Join(d.Warnings, " "), "receiver") {
			t.Errorf("warnings %q", d.Warnings)
		}
	}
}

// What the writer says of a page's rows is what a reader finds.
func TestReceivedRowsAreWrittenAgain(t *testing.T) {
	p := textPage(1728, 30)
	var buf bytes.Buffer
	w := tiff.NewWriter(&buf)
	m := meta(p, 1, 1)
	m.BadFaxLines, m.ConsecutiveBadFaxLines, m.CleanFaxData = 9, 4, 2
	if _, err := w.AddPage(m, tiff.G4Strip(g4(p))); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	want := tiff.Received{Told: true, BadRows: 9, Consecutive: 4, CleanFaxData: 2}
	if d := decodeAll(t, buf.Bytes())[0]; d.Received != want {
		t.Errorf("%+v, want %+v", d.Received, want)
	}
}
