package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
)

// commit writes data, the JSON of v, under key, create-only. It returns the bytes that stand there: ours, or the first writer's,
// which v is set to.
func commit[T any](ctx context.Context, a Archive, key string, data []byte, v *T) ([]byte, error) {
	existed, err := create(ctx, a, key, data)
	if err != nil || !existed {
		return data, err
	}
	_, data, err = load(ctx, a, key, v)
	return data, err
}

// load reads JSON into v; ok is false where there is no such object.
func load[T any](ctx context.Context, a Reader, key string, v *T) (ok bool, data []byte, err error) {
	data, err = read(ctx, a, key, maxObject)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil, nil
	}
	if err != nil {
		return false, nil, err
	}
	var fresh T
	err = bounded(data)
	if err == nil {
		err = json.Unmarshal(data, &fresh)
	}
	if err != nil {
		return false, nil, fmt.Errorf("read %s: %w: %w", key, errUnreadable, err)
	}
	*v = fresh
	return true, data, nil
}

func indented(v any) ([]byte, error) {
	data, err := json.MarshalIndent(v, "", "  ")
	return append(data, '\n'), err
}
