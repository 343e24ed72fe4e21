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
	// AuditCreated is when the stream was made. A new stream counts its sequences from 1 again.
	AuditCreated(ctx context.Context) (time.Time, error)
	// AuditEntries calls f with the entries whose sequence is above after, ascending, until f returns false.
	AuditEntries(ctx context.Context, after uint64, f func(session.AuditEntry) bool) error
}

// Sealer writes the entries of FAX_AUDIT of each UTC day into one object of the archive, audit/2026/11/27.jsonl:
//
//	the header             a Seal, with the SHA-256 of the seal before it and of the lines below
//	a line for each entry  an Entry, in the stream's order
//	the signature          a sign.Signature of the header, if a key is configured
//
// Every day after the first entry has a seal, even without entries, so that a removed seal leaves a gap. A seal begins at the sequence
// where the one before it ends, and goes up to the first entry of a later day. So no entry is left out, even if the clocks of servers
// differ. (An entry with a day in the future, from a wrong clock, does not end a seal. Else the entries after it would have no seal until
// that day.)
//
// Between the daily seals, parts seal what is new: see part.go.
//
// Seals are create-only and depend only on stream, day and key. So several processes may seal at the same time: the first one wins, and
// the others continue with its seal. FAX_AUDIT stores entries for 30 days: if sealing stops for longer, entries are lost; Tried is called
// with the error each time.
type Sealer struct {
	Audit      Audit
	Archive    archive.Store
	ScratchDir string             // private
	Key        ed25519.PrivateKey // signs seals; nil: they are not signed
	Log        *slog.Logger
	Tried      func(error) // called after each attempt of Run, with nil if it worked; nil: not called
}

// Run seals all days that are due, and what is in FAX_AUDIT since then as a part, at once and then every hour,
// until ctx ends. Then it seals the last part. It tries again what fails.
func (s Sealer) Run(ctx context.Context) {
	chain := &parts{}
	for {
		sealed, err := s.Seal(ctx)
		if err == nil {
			err = s.part(ctx, chain)
		}
		if ctx.Err() != nil {
			break
		}
		if s.Tried != nil {
			s.Tried(err)
		}
		wait := min(partEvery, time.Until(LastSealable(time.Now()).AddDate(0, 0, 2).Add(sealDelay)))
		switch {
		case err != nil:
			s.Log.Error("the audit cannot be sealed; it is tried again", "after", sealRetry, "err", err)
			wait = sealRetry
		case sealed > 0:
			s.Log.Info("audit sealed", "days", sealed)
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastPart)
	defer cancel()
	if err := s.part(last, chain); err != nil {
		s.Log.Warn("the last entries of the audit are not sealed; the next start seals them", "err", err)
	}
}

// Seal writes the missing seals of all days that are over. sealed is the number of seals that it wrote. An error says why the next day
// cannot be sealed: the archive or FAX_AUDIT does not answer, the newest seal is damaged, or the clock is wrong.
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
		return 0, fmt.Errorf("the newest seal is of %s, which is in the future: the clock is or was wrong; "+
			"the next seal is written when that day is over", ahead.Format(time.DateOnly))
	}
	if due.Sub(day) > maxSealDays*24*time.Hour {
		return 0, fmt.Errorf("%s to %s have no seal: check the clock; more than %d days are not sealed at once",
			day.Format(time.DateOnly), due.Format(time.DateOnly), maxSealDays)
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

// newest reads the newest seal.
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

// compare returns an error if the newest seal does not have the entries of FAX_AUDIT. No other seal follows the newest one yet, so nothing
// in the archive shows if it was replaced together with its hashes.
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
	case !errors.Is(err, errSeal) && !errors.Is(err, fs.ErrNotExist): // Check reports those; entries are sealed all the same
		return err
	}
	if err := s.collect(ctx, io.Discard, &again, func(e session.AuditEntry) bool { return e.Sequence > newest.Last }); err != nil {
		return err
	}
	if again.SHA256 != newest.SHA256 {
		return fmt.Errorf("%w: %s does not have the entries of FAX_AUDIT; restore the original version", errSeal, keyOf(newest.day))
	}
	return nil
}

// next returns the day after the newest seal, or the day of the first entry if there is no seal; zero: there is nothing to seal.
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

// seal writes the seal of the day after previous, and sets previous to the seal in the archive: ours, or that of another process.
func (s Sealer) seal(ctx context.Context, day, created time.Time, previous *sealedDay) (wrote bool, err error) {
	seal := Seal{Day: day.Format(time.DateOnly), Previous: previous.sum, Stream: created}
	if created.Equal(previous.Stream) {
		seal.After = previous.Last
	}
	end, latest := day.AddDate(0, 0, 1), time.Now().Add(clockError)
	sum, existed, err := s.write(
		ctx, keyOf(day), &seal, func(e session.AuditEntry) bool { return !e.Time.Before(end) && !e.Time.After(latest) },
	)
	if err != nil {
		return false, err
	}
	*previous = sealedDay{seal, day, sum}
	if existed {
		*previous, err = s.existing(ctx, day)
	}
	return !existed, err
}

// write creates the object of a seal, with the entries after seal.After up to the first that is behind the end, and fills in the seal.
// sum is the hex SHA-256 of the object. existed: another process wrote an object under the key first.
func (s Sealer) write(
	ctx context.Context, key string, seal *Seal, behind func(session.AuditEntry) bool,
) (sum string, existed bool, err error) {
	f, err := os.CreateTemp(s.ScratchDir, "seal-*")
	if err != nil {
		return "", false, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	if err := s.collect(ctx, f, seal, behind); err != nil {
		return "", false, err
	}
	whole, size, hash, err := s.finish(f, *seal)
	if err != nil {
		return "", false, err
	}
	existed, err = archive.CreateFrom(ctx, s.Archive, key, whole, size, hash)
	return hex.EncodeToString(hash[:]), existed, err
}

// collect writes the lines of the entries after seal.After, up to the first that is behind the end, and fills in the seal.
func (s Sealer) collect(ctx context.Context, f io.Writer, seal *Seal, behind func(session.AuditEntry) bool) error {
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

// finish joins header, collected lines and signature.
func (s Sealer) finish(collected *os.File, seal Seal) (whole io.ReadSeeker, size int64, sum [sha256.Size]byte, err error) {
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
	lines, err := collected.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, 0, sum, err
	}
	size = int64(len(head)) + lines + int64(len(tail))
	whole = io.NewSectionReader(joined{head, collected, lines, tail}, 0, size)
	h := sha256.New()
	if _, err := io.Copy(h, whole); err != nil {
		return nil, 0, sum, err
	}
	return whole, size, [sha256.Size]byte(h.Sum(nil)), nil
}
