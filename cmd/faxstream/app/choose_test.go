package app

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/raster"
	"github.com/faxstream/faxstream/pipeline/session"
)

// complement is the file of a page with black and white exchanged.
func complement(t *testing.T, page []byte) []byte {
	t.Helper()
	p := apptest.DecodePage(t, apptest.Parse(t, page), 0)
	if p.Width%8 != 0 {
		t.Fatalf("a page of %d pixels has padding", p.Width)
	}
	for i := range p.Pix {
		p.Pix[i] = ^p.Pix[i]
	}
	return apptest.FileOf(t, p)
}

// blank is a white page of the size of another.
func blank(t *testing.T, page []byte) []byte {
	t.Helper()
	p := apptest.DecodePage(t, apptest.Parse(t, page), 0)
	white := raster.New(p.Width, p.Height)
	white.XRes, white.YRes = p.XRes, p.YRes
	return apptest.FileOf(t, white)
}

// comparing compares every page with the whole file.
func comparing() session.Policy {
	policy := apptest.ImpatientPolicy()
	policy.Reconcile, policy.Grace = session.ReconcileAll, apptest.Patience
	return policy
}

// disputed takes in a fax whose page 2 is streamed otherwise than it is in the whole file, and waits until that is seen.
func (r *rig) disputed(t *testing.T, id string, second []byte) session.State {
	t.Helper()
	whole := apptest.Fixture(t, "three-pages-fine-g4")
	pages := apptest.Split(t, whole)
	f := faxplustest.Fax{Session: id, Streamed: true, Pages: [][]byte{pages[0], second, pages[2]}, Whole: whole}
	r.Sim.Add(f)
	for _, b := range apptest.Bodies(f, "http://x") {
		r.Record(t, b)
	}
	return r.Await(t, id, func(s session.State) bool {
		return s.Revision() == 1 && s.Verification() == session.VerificationDiffers && !s.WholeOpen
	})
}

// choose orders a choice for page 2, and waits until a revision follows it.
func (r *rig) choose(t *testing.T, id, image string, revision int) session.State {
	t.Helper()
	a := session.Action{Kind: session.ActionChosen, By: "ada", Why: "I looked at both", Session: id, Page: 2, Image: image}
	if _, err := r.Bus.Act(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	return r.Await(t, id, func(s session.State) bool { return s.Revision() == revision })
}

// choices gives the letters that wait for a choice.
func (r *rig) choices(t *testing.T) []bus.Letter {
	t.Helper()
	all, _, err := r.Bus.Letters(t.Context(), bus.LetterFilter{Stage: session.StageChoice}, 100)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// checkChosen wants a document whose page 2 has these pixels, and which says who chose them.
func (r *rig) checkChosen(t *testing.T, s session.State, image string, want []byte) {
	t.Helper()
	if s.Verification() != session.VerificationChosen || s.Status() != session.StatusComplete || len(s.Disputed()) > 0 {
		t.Errorf("after the choice the fax is %s, its verification %s, and %v are in dispute", s.Status(), s.Verification(), s.Disputed())
	}
	document := apptest.Parse(t, r.object(t, s.Document.TIFF.Key))
	if got, want := apptest.PixelsOfPage(t, document, 1), apptest.PixelsOf(t, want); document.NumPages() != 3 || got != want {
		t.Errorf("page 2 of revision %d is %s, want %s", s.Revision(), got, want)
	}
	var m archive.Manifest
	if err := json.Unmarshal(r.object(t, s.Document.Manifest.Key), &m); err != nil {
		t.Fatal(err)
	}
	if len(m.Choices) != 1 || m.Verification != session.VerificationChosen || m.Verified {
		t.Fatalf("the manifest says %s, verified %t, choices %+v", m.Verification, m.Verified, m.Choices)
	}
	if c := m.Choices[0]; c.Page != 2 || c.Image != image || c.By != "ada" || c.Why != "I looked at both" || c.At.IsZero() ||
		c.Report.Key == "" {
		t.Errorf("the manifest has the choice %+v", c)
	}
}

// A page that differs from the whole file waits for a person, by name of what differs; what the person chooses is in the next revision.
func TestAPersonChoosesBetweenTwoImages(t *testing.T) {
	whole := apptest.Fixture(t, "three-pages-fine-g4")
	second := apptest.Split(t, whole)[1]
	for _, c := range []struct {
		name, difference, words, image string
		streamed                       []byte
	}{
		{"black for white, the file", "inverted", "black and white exchanged", session.ImageFile, complement(t, second)},
		{"blank, the file", "blank_against_ink", "one of them is blank", session.ImageFile, blank(t, second)},
		{"another page, the streamed one", "different", "other pixels", session.ImageStreamed, apptest.Split(t, whole)[0]},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.Start(t, r.Bus, r.Store, comparing(), apptest.ImpatientRetry())
			s := r.disputed(t, "fax", c.streamed)
			if s.Difference(2) != c.difference || s.Disputed().Text() != "page 2" {
				t.Errorf("%s differs as %q, want page 2 as %q", s.Disputed().Text(), s.Difference(2), c.difference)
			}
			apptest.Await(t, "a letter", func() bool { return len(r.choices(t)) > 0 })
			if l := r.choices(t); len(l) != 1 || l[0].Page != 2 || !strings.Contains(l[0].Detail, c.words) ||
				!strings.Contains(l[0].Detail, "faxstream choose fax --page 2") {
				t.Errorf("the letters are %+v", l)
			}
			chosen := second
			if c.image == session.ImageStreamed {
				chosen = c.streamed
			}
			r.checkChosen(t, r.choose(t, "fax", c.image, 2), c.image, chosen)
			apptest.Await(t, "the letter is resolved", func() bool { return len(r.choices(t)) == 0 })
			if found := check(t, archived(t, r), "test"); len(kinds(found)) > 0 {
				t.Errorf("faults: %+v", found)
			}
		})
	}
}

// JetStream is lost: the archive still knows what differs and what was chosen, and a person can still choose, and change a choice.
func TestDisputesAndChoicesAreRebuilt(t *testing.T) {
	second := apptest.Split(t, apptest.Fixture(t, "three-pages-fine-g4"))[1]
	black := complement(t, second)
	for _, rebuild := range []bool{true, false} {
		t.Run(map[bool]string{true: "by rebuild", false: "by the next event"}[rebuild], func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.Start(t, r.Bus, r.Store, comparing(), apptest.ImpatientRetry())
			r.disputed(t, "open", black)
			r.disputed(t, "decided", black)
			before := r.choose(t, "decided", session.ImageFile, 2)
			r.loseJetStream(t)
			if rebuild {
				r.rebuild(t)
				for id, want := range map[string]string{"open": session.VerificationDiffers, "decided": session.VerificationChosen} {
					s, _, err := r.Bus.Load(t.Context(), id)
					if err != nil || s.Verification() != want || s.Difference(2) != "inverted" || s.Ordered != s.Revision() {
						t.Errorf("%s is rebuilt as %s, page 2 %q: %+v, %v", id, s.Verification(), s.Difference(2), s, err)
					}
				}
				r.rebuild(t)
				if l := r.choices(t); len(l) != 1 || l[0].Session != "open" || l[0].Page != 2 {
					t.Errorf("after two rebuilds there are the letters %+v, want one of the page that waits for a choice", l)
				}
				s, _, err := r.Bus.Load(t.Context(), "decided")
				if err != nil || len(s.Choices) != 1 || s.Choices[0] != before.Choices[0] {
					t.Errorf("the choices are %+v, want %+v", s.Choices, before.Choices)
				}
			}
			r.Start(t, r.Bus, r.Store, comparing(), apptest.ImpatientRetry())
			r.checkChosen(t, r.choose(t, "open", session.ImageFile, 2), session.ImageFile, second)
			r.checkChosen(t, r.choose(t, "decided", session.ImageStreamed, 3), session.ImageStreamed, black)
			r.checkChosen(t, r.choose(t, "decided", session.ImageFile, 4), session.ImageFile, second)
			apptest.Await(t, "no letter", func() bool { return len(r.choices(t)) == 0 })
			if found := check(t, archived(t, r), "test"); len(kinds(found)) > 0 {
				t.Errorf("faults: %+v", found)
			}
		})
	}
}
