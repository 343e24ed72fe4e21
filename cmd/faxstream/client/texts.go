package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/pipeline/session"
)

// Text is what an OCR engine recognised on a page; see session.OCRResult.
type Text struct {
	Session         string
	Page            int
	Raster          string // raster hash of the image that the engine read, the PNG
	Engine, Version string
	Languages       []string
	Format          string
	Data            []byte

	Orientation *session.TextOrientation // nil: the engine does not say
}

// PutText sends a text.
func (c *Client) PutText(ctx context.Context, t Text) error {
	query := url.Values{
		"engine": {t.Engine}, "version": {t.Version}, "languages": {strings.Join(t.Languages, ",")}, "format": {t.Format}, "raster": {t.Raster},
	}
	if o := t.Orientation; o != nil {
		query.Set("orientation", strconv.Itoa(o.Degrees))
		query.Set("orientation_confidence", strconv.FormatFloat(o.Confidence, 'g', -1, 64))
	}
	body, err := c.request(ctx, http.MethodPut, fmt.Sprintf("%s/pages/%d/text", faxPath(t.Session), t.Page), query, t.Data)
	if err != nil {
		return err
	}
	return body.Close()
}

// maxStored bounds an object that is read into memory, bytes.
const maxStored = 256 << 20

// Stored reads the object under a key, which an event names.
func (c *Client) Stored(ctx context.Context, key string) ([]byte, error) {
	if !strings.HasPrefix(key, "faxes/") || strings.Contains(key, "..") {
		return nil, fmt.Errorf("%.100q is not the key of an object of a fax", key)
	}
	body, err := c.request(ctx, http.MethodGet, "/"+key, nil, nil)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	data, err := io.ReadAll(io.LimitReader(body, maxStored+1))
	if err == nil && len(data) > maxStored {
		err = errors.New("the object is too large")
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	return data, nil
}

// Claim claims events for a subscriber.
func (c *Client) Claim(ctx context.Context, name string, o api.ClaimOrder) (given api.Claimed, err error) {
	return given, c.post(ctx, "/subscribers/"+url.PathEscape(name)+"/claim", o, &given)
}

// Settle says what became of claimed events. An error names the first that is not settled.
func (c *Client) Settle(ctx context.Context, name string, o api.SettleOrder) error {
	var done api.Settled
	if err := c.post(ctx, "/subscribers/"+url.PathEscape(name)+"/settle", o, &done); err != nil {
		return err
	}
	for _, text := range done.Errors {
		if text != "" {
			return fmt.Errorf("settle: %s", OneLine(text))
		}
	}
	return nil
}
