package archive

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/faxstream/faxstream/pipeline/session"
)

// Log is how a log about each fax is stored: one object for each entry, <prefix><session>/0001.<kind>.json, numbered without a gap. Entries
// are create-only: if two are written at the same time, one gets the next number and has read the other.
type Log struct {
	Prefix string   // the beginning of the keys of all logs, ends in a slash
	Kinds  []string // of entries
	Beside string   // objects of a session whose names begin like this are no entries; empty: there are none
}

// MaxEntries is the largest number that keys of a log have room for.
const MaxEntries = 9999

// ErrDamagedLog: a log is not as this program writes it.
var ErrDamagedLog = errors.New(
	"the log is damaged: find out who changed it, and restore the objects of the log from a copy of the archive")

// Of is the beginning of the keys of a session's log.
func (l Log) Of(id string) string { return l.Prefix + id + "/" }

// Key is the key of the n-th entry, from 1.
func (l Log) Key(id string, n int, kind string) string {
	return fmt.Sprintf("%s%04d.%s.json", l.Of(id), n, kind)
}

// ParseKey reads a key that Key made; ok is false for any other key.
func (l Log) ParseKey(key string) (id string, n int, kind string, ok bool) {
	rest, _ := strings.CutPrefix(key, l.Prefix)
	id, name, _ := strings.Cut(rest, "/")
	number, kind, _ := strings.Cut(strings.TrimSuffix(name, ".json"), ".")
	n, err := strconv.Atoi(number)
	return id, n, kind, err == nil && n > 0 && session.ValidToken(id) && slices.Contains(l.Kinds, kind) && l.Key(id, n, kind) == key
}

// beside reports whether a key is of an object that stands beside the entries of a session.
func (l Log) beside(key string) bool {
	rest, _ := strings.CutPrefix(key, l.Prefix)
	id, name, _ := strings.Cut(rest, "/")
	return l.Beside != "" && session.ValidToken(id) && strings.HasPrefix(name, l.Beside)
}

// Entries returns the kinds of a log's entries, oldest first, without reading the entries. The error for a damaged log matches
// ErrDamagedLog.
func (l Log) Entries(ctx context.Context, a Reader, id string) (kinds []string, err error) {
	if !session.ValidToken(id) {
		return nil, fmt.Errorf("session %q is not a token", id)
	}
	for key, err := range a.List(ctx, l.Of(id), "") {
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", l.Of(id), err)
		}
		if l.beside(key) {
			continue
		}
		_, n, kind, ok := l.ParseKey(key)
		if !ok || n != len(kinds)+1 {
			return nil, fmt.Errorf("%s comes after %d entries: %w", key, len(kinds), ErrDamagedLog)
		}
		kinds = append(kinds, kind)
	}
	return kinds, nil
}

// Read reads the n-th entry, as JSON, into e. check reports whether e belongs there. The error for another object matches ErrDamagedLog.
func (l Log) Read(ctx context.Context, a Reader, id string, n int, kind string, e any, check func() bool) error {
	key := l.Key(id, n, kind)
	data, err := Read(ctx, a, key, MaxSidecar)
	if err != nil {
		return err
	}
	if err = ParseStrict(data, e); err == nil && !check() {
		err = errors.New("it is an entry of another log, or has another kind or a value that is not allowed")
	}
	if err != nil {
		return fmt.Errorf("read %s: %w (%w)", key, ErrDamagedLog, err)
	}
	return nil
}

// Sessions yields the sessions that have a log, ascending. An error that matches ErrDamagedLog does not end it; any other error does.
func (l Log) Sessions(ctx context.Context, a Reader) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		last := ""
		for key, err := range a.List(ctx, l.Prefix, "") {
			if err != nil {
				yield("", fmt.Errorf("list %s: %w", l.Prefix, err))
				return
			}
			id, _, _, ok := l.ParseKey(key)
			if !ok {
				if !l.beside(key) && !yield("", fmt.Errorf("%s: %w", key, ErrDamagedLog)) {
					return
				}
				continue
			}
			if id != last && !yield(id, nil) {
				return
			}
			last = id
		}
	}
}
