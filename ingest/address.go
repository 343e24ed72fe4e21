package ingest

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"

	"github.com/realclientip/realclientip-go"
)

// DefaultAllowFrom gives the addresses from which Fax.Plus sends webhooks, as its documentation names them.
func DefaultAllowFrom() []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("34.65.253.117/32"), netip.MustParsePrefix("34.65.146.131/32")}
}

// source finds out who sent a request and whether he may.
type source struct {
	allow   []netip.Prefix
	proxies []netip.Prefix
	behind  realclientip.Strategy // for a peer that is one of proxies
}

func newSource(allow, proxies []netip.Prefix) (*source, error) {
	if len(allow) == 0 {
		allow = DefaultAllowFrom()
	}
	s := &source{}
	var err error
	if s.allow, err = plain(allow); err != nil {
		return nil, fmt.Errorf("ingest: allowed sources: %w", err)
	}
	if s.proxies, err = plain(proxies); err != nil {
		return nil, fmt.Errorf("ingest: trusted proxies: %w", err)
	}
	var nets []net.IPNet
	for _, p := range s.proxies {
		nets = append(nets, net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())})
	}
	s.behind, err = realclientip.NewRightmostTrustedRangeStrategy("X-Forwarded-For", nets)
	if err != nil {
		return nil, fmt.Errorf("ingest: trusted proxies: %w", err)
	}
	return s, nil
}

// plain gives the prefixes with IPv4 written as IPv4 and host bits zero.
func plain(prefixes []netip.Prefix) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, p := range prefixes {
		if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
		}
		if !p.IsValid() {
			return nil, fmt.Errorf("%v is not an address range", p)
		}
		out = append(out, p.Masked())
	}
	return out, nil
}

// client gives the address of whoever sent r; the zero Addr when it cannot be known. X-Forwarded-For counts only when
// the peer is a trusted proxy, and then its rightmost address that is not: what stands left of that was written by
// somebody else.
func (s *source) client(r *http.Request) netip.Addr {
	port, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	peer := port.Addr().Unmap().WithZone("")
	if !within(s.proxies, peer) || len(r.Header.Values("X-Forwarded-For")) == 0 {
		return peer
	}
	addr, err := netip.ParseAddr(s.behind.ClientIP(r.Header, r.RemoteAddr))
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap().WithZone("")
}

func (s *source) allowed(client netip.Addr) bool { return within(s.allow, client) }

func within(prefixes []netip.Prefix, a netip.Addr) bool {
	for _, p := range prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
