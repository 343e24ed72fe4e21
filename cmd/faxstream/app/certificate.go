package app

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"time"
)

// CertificateName is a host by which clients reach an address, HOST:PORT, so that the certificate in a PEM file is for it.
func CertificateName(cert, key, addr string) (string, error) {
	return (&certificate{cert: cert, key: key, flags: "--nats-cert and --nats-key"}).name(addr)
}

// CertificateEnds is when the first certificate in a PEM file ends.
func CertificateEnds(file string) (time.Time, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return time.Time{}, err
	}
	block, rest := pem.Decode(data)
	for block != nil && block.Type != "CERTIFICATE" { // a key may come first
		block, rest = pem.Decode(rest)
	}
	if block == nil {
		return time.Time{}, fmt.Errorf("%s has no certificate in PEM", file)
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return time.Time{}, fmt.Errorf("%s: %w", file, err)
	}
	return leaf.NotAfter, nil
}

// certificate follows the files of a certificate, so that it can be renewed while running.
type certificate struct {
	cert, key string // files
	flags     string // that name them
	log       *slog.Logger

	mu      sync.Mutex
	current *tls.Certificate // guarded by mu; nil before the first connection
	stamp   [2]time.Time     // of cert and key when last read; guarded by mu
}

// config is for a listener.
func (c *certificate) config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.get}
}

func (c *certificate) load() (tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return pair, fmt.Errorf("%s: %w", c.flags, err)
	}
	return pair, nil
}

// get reads the files again when the time of one of them has changed. After an error the last good certificate stays in use: cert and key
// are rarely replaced at the same instant, and the next connection looks again.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	stamp, err := modified(c.cert, c.key)
	if err == nil && c.current != nil && stamp == c.stamp {
		return c.current, nil
	}
	var pair tls.Certificate
	if err == nil {
		pair, err = c.load()
	}
	if err == nil {
		c.current, c.stamp = &pair, stamp
		return c.current, nil
	}
	if c.current == nil {
		return nil, err
	}
	c.log.Error("cannot read the new certificate: check "+c.flags+"; the old certificate stays in use", "err", err)
	return c.current, nil
}

// name is a host for clients of an address that the certificate has: that of the address, the name of this machine, or the first one in
// the certificate.
func (c *certificate) name(addr string) (string, error) {
	pair, err := c.load()
	if err != nil {
		return "", err
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return "", fmt.Errorf("%s: %w", c.flags, err)
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return "", fmt.Errorf("address %q: %w", addr, err)
	}
	names := []string{host}
	if own, err := os.Hostname(); err == nil {
		names = append(names, own)
	}
	for _, n := range leaf.DNSNames {
		if !strings.HasPrefix(n, "*") {
			names = append(names, n)
		}
	}
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	for _, n := range names {
		if leaf.VerifyHostname(n) == nil {
			return n, nil
		}
	}
	return "", fmt.Errorf("%s: the certificate is for no name by which clients could reach %s: make one for the name of this machine",
		c.flags, addr)
}

func modified(files ...string) (stamp [2]time.Time, err error) {
	for i, file := range files {
		info, statErr := os.Stat(file)
		if statErr != nil {
			err = errors.Join(err, statErr)
			continue
		}
		stamp[i] = info.ModTime()
	}
	return stamp, err
}
