package archive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
)

// CommitJSON archives data, the JSON of v, under key, create-only. It returns the bytes under key: ours, or those of the first writer.
// In the second case it decodes them into v.
func CommitJSON[T any](ctx context.Context, a Store, key string, data []byte, v *T) ([]byte, error) {
	existed, err := Create(ctx, a, key, data)
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
	var fresh T
	err = checkBounds(data)
	if err == nil {
		err = json.Unmarshal(data, &fresh)
	}
	if err != nil {
		return false, nil, fmt.Errorf("read %s: %w: %w", key, ErrUnreadable, err)
	}
	*v = fresh
	return true, data, nil
}

// IndentJSON returns v as the archive writes it: two spaces a level, and a line break at the end.
func IndentJSON(v any) ([]byte, error) {
	data, err := json.MarshalIndent(v, "", "  ")
	return append(data, '\n'), err
}
