package faxplustest

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
)

// Fault is the name of one thing that a provider does wrong with a fax. Config.Seed and the session decide which pages it
// hits, how often and where. Faults combine: if two of them answer one request, the first in Fax.Faults answers.
type Fault string

// Faults of the webhooks of pages.
const (
	// Duplicate: some webhooks are sent twice, the second time immediately or after all others.
	Duplicate Fault = "duplicate"
	// Reorder: the webhooks of the fax are sent in random order.
	Reorder Fault = "reorder"
	// LatePage: the webhook of one page comes Config.While after all others.
	LatePage Fault = "late-page"
	// DropPage: some pages are never announced, though they can be fetched.
	DropPage Fault = "drop-page"
	// Collision: a second fax is announced and closed under the same session id, with another receiving number and file id.
	Collision Fault = "collision"
)

// Faults of the webhook that ends a fax.
const (
	// CloseFirst: the end is announced before the pages.
	CloseFirst Fault = "close-first"
	// DropClose: the end is never announced; the fax's record says that it is over.
	DropClose Fault = "drop-close"
	// PartialThenSuccess: the end is announced as partially_received with half of the pages, then as success with all.
	PartialThenSuccess Fault = "partial-then-success"
	// SuccessThenPartial: the same two in reverse order.
	SuccessThenPartial Fault = "success-then-partial"
	// CountMore: the end has a count that is one or two pages too high.
	CountMore Fault = "count-more"
	// CountFewer: the end has a count that is one page too low.
	CountFewer Fault = "count-fewer"
	// CountZero: the end has a count of 0.
	CountZero Fault = "count-zero"
)

// Faults of the files. Temporary faults ("at first") end after one to three requests for the same file.
const (
	// NotReady: some pages are 404 at first, although they are announced.
	NotReady Fault = "not-ready"
	// GonePage: some pages are 404 for ever; the whole file has them.
	GonePage Fault = "gone-page"
	// Unauthorized: the files of the fax are 401 at first, while the rest of the account is served.
	Unauthorized Fault = "unauthorized"
	// Foreign: the fax belongs to another account: its files and its record are 403 for ever, and it is in no list.
	Foreign Fault = "foreign"
	// DeadToken: all requests, also for other faxes, are 401 for Config.While from the first event of the fax.
	DeadToken Fault = "dead-token"
	// Busy: 429 at first, with a Retry-After of one second.
	Busy Fault = "busy"
	// Burst5xx: 500, 502, 503 or 504 at first, up to six times.
	Burst5xx Fault = "burst-5xx"
	// Slow: some bodies take half of Config.While.
	Slow Fault = "slow"
	// Truncated: at first the connection ends within the body, before its Content-Length.
	Truncated Fault = "truncated"
	// WrongLength: at first Content-Length is larger than the body, or the body is cut and Content-Length is right for the rest.
	WrongLength Fault = "wrong-length"
	// WrongType: at first a login page in HTML, with 200.
	WrongType Fault = "wrong-type"
	// HalfChunked: a chunked body of half the file with a regular end; some pages for ever, others and the whole file once.
	HalfChunked Fault = "half-chunked"
	// Corrupted: some pages have a few random bytes in the middle of their rows.
	Corrupted Fault = "corrupted"
	// TwoAnswers: some pages alternate between two images of the same size; the second has black and white exchanged.
	TwoAnswers Fault = "two-answers"
)

// Faults of the whole file alone.
const (
	// WholeDiffers: one page of the whole file has another image than the page's own file.
	WholeDiffers Fault = "whole-differs"
	// WholeMissing: the whole file is 404 for ever.
	WholeMissing Fault = "whole-missing"
)

// groups of faults; Chaos takes at most one of each, so that the right result of a mixture is known.
var groups = [][]Fault{
	{Duplicate, Reorder, LatePage, DropPage, Collision},
	{CloseFirst, DropClose, PartialThenSuccess, SuccessThenPartial, CountMore, CountFewer, CountZero},
	{
		NotReady, GonePage, Unauthorized, Foreign, DeadToken, Busy, Burst5xx, Slow, Truncated, WrongLength, WrongType, HalfChunked,
		Corrupted, TwoAnswers,
	},
	{WholeDiffers, WholeMissing},
}

// AllFaults returns every fault once.
func AllFaults() []Fault { return slices.Concat(groups...) }

// Chaos returns one to three faults for a session. They depend only on the seed and the session, not on other faxes.
func Chaos(seed uint64, session string) []Fault {
	var faults []Fault
	groups := slices.Clone(groups)
	for i := range 1 + draw(seed, session, "how many")%3 {
		all := slices.Concat(groups...)
		fault := all[draw(seed, session, "fault", i)%uint64(len(all))]
		faults = append(faults, fault)
		groups = slices.DeleteFunc(groups, func(g []Fault) bool { return slices.Contains(g, fault) })
	}
	return faults
}

func (f Fax) has(fault Fault) bool { return slices.Contains(f.Faults, fault) }

// hits reports whether a fault of f hits a page; page 0 is the whole file. A fault hits at least one page.
func (s *Server) hits(f Fax, fault Fault, page int) bool {
	return f.has(fault) && (page == s.victim(f, fault) || s.chance(f, fault, "hits", page) < 0.4)
}

// victim returns the page that a fault always hits.
func (s *Server) victim(f Fax, fault Fault) int {
	return 1 + int(s.draw(f, fault, "victim")%uint64(max(len(f.Pages), 1)))
}

// chance returns a number in [0,1) that depends only on the seed and on what it decides about.
func (s *Server) chance(f Fax, fault Fault, about ...any) float64 {
	return float64(s.draw(f, fault, about...)>>11) / (1 << 53)
}

func (s *Server) draw(f Fax, fault Fault, about ...any) uint64 {
	return draw(s.cfg.Seed, append([]any{f.Session, fault}, about...)...)
}

func draw(seed uint64, about ...any) uint64 {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %#v", seed, about))
	return binary.BigEndian.Uint64(sum[:])
}
