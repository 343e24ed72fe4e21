package client

import (
	"context"
	"iter"
	"net/url"
	"strconv"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/ingest"
)

// pageSize is how many faxes or letters one request asks for.
const pageSize = 500

// searchSize is how many faxes one request for a search asks for.
const searchSize = 100

// FaxFilter chooses faxes; the zero value chooses all.
type FaxFilter struct {
	To, From     string    // numbers or user ids, in any spelling
	Since, Until time.Time // opened at or after Since and before Until; zero: no bound
	Status       string
	Direction    string // incoming or outgoing
	Verification string // one of session.Verifications
	Assignee     string
	Label        string
	Assigned     string // Assigned, Read and Done: yes, no, or "" for both
	Read         string
	Done         string
	Text         string // a query of the search index; of Faxes only
	Seen         string // of an earlier FaxList: with Text, faxes that it names are not recorded again
	Ledger       bool   // only faxes with a ledger: the archive, where lists take longer, is not read
	Limit        int    // 0: none
}

func (f FaxFilter) query() url.Values {
	archive := ""
	if f.Ledger {
		archive = "no"
	}
	return values(map[string]string{
		"to": f.To, "from": f.From, "status": f.Status, "direction": f.Direction, "verification": f.Verification,
		"assignee": f.Assignee, "label": f.Label, "assigned": f.Assigned, "read": f.Read, "done": f.Done, "text": f.Text,
		"archive": archive, "seen": f.Seen,
	}, map[string]time.Time{"since": f.Since, "until": f.Until})
}

// values are those of a query, without the empty ones.
func values(words map[string]string, times map[string]time.Time) url.Values {
	query := url.Values{}
	for name, v := range words {
		if v != "" {
			query.Set(name, v)
		}
	}
	for name, t := range times {
		if !t.IsZero() {
			query.Set(name, t.Format(time.RFC3339))
		}
	}
	return query
}

// Faxes yields the list of faxes, newest first, page after page. An error is the last that it yields.
func (c *Client) Faxes(ctx context.Context, f FaxFilter) iter.Seq2[api.FaxList, error] {
	return func(yield func(api.FaxList, error) bool) {
		query, left := f.query(), f.Limit
		for {
			n := pageSize
			if f.Limit > 0 {
				n = min(n, left)
			}
			query.Set("limit", strconv.Itoa(n))
			var list api.FaxList
			err := c.get(ctx, "/faxes", query, &list)
			if !yield(list, err) || err != nil {
				return
			}
			left -= len(list.Faxes)
			if list.Next == "" || f.Limit > 0 && left <= 0 {
				return
			}
			query.Set("cursor", list.Next)
		}
	}
}

// faxPath is the path of one fax.
func faxPath(session string) string { return "/faxes/" + url.PathEscape(session) }

// Fax returns a fax with its pages.
func (c *Client) Fax(ctx context.Context, session string) (d api.FaxDetail, err error) {
	err = c.get(ctx, faxPath(session), nil, &d)
	return d, err
}

// Link makes a link to a document or page. The order is recorded before the answer.
func (c *Client) Link(ctx context.Context, session string, o api.LinkOrder) (l api.Link, err error) {
	err = c.post(ctx, faxPath(session)+"/links", o, &l)
	return l, err
}

// Replay stores the order to make a fax again from the archive, or to fetch its missing pages again. It is carried out later.
func (c *Client) Replay(ctx context.Context, session string, o api.ReplayOrder) (done api.ReplayAnswer, err error) {
	err = c.post(ctx, faxPath(session)+"/replay", o, &done)
	return done, err
}

// Choose stores a person's choice of one of two images of pages, such as 2 or 2-4,7. The answer says whether the document has it.
func (c *Client) Choose(ctx context.Context, session, pages string, o api.ChoiceOrder) (done api.ChoiceAnswer, err error) {
	err = c.post(ctx, faxPath(session)+"/pages/"+url.PathEscape(pages)+"/choose", o, &done)
	return done, err
}

// Reconcile looks at the provider for faxes that no webhook announced. It returns when that is done, which may take minutes.
func (c *Client) Reconcile(ctx context.Context, o api.ReconcileOrder) (report ingest.Report, err error) {
	err = c.post(ctx, "/reconcile", o, &report)
	return report, err
}

// Search yields the faxes of which pages are found, newest first, page after page. An error is the last that it yields.
func (c *Client) Search(ctx context.Context, text string, f FaxFilter) iter.Seq2[api.SearchResult, error] {
	return func(yield func(api.SearchResult, error) bool) {
		query, left := f.query(), f.Limit
		query.Set("q", text)
		for {
			query.Set("limit", strconv.Itoa(min(searchSize, left)))
			var result api.SearchResult
			err := c.get(ctx, "/search", query, &result)
			if !yield(result, err) || err != nil {
				return
			}
			if left -= len(result.Faxes); result.Next == "" || left <= 0 {
				return
			}
			query.Set("cursor", result.Next)
		}
	}
}
