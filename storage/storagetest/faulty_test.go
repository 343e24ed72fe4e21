package storagetest_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io/fs"
	"testing"

	"github.com/faxstream/faxstream/storage/local"
	"github.com/faxstream/faxstream/storage/storagetest"
)

func TestFaultyFailsWithAndWithoutStoring(t *testing.T) {
	inner, err := local.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer inner.Close()
	fault := storagetest.None
	a := &storagetest.Faulty{Archive: inner, Fail: func(string) storagetest.Fault { return fault }}
	create := func(ctx context.Context, key string) error {
		body := []byte(key)
		return a.Create(ctx, key, bytes.NewReader(body), int64(len(body)), sha256.Sum256(body))
	}
	for _, tc := range []struct {
		key    string
		fault  storagetest.Fault
		want   error
		stored bool
	}{
		{"works", storagetest.None, nil, true},
		{"fails", storagetest.Fails, storagetest.ErrFault, false},
		{"persists", storagetest.PersistsThenFails, storagetest.ErrFault, true},
		{"persists", storagetest.PersistsThenFails, storagetest.ErrFault, true}, // also over what exists
		{"persists", storagetest.None, fs.ErrExist, true},
	} {
		fault = tc.fault
		if err := create(t.Context(), tc.key); !errors.Is(err, tc.want) {
			t.Fatalf("%s: got %v, want %v", tc.key, err, tc.want)
		}
		r, _, err := a.Open(t.Context(), tc.key)
		if (err == nil) != tc.stored {
			t.Fatalf("%s: stored is not %v: %v", tc.key, tc.stored, err)
		}
		if err == nil {
			r.Close()
		}
	}
	// A store that really fails is not covered up.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	fault = storagetest.PersistsThenFails
	if err := create(ctx, "x"); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
}
