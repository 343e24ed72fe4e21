package seal

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/sign"
)

// Audit is FAX_AUDIT.
type Audit interface {
	// AuditCreated is when the stream was made; one that was made anew counts its sequences from 1 again.
	AuditCreated(ctx context.Context) (time.Time, error)
	// AuditEntries calls f with the entries that have a sequence above after, ascending, until f returns false.
	AuditEntries(ctx context.Context, after uint64, f func(session.AuditEntry) bool) error
}

// Sealer puts each UTC day's entries of FAX_AUDIT into one object of the archive, audit/2026/11/27.jsonl:
//
//	the header       a Seal, which has the SHA-256 of the seal before it and of the lines below
//	a line an entry  a Entry, in the stream's order
//	the signature    a Signature of all bytes above, where a key is configured
//
// Every day has a seal from that of the first entry on, also one without entries, so that a seal that was removed leaves a hole.
// A seal goes on where the one before it ends, by sequence, up to the first entry of a later day: no entry is left out, whatever the clocks of
// several servers say. (An entry that a wrong clock stamped with a day to come ends no seal: what follows it would be left unsealed until then.)
// Seals are created once and are a function of stream, day and key, so several processes may seal at the same time:
// the first one wins, and the others go on from what it wrote. A crash leaves a whole seal or none. FAX_AUDIT keeps 30 days,
// which is how long sealing may stand still before an entry is lost; Tried tells when it does.
type Sealer struct {
	Audit    Audit
	Archive  archive.Store
	SpoolDir string             // private
	Key      ed25519.PrivateKey // signs seals; nil: they are not signed
	Log      *slog.Logger
	Tried    func(error) // told how each try of Run came out; nil: nobody listens
}

// Run seals what is due at once and then every day, until ctx ends. What fails is tried again.
func (s Sealer) Run(ctx context.Context) {
	for {
		sealed, err := s.Seal(ctx)
		wait := time.Until(LastSealable(time.Now()).AddDate(0, 0, 2).Add(sealDelay))
		if ctx.Err() != nil {
			return
		}
		if s.Tried != nil {
			s.Tried(err)
		}
		switch {
		case err != nil:
			s.Log.Error("the audit cannot be sealed; trying again", "err", err)
			wait = sealRetry
		case sealed > 0:
			s.Log.Info("audit sealed", "days", sealed)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// Seal writes the seals of all days that are over and have none, and says how many it wrote.
func (s Sealer) Seal(ctx context.Context) (sealed int, err error) {
	created, err := s.Audit.AuditCreated(ctx)
	if err != nil {
		return 0, err
	}
	newest, err := s.newest(ctx)
	if err != nil {
		return 0, err
	}
	if err := s.compare(ctx, newest, created); err != nil {
		return 0, err
	}
	due := LastSealable(time.Now())
	day, err := s.next(ctx, newest)
	if err != nil || day.IsZero() {
		return 0, err
	}
	if ahead := newest.day; ahead.After(dayOf(time.Now())) {
		return 0, fmt.Errorf("the newest seal is of %s, a day to come: the clock is wrong, or was; entries are sealed once that day is over", ahead.Format(time.DateOnly))
	}
	if due.Sub(day) > maxSealDays*24*time.Hour {
		return 0, fmt.Errorf("%s to %s have no seal: is the clock right? More than %d days are not sealed at once", day.Format(time.DateOnly), due.Format(time.DateOnly), maxSealDays)
	}
	for ; !day.After(due); day = day.AddDate(0, 0, 1) {
		wrote, err := s.seal(ctx, day, created, &newest)
		if err != nil {
			return sealed, fmt.Errorf("seal the audit of %s: %w", day.Format(time.DateOnly), err)
		}
		if wrote {
			sealed++
		}
	}
	return sealed, nil
}

// newest reads the last seal.
func (s Sealer) newest(ctx context.Context) (sealedDay, error) {
	var day time.Time
	for key, err := range s.Archive.List(ctx, prefix, "") {
		if err != nil {
			return sealedDay{}, fmt.Errorf("list %s: %w", prefix, err)
		}
		if d, ok := sealDay(key); ok {
			day = d
		}
	}
	if day.IsZero() {
		return sealedDay{}, nil
	}
	return s.existing(ctx, day)
}

// existing reads the seal of a day that has one.
func (s Sealer) existing(ctx context.Context, day time.Time) (sealedDay, error) {
	seal, sum, err := readSeal(ctx, s.Archive, day, func(Entry) error { return nil })
	return sealedDay{seal, day, sum}, err
}

// compare refuses to go on from a newest seal that does not have the entries of FAX_AUDIT, from the end of the seal before it on: nothing in the
// archive tells that one, which no other follows yet, was replaced together with its hashes.
func (s Sealer) compare(ctx context.Context, newest sealedDay, created time.Time) error {
	if newest.day.IsZero() || !newest.Stream.Equal(created) || time.Since(newest.day) > compareWithin {
		return nil
	}
	before, err := s.existing(ctx, newest.day.AddDate(0, 0, -1))
	again := Seal{After: newest.After}
	switch {
	case newest.Previous == "" || err == nil && !before.Stream.Equal(newest.Stream):
		again.After = 0
	case err == nil:
		again.After = before.Last
	case !errors.Is(err, errSeal) && !errors.Is(err, fs.ErrNotExist): // those Check tells; they are no reason to leave entries unsealed
		return err
	}
	if err := s.spool(ctx, io.Discard, &again, func(e session.AuditEntry) bool { return e.Sequence > newest.Last }); err != nil {
		return err
	}
	if again.SHA256 != newest.SHA256 {
		return fmt.Errorf("%w: %s does not have the entries of FAX_AUDIT; bring back the version that was written", errSeal, keyOf(newest.day))
	}
	return nil
}

// next is the day after the newest seal, or the day of the first entry where there is none; zero: there is nothing to seal.
func (s Sealer) next(ctx context.Context, newest sealedDay) (day time.Time, err error) {
	if !newest.day.IsZero() {
		return newest.day.AddDate(0, 0, 1), nil
	}
	latest := time.Now().Add(clockError)
	err = s.Audit.AuditEntries(ctx, 0, func(e session.AuditEntry) bool {
		if e.Time.After(latest) {
			return true
		}
		day = dayOf(e.Time)
		return false
	})
	return day, err
}

// seal writes the seal of a day after previous, which becomes the one that stands there then: ours, or another process's.
func (s Sealer) seal(ctx context.Context, day, created time.Time, previous *sealedDay) (wrote bool, err error) {
	f, err := os.CreateTemp(s.SpoolDir, "seal-*")
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	seal := Seal{Day: day.Format(time.DateOnly), Previous: previous.sum, Stream: created}
	if created.Equal(previous.Stream) {
		seal.After = previous.Last
	}
	end, latest := day.AddDate(0, 0, 1), time.Now().Add(clockError)
	if err := s.spool(ctx, f, &seal, func(e session.AuditEntry) bool { return !e.Time.Before(end) && !e.Time.After(latest) }); err != nil {
		return false, err
	}
	whole, size, sum, err := s.finish(f, seal)
	if err != nil {
		return false, err
	}
	existed, err := archive.CreateFrom(ctx, s.Archive, keyOf(day), whole, size, sum)
	if err != nil {
		return false, err
	}
	*previous = sealedDay{seal, day, hex.EncodeToString(sum[:])}
	if existed {
		*previous, err = s.existing(ctx, day)
	}
	return !existed, err
}

// spool writes the lines of the entries after seal.After, up to the first that is behind its end, and what the seal says of them.
func (s Sealer) spool(ctx context.Context, f io.Writer, seal *Seal, behind func(session.AuditEntry) bool) error {
	sum := sha256.New()
	out := bufio.NewWriter(io.MultiWriter(f, sum))
	seal.Last = seal.After
	var failed error
	err := s.Audit.AuditEntries(ctx, seal.After, func(e session.AuditEntry) bool {
		if behind(e) {
			return false
		}
		line, err := json.Marshal(Line(e))
		if err == nil {
			_, err = out.Write(append(line, '\n'))
		}
		if err != nil {
			failed = fmt.Errorf("entry %d: %w", e.Sequence, err)
			return false
		}
		seal.Last, seal.Entries = e.Sequence, seal.Entries+1
		return true
	})
	if err := errors.Join(failed, err, out.Flush()); err != nil {
		return err
	}
	seal.SHA256 = hex.EncodeToString(sum.Sum(nil))
	return nil
}

// finish joins header, spooled lines and signature.
func (s Sealer) finish(spooled *os.File, seal Seal) (whole io.ReadSeeker, size int64, sum [sha256.Size]byte, err error) {
	if s.Key != nil {
		seal.KeyID = sign.KeyIDOf(s.Key)
	}
	head, err := json.Marshal(seal)
	if err != nil {
		return nil, 0, sum, err
	}
	head = append(head, '\n')
	var tail []byte
	if s.Key != nil {
		if tail, err = json.Marshal(sign.Sign(s.Key, seal.signed(head))); err != nil {
			return nil, 0, sum, err
		}
		tail = append(tail, '\n')
	}
	lines, err := spooled.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, 0, sum, err
	}
	size = int64(len(head)) + lines + int64(len(tail))
	whole = io.NewSectionReader(joined{head, spooled, lines, tail}, 0, size)
	h := sha256.New()
	if _, err := io.Copy(h, whole); err != nil {
		return nil, 0, sum, err
	}
	return whole, size, [sha256.Size]byte(h.Sum(nil)), nil
}
