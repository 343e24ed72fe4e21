package archive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/faxstream/faxstream/pipeline/session"
)

// CommitJSON archives data, the JSON of v, under key, create-only, after the objects of which it says that they exist. It returns the bytes
// under key: ours, or those of the first writer. In the second case it decodes them into v.
func CommitJSON[T any](ctx context.Context, a Store, key string, data []byte, v *T, after ...Item) ([]byte, error) {
	existed, err := Commit(ctx, a, append(after, NewItem(key, data))...)
	if err != nil || !existed {
		return data, err
	}
	_, data, err = LoadJSON(ctx, a, key, v)
	return data, err
}

// LoadJSON reads JSON into v and returns its bytes. ok is false if there is no such object. The error for bytes that are not such JSON
// matches ErrUnreadable; v is unchanged then.
func LoadJSON[T any](ctx context.Context, a Reader, key string, v *T) (ok bool, data []byte, err error) {
	data, err = Read(ctx, a, key, MaxObject)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil, nil
	}
	if err != nil {
		return false, nil, err
	}
	if *v, err = parseJSON(key, data, *v); err != nil {
		return false, nil, err
	}
	return true, data, nil
}

// ReadJSON reads JSON whose hash is known. The error for bytes with another hash matches ErrAltered, for bytes that are not such JSON
// ErrUnreadable.
func ReadJSON[T any](ctx context.Context, a Reader, o session.Object) (v T, err error) {
	data, err := ReadObject(ctx, a, o)
	if err != nil {
		return v, err
	}
	return parseJSON(o.Key, data, v)
}

// parseJSON reads the JSON under a key. After an error it returns old.
func parseJSON[T any](key string, data []byte, old T) (v T, err error) {
	if err = checkBounds(data); err == nil {
		err = json.Unmarshal(data, &v)
	}
	if err != nil {
		return old, fmt.Errorf("read %s: %w: %w", key, ErrUnreadable, err)
	}
	return v, nil
}

// IndentJSON returns v as the archive writes it: two spaces a level, and a line break at the end.
func IndentJSON(v any) ([]byte, error) {
	data, err := json.MarshalIndent(v, "", "  ")
	return append(data, '\n'), err
}
