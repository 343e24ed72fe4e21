package seal

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/session"
)

// A part seals the entries that are new since the seal or part before it, audit-parts/2026/11/27/0001.jsonl. Parts are written every hour
// and at the stop, and none if nothing is new: so the loss of FAX_AUDIT costs at most the entries of an hour. They have the format of
// daily seals, and a chain of their own. A daily seal repeats the entries of its parts; a part begins behind both chains.

const (
	partPrefix = "audit-parts/" // not audit/: older versions take every other name there for a fault

	partEvery = time.Hour
	lastPart  = 3 * time.Second // the time for the part at the stop
	// maxPart is the size of the entries in one part, in bytes: more entries make more parts.
	maxPart = 8 << 20
)

// partName names a part.
type partName struct {
	day time.Time // zero: there is no part
	n   int       // from 1, in the day
}

func (p partName) key() string {
	return fmt.Sprintf("%s%s/%04d.jsonl", partPrefix, p.day.Format("2006/01/02"), p.n)
}

func (p partName) header() Seal { return Seal{Day: p.day.Format(time.DateOnly), Part: p.n} }

// parsePart returns the name in the key of a part; ok is false for any other key.
func parsePart(key string) (p partName, ok bool) {
	rest := strings.TrimSuffix(strings.TrimPrefix(key, partPrefix), ".jsonl")
	slash := strings.LastIndexByte(rest, '/')
	if slash < 0 {
		return p, false
	}
	day, derr := time.Parse("2006/01/02", rest[:slash])
	n, nerr := strconv.Atoi(rest[slash+1:])
	p = partName{day, n}
	return p, derr == nil && nerr == nil && n > 0 && p.key() == key
}

// next is the name of the part after p that is written at the time now.
func (p partName) next(now time.Time) partName {
	if day := dayOf(now); day.After(p.day) {
		return partName{day, 1}
	}
	return partName{p.day, p.n + 1} // also if the clock was ahead: the order of keys is the order of the chain
}

// parts is the end of the chain of parts, as far as this process has read it.
type parts struct {
	Seal
	name partName
	sum  string // SHA-256 of the object, hex
}

// part seals the entries of FAX_AUDIT that are in no daily seal and no part. chain is the end of the chain as the caller knows it.
func (s Sealer) part(ctx context.Context, chain *parts) error {
	created, err := s.Audit.AuditCreated(ctx)
	if err != nil {
		return err
	}
	newest, err := s.newest(ctx)
	if err != nil {
		return err
	}
	taken := partName{}
	for {
		if err := s.follow(ctx, chain); err != nil {
			return err
		}
		seal := Seal{Previous: chain.sum, Stream: created}
		for _, before := range []Seal{chain.Seal, newest.Seal} {
			if before.Stream.Equal(created) {
				seal.After = max(seal.After, before.Last)
			}
		}
		some := false
		err := s.Audit.AuditEntries(ctx, seal.After, func(session.AuditEntry) bool { some = true; return false })
		if err != nil || !some {
			return err
		}
		name := chain.name.next(time.Now())
		seal.Day, seal.Part = name.header().Day, name.n
		size := 0
		sum, existed, err := s.write(ctx, name.key(), &seal, func(e session.AuditEntry) bool {
			size += len(e.Data)
			return size > maxPart && size > len(e.Data)
		})
		if err != nil {
			return fmt.Errorf("seal a part of the audit of %s: %w", seal.Day, err)
		}
		switch {
		case !existed:
			*chain = parts{seal, name, sum}
		case name == taken:
			return fmt.Errorf("seal a part of the audit of %s: %s exists, but it does not come after the newest part %s: "+
				"run faxstream audit --verify", seal.Day, name.key(), chain.name.key())
		}
		taken = name
	}
}

// follow reads the parts that are in the archive after the end of the chain.
func (s Sealer) follow(ctx context.Context, chain *parts) error {
	after := ""
	if chain.name.n > 0 {
		after = chain.name.key()
	}
	newest := chain.name
	for key, err := range s.Archive.List(ctx, partPrefix, after) {
		if err != nil {
			return fmt.Errorf("list %s: %w", partPrefix, err)
		}
		if p, ok := parsePart(key); ok {
			newest = p
		}
	}
	if newest == chain.name {
		return nil
	}
	seal, sum, err := readObject(ctx, s.Archive, newest.key(), newest.header(), func(Entry) error { return nil }, nil)
	if err != nil && !errors.Is(err, errSeal) { // Check reports a damaged part; the next one is sealed all the same
		return err
	}
	if err != nil {
		seal.Stream, seal.Last = time.Time{}, 0 // it is not known where it ends: the next part begins behind the daily seals
	}
	*chain = parts{seal, newest, sum}
	return nil
}

// eachPart calls f with each part from the day since on, in the order of the chain, with its entries, or with the error of a damaged part.
// A key that is none of a part gives an error that matches errSeal and no part.
func eachPart(
	ctx context.Context, a archive.Reader, since time.Time, keys []ed25519.PublicKey, f func(p parts, entries []Entry, err error) error,
) error {
	after := ""
	if !since.IsZero() {
		after = partPrefix + dayOf(since).Format("2006/01/02")
	}
	for key, err := range a.List(ctx, partPrefix, after) {
		if err != nil {
			return fmt.Errorf("list %s: %w", partPrefix, err)
		}
		name, ok := parsePart(key)
		if !ok {
			if err := f(parts{}, nil, badSeal("%s: this is not the name of a seal", key)); err != nil {
				return err
			}
			continue
		}
		var entries []Entry
		seal, sum, err := readObject(ctx, a, key, name.header(), func(e Entry) error { entries = append(entries, e); return nil }, keys)
		if err != nil && !errors.Is(err, errSeal) {
			return err
		}
		if err := f(parts{seal, name, sum}, entries, err); err != nil {
			return err
		}
	}
	return nil
}
