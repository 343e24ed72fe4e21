package faxplustest

import (
	"encoding/binary"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"
)

// Answer is one answer to a request for a file. The zero Answer sends the file unchanged.
type Answer struct {
	Status        int               // default 200
	Body          []byte            // nil with a Status of 0 or 200: the file unchanged
	Header        map[string]string // added to the header; default Content-Type for 200: image/tiff
	ContentLength int64             // 0: the length of the body; -1: chunked; else this number
	CutAt         int               // > 0: the connection ends after this number of bytes of the body
	Over          time.Duration     // how long it takes to send the body
}

// faulty returns the answer that the faults of f make for one try (from 1) for a page; page 0 is the whole file.
func (s *Server) faulty(f Fax, page, try int, content []byte) Answer {
	for _, fault := range f.Faults {
		if a, ok := s.refusal(f, fault, page, try); ok {
			return a
		}
	}
	for _, fault := range f.Faults {
		if a, ok := s.odd(f, fault, page, try, content); ok {
			return a
		}
	}
	return Answer{}
}

// passes returns how many tries a temporary fault spoils, from 1 to 3.
func (s *Server) passes(f Fax, fault Fault, page int) int {
	return 1 + int(s.draw(f, fault, "passes", page)%3)
}

// refusal returns the answer of a fault that sends no file.
func (s *Server) refusal(f Fax, fault Fault, page, try int) (Answer, bool) {
	first := try <= s.passes(f, fault, page)
	switch {
	case fault == Foreign:
		return forbidden, true
	case fault == GonePage && page > 0 && s.hits(f, fault, page), fault == NotReady && page > 0 && s.hits(f, fault, page) && first,
		fault == WholeMissing && page == 0:
		return notFound, true
	case fault == Unauthorized && first:
		return unauthorized, true
	case fault == Busy && first:
		a := failure(http.StatusTooManyRequests, "too_many_requests", "slow down")
		a.Header["Retry-After"] = "1"
		return a, true
	case fault == Burst5xx && try <= 2*s.passes(f, fault, page):
		return failure([]int{500, 502, 503, 504}[s.draw(f, fault, page, try)%4], "unavailable", "try again later"), true
	}
	return Answer{}, false
}

// odd returns the answer of a fault that sends a wrong file, or sends it in a wrong way.
func (s *Server) odd(f Fax, fault Fault, page, try int, content []byte) (Answer, bool) {
	first := try <= s.passes(f, fault, page)
	cut := 1 + int(s.chance(f, fault, "cut", page, try)*float64(max(len(content)-2, 0)))
	switch {
	case fault == Slow && s.hits(f, fault, page):
		return Answer{Over: s.cfg.While / 2}, true
	case fault == Truncated && first:
		return Answer{CutAt: cut}, true
	case fault == WrongLength && first && s.chance(f, fault, "more", page, try) < 0.5:
		return Answer{ContentLength: int64(len(content) + cut)}, true
	case fault == WrongLength && first:
		return Answer{Body: content[:cut]}, true
	case fault == WrongType && first:
		return Answer{Body: []byte("<!doctype html><title>Please log in</title>"), Header: map[string]string{"Content-Type": "text/html"}}, true
	case fault == HalfChunked && (try == 1 || s.halfForEver(f, page)):
		return Answer{Body: content[:len(content)/2], ContentLength: -1}, true
	case fault == TwoAnswers && page > 0 && s.hits(f, fault, page) && (uint64(try)+s.draw(f, fault, page))%2 == 0:
		return Answer{Body: inverted(content, 0)}, true
	}
	return Answer{}, false
}

// halfForEver reports whether every request for a page gets only half of it.
func (s *Server) halfForEver(f Fax, page int) bool {
	return f.has(HalfChunked) && page > 0 && s.chance(f, HalfChunked, "for ever", page) < 0.3
}

// spoil returns f as the provider has it: with the faults in its data.
func (s *Server) spoil(f Fax) Fax {
	f = f.withDefaults()
	if f.Zone == nil {
		f.Zone = s.cfg.Zone
	}
	count := f.pageCount()
	switch {
	case f.has(CountMore):
		count += 1 + int(s.draw(f, CountMore)%2)
	case f.has(CountFewer):
		count = max(count-1, 0)
	case f.has(CountZero):
		count = 0
	}
	f.PageCount = &count
	if f.has(Corrupted) {
		f.Pages = slices.Clone(f.Pages)
		for i, page := range f.Pages {
			if s.hits(f, Corrupted, i+1) {
				f.Pages[i] = noisy(page, s.draw(f, Corrupted, i+1))
			}
		}
	}
	if f.has(WholeDiffers) {
		f.Whole = inverted(f.Whole, s.victim(f, WholeDiffers)-1)
	}
	return f
}

// noisy returns a file with random bytes in its middle, where the rows of a page are.
func noisy(file []byte, seed uint64) []byte {
	file = slices.Clone(file)
	random := rand.New(rand.NewPCG(seed, 0))
	middle := file[len(file)/2:]
	for i := range middle[:min(len(middle)/8, 24)] {
		middle[i] ^= byte(1 + random.IntN(255))
	}
	return file
}

// inverted returns a classic TIFF in which black and white of one bilevel or gray page, from 0, are exchanged: the value
// of its PhotometricInterpretation (TIFF 6.0, section 4) changes from 0 to 1 or from 1 to 0. Any other file is unchanged.
func inverted(file []byte, page int) []byte {
	const photometric, entry = 262, 12
	orders := map[string]binary.ByteOrder{"II*\x00": binary.LittleEndian, "MM\x00*": binary.BigEndian}
	if len(file) < 8 || orders[string(file[:4])] == nil {
		return file
	}
	order := orders[string(file[:4])]
	at := int(order.Uint32(file[4:]))
	for ; at >= 8 && at+2 <= len(file); page-- {
		end := at + 2 + entry*int(order.Uint16(file[at:])) // of the entries; the next IFD's offset follows
		if end+4 > len(file) {
			break
		}
		for e := at + 2; page == 0 && e < end; e += entry {
			if order.Uint16(file[e:]) == photometric && order.Uint16(file[e+8:]) < 2 {
				file = slices.Clone(file)
				order.PutUint16(file[e+8:], 1-order.Uint16(file[e+8:]))
				return file
			}
		}
		at = int(order.Uint32(file[end:]))
		if page == 0 {
			break
		}
	}
	return file
}

var (
	notFound     = failure(http.StatusNotFound, "not_found", "file not found")
	forbidden    = failure(http.StatusForbidden, "forbidden", "no access to this fax")
	unauthorized = failure(http.StatusUnauthorized, "unauthorized", "the access token is missing or not valid")
)

// failure returns an error answer in the provider's form.
func failure(status int, code, description string) Answer {
	b, err := json.Marshal(map[string]string{"error": code, "description": description})
	if err != nil { // cannot happen for strings
		b = nil
	}
	return Answer{Status: status, Body: b, Header: map[string]string{"Content-Type": "application/json"}}
}
