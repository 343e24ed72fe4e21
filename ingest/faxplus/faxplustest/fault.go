package faxplustest

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
)

// Fault is one thing that a provider does wrong with a fax, by name. Which pages it hits, how often and where follows from
// Config.Seed and the session. Faults combine: of two that answer one request the first in Fax.Faults answers.
type Fault string

// Faults of the webhooks of pages.
const (
	// Duplicate: some webhooks are sent twice, the second time at once or after all others.
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
	// SuccessThenPartial: the same two, the other way round.
	SuccessThenPartial Fault = "success-then-partial"
	// CountMore: the end counts a page or two that do not exist.
	CountMore Fault = "count-more"
	// CountFewer: the end counts one page too few.
	CountFewer Fault = "count-fewer"
	// CountZero: the end counts no page.
	CountZero Fault = "count-zero"
)

// Faults of the files. Those that pass are over after one to three requests for the same file.
const (
	// NotReady: some pages are 404 at first, though announced.
	NotReady Fault = "not-ready"
	// GonePage: some pages are 404 for ever; the whole file has them.
	GonePage Fault = "gone-page"
	// Unauthorized: the files of the fax are 401 at first, while the rest of the account is served.
	Unauthorized Fault = "unauthorized"
	// Foreign: the fax is of another account: its files and its record are 403 for ever, and it is in no list.
	Foreign Fault = "foreign"
	// DeadToken: everything is 401, whatever fax it is about, for Config.While from the first word of the fax.
	DeadToken Fault = "dead-token"
	// Busy: 429 at first, with a Retry-After of one second.
	Busy Fault = "busy"
	// Burst5xx: 500, 502, 503 or 504 at first, up to six times.
	Burst5xx Fault = "burst-5xx"
	// Slow: some bodies trickle over half of Config.While.
	Slow Fault = "slow"
	// Truncated: at first the connection ends within the body, short of its Content-Length.
	Truncated Fault = "truncated"
	// WrongLength: at first Content-Length says more than the body has, or less, and then the body ends there.
	WrongLength Fault = "wrong-length"
	// WrongType: at first a login page in HTML, with 200.
	WrongType Fault = "wrong-type"
	// HalfChunked: a chunked body of half the file that ends in good order; some pages for ever, others and the whole file once.
	HalfChunked Fault = "half-chunked"
	// Corrupted: some pages have a few bytes of noise in the middle of their rows.
	Corrupted Fault = "corrupted"
	// TwoAnswers: some pages alternate between two images of the same size, one black where the other is white.
	TwoAnswers Fault = "two-answers"
)

// Faults of the whole file alone.
const (
	// WholeDiffers: one page of the whole file is another image than the page's own file.
	WholeDiffers Fault = "whole-differs"
	// WholeMissing: the whole file is 404 for ever.
	WholeMissing Fault = "whole-missing"
)

// groups of faults; Chaos takes at most one of each, so that a mixture has a truth that can be told.
var groups = [][]Fault{
	{Duplicate, Reorder, LatePage, DropPage, Collision},
	{CloseFirst, DropClose, PartialThenSuccess, SuccessThenPartial, CountMore, CountFewer, CountZero},
	{
		NotReady, GonePage, Unauthorized, Foreign, DeadToken, Busy, Burst5xx, Slow, Truncated, WrongLength, WrongType, HalfChunked,
		Corrupted, TwoAnswers,
	},
	{WholeDiffers, WholeMissing},
}

// AllFaults gives every fault once.
func AllFaults() []Fault { return slices.Concat(groups...) }

// Chaos gives one to three faults for a session: the same for the same seed, whatever other faxes there are.
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

// hits reports whether a fault of f concerns a page; page 0 is the whole file. At least one page is always hit.
func (s *Server) hits(f Fax, fault Fault, page int) bool {
	return f.has(fault) && (page == s.victim(f, fault) || s.chance(f, fault, "hits", page) < 0.4)
}

// victim is the page that a fault hits in any case.
func (s *Server) victim(f Fax, fault Fault) int {
	return 1 + int(s.draw(f, fault, "victim")%uint64(max(len(f.Pages), 1)))
}

// chance gives a number in [0,1) that depends on the seed and on what it decides about, and on nothing else.
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
