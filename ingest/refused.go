package ingest

import (
	"cmp"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// Refusal is what was refused from one address because of the address.
type Refusal struct {
	Address   string    `json:"address"` // whose webhooks are refused; empty: it could not be read
	Peer      string    `json:"peer"`    // who was connected: Address itself, or a trusted proxy
	Count     int       `json:"count"`   // requests
	First     time.Time `json:"first"`
	Last      time.Time `json:"last"`
	RightPath bool      `json:"right_path"` // a request had the path and secret of webhooks: no stranger has them
	Advice    string    `json:"advice"`     // a sentence: which flag lets them in
}

const (
	refusalsKept = 16          // addresses
	warnEvery    = time.Minute // between two log lines about refused webhooks
	warnFor      = time.Hour   // how long one refused webhook is a warning at least
)

// refusals has the last refused addresses. Its methods may be called concurrently.
type refusals struct {
	source *source

	mu       sync.Mutex
	last     []Refusal // guarded by mu
	warned   time.Time // the last log line; guarded by mu
	admitted time.Time // the last request with the right path from an allowed address; guarded by mu
}

// admit notes that webhooks do come in.
func (s *refusals) admit() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.admitted = time.Now()
}

// refuse notes a refused request. warn: it is a webhook, and people were not told of one for a while.
func (s *refusals) refuse(r *http.Request, client netip.Addr, rightPath bool) (_ Refusal, warn bool) {
	address, peer, now := "", s.source.peer(r), time.Now().UTC()
	if client.IsValid() {
		address = client.String()
	}
	advice := s.source.advice(r, client)
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.last, func(x Refusal) bool { return x.Address == address && x.Peer == peer.String() })
	if i < 0 {
		s.makeRoom()
		i, s.last = len(s.last), append(s.last, Refusal{Address: address, Peer: peer.String(), First: now})
	}
	x := &s.last[i]
	x.Count++
	x.Last = now
	if rightPath || !x.RightPath { // the advice is for webhooks, if there are any
		x.Advice, x.RightPath = advice, rightPath
	}
	if warn = rightPath && now.Sub(s.warned) >= warnEvery; warn {
		s.warned = now
	}
	return *x, warn
}

// makeRoom forgets the address that was refused longest ago; one that sends webhooks only if all do.
func (s *refusals) makeRoom() {
	if len(s.last) < refusalsKept {
		return
	}
	oldest := 0
	for i, x := range s.last {
		o := s.last[oldest]
		if x.RightPath == o.RightPath && x.Last.Before(o.Last) || o.RightPath && !x.RightPath {
			oldest = i
		}
	}
	s.last = slices.Delete(s.last, oldest, oldest+1)
}

// Refused returns the addresses that were refused last, the newest first.
func (h *Handler) Refused() []Refusal {
	h.refused.mu.Lock()
	defer h.refused.mu.Unlock()
	list := slices.Clone(h.refused.last)
	slices.SortFunc(list, func(a, b Refusal) int { return cmp.Or(b.Last.Compare(a.Last), cmp.Compare(a.Address, b.Address)) })
	return list
}

// Warnings says which webhooks were refused because of their address, in the last hour or with none taken in since.
func (h *Handler) Warnings() []string {
	h.refused.mu.Lock()
	admitted := h.refused.admitted
	h.refused.mu.Unlock()
	var warnings []string
	for _, x := range h.Refused() {
		if x.RightPath && (time.Since(x.Last) < warnFor || admitted.Before(x.Last)) {
			warnings = append(warnings, fmt.Sprintf("%d webhooks from %s were refused because of the address, the last one at %s: %s",
				x.Count, cmp.Or(x.Address, "an address that cannot be read"), x.Last.Format(time.RFC3339), x.Advice))
		}
	}
	return warnings
}

// advice says which flag lets the sender of a refused request in, if it is the provider or a proxy of ours.
func (s *source) advice(r *http.Request, client netip.Addr) string {
	peer, behind := s.peer(r), lastForwarded(r)
	trusted := within(s.proxies, peer)
	switch {
	case trusted && len(r.Header.Values("X-Forwarded-For")) == 0:
		return fmt.Sprintf("the trusted proxy %s does not say for whom it sends: let it set the header X-Forwarded-For", peer)
	case trusted && !client.IsValid():
		return fmt.Sprintf("the trusted proxy %s sends an X-Forwarded-For without a readable address: let it set the sender's", peer)
	case trusted:
		return s.allowAdvice(client)
	case within(s.allow, behind):
		return fmt.Sprintf(
			"it sends for %s, which is allowed: if %s is your proxy, set --trusted-proxies %s", behind, peer, s.with(s.proxies, peer),
		)
	case behind.IsValid():
		return fmt.Sprintf("it sends for %s: if %s is your proxy, set --trusted-proxies %s, and if the provider sends from %s, --allow-from %s",
			behind, peer, s.with(s.proxies, peer), behind, s.with(s.allow, behind))
	case peer.IsPrivate() || peer.IsLoopback() || peer.IsLinkLocalUnicast():
		return fmt.Sprintf("if it is your proxy, let it set the header X-Forwarded-For and set --trusted-proxies %s", s.with(s.proxies, peer))
	}
	return s.allowAdvice(client)
}

func (s *source) allowAdvice(client netip.Addr) string {
	return fmt.Sprintf("if the provider sends from this address, set --allow-from %s", s.with(s.allow, client))
}

// with writes a flag's value with one address more.
func (s *source) with(have []netip.Prefix, more netip.Addr) string {
	var all []string
	for _, p := range have {
		if p.IsSingleIP() {
			all = append(all, p.Addr().String())
		} else {
			all = append(all, p.String())
		}
	}
	return strings.Join(append(all, more.String()), ",")
}

// lastForwarded returns the last address in X-Forwarded-For, which the peer has added, or the zero Addr. A sender can write
// anything there: it is only for people.
func lastForwarded(r *http.Request) netip.Addr {
	lines := r.Header.Values("X-Forwarded-For")
	if len(lines) == 0 {
		return netip.Addr{}
	}
	last := lines[len(lines)-1]
	addr, err := netip.ParseAddr(strings.TrimSpace(last[strings.LastIndexByte(last, ',')+1:]))
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap().WithZone("")
}
