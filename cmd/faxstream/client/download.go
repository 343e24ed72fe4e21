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
	"strconv"
	"strings"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
)

// Object names a document or a page.
type Object struct {
	Session string
	Page    int // from 1; 0: the document
	// Kind is pdf, searchable, tiff, fax.tiff, txt or manifest of the document; of a page png, original (the bytes as fetched), or txt, words
	// and sent: its text.
	Kind    string
	Derived string // the id of a derived document; empty: the document of the newest revision
	Image   string // of a page that differs from the whole file: streamed or file; empty: the one that counts
	Reason  string // why, for FAX_AUDIT
}

// path is where the object is, below /api/v1.
func (o Object) path() string {
	base := faxPath(o.Session)
	switch {
	case o.Derived != "" && o.Kind == "manifest":
		return base + "/derived/" + url.PathEscape(o.Derived+".json")
	case o.Derived != "":
		return base + "/derived/" + url.PathEscape(o.Derived+"."+o.Kind)
	case o.Kind == "original":
		return fmt.Sprintf("%s/pages/%d.tiff", base, o.Page)
	case o.Page > 0 && o.Kind != "png":
		return fmt.Sprintf("%s/pages/%d/text/%s", base, o.Page, url.PathEscape(o.Kind))
	case o.Page > 0:
		return fmt.Sprintf("%s/pages/%d.png", base, o.Page)
	case o.Kind == "manifest":
		return base + "/manifest.json"
	case o.Kind == "searchable":
		return base + "/document.searchable.pdf"
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
	case http.StatusRequestedRangeNotSatisfiable: // the part has all bytes of the same object
		return finish(output, sum)
	case http.StatusPartialContent:
		err = appendPart(output, sum, have, resp.Body)
	case http.StatusOK:
		// The part is of another object, or there is no part.
		if sum != "" {
			err = os.Remove(partName(output, sum))
		}
		if sum = etagSum(resp); sum == "" {
			return errors.Join(err, fmt.Errorf("answer of %s: its ETag is not a SHA-256 (is --server the admin address of a faxstream?)", c.server))
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

// Stream writes an object as it arrives. A wrong hash shows only at the end.
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

// open asks for the bytes after the first have if the object still has the hash sum, and else for all.
func (c *Client) open(ctx context.Context, o Object, have int64, sum string) (*http.Response, error) {
	u, err := c.endpoint(o.path(), values(map[string]string{"image": o.Image}, nil))
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

// etagSum is the SHA-256 in an ETag, in hex; empty if the ETag is not one.
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
