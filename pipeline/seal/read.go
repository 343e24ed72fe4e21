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
