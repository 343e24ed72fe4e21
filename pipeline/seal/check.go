package seal

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/sign"
)

// errSeal is matched by whatever is wrong with a seal by itself.
var errSeal = errors.New("the seal is not as it was written")

func badSeal(format string, a ...any) error {
	return fmt.Errorf("%w: %s", errSeal, fmt.Sprintf(format, a...))
}

// maxSealLine bounds one line, bytes: a message of 1 MiB, which is all that NATS takes, in base64.
const maxSealLine = 2 << 20

// readSeal calls f with the entries of a day's seal and gives its header, and the SHA-256 of the whole object in hex even where an error
// matches errSeal. An error matching fs.ErrNotExist: the day has none.
func readSeal(ctx context.Context, a archive.Reader, day time.Time, f func(Entry) error, keys ...ed25519.PublicKey) (seal Seal, sum string, err error) {
	key := keyOf(day)
	r, _, err := a.Open(ctx, key)
	if err != nil {
		return Seal{}, "", fmt.Errorf("read %s: %w", key, err)
	}
	defer r.Close()
	h := sha256.New()
	tee := io.TeeReader(r, h)
	seal, err = parseSeal(tee, f, keys)
	if err == nil && seal.Day != day.Format(time.DateOnly) {
		err = badSeal("it is that of %s", seal.Day)
	}
	if err != nil && !errors.Is(err, errSeal) {
		return seal, "", fmt.Errorf("read %s: %w", key, err)
	}
	if _, err := io.Copy(io.Discard, tee); err != nil {
		return seal, "", fmt.Errorf("read %s: %w", key, err)
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", key, err)
	}
	return seal, hex.EncodeToString(h.Sum(nil)), err
}

// parseSeal reads a seal and checks all that it says of itself. Of several keys one must have signed it; without keys it may be unsigned.
func parseSeal(r io.Reader, f func(Entry) error, keys []ed25519.PublicKey) (seal Seal, err error) {
	lines := bufio.NewReaderSize(r, 64<<10)
	head, err := sealLine(lines, &seal)
	if err != nil {
		return Seal{}, err
	}
	if _, err := time.Parse(time.DateOnly, seal.Day); err != nil || seal.Last < seal.After || seal.Entries < 0 {
		return seal, badSeal("its header says day %q, entries after %d up to %d", seal.Day, seal.After, seal.Last)
	}
	sum := sha256.New()
	last := seal.After
	for range seal.Entries {
		var e Entry
		line, err := sealLine(lines, &e)
		if err != nil {
			return seal, err
		}
		if e.Sequence <= last {
			return seal, badSeal("entry %d cannot follow %d in it", e.Sequence, last)
		}
		last = e.Sequence
		sum.Write(line)
		if err := f(e); err != nil {
			return seal, err
		}
	}
	if last != seal.Last || hex.EncodeToString(sum.Sum(nil)) != seal.SHA256 {
		return seal, badSeal("its entries are not those of its header")
	}
	if err := seal.verify(head, lines, keys); err != nil {
		return seal, err
	}
	if _, err := lines.ReadByte(); err == nil {
		return seal, badSeal("more follows than its header says")
	} else if !errors.Is(err, io.EOF) {
		return seal, err
	}
	return seal, nil
}

// sealLine reads a line of JSON, which must be written as we write it, into v.
func sealLine(r *bufio.Reader, v any) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		if line = append(line, part...); len(line) > maxSealLine {
			return nil, badSeal("a line is longer than %d bytes", maxSealLine)
		}
		if err == nil {
			break
		}
		if errors.Is(err, io.EOF) {
			return nil, badSeal("it is cut short")
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return nil, err
		}
	}
	if err := json.Unmarshal(line, v); err != nil {
		return nil, badSeal("a line is no JSON: %v", err)
	}
	if again, err := json.Marshal(v); err != nil || !bytes.Equal(append(again, '\n'), line) {
		return nil, badSeal("a line is written otherwise than faxstream writes")
	}
	return line, nil
}

// verify checks the signature, where there is one and keys are given.
func (s Seal) verify(head []byte, lines *bufio.Reader, keys []ed25519.PublicKey) error {
	if s.KeyID == "" {
		if len(keys) > 0 {
			return badSeal("it is not signed")
		}
		return nil
	}
	var sig sign.Signature
	if _, err := sealLine(lines, &sig); err != nil {
		return err
	}
	err := sig.Verify(s.signed(head), keys)
	switch {
	case errors.Is(err, sign.ErrMalformed) || sig.KeyID != s.KeyID:
		return badSeal("it has a malformed signature")
	case len(keys) == 0 || err == nil:
		return nil
	case errors.Is(err, sign.ErrUnknownKey):
		return badSeal("%v", err)
	}
	return badSeal("its signature is wrong")
}

// Report is what checking the seals came to.
type Report struct {
	Seals   int      `json:"seals"`
	Entries int      `json:"entries"`
	First   string   `json:"first,omitempty"` // day of the first seal
	Last    string   `json:"last,omitempty"`
	Signed  int      `json:"signed"`
	Gaps    uint64   `json:"gaps"`   // sequences without an entry: messages of the readiness check, or entries deleted from FAX_AUDIT before they were sealed
	Faults  []string `json:"faults"` // a sentence each
}

// Check checks that the days up to until have an unbroken chain of seals, each as it was written: no entry and no seal was altered,
// added, removed or put in another's place. What the archive alone cannot tell: that the first days were removed and the chain begun
// anew with all days behind them; and, where seals are not signed, that the newest one was replaced. No seal at all is
// no fault, but proves nothing. An error: the archive could not be read.
func Check(ctx context.Context, a archive.Reader, until time.Time, keys []ed25519.PublicKey) (Report, error) {
	report := Report{Faults: []string{}}
	fault := func(format string, args ...any) { report.Faults = append(report.Faults, fmt.Sprintf(format, args...)) }
	var previous sealedDay
	for key, err := range a.List(ctx, prefix, "") {
		if err != nil {
			return report, fmt.Errorf("list %s: %w", prefix, err)
		}
		day, ok := sealDay(key)
		if !ok {
			fault("%s: no seal has such a name", key)
			continue
		}
		seal, sum, err := readSeal(ctx, a, day, func(Entry) error { return nil }, keys...)
		if err != nil && !errors.Is(err, errSeal) {
			return report, err
		}
		here := sealedDay{seal, day, sum}
		if err != nil {
			fault("%v", err)
		} else {
			report.Entries += seal.Entries
			report.Gaps += seal.Last - seal.After - uint64(seal.Entries)
			if seal.KeyID != "" {
				report.Signed++
			}
			if what := here.follows(previous); what != "" {
				fault("%s: %s", key, what)
			}
		}
		if report.Seals++; report.First == "" {
			report.First = day.Format(time.DateOnly)
		}
		report.Last = day.Format(time.DateOnly)
		previous = here
	}
	if report.Seals > 0 && previous.day.Before(dayOf(until)) {
		fault("the days after %s up to %s have no seal: they were removed, or faxstream serve has not run since", report.Last, dayOf(until).Format(time.DateOnly))
	}
	return report, nil
}

// follows says what keeps a seal from being the next one after previous; empty: nothing.
func (s sealedDay) follows(previous sealedDay) string {
	after := uint64(0)
	if s.Stream.Equal(previous.Stream) {
		after = previous.Last
	}
	switch {
	case previous.day.IsZero() && s.Previous != "":
		return "a seal went before it, and it is gone"
	case !previous.day.IsZero() && s.day != previous.day.AddDate(0, 0, 1):
		return "the seals of the days after " + previous.Day + " are gone"
	case s.Previous != previous.sum:
		return "it was not made after the seal of " + previous.Day + " that is there: one of the two was put there later"
	case s.After != after && previous.SHA256 != "": // else the one before is spoilt, which is told
		return fmt.Sprintf("it begins after entry %d, but the one before ends with %d", s.After, after)
	}
	return ""
}

// Entries calls f with the sealed entries of the days from since to until, in order, and gives the last seal that there is at all.
func Entries(ctx context.Context, a archive.Reader, since, until time.Time, f func(Entry) error) (last Seal, err error) {
	var newest time.Time
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
		if last, _, err = readSeal(ctx, a, day, f); err != nil {
			return last, err
		}
	}
	if last.Day != newest.Format(time.DateOnly) && !newest.IsZero() {
		last, _, err = readSeal(ctx, a, newest, func(Entry) error { return nil })
	}
	return last, err
}
