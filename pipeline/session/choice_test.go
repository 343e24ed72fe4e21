package session

import (
	"slices"
	"testing"
	"time"
)

// differing is a comparison by order n that found page 2 of two inverted.
func differing(n int, report string) step {
	return func(h *history) {
		h.feed(Event{Fact: DocVerified{
			Session: testSession, ToToken: testToken, N: n, Revision: 1, Report: Object{Key: report, SHA256: report}, Compared: Span(1, 2),
			Agreed: Span(1, 1), Differing: Span(2, 2), Differences: map[string]Ranges{"inverted": Span(2, 2)},
		}})
	}
}

// chooses is a person's decision about a page.
func chooses(asked string, page int, image string) step {
	return func(h *history) {
		c := Choice{Page: page, Image: image, By: "ada", Why: "looked", At: time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)}
		h.feed(Event{Fact: Again{Session: testSession, Asked: asked, Choice: &c}})
	}
}

// One order for several pages makes one revision; a page that does not differ has nothing to choose.
func TestOneOrderChoosesForSeveralPages(t *testing.T) {
	both := DocVerified{
		Session: testSession, ToToken: testToken, N: 1, Revision: 1, Report: Object{Key: "r", SHA256: "r"}, Compared: Span(1, 3),
		Agreed: Span(3, 3), Differing: Span(1, 2),
	}
	first := Choice{Page: 1, Image: ImageFile, By: "ada", Why: "looked"}
	second, third := first, first
	second.Page, third.Page = 2, 3
	order := Again{Session: testSession, Asked: "a1", Choice: &first, Choices: []Choice{second, third}}
	h := play(t, streaming(), announced(1, 2, 3), archivedPages(1, 2, 3), success(3), assembled(1),
		func(h *history) { h.feed(Event{Fact: both}); h.feed(Event{Fact: order}) })
	if h.err != nil {
		t.Fatal(h.err)
	}
	s := h.state
	if s.Ordered != 2 || len(s.Disputed()) > 0 || s.chosen().Text() != "pages 1-2" || len(lastReady(h).Choices) != 2 {
		t.Errorf("revision %d is ordered, %s are disputed, %s are chosen: want 2, none and both",
			s.Ordered, s.Disputed().Text(), s.chosen().Text())
	}
}

// TestChoices: a difference stands until a person has chosen; each choice makes a revision, which says who chose what.
func TestChoices(t *testing.T) {
	start := []step{announced(1, 2), archivedPages(1, 2), success(2), assembled(1), differing(1, "r1")}
	for _, c := range []struct {
		name         string
		steps        []step
		verification string
		revision     int    // ordered
		disputed     Ranges // nobody has decided
		repaired     Ranges // the file's image counts
	}{
		{"nobody has chosen", nil, VerificationDiffers, 1, Span(2, 2), nil},
		{"the file", []step{chooses("a1", 2, ImageFile)}, VerificationChosen, 2, nil, Span(2, 2)},
		{"the streamed one", []step{chooses("a1", 2, ImageStreamed)}, VerificationChosen, 2, nil, nil},
		{
			"the same again", []step{chooses("a1", 2, ImageFile), assembled(2), chooses("a2", 2, ImageFile)}, VerificationChosen, 2, nil, Span(2, 2),
		},
		{"another mind", []step{chooses("a1", 2, ImageFile), assembled(2), chooses("a2", 2, ImageStreamed)}, VerificationChosen, 3, nil, nil},
		{"a page that does not differ", []step{chooses("a1", 1, ImageFile)}, VerificationDiffers, 1, Span(2, 2), nil},
		{"no such image", []step{chooses("a1", 2, "both")}, VerificationDiffers, 1, Span(2, 2), nil},
		{
			"the same comparison again",
			[]step{chooses("a1", 2, ImageFile), assembled(2), differing(2, "r1")},
			VerificationChosen, 2, nil,
			Span(2, 2),
		},
		{"other images since", []step{chooses("a1", 2, ImageFile), assembled(2), differing(2, "r2")}, VerificationDiffers, 3, Span(2, 2), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := play(t, streaming(), append(slices.Clone(start), c.steps...)...)
			if h.err != nil {
				t.Fatal(h.err)
			}
			s := h.state
			var chosen Ranges
			for _, r := range s.Repairs {
				chosen = chosen.Union(r.Pages)
			}
			if s.Verification() != c.verification || s.Ordered != c.revision {
				t.Errorf("the fax is %s, revision %d is ordered; want %s and %d", s.Verification(), s.Ordered, c.verification, c.revision)
			}
			if rangesText(s.Disputed()) != rangesText(c.disputed) || rangesText(chosen) != rangesText(c.repaired) {
				t.Errorf("disputed are %v, of the file %v; want %v and %v", s.Disputed(), chosen, c.disputed, c.repaired)
			}
			if len(c.disputed) > 0 && s.Difference(2) != "inverted" {
				t.Errorf("the difference is %q", s.Difference(2))
			}
			if last := lastReady(h); c.verification == VerificationChosen && (len(last.Choices) != 1 || last.Choices[0].By != "ada") {
				t.Errorf("the order does not say who chose: %+v", last)
			}
		})
	}
}
