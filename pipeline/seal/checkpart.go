package seal

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"iter"
	"time"

	"github.com/faxstream/faxstream/pipeline/archive"
)

// partCheck checks the chain of parts while the daily seals are read: both have the entries in the same order.
type partCheck struct {
	fault func(format string, args ...any)
	next  func() (partEntry, error, bool)
	stop  func()
	head  *partEntry // the next entry of the parts; nil: not read yet, or none is left

	read     int // parts
	only     int // entries that no daily seal has
	previous parts
	broken   bool            // previous is damaged
	named    map[string]bool // parts that differ from a daily seal; each is named once
	ends     map[origin]bool // ends of daily seals
	begins   []begin         // of parts that do not begin where the part before them ends
}

// begin is a part that begins behind a daily seal, or should.
type begin struct {
	key string
	at  origin
}

// partEntry is an entry of a part.
type partEntry struct {
	key    string
	stream time.Time
	after  uint64 // the sequence of the entry before it in the part; of the first entry: where the part begins
	mark
}

// mark stands for an entry: a day may have more entries than memory.
type mark struct {
	sequence uint64
	sum      [sha256.Size]byte // of its line
}

func markOf(e Entry) mark {
	line, err := json.Marshal(e)
	if err != nil {
		return mark{sequence: e.Sequence} // never: the entry was read from such a line
	}
	return mark{e.Sequence, sha256.Sum256(line)}
}

func newPartCheck(ctx context.Context, a archive.Reader, keys []ed25519.PublicKey, fault func(string, ...any)) *partCheck {
	c := &partCheck{fault: fault, named: map[string]bool{}, ends: map[origin]bool{}}
	c.next, c.stop = iter.Pull2(func(yield func(partEntry, error) bool) {
		stopped := false
		err := eachPart(ctx, a, time.Time{}, keys, func(p parts, entries []Entry, err error) error {
			c.part(p, err)
			after := p.After
			for _, e := range entries {
				if err != nil || stopped {
					break
				}
				stopped = !yield(partEntry{p.name.key(), p.Stream, after, markOf(e)}, nil)
				after = e.Sequence
			}
			return nil
		})
		if err != nil && !stopped {
			yield(partEntry{}, err)
		}
	})
	return c
}

// part checks one part against the one before it.
func (c *partCheck) part(p parts, err error) {
	if err != nil {
		c.fault("%v", err)
		if p.name.n == 0 {
			return // a foreign object
		}
	}
	before := c.previous
	c.read++
	switch {
	case err != nil || c.broken && p.Previous == before.sum:
	case before.name.n == 0 && p.Previous != "":
		c.fault("%s: the part before it is missing", p.name.key())
	case p.name.day.Equal(before.name.day) && p.name.n != before.name.n+1, p.name.day.After(before.name.day) && p.name.n != 1:
		c.fault("%s: the part before it is missing", p.name.key())
	case p.Previous != before.sum:
		c.fault("%s: it does not follow the present part %s: one of the two was replaced, or a part between them was removed",
			p.name.key(), before.name.key())
	case p.Stream.Equal(before.Stream) && p.After == before.Last, !p.Stream.Equal(before.Stream) && p.After == 0:
	default:
		c.begins = append(c.begins, begin{p.name.key(), origin{p.Stream.UnixNano(), p.After}})
	}
	c.previous, c.broken = p, err != nil
}

// peek returns the next entry of the parts; nil: there is none.
func (c *partCheck) peek() (*partEntry, error) {
	if c.head == nil {
		e, err, ok := c.next()
		if err != nil || !ok {
			return nil, err
		}
		c.head = &e
	}
	return c.head, nil
}

// day compares the entries of a daily seal with those of the parts. Parts that begin later are left for the next day.
func (c *partCheck) day(key string, seal Seal, entries []mark) error {
	c.ends[origin{seal.Stream.UnixNano(), seal.Last}] = true
	for {
		p, err := c.peek()
		if err != nil {
			return err
		}
		if p == nil || p.stream.After(seal.Stream) || p.stream.Equal(seal.Stream) && p.sequence > seal.Last {
			for p != nil && p.stream.Equal(seal.Stream) && len(entries) > 0 { // up to the end of the day
				if entries[0].sequence > p.after {
					c.differs(p.key, key, entries[0].sequence)
				}
				entries = entries[1:]
			}
			return nil
		}
		if !p.stream.Equal(seal.Stream) {
			c.only++ // the stream was lost before a daily seal had this entry
			c.head = nil
			continue
		}
		for len(entries) > 0 && entries[0].sequence < p.sequence {
			if entries[0].sequence > p.after {
				c.differs(p.key, key, entries[0].sequence)
			}
			entries = entries[1:]
		}
		if p.sequence > seal.After && (len(entries) == 0 || entries[0] != p.mark) {
			c.differs(p.key, key, p.sequence)
		}
		c.head = nil
	}
}

// rest reads the parts that no daily seal covers yet.
func (c *partCheck) rest() error {
	for {
		p, err := c.peek()
		if err != nil {
			return err
		}
		if p == nil {
			break
		}
		c.only++
		c.head = nil
	}
	for _, b := range c.begins {
		if !c.ends[b.at] {
			c.fault("%s: it begins after entry %d, where neither the part before it nor a daily seal ends", b.key, b.at.sequence)
		}
	}
	return nil
}

// differs notes once for each part that it and a daily seal contradict each other.
func (c *partCheck) differs(part, day string, sequence uint64) {
	if !c.named[part] {
		c.named[part] = true
		c.fault("%s and %s have different entries, first entry %d: one of the two was replaced", part, day, sequence)
	}
}
