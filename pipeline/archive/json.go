package archive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
)

// CommitJSON writes data, the JSON of v, under key, create-only. It returns the bytes that stand there: ours, or the first writer's,
// which v is set to.
func CommitJSON[T any](ctx context.Context, a Store, key string, data []byte, v *T) ([]byte, error) {
	existed, err := Create(ctx, a, key, data)
	if err != nil || !existed {
		return data, err
	}
	_, data, err = LoadJSON(ctx, a, key, v)
	return data, err
}

// LoadJSON reads JSON into v; ok is false where there is no such object.
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

func IndentJSON(v any) ([]byte, error) {
	data, err := json.MarshalIndent(v, "", "  ")
	return append(data, '\n'), err
}
