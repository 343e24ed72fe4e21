package hold

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/session"
)

// The log of a fax is in the archive, because a hold must survive the loss of JetStream. It is outside of the fax's own objects, because
// it must survive their purge: keep/<session>/0001.held.json, one object for each entry, numbered without a gap. Entries are create-only:
// if two are written at the same time, one gets the next number and has read the other. The last entry counts. A purge is always last.
const (
	// LogPrefix is the beginning of the keys of all logs.
	LogPrefix = "keep/"
	// maxEntries is the largest number that keys of a log have room for.
	maxEntries = 9999
)

func logKey(id string, n int, kind string) string {
	return fmt.Sprintf("%s%s/%04d.%s.json", LogPrefix, id, n, kind)
}

// parseLogKey reads a key that logKey made; ok is false for any other key.
func parseLogKey(key string) (id string, n int, kind string, ok bool) {
	rest, _ := strings.CutPrefix(key, LogPrefix)
	id, name, _ := strings.Cut(rest, "/")
	number, kind, _ := strings.Cut(strings.TrimSuffix(name, ".json"), ".")
	n, err := strconv.Atoi(number)
	return id, n, kind, err == nil && n > 0 && session.ValidToken(id) && isKind(kind) && logKey(id, n, kind) == key
}

func isKind(kind string) bool {
	return kind == session.ActionHeld || kind == session.ActionReleased || kind == session.ActionPurged
}

// ErrDamagedLog: the log of holds and purges is not as this program writes it. Nothing of the fax may be deleted then.
var ErrDamagedLog = errors.New("the log of holds is damaged: find out who changed it, and restore keep/ from a copy of the archive")

// kinds lists the kinds of a log's entries, oldest first, without reading the entries.
func kinds(ctx context.Context, a archive.Reader, id string) (kinds []string, err error) {
	prefix := LogPrefix + id + "/"
	for key, err := range a.List(ctx, prefix, "") {
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", prefix, err)
		}
		_, n, kind, ok := parseLogKey(key)
		if !ok || n != len(kinds)+1 {
			return nil, fmt.Errorf("%s comes after %d entries: %w", key, len(kinds), ErrDamagedLog)
		}
		kinds = append(kinds, kind)
	}
	return kinds, nil
}

// state is the kind of the last entry, "" if there is none.
func state(ctx context.Context, a archive.Reader, id string) (kind string, err error) {
	kinds, err := kinds(ctx, a, id)
	if err != nil || len(kinds) == 0 {
		return "", err
	}
	return kinds[len(kinds)-1], nil
}

func readLog(ctx context.Context, a archive.Reader, id string) ([]session.KeepEntry, error) {
	if !session.ValidToken(id) {
		return nil, fmt.Errorf("session %q is not a token", id)
	}
	kinds, err := kinds(ctx, a, id)
	if err != nil {
		return nil, err
	}
	entries := make([]session.KeepEntry, len(kinds))
	for i, kind := range kinds {
		if entries[i], err = readEntry(ctx, a, id, i+1, kind); err != nil {
			return nil, err
		}
	}
	return entries, nil
}

func readEntry(ctx context.Context, a archive.Reader, id string, n int, kind string) (e session.KeepEntry, err error) {
	key := logKey(id, n, kind)
	data, err := archive.Read(ctx, a, key, archive.MaxObject)
	if err != nil {
		return e, err
	}
	if err := archive.ParseStrict(data, &e); err != nil || e.Session != id || e.Kind != kind {
		return e, fmt.Errorf("read %s: %w (%v)", key, ErrDamagedLog, err)
	}
	return e, nil
}

// LastEntry returns the last entry of a fax's log, a zero entry if there is none. The error for a damaged log matches ErrDamagedLog.
func LastEntry(ctx context.Context, a archive.Reader, id string) (session.KeepEntry, error) {
	kinds, err := kinds(ctx, a, id)
	if err != nil || len(kinds) == 0 {
		return session.KeepEntry{}, err
	}
	return readEntry(ctx, a, id, len(kinds), kinds[len(kinds)-1])
}

// appendLog adds an entry and returns it. If the log has the same order already, or the fax is purged, or e would purge a held fax, it
// adds nothing and returns the last entry.
func appendLog(ctx context.Context, a archive.Store, e session.KeepEntry) (last session.KeepEntry, err error) {
	data, err := json.Marshal(e)
	if err != nil {
		return e, fmt.Errorf("log of session %s: %w", e.Session, err)
	}
	for {
		log, err := readLog(ctx, a, e.Session)
		if err != nil {
			return e, err
		}
		if len(log) > 0 {
			last = log[len(log)-1]
		}
		refused := last.Kind == session.ActionPurged || last.Kind == session.ActionHeld && e.Kind == session.ActionPurged
		if refused || slices.ContainsFunc(log, e.Same) {
			return last, nil
		}
		if len(log) == maxEntries {
			return e, fmt.Errorf("session %s: the log is full, it has %d entries: %w", e.Session, len(log), ErrDamagedLog)
		}
		existed, err := archive.Create(ctx, a, logKey(e.Session, len(log)+1, e.Kind), append(data, '\n'))
		if err != nil {
			return e, err
		}
		if !existed {
			return e, nil
		}
	}
}

// Sessions yields the sessions that have a log, ascending. An error that matches ErrDamagedLog does not end it; any other error does.
func Sessions(ctx context.Context, a archive.Reader) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		last := ""
		for key, err := range a.List(ctx, LogPrefix, "") {
			if err != nil {
				yield("", fmt.Errorf("list %s: %w", LogPrefix, err))
				return
			}
			id, _, _, ok := parseLogKey(key)
			if !ok {
				if !yield("", fmt.Errorf("%s: %w", key, ErrDamagedLog)) {
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

// Damaged reports whether err says that an object or the log of holds is not as it was written: then its fax, or its page, is affected, and
// nothing else.
func Damaged(err error) bool { return archive.Broken(err) || errors.Is(err, ErrDamagedLog) }
