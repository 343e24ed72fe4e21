package client

import (
	"context"
	"net/url"
	"strconv"
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
