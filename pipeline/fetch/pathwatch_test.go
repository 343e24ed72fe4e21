package fetch

import (
	"fmt"
	"testing"
)

// A wrong path of pages is suspected after twenty faxes of which no page came, not because some pages are slow.
func TestAWrongPagePathIsSuspected(t *testing.T) {
	var told []error
	p := newPathWatch(func(err error) { told = append(told, err) })
	fail := func(first, faxes, tries int) {
		for i := range faxes {
			for n := 1; n <= tries; n++ {
				p.notThere(fmt.Sprint("s", first+i), n)
			}
		}
	}
	fail(0, 100, patientTries-1) // pages that are there at the third try
	fail(0, suspicious-1, 9)
	p.arrived()
	fail(0, suspicious-1, 9)
	if len(told) != 0 {
		t.Fatalf("warned too early: %v", told)
	}
	fail(suspicious, 3, 9)
	if len(told) != 1 || told[0] == nil {
		t.Fatalf("told %v after %d faxes without a page, want one warning", told, suspicious)
	}
	p.arrived()
	p.arrived()
	if len(told) != 2 || told[1] != nil {
		t.Fatalf("told %v, want the end of the warning, once", told)
	}
}
