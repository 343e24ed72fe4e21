package faxgen

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// An order gives the same faxes again, in every coding, and their pages can be read.
func TestAnOrderGivesTheSameFaxes(t *testing.T) {
	codings := []string{"", "g3-2d", "g3-1d", "g4", "colour"}
	if testing.Short() {
		codings = codings[:1]
	}
	for _, coding := range codings {
		o := Order{Count: 1, Seed: 5, Coding: coding, Faults: []faxplustest.Fault{faxplustest.AllFaults()[0]}}
		first, err := o.Faxes()
		if err != nil {
			t.Fatal(err)
		}
		second, err := o.Faxes()
		if err != nil {
			t.Fatal(err)
		}
		a, b := first[0], second[0]
		if a.Session != b.Session || a.From != b.From || !bytes.Equal(a.Whole, b.Whole) || !slices.EqualFunc(a.Pages, b.Pages, bytes.Equal) {
			t.Errorf("%q: a second fax is another one", coding)
		}
		if !slices.Equal(a.Faults, o.Faults) || a.StartTime.IsZero() {
			t.Errorf("%q: faults %v, start %v", coding, a.Faults, a.StartTime)
		}
		f, err := tiff.Parse(a.Whole, tiff.Limits{})
		if err != nil || f.NumPages() != len(a.Pages) {
			t.Fatalf("%q: the whole file cannot be read, or has not the %d pages: %v", coding, len(a.Pages), err)
		}
		im, err := f.Page(0)
		if err != nil {
			t.Fatal(err)
		}
		if d, err := im.Decode(t.Context()); err != nil || d.Raster.BlackPixels() == 0 || (d.Tones != nil) != (coding == "colour") {
			t.Errorf("%q: the first page is %+v, %v", coding, d, err)
		}
	}
}

func TestFilesAreThePagesOfOneFax(t *testing.T) {
	dir := t.TempDir()
	first, second, large := filepath.Join(dir, "a b.tiff"), filepath.Join(dir, "2.tiff"), filepath.Join(dir, "large.tiff")
	for file, text := range map[string]string{first: "one", second: "two", large: ""} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	faxes, err := Order{Files: []string{first, second}}.Faxes()
	if err != nil || len(faxes) != 1 || len(faxes[0].Pages) != 2 || string(faxes[0].Pages[1]) != "two" || faxes[0].Whole != nil {
		t.Errorf("faxes %+v, %v", faxes, err)
	}
	if err := os.Truncate(large, maxGivenFile+1); err != nil {
		t.Fatal(err)
	}
	if _, err := (Order{Files: []string{first, large}}).Faxes(); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a file that is too large: %v", err)
	}
}
