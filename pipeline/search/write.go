package search

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/faxstream/faxstream/pipeline/session"
)

// Fax is a fax as it is found.
type Fax struct {
	Session   string
	Manifest  string // hex SHA-256 of the manifest of its newest revision
	Revision  int
	Direction string
	From, To  string
	Status    string
	Start     time.Time    // UTC, as the archive's index has it
	Pages     int          // with the missing ones
	Texts     map[int]Text // of its pages, from 1, that have a text that counts
}

// Bits of the number of a page: its page, the count of its fax within a second, and that second.
const (
	pageBits  = 14
	countBits = 14
	maxSecond = 1<<35 - 1
)

// pageID is the number of a page of a fax; page 0 is about the fax.
func pageID(fax int64, page int) int64 { return fax<<pageBits | int64(page) }

// second is the part of a start that is in numbers.
func second(start time.Time) int64 { return min(max(start.Unix(), 0), maxSecond) }

// Update is what changes together.
type Update struct {
	Faxes   []Fax      // replace what is there of them
	Texts   []PageText // of faxes that are there
	Removed []string   // sessions, such as purged ones; those that are not there are no error
	Place   string     // where the events are that have been seen by now; empty: it stays
}

// PageText is the text of one page.
type PageText struct {
	Session  string
	Manifest string // of the fax: if it is there with another one, the text does not count
	Page     int    // from 1
	Text     Text
}

// Write makes an update, all of it or nothing. What is removed is not in the files any more when it returns, unless somebody reads the
// index at that moment.
func (x *Index) Write(ctx context.Context, u Update) error {
	if err := x.update(ctx, u); err != nil || len(u.Removed) == 0 {
		return err
	}
	if _, err := x.write.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
		return failed("clean", err)
	}
	return nil
}

func (x *Index) update(ctx context.Context, u Update) error {
	defer x.changes.Add(1) // also after an error: it may be there
	return x.change(ctx, func(tx *sql.Tx) error {
		for _, f := range u.Faxes {
			if err := put(ctx, tx, f); err != nil {
				return fmt.Errorf("session %s: %w", f.Session, err)
			}
		}
		for _, t := range u.Texts {
			if err := setText(ctx, tx, t); err != nil {
				return fmt.Errorf("session %s page %d: %w", t.Session, t.Page, err)
			}
		}
		for _, id := range u.Removed {
			if err := remove(ctx, tx, id); err != nil {
				return fmt.Errorf("session %s: %w", id, err)
			}
		}
		if u.Place == "" {
			return nil
		}
		_, err := tx.ExecContext(ctx, "INSERT OR REPLACE INTO place VALUES (1, ?, ?)", u.Place, time.Now().Unix())
		return err
	})
}

const insertPage = "INSERT INTO page(rowid, body, variants, meta) VALUES (?, ?, ?, ?)"

func put(ctx context.Context, tx *sql.Tx, f Fax) error {
	id, err := faxID(ctx, tx, f)
	if err != nil {
		return err
	}
	sender, err := numberID(ctx, tx, f.From)
	if err != nil {
		return err
	}
	receiver, err := numberID(ctx, tx, f.To)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "INSERT INTO fax VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", id, f.Session, f.Manifest, f.Revision,
		f.Direction, sender, receiver, f.Status, f.Start.UnixMilli(), f.Pages); err != nil {
		return err
	}
	meta := metaOf(f, sender, receiver)
	insert, err := tx.PrepareContext(ctx, insertPage)
	if err != nil {
		return err
	}
	defer insert.Close()
	if _, err := insert.ExecContext(ctx, pageID(id, 0), about(f), numberVariants(f.From, f.To), meta); err != nil {
		return err
	}
	for page, text := range f.Texts {
		if _, err := insert.ExecContext(ctx, pageID(id, page), text.Body, text.variants(), meta); err != nil {
			return err
		}
	}
	return nil
}

// faxID removes what is there of a fax, and returns the number that it gets now.
func faxID(ctx context.Context, tx *sql.Tx, f Fax) (id int64, err error) {
	at := second(f.Start)
	old, err := drop(ctx, tx, f.Session)
	if err != nil {
		return 0, err
	}
	if old>>countBits == at && old > 0 {
		return old, nil
	}
	var last sql.NullInt64
	first := at << countBits
	err = tx.QueryRowContext(ctx, "SELECT max(id) FROM fax WHERE id BETWEEN ? AND ?", first, first+1<<countBits-1).Scan(&last)
	if err != nil {
		return 0, err
	}
	if !last.Valid {
		return first, nil
	}
	if last.Int64 == first+1<<countBits-1 {
		return 0, errors.New("too many faxes begin in the same second")
	}
	return last.Int64 + 1, nil
}

// drop removes a fax, and returns the number that it had, 0 if there is none.
func drop(ctx context.Context, tx *sql.Tx, id string) (number int64, err error) {
	err = tx.QueryRowContext(ctx, "SELECT id FROM fax WHERE session = ?", id).Scan(&number)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if _, err := tx.ExecContext(ctx, "DELETE FROM fax WHERE id = ?", number); err != nil {
		return 0, err
	}
	_, err = tx.ExecContext(ctx, "DELETE FROM page WHERE rowid BETWEEN ? AND ?", pageID(number, 0), pageID(number+1, 0)-1)
	return number, err
}

// remove removes a fax, and its numbers if no other fax has them.
func remove(ctx context.Context, tx *sql.Tx, id string) error {
	var sender, receiver int64
	err := tx.QueryRowContext(ctx, "SELECT sender, receiver FROM fax WHERE session = ?", id).Scan(&sender, &receiver)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := drop(ctx, tx, id); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `DELETE FROM number WHERE id IN (?, ?)
		AND NOT EXISTS (SELECT 1 FROM fax WHERE sender = number.id) AND NOT EXISTS (SELECT 1 FROM fax WHERE receiver = number.id)`,
		sender, receiver)
	return err
}

// numberID is the number of a text in the table of numbers.
func numberID(ctx context.Context, tx *sql.Tx, text string) (id int64, err error) {
	err = tx.QueryRowContext(ctx, "SELECT id FROM number WHERE text = ?", text).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		err = tx.QueryRowContext(ctx, "INSERT INTO number(text) VALUES (?) RETURNING id", text).Scan(&id)
	}
	return id, err
}

// metaOf are the tokens of a fax that filters ask for.
func metaOf(f Fax, sender, receiver int64) string {
	owner := receiver
	if f.Direction == session.Outgoing {
		owner = sender
	}
	return fmt.Sprintf("t%d f%d o%d s%s", receiver, sender, owner, f.Status)
}

// about is the text about a fax.
func about(f Fax) string {
	return strings.Join([]string{f.From, f.To, f.Start.UTC().Format(time.DateOnly), f.Session}, " · ")
}

// setText writes the text of a page, if its fax is there with its manifest.
func setText(ctx context.Context, tx *sql.Tx, t PageText) error {
	var fax int64
	err := tx.QueryRowContext(ctx, "SELECT id FROM fax WHERE session = ? AND manifest = ?", t.Session, t.Manifest).Scan(&fax)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	var meta string
	if err := tx.QueryRowContext(ctx, "SELECT meta FROM page WHERE rowid = ?", pageID(fax, 0)).Scan(&meta); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "DELETE FROM page WHERE rowid = ?", pageID(fax, t.Page)); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, insertPage, pageID(fax, t.Page), t.Text.Body, t.Text.variants(), meta)
	return err
}

// Manifest gives the manifest with which a fax is there; empty: it is not there.
func (x *Index) Manifest(ctx context.Context, id string) (manifest string, err error) {
	err = x.read.QueryRowContext(ctx, "SELECT manifest FROM fax WHERE session = ?", id).Scan(&manifest)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", failed("read", err)
	}
	return manifest, nil
}

// Place gives the place in the events up to which the index counts, and when it was written; empty: there is none.
func (x *Index) Place(ctx context.Context) (place string, at time.Time, err error) {
	var seconds int64
	err = x.read.QueryRowContext(ctx, "SELECT text, at FROM place").Scan(&place, &seconds)
	if errors.Is(err, sql.ErrNoRows) {
		return "", time.Time{}, nil
	}
	if err != nil {
		return "", time.Time{}, failed("read", err)
	}
	return place, time.Unix(seconds, 0), nil
}

// Sessions gives the session of every fax that is there.
func (x *Index) Sessions(ctx context.Context) (all map[string]bool, err error) {
	rows, err := x.read.QueryContext(ctx, "SELECT session FROM fax")
	if err != nil {
		return nil, failed("read", err)
	}
	defer rows.Close()
	all = map[string]bool{}
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, failed("read", err)
		}
		all[id] = true
	}
	return all, rows.Err()
}
