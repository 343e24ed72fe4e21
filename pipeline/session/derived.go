package session

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// MaxDerived is how many derived documents a revision may have.
const MaxDerived = 200

// Derivation says what a derived document has: pages of one revision in their order, some of them turned.
type Derivation struct {
	Revision int    `json:"revision"`           // from 1
	Pages    Ranges `json:"pages"`              // at least one
	Right    Ranges `json:"turn_90,omitempty"`  // of them: turned by 90 degrees, clockwise
	Over     Ranges `json:"turn_180,omitempty"` // by 180 degrees
	Left     Ranges `json:"turn_270,omitempty"` // by 270 degrees
}

// Check returns an error that says what is wrong with a derivation, and what is allowed.
func (d Derivation) Check() error {
	turned := d.Right.Union(d.Over).Union(d.Left)
	switch {
	case d.Revision < 1:
		return fmt.Errorf("revision %d: want 1 or more", d.Revision)
	case len(d.Pages) == 0:
		return errors.New("it has no page: name at least one")
	case turned.Len() < d.Right.Len()+d.Over.Len()+d.Left.Len():
		return errors.New("a page is turned twice: name it once")
	case len(turned.Minus(d.Pages)) > 0:
		return fmt.Errorf("%s to turn: not among the pages of the document", turned.Minus(d.Pages).Text())
	}
	return nil
}

// Turn returns by how many degrees a page is turned, clockwise: 0, 90, 180 or 270.
func (d Derivation) Turn(page int) int {
	return 90 * (1 + slices.IndexFunc([]Ranges{d.Right, d.Over, d.Left}, func(r Ranges) bool { return r.Has(page) }))
}

// Same reports whether two derivations give the same document.
func (d Derivation) Same(o Derivation) bool {
	return d.Revision == o.Revision && slices.Equal(d.Pages, o.Pages) && slices.Equal(d.Right, o.Right) &&
		slices.Equal(d.Over, o.Over) && slices.Equal(d.Left, o.Left)
}

// maxText bounds Text, bytes: every second page of a long fax has thousands of numbers.
const maxText = 500

// Text says for people what the document has: "pages 1-3 (page 2 turned right)", or "1423 pages (20 turned)" if there is too much to say.
func (d Derivation) Text() string {
	if text := d.text(); len(text) <= maxText {
		return text
	}
	turned := d.Right.Len() + d.Over.Len() + d.Left.Len()
	if turned == 0 {
		return fmt.Sprintf("%d pages", d.Pages.Len())
	}
	return fmt.Sprintf("%d pages (%d turned)", d.Pages.Len(), turned)
}

func (d Derivation) text() string {
	var turns []string
	for i, pages := range []Ranges{d.Right, d.Over, d.Left} {
		if len(pages) > 0 {
			turns = append(turns, pages.Text()+" turned "+[]string{"right", "over", "left"}[i])
		}
	}
	if len(turns) == 0 {
		return d.Pages.Text()
	}
	return d.Pages.Text() + " (" + strings.Join(turns, ", ") + ")"
}

// DocDerived means: a document with chosen pages of a revision is in the archive. There is no new revision.
type DocDerived struct {
	Session string    `json:"session"`
	ToToken string    `json:"to_token"`
	TIFF    Object    `json:"derived_tiff"`
	PDF     Object    `json:"derived_pdf"`
	Record  Object    `json:"record"` // which pages it has, and who ordered it
	At      time.Time `json:"at"`     // when it was ordered, UTC
	Derivation
}

func (f DocDerived) Subject() string {
	return fmt.Sprintf("%s.%s.%s.%d.%.16s", TypeDocDerived, f.ToToken, f.Session, f.Revision, f.Record.SHA256)
}

func (f DocDerived) ID() string {
	return fmt.Sprintf("doc.derived/%s/%d/%.16s", f.Session, f.Revision, f.Record.SHA256)
}
func (f DocDerived) Type() string      { return TypeDocDerived }
func (f DocDerived) SessionID() string { return f.Session }
func (f DocDerived) Time() time.Time   { return f.At }

// Same is always true: the hash of the record is in the subject.
func (f DocDerived) Same([]byte) bool { return true }

// Derived is a derived document, and who ordered it.
type Derived struct {
	DocDerived
	By    string
	Asked string // the name of the order; a token
}

// ManifestPages are the pages that a manifest lists.
type ManifestPages struct {
	Usable, Missing Ranges
	Blank           Ranges // of the usable ones: without ink
}
