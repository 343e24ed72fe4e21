package ingest

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"

	"github.com/realclientip/realclientip-go"
)

// DefaultAllowFrom returns the addresses from which Fax.Plus sends webhooks, according to its documentation.
func DefaultAllowFrom() []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("34.65.253.117/32"), netip.MustParsePrefix("34.65.146.131/32")}
}

// source finds the sender's address of a request, and whether it may send.
type source struct {
	allow   []netip.Prefix
	proxies []netip.Prefix
	behind  realclientip.Strategy // used if the peer is one of proxies
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

// plain returns the prefixes with IPv4 in IPv4 form and host bits zero.
func plain(prefixes []netip.Prefix) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, p := range prefixes {
		if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
		}
		if !p.IsValid() {
			return nil, fmt.Errorf("%v is not an address range; want the form 192.0.2.0/24 or 2001:db8::/32", p)
		}
		out = append(out, p.Masked())
	}
	return out, nil
}

// peer returns who is connected, or the zero Addr if that is unknown.
func (s *source) peer(r *http.Request) netip.Addr {
	port, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return port.Addr().Unmap().WithZone("")
}

// client returns the address of the sender of r, or the zero Addr if it is unknown. X-Forwarded-For counts only if the
// peer is a trusted proxy. Then the rightmost address in it that is not a trusted proxy is the sender's: a sender can
// write any address to the left of it.
func (s *source) client(r *http.Request) netip.Addr {
	peer := s.peer(r)
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
