package session

import (
	"slices"
	"strings"
	"testing"
)

func TestADerivationIsChecked(t *testing.T) {
	whole := Derivation{Revision: 1, Pages: Span(1, 5), Right: Span(2, 2), Over: Span(3, 3), Left: Span(4, 5)}
	for _, c := range []struct {
		name   string
		change func(*Derivation)
		want   string // a part of the error; empty: it is right
	}{
		{"all turns", func(*Derivation) {}, ""},
		{"no revision", func(d *Derivation) { d.Revision = 0 }, "revision 0"},
		{"no page", func(d *Derivation) { d.Pages = nil }, "no page"},
		{"turned twice", func(d *Derivation) { d.Left = Span(3, 4) }, "twice"},
		{"turned and not there", func(d *Derivation) { d.Pages = Span(1, 4) }, "page 5 to turn"},
	} {
		d := whole
		c.change(&d)
		if err := d.Check(); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	var turns []int
	for page := range whole.Pages.All() {
		turns = append(turns, whole.Turn(page))
	}
	if want := []int{0, 90, 180, 270, 270}; !slices.Equal(turns, want) {
		t.Errorf("turns %v, want %v", turns, want)
	}
	if text := whole.Text(); text != "pages 1-5 (page 2 turned right, page 3 turned over, pages 4-5 turned left)" {
		t.Error(text)
	}
}

// The text of a long fax is short: it is the title of the document, and in the log.
func TestTheTextOfManyPagesIsShort(t *testing.T) {
	d := Derivation{Revision: 1}
	for page := 1; page < 3000; page += 2 {
		d.Pages = d.Pages.Add(page)
	}
	if text := d.Text(); text != "1500 pages" {
		t.Error(text)
	}
	if d.Right = d.Pages; d.Text() != "1500 pages (1500 turned)" {
		t.Error(d.Text())
	}
}

func TestPagesAsPeopleWriteThem(t *testing.T) {
	for _, c := range []struct {
		text, want string // want "": an error
	}{
		{"1", "page 1"},
		{"1-3, 5", "pages 1-3, 5"},
		{"5,1-2,2-3", "pages 1-3, 5"},
		{" 7 - ", "pages 7-9"},
		{"1-9", "pages 1-9"},
		{"", ""},
		{"0", ""},
		{"10", ""},
		{"3-2", ""},
		{"-3", ""},
		{"1-2-3", ""},
		{"1,,2", ""},
		{"all", ""},
		{"99999999999999999999", ""},
	} {
		r, err := ParseRanges(c.text, 9)
		if (err == nil) != (c.want != "") || err == nil && r.Text() != c.want {
			t.Errorf("%q: %s, %v; want %q", c.text, r.Text(), err, c.want)
		}
	}
}

func FuzzParseRanges(f *testing.F) {
	f.Add("1-3, 5, 7-", 9)
	f.Add("5,1-2,2-3", 10)
	f.Fuzz(func(t *testing.T, text string, last int) {
		r, err := ParseRanges(text, min(last, MaxPages))
		if err != nil {
			return
		}
		again, err := ParseRanges(strings.TrimPrefix(strings.TrimPrefix(r.Text(), "pages "), "page "), last)
		if err != nil || !slices.Equal(r, again) || len(r) == 0 || r[0].First < 1 || r.Max() > last {
			t.Errorf("%q is %v, and again %v, %v", text, r, again, err)
		}
	})
}
