package search

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/faxstream/faxstream/pipeline/session"
)

// Listing chooses faxes by what is known of them without their texts.
type Listing struct {
	To, From  string // numbers or user ids in any spelling; empty: all
	Status    string // one of the session.Status constants; empty: all
	Direction string // session.Incoming or session.Outgoing; empty: both

	Sees func(number string) bool // as in Query
}

// listedAtOnce is how many faxes are read at once. The index is not read while they are given: a reader keeps what is removed in its files.
const listedAtOnce = 1024

// Listed calls f with the time and session of every fax that is chosen, newest first and sessions of one second in descending order, from
// before (at, id) on, down to since, until f returns false. Times have whole seconds, as in the archive's own index.
func (x *Index) Listed(
	ctx context.Context, l Listing, at time.Time, id string, since time.Time, f func(at time.Time, id string) bool,
) error {
	for {
		faxes, more, err := x.listed(ctx, l, at, id, since)
		if err != nil {
			return err
		}
		for _, x := range faxes {
			if !f(x.at, x.id) {
				return nil
			}
			at, id = x.at, x.id
		}
		if !more {
			return nil
		}
	}
}

// place is where a fax stands in the list.
type place struct {
	at time.Time
	id string
}

// listed reads the next faxes, all of each second. more: there may be others.
func (x *Index) listed(ctx context.Context, l Listing, at time.Time, id string, since time.Time) (faxes []place, more bool, err error) {
	tx, end, err := x.look(ctx)
	if err != nil {
		return nil, false, err
	}
	defer end(&err)
	n, err := numbersOf(ctx, tx, l.To, l.From, l.Sees)
	if err != nil {
		return nil, false, err
	}
	where, args := l.where(n)
	query := "SELECT id, session FROM fax WHERE id >= ? AND id < ?" + where + " ORDER BY id DESC"
	rows, err := tx.QueryContext(ctx, query, append([]any{second(since) << countBits, (second(at) + 1) << countBits}, args...)...)
	if err != nil {
		return nil, false, failed("read", err)
	}
	defer rows.Close()
	for rows.Next() {
		var number int64
		var p place
		if err := rows.Scan(&number, &p.id); err != nil {
			return nil, false, failed("read", err)
		}
		p.at = time.Unix(number>>countBits, 0).UTC()
		if p.at.After(at) || p.at.Equal(at) && p.id >= id || p.at.Before(since) {
			continue
		}
		if len(faxes) >= listedAtOnce && !p.at.Equal(faxes[len(faxes)-1].at) {
			more = true
			break
		}
		faxes = append(faxes, p)
	}
	if err := rows.Err(); err != nil {
		return nil, false, failed("read", err)
	}
	slices.SortFunc(faxes, func(a, b place) int { return cmp.Or(b.at.Compare(a.at), strings.Compare(b.id, a.id)) })
	return faxes, more, nil
}

// where are the conditions of a listing, each after an AND.
func (l Listing) where(n numbers) (where string, args []any) {
	if n.to != nil {
		where += " AND receiver IN (" + list(n.to) + ")"
	}
	if n.from != nil {
		where += " AND sender IN (" + list(n.from) + ")"
	}
	if n.owner != nil { // of a sent fax the sender
		where += " AND CASE direction WHEN ? THEN sender ELSE receiver END IN (" + list(n.owner) + ")"
		args = append(args, session.Outgoing)
	}
	if l.Status != "" {
		where, args = where+" AND status = ?", append(args, l.Status)
	}
	switch l.Direction {
	case "":
	case session.Outgoing:
		where, args = where+" AND direction = ?", append(args, session.Outgoing)
	default:
		where, args = where+" AND direction <> ?", append(args, session.Outgoing)
	}
	return where, args
}

func list(ids []int64) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(ids), " ", ","), "[]")
}
