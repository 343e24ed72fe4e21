package client

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
)

// A download to FILE goes into FILE.<SHA-256>.part, whose name is the ETag of what it will be. An interrupted one stays there, and
// the next one goes on from its end (RFC 9110, 13.1.5 If-Range). FILE appears, or is replaced, once all of it has the hash.

// partSuffix ends the name of what is not whole.
const partSuffix = ".part"

// Object is a document or a page, as the server gives it out.
type Object struct {
	Session string
	Page    int    // from 1; 0: the document
	Kind    string // of the document pdf, tiff or manifest; of a page png, or original: the bytes as fetched
	Reason  string // why, for FAX_AUDIT
}

// path is the object's, below /api/v1.
func (o Object) path() string {
	base := faxPath(o.Session)
	switch {
	case o.Kind == "original":
		return fmt.Sprintf("%s/pages/%d.tiff", base, o.Page)
	case o.Page > 0:
		return fmt.Sprintf("%s/pages/%d.png", base, o.Page)
	case o.Kind == "manifest":
		return base + "/manifest.json"
	default:
		return base + "/document." + url.PathEscape(o.Kind)
	}
}

// Save downloads an object to a file, from where an interrupted download stopped.
func (c *Client) Save(ctx context.Context, o Object, output string) error {
	have, sum, err := findPart(output)
	if err != nil {
		return err
	}
	resp, err := c.open(ctx, o, have, sum)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusRequestedRangeNotSatisfiable: // of the same object: all of it is here
		return finish(output, sum)
	case http.StatusPartialContent:
		err = appendPart(output, sum, have, resp.Body)
	case http.StatusOK:
		// The object is another one than that of the part, or there was none.
		if sum != "" {
			err = os.Remove(partName(output, sum))
		}
		if sum = etagSum(resp); sum == "" {
			return errors.Join(err, fmt.Errorf("answer of %s: its ETag is no SHA-256: is that a faxstream?", c.server))
		}
		err = errors.Join(err, appendPart(output, sum, 0, resp.Body))
	default:
		return refusal(resp)
	}
	if err != nil {
		return err
	}
	return finish(output, sum)
}

// Stream writes an object as it comes. A hash that is wrong shows only at the end.
func (c *Client) Stream(ctx context.Context, o Object, w io.Writer) error {
	resp, err := c.open(ctx, o, 0, "")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return refusal(resp)
	}
	hash := sha256.New()
	if _, err := io.Copy(io.MultiWriter(w, hash), resp.Body); err != nil {
		return err
	}
	return checkSum(hex.EncodeToString(hash.Sum(nil)), etagSum(resp))
}

// open asks for all, or for what is behind the part that is here if the object is still the one with this hash.
func (c *Client) open(ctx context.Context, o Object, have int64, sum string) (*http.Response, error) {
	u, err := c.endpoint(o.path(), nil)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	if err != nil {
		return nil, err
	}
	if o.Reason != "" {
		req.Header.Set(api.HeaderReason, o.Reason)
	}
	if have > 0 {
		req.Header.Set("Range", "bytes="+strconv.FormatInt(have, 10)+"-")
		req.Header.Set("If-Range", `"`+sum+`"`)
	}
	return c.do(req)
}

// etagSum is the SHA-256 in an ETag, in hex; empty where it is none.
func etagSum(resp *http.Response) string {
	sum := strings.Trim(resp.Header.Get("ETag"), `"`)
	if !isSum(sum) {
		return ""
	}
	return sum
}

func isSum(s string) bool {
	raw, err := hex.DecodeString(s)
	return err == nil && len(raw) == sha256.Size && s == strings.ToLower(s)
}

func partName(output, sum string) string { return output + "." + sum + partSuffix }

// findPart looks for the rest of an interrupted download; of several, which nobody should have, it takes one.
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

// appendPart writes what comes behind the first have bytes: medical data, so for the owner only.
func appendPart(output, sum string, have int64, body io.Reader) (err error) {
	f, err := os.OpenFile(partName(output, sum), os.O_CREATE|os.O_WRONLY|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := f.Chmod(0o600); err != nil { // also of one that was here: in a directory for all it may be somebody else's
		return err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return fmt.Errorf("%s: another download writes it: %w", f.Name(), err)
	}
	if err := f.Truncate(have); err != nil {
		return err
	}
	if _, err := f.Seek(have, io.SeekStart); err != nil {
		return err
	}
	if n, err := io.Copy(f, body); err != nil {
		return fmt.Errorf("download to %s stopped after %d bytes; the same command goes on from there: %w", output, have+n, err)
	}
	return nil
}

// finish gives the part its name if it has its hash, and removes it if not.
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
		return fmt.Errorf("what arrived has the SHA-256 %s, not %q: it was altered on the way or in the archive; try again, and run faxstream verify", got, want)
	}
	return nil
}
