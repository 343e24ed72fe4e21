package search

import (
	"context"
	"time"
)

// Match is a fax of which a page is found.
type Match struct {
	Session string
	At      time.Time // of its start, UTC, in whole seconds, as in the archive's own index
}

// Matching gives the newest faxes of which pages match, at most q.Limit: newest first, and faxes of one second in any order. Since and
// Until of the query count in whole seconds. more: there are others. An error that is a BadQuery is for the person who asks. It costs less
// than Find, because it does not say what is found.
func (x *Index) Matching(ctx context.Context, q Query) (found []Match, more bool, err error) {
	err = x.ask(ctx, q, func(f finder, match string, low, high int64) (err error) {
		found, more, err = f.matching(match, low, high)
		return err
	})
	return found, more, err
}

func (f *finder) matching(match string, low, high int64) (found []Match, more bool, err error) {
	rows, err := f.tx.QueryContext(f.ctx, `SELECT fax.id, fax.session FROM page CROSS JOIN fax ON fax.id = page.rowid >> 14
		WHERE page MATCH ? AND page.rowid BETWEEN ? AND ? AND (NOT ? OR page.rowid & ?) ORDER BY page.rowid DESC`,
		match, low, high, f.q.PagesOnly, 1<<pageBits-1)
	if err != nil {
		return nil, false, failed("read", err)
	}
	defer rows.Close()
	last := int64(-1)
	for rows.Next() {
		var number int64
		var m Match
		if err := rows.Scan(&number, &m.Session); err != nil {
			return nil, false, failed("read", err)
		}
		switch {
		case number == last: // another page of it
			continue
		case len(found) == f.q.Limit:
			return found, true, nil
		}
		last, m.At = number, time.Unix(number>>countBits, 0).UTC()
		found = append(found, m)
	}
	if err := rows.Err(); err != nil {
		return nil, false, failed("read", err)
	}
	return found, false, nil
}

// Changes counts the updates that this process has made. Another number says that something else may be found.
func (x *Index) Changes() uint64 { return x.changes.Load() }
