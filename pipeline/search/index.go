package search

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"

	"modernc.org/sqlite" // the driver too
	sqlite3 "modernc.org/sqlite/lib"
)

// version of the tables. Another one in a file: it is made again.
const version = 2

const schema = `
CREATE TABLE fax (
	id INTEGER PRIMARY KEY, session TEXT NOT NULL UNIQUE, manifest TEXT NOT NULL, revision INTEGER NOT NULL, direction TEXT NOT NULL,
	sender INTEGER NOT NULL, receiver INTEGER NOT NULL, status TEXT NOT NULL, start INTEGER NOT NULL, pages INTEGER NOT NULL
);
CREATE INDEX fax_sender ON fax(sender);
CREATE INDEX fax_receiver ON fax(receiver);
CREATE TABLE number (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
CREATE TABLE place (id INTEGER PRIMARY KEY CHECK (id = 1), text TEXT NOT NULL, at INTEGER NOT NULL);
CREATE VIRTUAL TABLE page USING fts5(body, variants, meta, tokenize = "unicode61 remove_diacritics 2");
INSERT INTO page(page, rank) VALUES ('secure-delete', 1);
`

// Index is the database. It may be used by several goroutines and processes.
type Index struct {
	write *sql.DB // one connection: SQLite has one writer
	read  *sql.DB

	changes atomic.Uint64 // updates
}

// file is the name of the database in its directory.
const file = "search.db"

// Open opens the index in a directory, or makes an empty one. made: it is empty, or was of another version or damaged, and is to be filled.
func Open(ctx context.Context, dir string) (x *Index, made bool, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, false, fmt.Errorf("make the directory of the search index: %w", err)
	}
	if x, err = open(dir); err != nil {
		return nil, false, err
	}
	var found int
	err = x.write.QueryRowContext(ctx, "PRAGMA user_version").Scan(&found)
	switch {
	case err == nil && found == version:
		return x, false, nil
	case err != nil && !damaged(err):
		return nil, false, errors.Join(failed("open", err), x.Close())
	case err != nil || found != 0:
		if x, err = remade(x, dir); err != nil {
			return nil, false, err
		}
	}
	if err = x.create(ctx); err != nil {
		return nil, false, errors.Join(err, x.Close())
	}
	return x, true, nil
}

// remade removes the database and opens an empty one.
func remade(x *Index, dir string) (*Index, error) {
	if err := x.Close(); err != nil {
		return nil, err
	}
	for _, end := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(filepath.Join(dir, file+end)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("remove a search index that is damaged or of another version: %w", err)
		}
	}
	return open(dir)
}

// open opens the file without reading it.
func open(dir string) (*Index, error) {
	path := (&url.URL{Scheme: "file", Opaque: filepath.Join(dir, file)}).String()
	const common = "?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)&_pragma=secure_delete(1)"
	write, err := sql.Open("sqlite", path+common+"&_pragma=cache_size(-8000)&_txlock=immediate") // 8 MB
	if err != nil {
		return nil, failed("open", err)
	}
	write.SetMaxOpenConns(1)
	read, err := sql.Open("sqlite", path+common+"&_pragma=cache_size(-2000)&_pragma=query_only(1)") // 2 MB each
	if err != nil {
		return nil, errors.Join(failed("open", err), write.Close())
	}
	read.SetMaxOpenConns(4)
	return &Index{write: write, read: read}, nil
}

// create makes the tables, unless another process has made them meanwhile.
func (x *Index) create(ctx context.Context) error {
	return x.change(ctx, func(tx *sql.Tx) error {
		var found int
		if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&found); err != nil || found == version {
			return err
		}
		_, err := tx.ExecContext(ctx, schema+fmt.Sprintf("PRAGMA user_version = %d", version))
		return err
	})
}

// change makes a transaction.
func (x *Index) change(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := x.write.BeginTx(ctx, nil)
	if err != nil {
		return failed("write", err)
	}
	if err = f(tx); err == nil {
		err = tx.Commit()
	} else {
		err = errors.Join(err, tx.Rollback())
	}
	if err != nil {
		return failed("write", err)
	}
	return nil
}

// Close closes the database.
func (x *Index) Close() error { return errors.Join(x.read.Close(), x.write.Close()) }

// failed says what failed, and what to do about a file that is damaged.
func failed(what string, err error) error {
	if damaged(err) {
		return fmt.Errorf("%s the search index: %w: stop every faxstream that uses it and remove its directory; it is made again", what, err)
	}
	return fmt.Errorf("%s the search index: %w", what, err)
}

// damaged reports whether an error is that of a file that is no database, or one that was changed by somebody else.
func damaged(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && (e.Code()&0xff == sqlite3.SQLITE_CORRUPT || e.Code()&0xff == sqlite3.SQLITE_NOTADB)
}
