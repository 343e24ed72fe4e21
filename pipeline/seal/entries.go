package seal

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/session"
)

// coverage is what daily seals have.
type coverage struct {
	last     map[int64]uint64 // the last sequence, by the creation of the stream in Unix nanoseconds
	restored map[origin]bool  // entries of lost streams that were restored, or that the caller has
}

// origin is a session.AuditOrigin that can be compared.
type origin struct {
	stream   int64 // Unix nanoseconds
	sequence uint64
}

func originOf(stream time.Time, e Entry) origin {
	if e.Restored != nil {
		return origin{e.Restored.Stream.UnixNano(), e.Restored.Sequence}
	}
	return origin{stream.UnixNano(), e.Sequence}
}

func newCoverage() coverage { return coverage{map[int64]uint64{}, map[origin]bool{}} }

func (c coverage) add(s Seal) {
	c.last[s.Stream.UnixNano()] = max(c.last[s.Stream.UnixNano()], s.Last)
}

func (c coverage) entry(e Entry) {
	if e.Restored != nil {
		c.restored[originOf(time.Time{}, e)] = true
	}
}

// has reports whether a daily seal has an entry, or its restored copy.
func (c coverage) has(stream time.Time, e Entry) bool {
	return e.Sequence <= c.last[stream.UnixNano()] || c.restored[originOf(stream, e)]
}

// Entries calls f with the sealed entries of the days from since to until, in order. It returns the newest daily seal of the archive, also
// if that is of another day; a zero Seal: there is none. An error that f returns ends it. It does not check signatures or the chain.
func Entries(ctx context.Context, a archive.Reader, since, until time.Time, f func(Entry) error) (last Seal, err error) {
	return entries(ctx, a, since, until, newCoverage(), f)
}

// AllEntries does the same as Entries, and then calls f with the entries of these days that only a part has.
func AllEntries(ctx context.Context, a archive.Reader, since, until time.Time, f func(Entry) error) error {
	covered := newCoverage()
	if _, err := entries(ctx, a, since, until, covered, f); err != nil {
		return err
	}
	return eachPart(ctx, a, since, nil, func(p parts, list []Entry, err error) error {
		if err != nil || p.name.day.After(dayOf(until)) {
			return err
		}
		for _, e := range list {
			if covered.has(p.Stream, e) {
				continue
			}
			covered.restored[originOf(p.Stream, e)] = true // its restored copy may be in a later part
			if err := f(e); err != nil {
				return err
			}
		}
		return nil
	})
}

func entries(ctx context.Context, a archive.Reader, since, until time.Time, covered coverage, f func(Entry) error) (last Seal, err error) {
	var newest time.Time
	read := func(day time.Time, f func(Entry) error) (err error) {
		last, _, err = readSeal(ctx, a, day, func(e Entry) error {
			covered.entry(e)
			return f(e)
		})
		covered.add(last)
		return err
	}
	for key, err := range a.List(ctx, prefix, "") {
		if err != nil {
			return last, fmt.Errorf("list %s: %w", prefix, err)
		}
		day, ok := sealDay(key)
		if !ok {
			continue
		}
		newest = day
		if day.Before(dayOf(since)) || day.After(dayOf(until)) {
			continue
		}
		if err := read(day, f); err != nil {
			return last, err
		}
	}
	if last.Day != newest.Format(time.DateOnly) && !newest.IsZero() {
		err = read(newest, func(Entry) error { return nil })
	}
	return last, err
}

// Restorer is a FAX_AUDIT into which entries of a lost one are restored.
type Restorer interface {
	Audit
	// RestoreAudit stores an entry again; its Restored says where it was. After nil it is durable.
	RestoreAudit(ctx context.Context, e session.AuditEntry) error
}

// Restored is the result of Restore.
type Restored struct {
	Sealed  bool      `json:"sealed"`                // the archive has seals of the last 31 days
	Lost    bool      `json:"lost"`                  // FAX_AUDIT was lost: the newest seal is of another stream
	Entries int       `json:"entries"`               // entries that were restored now
	Until   time.Time `json:"sealed_until,omitzero"` // time of the newest sealed entry of the lost stream, UTC
}

// restoreDays is how far Restore looks back: FAX_AUDIT stores entries for 30 days.
const restoreDays = 31

// Restore stores in a new FAX_AUDIT the entries of a lost one that only parts have: the next daily seals have them then. The entries of
// daily seals stay there. It may be repeated: nothing is stored twice. A damaged part is left out; its error is returned at the end.
func Restore(ctx context.Context, a archive.Reader, audit Restorer) (done Restored, err error) {
	created, err := audit.AuditCreated(ctx)
	if err != nil {
		return done, err
	}
	covered, since := newCoverage(), time.Now().AddDate(0, 0, -restoreDays)
	note := func(stream time.Time, e Entry) {
		if !stream.Equal(created) && e.Time.After(done.Until) {
			done.Until = e.Time
		}
	}
	newest, err := entries(ctx, a, since, time.Now().AddDate(0, 0, 1), covered, func(e Entry) error { note(time.Time{}, e); return nil })
	if err != nil {
		return done, err
	}
	err = audit.AuditEntries(ctx, 0, func(e session.AuditEntry) bool {
		covered.entry(Line(e))
		return true
	})
	if err != nil {
		return done, err
	}
	stream := newest.Stream
	var damaged error
	err = eachPart(ctx, a, since, nil, func(p parts, list []Entry, err error) error {
		if err != nil {
			damaged = errors.Join(damaged, err)
			return nil
		}
		stream = p.Stream
		for _, e := range list {
			note(p.Stream, e)
			if p.Stream.Equal(created) || covered.has(p.Stream, e) {
				continue
			}
			if !ours(e.Subject) {
				damaged = errors.Join(damaged, badSeal("%s: entry %d has the subject %q", p.name.key(), e.Sequence, e.Subject))
				continue
			}
			if err := audit.RestoreAudit(ctx, restored(p.Stream, e)); err != nil {
				return err
			}
			covered.restored[originOf(p.Stream, e)] = true
			done.Entries++
		}
		return nil
	})
	done.Sealed = !stream.IsZero()
	done.Lost = done.Sealed && !stream.Equal(created)
	if !done.Lost && done.Entries == 0 {
		done.Until = time.Time{}
	}
	return done, errors.Join(err, damaged)
}

// ours reports whether a subject can be one of FAX_AUDIT. JetStream would refuse another one each time, and with it the whole restore.
func ours(subject string) bool {
	rest, ok := strings.CutPrefix(subject, session.TypeAudit+".")
	for token := range strings.SplitSeq(rest, ".") {
		ok = ok && session.ValidToken(token)
	}
	return ok
}

// restored returns an entry of a lost stream as it is stored again.
func restored(stream time.Time, e Entry) session.AuditEntry {
	again := session.AuditEntry{Time: e.Time, Subject: e.Subject, Data: e.Entry, Restored: e.Restored}
	if e.Entry == nil {
		again.Data = e.Bytes
	}
	if again.Restored == nil {
		again.Restored = &session.AuditOrigin{Stream: stream, Sequence: e.Sequence}
	}
	return again
}
