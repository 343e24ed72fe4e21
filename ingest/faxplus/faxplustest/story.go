package faxplustest

import (
	"math/rand/v2"
	"time"
)

// event is one step of a fax's history: a page is available, or the fax is over; a webhook may announce it.
type event struct {
	page int           // 0: the fax is over
	body []byte        // of the webhook; nil: no webhook
	wait time.Duration // before the step
}

// story returns the steps of f in the order in which they are sent.
func (s *Server) story(f Fax, target string) []event {
	f = s.spoil(f)
	var pages []event
	for p := 1; f.Streamed && p <= len(f.Pages); p++ {
		e := event{page: p}
		if s.announced(f, p) {
			e.body = PageEvent(f, p, target)
		}
		pages = append(pages, e)
	}
	closes := s.closes(f, target)
	if f.has(Collision) {
		other := f
		other.To, other.FileID = "+1 900-555-0199", "other-"+f.FileID
		if !f.has(DropClose) {
			closes = append(closes, event{body: ClosedEvent(other, target)})
		}
		for p := range f.Pages {
			pages = append(pages, event{page: p + 1, body: PageEvent(other, p+1, target)})
		}
	}
	events := append(pages, closes...)
	if f.has(CloseFirst) {
		events = append(closes, pages...)
	}
	return s.disturb(f, events)
}

// announced reports whether a page has a webhook. If the fax is never closed, at least one page has: else the fax has none.
func (s *Server) announced(f Fax, page int) bool {
	return f.has(Collision) || f.Streamed && (!s.hits(f, DropPage, page) || f.has(DropClose) && page == len(f.Pages))
}

// closes returns the steps that end the fax, one or two.
func (s *Server) closes(f Fax, target string) []event {
	partial := f
	half := (len(f.Pages) + 1) / 2
	partial.Status, partial.PageCount = "partially_received", &half
	switch {
	case f.has(DropClose):
		return []event{{}}
	case f.has(PartialThenSuccess):
		return []event{{body: ClosedEvent(partial, target)}, {body: ClosedEvent(f, target)}}
	case f.has(SuccessThenPartial):
		return []event{{body: ClosedEvent(f, target)}, {body: ClosedEvent(partial, target)}}
	}
	return []event{{body: ClosedEvent(f, target)}}
}

// disturb repeats, shuffles and delays webhooks.
func (s *Server) disturb(f Fax, events []event) []event {
	var again []event
	for i := 0; f.has(Duplicate) && i < len(events); i++ {
		if e := events[i]; e.body != nil && (i == 0 || s.chance(f, Duplicate, "twice", i) < 0.5) {
			again = append(again, e)
		}
	}
	events = append(events, again...)
	if f.has(Reorder) {
		order := rand.New(rand.NewPCG(s.cfg.Seed, s.draw(f, Reorder)))
		order.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
	}
	for i := range events {
		events[i].wait = time.Duration(float64(s.cfg.Delay) * s.chance(f, "", "wait", i))
	}
	if late := s.victim(f, LatePage); f.has(LatePage) {
		for i, e := range events {
			if e.page == late && e.body != nil {
				events[i].body = nil // the page is available, its webhook comes later
				e.wait = s.cfg.While
				return append(events, e)
			}
		}
	}
	return events
}
