package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
)

// LetterFilter chooses dead letters; the zero value chooses all.
type LetterFilter struct {
	Session, Reason, Stage string
	Since                  time.Time // buried at or after; zero: no bound
}

// Letters gives every letter that there is now, oldest first.
func (c *Client) Letters(ctx context.Context, f LetterFilter) (all []api.Letter, err error) {
	query := values(map[string]string{"session": f.Session, "reason": f.Reason, "stage": f.Stage}, map[string]time.Time{"since": f.Since})
	query.Set("limit", strconv.Itoa(pageSize))
	for {
		var list api.LetterList
		if err := c.get(ctx, "/dlq", query, &list); err != nil {
			return nil, err
		}
		all = append(all, list.Letters...)
		if list.Next == 0 {
			return all, nil
		}
		query.Set("after", strconv.FormatUint(list.Next, 10))
	}
}

func letterPath(id uint64) string { return "/dlq/" + strconv.FormatUint(id, 10) }

// Letter gives one dead letter with its event and attempts. ErrNotFound: it never existed, or somebody has acted on it.
func (c *Client) Letter(ctx context.Context, id uint64) (l api.Letter, err error) {
	err = c.get(ctx, letterPath(id), nil, &l)
	return l, err
}

// ActOnLetter orders retry or drop. ErrNotFound: the letter never existed, or somebody has acted on it.
func (c *Client) ActOnLetter(ctx context.Context, id uint64, verb string, o api.Order) (l api.Letter, err error) {
	err = c.post(ctx, letterPath(id)+"/"+url.PathEscape(verb), o, &l)
	return l, err
}

// Refused lists the addresses whose webhooks were refused last, the newest first.
func (c *Client) Refused(ctx context.Context) (l api.RefusalList, err error) {
	err = c.get(ctx, "/webhooks/refused", nil, &l)
	return l, err
}

// ErrNotReady: /readyz is red; the text says why.
var ErrNotReady = errors.New("/readyz is red")

// Ready returns what /readyz says. The error matches ErrNotReady if it is red.
func (c *Client) Ready(ctx context.Context) (r api.Readiness, err error) {
	u, err := c.endpoint("", nil)
	if err != nil {
		return r, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(u, apiPath)+"/readyz", nil)
	if err != nil {
		return r, err
	}
	resp, err := c.do(req)
	if err != nil {
		return r, err
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		if err = refusal(resp); resp.StatusCode == http.StatusServiceUnavailable {
			err = fmt.Errorf("%w: %w", ErrNotReady, err)
		}
		return r, err
	}
	return r, c.decode(resp.Body, &r)
}
