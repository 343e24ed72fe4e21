package hold

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/session"
)

// keepLog is how the log of a fax is stored. It is in the archive, because a hold must survive the loss of JetStream. It is outside of the
// fax's own objects, because it must survive their purge: keep/<session>/0001.held.json. The last entry counts. A purge is always last. If
// the log is damaged, nothing of the fax may be deleted.
func keepLog() archive.Log {
	return archive.Log{Prefix: LogPrefix, Kinds: []string{session.ActionHeld, session.ActionReleased, session.ActionPurged}}
}

// LogPrefix is the beginning of the keys of all logs.
const LogPrefix = "keep/"

// state is the kind of the last entry, "" if there is none.
func state(ctx context.Context, a archive.Reader, id string) (kind string, err error) {
	kinds, err := keepLog().Entries(ctx, a, id)
	if err != nil || len(kinds) == 0 {
		return "", err
	}
	return kinds[len(kinds)-1], nil
}

func readLog(ctx context.Context, a archive.Reader, id string) ([]session.KeepEntry, error) {
	kinds, err := keepLog().Entries(ctx, a, id)
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
	err = keepLog().Read(ctx, a, id, n, kind, &e, func() bool { return e.Session == id && e.Kind == kind })
	return e, err
}

// LastEntry returns the last entry of a fax's log, a zero entry if there is none. The error for a damaged log matches
// archive.ErrDamagedLog.
func LastEntry(ctx context.Context, a archive.Reader, id string) (session.KeepEntry, error) {
	kinds, err := keepLog().Entries(ctx, a, id)
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
		if len(log) == archive.MaxEntries {
			return e, fmt.Errorf("session %s: the log is full, it has %d entries: %w", e.Session, len(log), archive.ErrDamagedLog)
		}
		existed, err := archive.Create(ctx, a, keepLog().Key(e.Session, len(log)+1, e.Kind), append(data, '\n'))
		if err != nil {
			return e, err
		}
		if !existed {
			return e, nil
		}
	}
}

// Sessions yields the sessions that have a log, ascending. An error that matches archive.ErrDamagedLog does not end it; any other error
// does.
func Sessions(ctx context.Context, a archive.Reader) iter.Seq2[string, error] {
	return keepLog().Sessions(ctx, a)
}

// Damaged reports whether err says that an object or the log of holds is not as it was written: then its fax, or its page, is affected, and
// nothing else.
func Damaged(err error) bool { return archive.Broken(err) || errors.Is(err, archive.ErrDamagedLog) }
