package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/faxstream/faxstream/pipeline/session"
)

// The log of what must be kept stands in the archive, since a hold must outlive JetStream, and outside of a fax's own objects, since it
// outlives those: keep/<session>/0001.held.json, one object an entry, numbered without a gap. Entries are created once, so of two that are
// written at the same time one comes after the other and sees it. The last entry holds, and nothing comes after a purge.
const (
	keepPrefix = "keep/"
	// maxKeepEntries bounds one fax's log by what its keys can count.
	maxKeepEntries = 9999
)

func keepKey(id string, n int, kind string) string {
	return fmt.Sprintf("%s%s/%04d.%s.json", keepPrefix, id, n, kind)
}

// parseKeepKey reads what keepKey wrote.
func parseKeepKey(key string) (id string, n int, kind string, ok bool) {
	rest, _ := strings.CutPrefix(key, keepPrefix)
	id, name, _ := strings.Cut(rest, "/")
	number, kind, _ := strings.Cut(strings.TrimSuffix(name, ".json"), ".")
	n, err := strconv.Atoi(number)
	return id, n, kind, err == nil && n > 0 && session.ValidToken(id) && keepKind(kind) && keepKey(id, n, kind) == key
}

func keepKind(kind string) bool {
	return kind == session.ActionHeld || kind == session.ActionReleased || kind == session.ActionPurged
}

// errKeepLog: the log of holds and purges is not as this program writes it. Nothing is taken for free to go then.
var errKeepLog = errors.New("the log of holds is damaged: restore keep/ from a copy of the archive, or look who changed it")

// keepNames lists a fax's log without reading it: the kinds of its entries, oldest first.
func keepNames(ctx context.Context, a Reader, id string) (kinds []string, err error) {
	prefix := keepPrefix + id + "/"
	for key, err := range a.List(ctx, prefix, "") {
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", prefix, err)
		}
		_, n, kind, ok := parseKeepKey(key)
		if !ok || n != len(kinds)+1 {
			return nil, fmt.Errorf("%s after %d entries: %w", key, len(kinds), errKeepLog)
		}
		kinds = append(kinds, kind)
	}
	return kinds, nil
}

// keepState is the kind of the last entry, "" where there is none.
func keepState(ctx context.Context, a Reader, id string) (kind string, err error) {
	kinds, err := keepNames(ctx, a, id)
	if err != nil || len(kinds) == 0 {
		return "", err
	}
	return kinds[len(kinds)-1], nil
}

func keepLog(ctx context.Context, a Reader, id string) ([]session.KeepEntry, error) {
	if !session.ValidToken(id) {
		return nil, fmt.Errorf("session %q is no token", id)
	}
	kinds, err := keepNames(ctx, a, id)
	if err != nil {
		return nil, err
	}
	entries := make([]session.KeepEntry, len(kinds))
	for i, kind := range kinds {
		if entries[i], err = readKeepEntry(ctx, a, id, i+1, kind); err != nil {
			return nil, err
		}
	}
	return entries, nil
}

func readKeepEntry(ctx context.Context, a Reader, id string, n int, kind string) (e session.KeepEntry, err error) {
	key := keepKey(id, n, kind)
	data, err := read(ctx, a, key, maxObject)
	if err != nil {
		return e, err
	}
	if err := strict(data, &e); err != nil || e.Session != id || e.Kind != kind {
		return e, fmt.Errorf("read %s: %w (%v)", key, errKeepLog, err)
	}
	return e, nil
}

// lastKept is the last entry, its zero value where there is none.
func lastKept(ctx context.Context, a Reader, id string) (session.KeepEntry, error) {
	kinds, err := keepNames(ctx, a, id)
	if err != nil || len(kinds) == 0 {
		return session.KeepEntry{}, err
	}
	return readKeepEntry(ctx, a, id, len(kinds), kinds[len(kinds)-1])
}

// appendKeep adds an entry, unless its order is there already, or the fax is purged, or held and the entry would purge it. last is the log's
// last entry then.
func appendKeep(ctx context.Context, a Archive, e session.KeepEntry) (last session.KeepEntry, err error) {
	data, err := json.Marshal(e)
	if err != nil {
		return e, fmt.Errorf("log of session %s: %w", e.Session, err)
	}
	for {
		log, err := keepLog(ctx, a, e.Session)
		if err != nil {
			return e, err
		}
		if len(log) > 0 {
			last = log[len(log)-1]
		}
		if slices.ContainsFunc(log, e.Same) || last.Kind == session.ActionPurged || last.Kind == session.ActionHeld && e.Kind == session.ActionPurged {
			return last, nil
		}
		if len(log) == maxKeepEntries {
			return e, fmt.Errorf("session %s: its log has %d entries, which is all it can: %w", e.Session, len(log), errKeepLog)
		}
		existed, err := create(ctx, a, keepKey(e.Session, len(log)+1, e.Kind), append(data, '\n'))
		if err != nil {
			return e, err
		}
		if !existed {
			return e, nil
		}
	}
}

// Log reads a fax's log, oldest first; empty: nobody has held, released or purged it.
func (k Keeping) Log(ctx context.Context, id string) ([]session.KeepEntry, error) {
	return keepLog(ctx, k.Archive, id)
}

// Holds yields the newest entry of every fax that is under legal hold, in the order of sessions.
func (k Keeping) Holds(ctx context.Context) iter.Seq2[session.KeepEntry, error] {
	return func(yield func(session.KeepEntry, error) bool) {
		for id, err := range keptSessions(ctx, k.Archive) {
			var log []session.KeepEntry
			if err == nil {
				log, err = keepLog(ctx, k.Archive, id)
			}
			if err != nil {
				yield(session.KeepEntry{}, err)
				return
			}
			if last := log[len(log)-1]; last.Kind == session.ActionHeld && !yield(last, nil) {
				return
			}
		}
	}
}

// keptSessions yields the sessions that have a log. An error that matches errKeepLog does not end it.
func keptSessions(ctx context.Context, a Reader) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		last := ""
		for key, err := range a.List(ctx, keepPrefix, "") {
			if err != nil {
				yield("", fmt.Errorf("list %s: %w", keepPrefix, err))
				return
			}
			id, _, _, ok := parseKeepKey(key)
			if !ok {
				if !yield("", fmt.Errorf("%s: %w", key, errKeepLog)) {
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

// damaged reports whether an object, or the log of holds, is not what was written: that costs its fax, or its page, and nothing else.
func damaged(err error) bool { return broken(err) || errors.Is(err, errKeepLog) }
