package faxplustest

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"time"
)

// Faults are what goes wrong. The zero value: nothing. Probabilities are from 0 to 1.
type Faults struct {
	Duplicate float64       // probability that an event is sent once more
	Reorder   bool          // the events of a fax are sent in random order
	Delay     time.Duration // longest wait before an event; each waits a random part of it
	Drop      float64       // probability that a page event is never sent; closing events always are
	NotReady  int           // so many first tries of each page are answered 404
	Error5xx  float64       // probability that a request for a file is answered 503
	Truncate  float64       // probability that a file's body ends early, short of its Content-Length
}

// chance gives a number in [0,1) that depends on the seed and on what it decides about, and on nothing else.
func chance(seed uint64, about ...any) float64 {
	return float64(draw(seed, about...)>>11) / (1 << 53)
}

func draw(seed uint64, about ...any) uint64 {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %#v", seed, about))
	return binary.BigEndian.Uint64(sum[:])
}

// event is one step of a fax's story: a page is there, or the fax is over, and a webhook says so or not.
type event struct {
	page int           // 0: the fax is over
	body []byte        // nil: dropped
	wait time.Duration // before it
}

// story gives the steps of f in the order in which they are sent, with the faults of f's seed.
func (s *Server) story(f Fax, target string) []event {
	var events []event
	add := func(page int, body []byte) {
		about := func(what string) float64 { return chance(s.cfg.Seed, what, f.Session, page) }
		if page > 0 && about("drop") < s.cfg.Faults.Drop {
			body = nil
		}
		n := 1
		if body != nil && about("duplicate") < s.cfg.Faults.Duplicate {
			n = 2
		}
		for range n {
			wait := time.Duration(float64(s.cfg.Faults.Delay) * chance(s.cfg.Seed, "delay", f.Session, len(events)))
			events = append(events, event{page, body, wait})
		}
	}
	for p := 1; f.Streamed && p <= len(f.Pages); p++ {
		add(p, PageEvent(f, p, target))
	}
	add(0, ClosedEvent(f, target))
	if s.cfg.Faults.Reorder {
		order := rand.New(rand.NewPCG(s.cfg.Seed, draw(s.cfg.Seed, "order", f.Session)))
		order.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
	}
	return events
}

// Answer is a scripted answer to one request for a file. The zero Answer: the file as it is.
type Answer struct {
	Status        int               // default 200
	Body          []byte            // nil with a Status of 0 or 200: the file as it is
	Header        map[string]string // added; Content-Type is image/tiff for 200 unless it is here
	ContentLength int64             // 0: what the body has; -1: chunked; else announced as it is
	CutAt         int               // > 0: the connection ends after so many bytes of the body
}

// faulty gives the answer that the faults have for one try, counted from 1.
func (s *Server) faulty(f Fax, page, try int) Answer {
	about := func(what string) float64 { return chance(s.cfg.Seed, what, f.Session, page, try) }
	switch {
	case page > 0 && try <= s.cfg.Faults.NotReady:
		return failure(404, "not_found", "file not found")
	case about("error") < s.cfg.Faults.Error5xx:
		return failure(503, "unavailable", "try again later")
	case about("truncate") < s.cfg.Faults.Truncate:
		size := len(f.Whole)
		if page > 0 {
			size = len(f.Pages[page-1])
		}
		return Answer{CutAt: 1 + int(about("cut")*float64(max(size-2, 0)))}
	}
	return Answer{}
}
