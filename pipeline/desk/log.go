package desk

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/session"
)

const (
	// changed is the kind of every entry.
	changed = "changed"
	// noteName begins the names of the texts of notes, which stand beside the entries.
	noteName = "note."
)

func logs() archive.Log {
	return archive.Log{Prefix: archive.DeskPrefix, Kinds: []string{changed}, Beside: noteName}
}

// ErrFull: a fax has session.MaxChanges changes.
var ErrFull = fmt.Errorf("the log is full: a fax may have %d changes", session.MaxChanges)

// NoteOf names the object that has the text of a note.
func NoteOf(id, text string) session.Object {
	sum := sha256.Sum256([]byte(text))
	return archive.NewObject(noteKey(id, sum), int64(len(text)), sum)
}

func noteKey(id string, sum [sha256.Size]byte) string {
	return logs().Of(id) + noteName + archive.Hash16(sum) + ".txt"
}

// Logs are the logs of an archive.
type Logs struct{ Archive archive.Store }

// Read returns the work on a fax, as the function Read does.
func (l Logs) Read(ctx context.Context, id string) (session.Work, []session.DeskLine, error) {
	return Read(ctx, l.Archive, id)
}

// StoreNote archives the text of a note, which an order then names. If Archive is a hold.Guard, the error for a purged fax matches
// archive.ErrPurged.
func (l Logs) StoreNote(ctx context.Context, id, text string) (session.Object, error) {
	if !session.ValidToken(id) {
		return session.Object{}, fmt.Errorf("session %q is not a token", id)
	}
	note := NoteOf(id, text)
	if text == "" {
		return note, nil
	}
	_, err := archive.Create(ctx, l.Archive, note.Key, []byte(text))
	return note, err
}

// Damaged reports whether err says that a log, or a note, is not as it was written: then what people say about the fax is unknown, and
// nothing else is affected.
func Damaged(err error) bool {
	return archive.Broken(err) || errors.Is(err, archive.ErrDamagedLog) || errors.Is(err, archive.ErrAltered) || errors.Is(err, fs.ErrNotExist)
}

// Read returns the work on a fax, and the entries that made it, oldest first. If the log is damaged, the error is Damaged.
func Read(ctx context.Context, a archive.Reader, id string) (w session.Work, log []session.DeskLine, err error) {
	kinds, err := logs().Entries(ctx, a, id)
	if err != nil {
		return w, nil, err
	}
	for i := range kinds {
		var e session.DeskLine
		err := logs().Read(ctx, a, id, i+1, changed, &e.DeskEntry, func() bool { return e.Session == id && e.Check() == nil })
		if err == nil && e.Note != nil {
			e.Text, err = readNote(ctx, a, id, *e.Note)
		}
		if err != nil {
			return w, nil, err
		}
		var by int
		if w, e.Late, by = w.With(e.DeskEntry, e.Text); by > 0 {
			e.Late += " by " + log[by-1].By
		}
		log = append(log, e)
	}
	return w, log, nil
}

// readNote returns the text of a note. The key comes from an entry, so it is checked.
func readNote(ctx context.Context, a archive.Reader, id string, note session.Object) (string, error) {
	if note.Size == 0 {
		return "", nil
	}
	if !isNote(id, note) {
		return "", fmt.Errorf("%s is not the key of a note of session %s: %w", note.Key, id, archive.ErrDamagedLog)
	}
	text, err := archive.Read(ctx, a, note.Key, session.MaxNote)
	if err == nil && NoteOf(id, string(text)) != note {
		err = fmt.Errorf("read %s: %w", note.Key, archive.ErrAltered)
	}
	return string(text), err
}

func isNote(id string, note session.Object) bool {
	sum, err := hex.DecodeString(note.SHA256)
	return err == nil && len(sum) == sha256.Size && note.Key == noteKey(id, [sha256.Size]byte(sum))
}

// add writes an entry as the last one, unless the log has the same order already. It returns the work after it.
func add(ctx context.Context, a archive.Store, e session.DeskEntry) (session.Work, error) {
	data, err := json.Marshal(e)
	if err != nil {
		return session.Work{}, fmt.Errorf("desk of session %s: %w", e.Session, err)
	}
	for {
		w, log, err := Read(ctx, a, e.Session)
		if err != nil || slices.ContainsFunc(log, func(o session.DeskLine) bool { return o.Same(e) }) {
			return w, err
		}
		if len(log) >= session.MaxChanges {
			return w, fmt.Errorf("desk of session %s: %w", e.Session, ErrFull)
		}
		if _, err := archive.Create(ctx, a, logs().Key(e.Session, len(log)+1, changed), append(data, '\n')); err != nil {
			return w, err
		}
	}
}
