package storagetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/faxstream/faxstream/storage"
)

func testRoundTrip(t *testing.T, a storage.Archive) {
	for i, tc := range []struct {
		key  string
		size int
	}{
		{"empty", 0},
		{"one-byte", 1},
		{"faxes/S1/pages/0001.0123456789abcdef.tiff", 75_000},
		{"buffer/exact", 128 << 10},
		{"buffer/one-more", 128<<10 + 1},
		{"faxes/S1/r1/document.0123456789abcdef.pdf", 20 << 20},
		{"..../...", 3},
		{".hidden/-dash/_under", 4},
		{"UPPER/upper-and-lower", 5},
		{strings.Repeat("l", 200) + "/" + strings.Repeat("m", 200), 6},
		{"index/2026/11/23/20261123T101112Z-S1", 7},
	} {
		body := noise(tc.size, uint64(i))
		mustCreate(t, a, tc.key, body)
		wantObject(t, a, tc.key, body)
	}
}

func testCreateOnly(t *testing.T, a storage.Archive) {
	for _, size := range []int{0, 1000, 2 << 20} {
		key := fmt.Sprintf("faxes/S1/%d.json", size)
		first := noise(size, 1)
		mustCreate(t, a, key, first)
		for name, body := range map[string][]byte{"the same": first, "another": noise(size+1, 2)} {
			if err := create(t.Context(), a, key, body); !errors.Is(err, fs.ErrExist) {
				t.Fatalf("%d bytes over %d, %s content: got %v, want fs.ErrExist", len(body), size, name, err)
			}
		}
		wantObject(t, a, key, first)
	}
}

// race lets 16 writers create one key at once and returns the winner.
func race(t *testing.T, a storage.Archive, key string, bodies [16][]byte) int {
	t.Helper()
	var wg sync.WaitGroup
	start := make(chan struct{})
	var errs [16]error
	for i, body := range bodies {
		wg.Go(func() {
			<-start
			errs[i] = create(t.Context(), a, key, body)
			// A loser finds the winner's object, at once and whole.
			if errors.Is(errs[i], fs.ErrExist) {
				if _, err := read(t.Context(), a, key); err != nil {
					errs[i] = fmt.Errorf("Create says that it exists, but: %w", err)
				}
			}
		})
	}
	close(start)
	wg.Wait()
	winner := -1
	for i, err := range errs {
		switch {
		case errors.Is(err, fs.ErrExist):
		case err != nil:
			t.Errorf("writer %d: %v", i, err)
		case winner >= 0:
			t.Errorf("%s: writers %d and %d both won", key, winner, i)
		default:
			winner = i
		}
	}
	if winner < 0 || t.Failed() {
		t.Fatalf("%s: no single winner", key)
	}
	return winner
}

func testRace(t *testing.T, a storage.Archive) {
	for _, size := range []int{100, 75_000, 1 << 20} {
		for round := range 3 {
			var bodies [16][]byte
			for i := range bodies {
				bodies[i] = noise(size+i, uint64(i))
			}
			key := fmt.Sprintf("faxes/race-%d/r%d/plan.json", size, round)
			winner := race(t, a, key, bodies)
			wantObject(t, a, key, bodies[winner])
		}
	}
}

func testRaceSame(t *testing.T, a storage.Archive) {
	var bodies [16][]byte
	for i := range bodies {
		bodies[i] = noise(75_000, 7)
	}
	race(t, a, "faxes/S1/pages/0001.0123456789abcdef.tiff", bodies)
	wantObject(t, a, "faxes/S1/pages/0001.0123456789abcdef.tiff", bodies[0])
}

func testMismatch(t *testing.T, a storage.Archive) {
	for _, size := range []int{0, 1, 75_000, 200_000} {
		body := noise(size, 1)
		sum := sha256.Sum256(body)
		longer := append(slices.Clone(body), 'x')
		for _, tc := range []struct {
			name string
			body []byte
			size int64
			sum  [sha256.Size]byte
		}{
			{"other hash", body, int64(size), sha256.Sum256(longer)},
			{"body longer than its size", longer, int64(size), sum},
			{"body shorter than its size", body, int64(size) + 1, sum},
			{"right hash, size too small", longer, int64(size), sha256.Sum256(longer)},
			{"right hash, size too large", body, int64(size) + 1, sum},
			{"negative size", body, -1, sum},
		} {
			err := a.Create(t.Context(), "faxes/S1/x", bytes.NewReader(tc.body), tc.size, tc.sum)
			if !errors.Is(err, storage.ErrMismatch) {
				t.Fatalf("%d bytes, %s: got %v, want ErrMismatch", size, tc.name, err)
			}
			if _, err := read(t.Context(), a, "faxes/S1/x"); !errors.Is(err, fs.ErrNotExist) {
				t.Fatalf("%d bytes, %s: something is there: %v", size, tc.name, err)
			}
		}
	}
	wantKeys(t, a, "", "")
	mustCreate(t, a, "faxes/S1/x", []byte("the key is still free"))
}

// cancelling ends its context once half of it has been read.
type cancelling struct {
	*bytes.Reader
	cancel context.CancelFunc
}

func (c cancelling) Read(p []byte) (int, error) {
	if c.Len() < int(c.Size()/2) {
		c.cancel()
	}
	return c.Reader.Read(p[:min(len(p), 4096)])
}

// WriteTo hides that of bytes.Reader, which would not call Read.
func (c cancelling) WriteTo(w io.Writer) (int64, error) {
	return io.Copy(w, struct{ io.Reader }{c})
}

func testCancelled(t *testing.T, a storage.Archive) {
	body := noise(1<<20, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := a.Create(ctx, "x", cancelling{bytes.NewReader(body), cancel}, int64(len(body)), sha256.Sum256(body))
	wantError(t, err, context.Canceled)

	// From here on the context is over.
	wantError(t, create(ctx, a, "y", []byte("y")), context.Canceled)
	wantKeys(t, a, "", "")
	mustCreate(t, a, "z", []byte("z"))
	_, _, err = a.Open(ctx, "z")
	wantError(t, err, context.Canceled)
	for _, err = range a.List(ctx, "", "") {
		break
	}
	wantError(t, err, context.Canceled)
}

func testRewind(t *testing.T, a storage.Archive) {
	body := []byte("0123456789")
	r := bytes.NewReader(body)
	if _, err := r.Seek(5, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	if err := a.Create(t.Context(), "x", r, 10, sha256.Sum256(body)); err != nil {
		t.Fatal(err)
	}
	wantObject(t, a, "x", body)
}

func testNoDirectories(t *testing.T, a storage.Archive) {
	mustCreate(t, a, "a/b/c", []byte("c"))
	// Some stores can hold both, and then both must be right.
	for key, body := range map[string]string{"a/b": "b", "a/b/c/d": "d"} {
		err := create(t.Context(), a, key, []byte(body))
		switch {
		case err == nil:
			wantObject(t, a, key, []byte(body))
		case errors.Is(err, fs.ErrExist):
			t.Fatalf("Create says that %s exists, but it does not: %v", key, err)
		default:
			_, _, err := a.Open(t.Context(), key)
			wantError(t, err, fs.ErrNotExist)
		}
	}
	wantObject(t, a, "a/b/c", []byte("c"))
}
