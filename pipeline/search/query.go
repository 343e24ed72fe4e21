package search

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/faxstream/faxstream/pipeline/session"
)

// Query is what is looked for. A page is found if it has every term; a term is a word, a phrase in double quotes, or the beginning of a
// word with a star. Case and marks of letters make no difference.
type Query struct {
	Text         string
	To, From     string    // numbers or user ids in any spelling; empty: all
	Since, Until time.Time // of the start of the fax; Until is not included; zero: all
	Status       string    // one of the session.Status constants; empty: all
	// Sees says whether the reader may see the faxes of a number, as session.NumberToken writes it; nil: all. It is the number of the
	// receiver, of a sent fax that of the sender.
	Sees func(number string) bool
	// PagesOnly finds words on pages and no numbers, dates or sessions of faxes.
	PagesOnly bool
	After     string // Next of the results before; empty: from the newest
	Limit     int    // faxes, from 1
}

// Hit is a fax with pages that are found.
type Hit struct {
	Session   string
	Revision  int
	Direction string
	From, To  string
	Status    string
	Start     time.Time // UTC
	Pages     int       // of the fax, with the missing ones
	Found     []Page    // ascending, the first MaxPages; a fax that is found by its numbers has page 0
}

// Page is a page that is found.
type Page struct {
	Page    int    // from 1; 0: the numbers, the date or the session of the fax
	Snippet string // the words around what is found, which stands between Mark and its like
}

// Marks around what is found in a snippet. They are no characters of a text.
const (
	Mark    = "\x01"
	EndMark = "\x02"
)

// Limits of a query.
const (
	MaxQuery = 1_000 // bytes
	maxTerms = 32
	// leastStar is how many letters a star needs before it: fewer begin so many words that a million pages take seconds.
	leastStar = 4
	MaxPages  = 10 // pages of a fax in a Hit
	MaxLimit  = 100
)

// BadQuery is the error of a query that says nothing that can be looked for. Its text is for the person who asks.
type BadQuery struct{ Err error }

func (e *BadQuery) Error() string { return e.Err.Error() }

func bad(format string, a ...any) error { return &BadQuery{fmt.Errorf(format, a...)} }

// terms reads the terms of a query and writes them as phrases of FTS5.
func terms(query string) (phrases []string, err error) {
	if len(query) > MaxQuery {
		return nil, bad("the query has %d bytes, want at most %d", len(query), MaxQuery)
	}
	for i, part := range strings.Split(strings.ToValidUTF8(query, " "), `"`) {
		words := strings.Fields(part)
		if i%2 == 1 { // between quotes
			words = []string{part}
		}
		for _, w := range words {
			if !strings.ContainsFunc(w, func(c rune) bool { return unicode.IsLetter(c) || unicode.IsNumber(c) }) {
				continue
			}
			begin := i%2 == 0 && strings.HasSuffix(w, "*")
			if begin && utf8.RuneCountInString(w) <= leastStar {
				return nil, bad("%s: want at least %d letters before a star", w, leastStar)
			}
			w = `"` + strings.Map(printable, w) + `"`
			if begin {
				w += "*"
			}
			phrases = append(phrases, w)
		}
	}
	switch {
	case len(phrases) == 0:
		return nil, bad("nothing to look for: give words, a number or a date")
	case len(phrases) > maxTerms:
		return nil, bad("the query has %d words, want at most %d", len(phrases), maxTerms)
	}
	return phrases, nil
}

// printable replaces control characters, of which SQLite takes 0 for an end.
func printable(c rune) rune {
	if unicode.IsControl(c) {
		return ' '
	}
	return c
}

// Find gives the newest faxes that match, with the pages that are found, and where the next ones begin; next is empty if there are no
// others. An error that is a BadQuery is for the person who asks.
func (x *Index) Find(ctx context.Context, q Query) (hits []Hit, next string, err error) {
	err = x.ask(ctx, q, func(f finder, match string, low, high int64) (err error) {
		hits, next, err = f.find(match, low, high)
		return err
	})
	return hits, next, err
}

// ask reads with a query in the words of FTS5, and the lowest and the highest number of pages; not if nothing can match.
func (x *Index) ask(ctx context.Context, q Query, read func(f finder, match string, low, high int64) error) (err error) {
	phrases, err := terms(q.Text)
	if err != nil {
		return err
	}
	tx, end, err := x.look(ctx)
	if err != nil {
		return err
	}
	defer end(&err)
	f := finder{ctx: ctx, tx: tx, q: q}
	match := "{body variants} : (" + strings.Join(phrases, " AND ") + ")"
	filters, some, err := f.filters()
	if err != nil || !some {
		return err
	}
	for _, filter := range filters {
		match += " AND {meta} : (" + filter + ")"
	}
	low, high, err := q.bounds()
	if err == nil {
		err = read(f, match, low, high)
	}
	return err
}

// look begins to read. end ends it, and reports to err if that fails.
func (x *Index) look(ctx context.Context) (tx *sql.Tx, end func(err *error), err error) {
	if tx, err = x.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true}); err != nil {
		return nil, nil, failed("read", err)
	}
	return tx, func(err *error) {
		if end := tx.Rollback(); *err == nil && !errors.Is(end, sql.ErrTxDone) {
			*err = end
		}
	}, nil
}

// finder is one query.
type finder struct {
	ctx context.Context
	tx  *sql.Tx
	q   Query
}

// bounds are the lowest and the highest number of pages that a query can find.
func (q Query) bounds() (low, high int64, err error) {
	low, high = 0, pageID((maxSecond+1)<<countBits-1, 1<<pageBits-1)
	if !q.Since.IsZero() {
		low = pageID(second(q.Since)<<countBits, 0)
	}
	if !q.Until.IsZero() {
		high = pageID((second(q.Until)+1)<<countBits, 0) - 1
	}
	if q.After != "" {
		var fax int64
		if _, err := fmt.Sscanf(q.After, "%d", &fax); err != nil || fax < 0 || fmt.Sprint(fax) != q.After {
			return 0, 0, bad("cursor %.40q is not from this server: use `next` of the previous results", q.After)
		}
		high = min(high, pageID(min(fax, high>>pageBits+1), 0)-1)
	}
	return low, high, nil
}

// filters are the parts of the query about meta. some is false if nothing can match.
func (f *finder) filters() (parts []string, some bool, err error) {
	if f.q.Status != "" {
		parts = append(parts, `"s`+f.q.Status+`"`)
	}
	n, err := numbersOf(f.ctx, f.tx, f.q.To, f.q.From, f.q.Sees)
	if err != nil {
		return nil, false, err
	}
	for _, c := range []struct {
		letter string // of the token in meta
		ids    []int64
	}{{"t", n.to}, {"f", n.from}, {"o", n.owner}} {
		if c.ids == nil {
			continue
		}
		if len(c.ids) == 0 {
			return nil, false, nil
		}
		tokens := make([]string, len(c.ids))
		for i, id := range c.ids {
			tokens[i] = fmt.Sprintf(`"%s%d"`, c.letter, id)
		}
		parts = append(parts, strings.Join(tokens, " OR "))
	}
	return parts, true, nil
}

// numbers are the numbers that filters mean, as they stand in the table of numbers; nil: the filter means all.
type numbers struct{ to, from, owner []int64 }

// numbersOf finds them. to and from may be in any spelling; empty: all. sees is as in Query.
func numbersOf(ctx context.Context, tx *sql.Tx, to, from string, sees func(string) bool) (n numbers, err error) {
	same := func(asked string) func(string) bool {
		if asked == "" {
			return nil
		}
		return func(text string) bool { return session.SameNumber(text, asked) }
	}
	owner := sees
	if sees != nil {
		owner = func(text string) bool { return sees(session.NumberToken(text)) }
	}
	filters := []struct {
		has func(string) bool
		ids *[]int64
	}{{same(to), &n.to}, {same(from), &n.from}, {owner, &n.owner}}
	if to == "" && from == "" && sees == nil {
		return n, nil
	}
	rows, err := tx.QueryContext(ctx, "SELECT id, text FROM number")
	if err != nil {
		return n, failed("read", err)
	}
	defer rows.Close()
	for _, f := range filters {
		if f.has != nil {
			*f.ids = []int64{}
		}
	}
	for rows.Next() {
		var id int64
		var text string
		if err := rows.Scan(&id, &text); err != nil {
			return n, failed("read", err)
		}
		for _, f := range filters {
			if f.has != nil && f.has(text) {
				*f.ids = append(*f.ids, id)
			}
		}
	}
	if err := rows.Err(); err != nil {
		return n, failed("read", err)
	}
	return n, nil
}

// find reads pages from the newest on until there are enough faxes.
func (f *finder) find(match string, low, high int64) (hits []Hit, next string, err error) {
	rows, err := f.tx.QueryContext(f.ctx, `SELECT page.rowid, snippet(page, 0, ?, ?, '…', 24),
			fax.session, fax.revision, fax.direction, s.text, r.text, fax.status, fax.start, fax.pages
		FROM page CROSS JOIN fax ON fax.id = page.rowid >> 14 CROSS JOIN number s ON s.id = fax.sender
			CROSS JOIN number r ON r.id = fax.receiver
		WHERE page MATCH ? AND page.rowid BETWEEN ? AND ? AND (NOT ? OR page.rowid & ?) ORDER BY page.rowid DESC`,
		Mark, EndMark, match, low, high, f.q.PagesOnly, 1<<pageBits-1)
	if err != nil {
		return nil, "", failed("read", err)
	}
	defer rows.Close()
	last, other := int64(-1), true // other: the fax last is not asked for
	for rows.Next() {
		id, p, h, err := scan(rows)
		if err != nil {
			return nil, "", failed("read", err)
		}
		if fax := id >> pageBits; fax != last {
			other = h.Start.Before(f.q.Since) || !f.q.Until.IsZero() && !h.Start.Before(f.q.Until)
			if !other && len(hits) == f.q.Limit {
				return hits, fmt.Sprint(last), nil
			}
			if last = fax; !other {
				hits = append(hits, h)
			}
		}
		if !other {
			found := &hits[len(hits)-1].Found
			*found = slices.Insert(*found, 0, p)[:min(len(*found)+1, MaxPages)]
		}
	}
	if err := rows.Err(); err != nil {
		return nil, "", failed("read", err)
	}
	return hits, "", nil
}

// scan reads one page that is found, and its fax.
func scan(rows *sql.Rows) (id int64, p Page, h Hit, err error) {
	var start int64
	err = rows.Scan(&id, &p.Snippet, &h.Session, &h.Revision, &h.Direction, &h.From, &h.To, &h.Status, &start, &h.Pages)
	p.Page, h.Start = int(id&(1<<pageBits-1)), time.UnixMilli(start).UTC()
	return id, p, h, err
}
