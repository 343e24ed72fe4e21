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

// errSeal: a seal is damaged; what follows says how.
var errSeal = errors.New("the seal was changed after it was written")

// badSeal returns an error that matches errSeal.
func badSeal(format string, a ...any) error {
	return fmt.Errorf("%w: %s", errSeal, fmt.Sprintf(format, a...))
}

// maxSealLine is the largest length of a line, in bytes: NATS takes messages up to 1 MiB, and base64 makes them longer.
const maxSealLine = 2 << 20

// readSeal calls f with the entries of a day's seal. It returns the header, and the hex SHA-256 of the whole object also if the error
// matches errSeal. An error that matches fs.ErrNotExist: the day has no seal.
func readSeal(
	ctx context.Context, a archive.Reader, day time.Time, f func(Entry) error, keys ...ed25519.PublicKey,
) (seal Seal, sum string, err error) {
	return readObject(ctx, a, keyOf(day), Seal{Day: day.Format(time.DateOnly)}, f, keys)
}

// readObject does the same as readSeal for the object under a key, which must be of the day and part of want.
func readObject(
	ctx context.Context, a archive.Reader, key string, want Seal, f func(Entry) error, keys []ed25519.PublicKey,
) (seal Seal, sum string, err error) {
	r, _, err := a.Open(ctx, key)
	if err != nil {
		return Seal{}, "", fmt.Errorf("read %s: %w", key, err)
	}
	defer r.Close()
	h := sha256.New()
	tee := io.TeeReader(r, h)
	seal, err = parseSeal(tee, f, keys)
	switch {
	case err != nil:
	case seal.Part != want.Part:
		err = badSeal("it is part %d of %s (0: the whole day)", seal.Part, seal.Day)
	case seal.Day != want.Day:
		err = badSeal("it is the seal of %s", seal.Day)
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

// parseSeal reads a seal and checks everything in it. If there are keys, one of them must have signed it.
func parseSeal(r io.Reader, f func(Entry) error, keys []ed25519.PublicKey) (seal Seal, err error) {
	lines := bufio.NewReaderSize(r, 64<<10)
	head, err := sealLine(lines, &seal)
	if err != nil {
		return Seal{}, err
	}
	if _, err := time.Parse(time.DateOnly, seal.Day); err != nil || seal.Last < seal.After || seal.Entries < 0 {
		return seal, badSeal("its header has day %q and entries after %d up to %d", seal.Day, seal.After, seal.Last)
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
			return seal, badSeal("entry %d comes after entry %d", e.Sequence, last)
		}
		last = e.Sequence
		sum.Write(line)
		if err := f(e); err != nil {
			return seal, err
		}
	}
	if last != seal.Last || hex.EncodeToString(sum.Sum(nil)) != seal.SHA256 {
		return seal, badSeal("its entries do not match its header")
	}
	if err := seal.verify(head, lines, keys); err != nil {
		return seal, err
	}
	if _, err := lines.ReadByte(); err == nil {
		return seal, badSeal("it has more lines than its header says")
	} else if !errors.Is(err, io.EOF) {
		return seal, err
	}
	return seal, nil
}

// sealLine reads a line of JSON into v. The line must have exactly the bytes that we write.
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
			return nil, badSeal("its end is missing")
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return nil, err
		}
	}
	if err := json.Unmarshal(line, v); err != nil {
		return nil, badSeal("a line is not JSON: %v", err)
	}
	if again, err := json.Marshal(v); err != nil || !bytes.Equal(append(again, '\n'), line) {
		return nil, badSeal("a line is not written as faxstream writes it")
	}
	return line, nil
}

// verify checks the signature, if there is one and keys are given.
func (s Seal) verify(head []byte, lines *bufio.Reader, keys []ed25519.PublicKey) error {
	if s.KeyID == "" {
		if len(keys) > 0 {
			return badSeal("it has no signature")
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
		return badSeal("%v", sign.ErrMalformed)
	case len(keys) == 0 || err == nil:
		return nil
	case errors.Is(err, sign.ErrUnknownKey):
		return badSeal("%v", err)
	}
	return badSeal("its signature is wrong")
}
