package client

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// A download to FILE writes FILE.<SHA-256>.part; the hash is the ETag of the object. When a download is interrupted the part stays, and the
// next download continues at its end (RFC 9110, 13.1.5 If-Range). FILE appears, or is replaced, when all bytes are there and have the hash.

// partSuffix ends the name of a file that is not complete.
const partSuffix = ".part"

func partName(output, sum string) string { return output + "." + sum + partSuffix }

// findPart looks for the part of an interrupted download. If there are several, it takes one of them.
func findPart(output string) (size int64, sum string, err error) {
	entries, err := os.ReadDir(filepath.Dir(output))
	if err != nil {
		return 0, "", err
	}
	for _, e := range entries {
		name, ok := strings.CutPrefix(e.Name(), filepath.Base(output)+".")
		name, part := strings.CutSuffix(name, partSuffix)
		if !ok || !part || !isSum(name) || !e.Type().IsRegular() {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return 0, "", err
		}
		return info.Size(), name, nil
	}
	return 0, "", nil
}

// appendPart writes body after the first have bytes. The file holds medical data, so only its owner can read it.
func appendPart(output, sum string, have int64, body io.Reader) (err error) {
	f, err := os.OpenFile(partName(output, sum), os.O_CREATE|os.O_WRONLY|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := f.Chmod(0o600); err != nil { // also for a part that was here before: in a shared directory others may have made it
		return err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return fmt.Errorf("%s: another download is writing this file: %w", f.Name(), err)
	}
	if err := f.Truncate(have); err != nil {
		return err
	}
	if _, err := f.Seek(have, io.SeekStart); err != nil {
		return err
	}
	if n, err := io.Copy(f, body); err != nil {
		return fmt.Errorf("download to %s stopped after %d bytes (run the same command again to continue): %w", output, have+n, err)
	}
	return nil
}

// finish renames the part to output if its bytes have the hash, and removes it if not.
func finish(output, sum string) error {
	part := partName(output, sum)
	f, err := os.Open(part)
	if err != nil {
		return err
	}
	hash := sha256.New()
	_, err = io.Copy(hash, f)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := checkSum(hex.EncodeToString(hash.Sum(nil)), sum); err != nil {
		return errors.Join(fmt.Errorf("%s: %w", output, err), os.Remove(part))
	}
	return os.Rename(part, output)
}

func checkSum(got, want string) error {
	if got != want {
		return fmt.Errorf("the received bytes have the SHA-256 %s, not %q: they were changed on the way or in the archive; "+
			"try again, and run faxstream verify", got, want)
	}
	return nil
}
