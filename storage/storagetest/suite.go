// Package storagetest tests stores and what is built on them: every
// [storage.Archive] passes [Run] and every [storage.Keeper] [RunKeeper],
// [Faulty] makes an archive fail on demand, and [VersityGW] starts a real S3
// server.
package storagetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/faxstream/faxstream/storage"
)

// Run is the conformance suite. open returns an archive that holds nothing;
// it is called once for each subtest and ends the archive itself (t.Cleanup).
func Run(t *testing.T, open func(t *testing.T) storage.Archive) {
	for _, tc := range []struct {
		name string
		test func(*testing.T, storage.Archive)
	}{
		{"what was created is read back", testRoundTrip},
		{"a key is created once", testCreateOnly},
		{"of 16 racing writers one wins", testRace},
		{"of 16 racing writers of the same bytes one wins", testRaceSame},
		{"a body that is not what it claims leaves nothing", testMismatch},
		{"a cancelled create leaves nothing", testCancelled},
		{"invalid keys are refused", testInvalidKeys},
		{"what does not exist is fs.ErrNotExist", testMissing},
		{"readers seek", testSeek},
		{"a body is read from its start", testRewind},
		{"list is in byte order", testList},
		{"list goes on after any key", testListAfter},
		{"list crosses pages", testListMany},
		{"an object is no directory", testNoDirectories},
	} {
		t.Run(tc.name, func(t *testing.T) { tc.test(t, open(t)) })
	}
}

func create(ctx context.Context, a storage.Archive, key string, body []byte) error {
	return a.Create(ctx, key, bytes.NewReader(body), int64(len(body)), sha256.Sum256(body))
}

func mustCreate(t *testing.T, a storage.Archive, key string, body []byte) {
	t.Helper()
	if err := create(t.Context(), a, key, body); err != nil {
		t.Fatal(err)
	}
}

func read(ctx context.Context, a storage.Archive, key string) ([]byte, error) {
	r, size, err := a.Open(ctx, key)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(r)
	if err == nil && int64(len(b)) != size {
		err = fmt.Errorf("%d bytes where Open said %d", len(b), size)
	}
	return b, errors.Join(err, r.Close())
}

func wantObject(t *testing.T, a storage.Archive, key string, want []byte) {
	t.Helper()
	got, err := read(t.Context(), a, key)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("%s: read %d bytes that are not the %d written", key, len(got), len(want))
	}
}

func wantKeys(t *testing.T, a storage.Archive, prefix, after string, want ...string) {
	t.Helper()
	var got []string
	for key, err := range a.List(t.Context(), prefix, after) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, key)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("List(%q, %q)\n got %q\nwant %q", prefix, after, got, want)
	}
}

func wantError(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got %v, want an error matching %q", err, want)
	}
}

// noise returns n bytes that do not compress and differ for every seed.
func noise(n int, seed uint64) []byte {
	var key [32]byte
	key[0], key[1], key[2] = byte(seed), byte(seed>>8), byte(seed>>16)
	b := make([]byte, n)
	rand.NewChaCha8(key).Read(b) // never fails
	return b
}

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
					errs[i] = fmt.Errorf("told that it exists, but: %w", err)
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

func testInvalidKeys(t *testing.T, a storage.Archive) {
	for _, key := range []string{
		"", "/", "/a", "a/", "a//b", ".", "..", "a/../../b", "./a", "a/.", `a\b`, "a b", "a\x00b", "a\n", "+tmp/1", "+lock", "ä", "a?b", "a%2fb",
		strings.Repeat("x", 201), strings.Repeat("x/", 450) + "x",
	} {
		wantError(t, create(t.Context(), a, key, []byte("x")), storage.ErrInvalidKey)
		_, _, err := a.Open(t.Context(), key)
		wantError(t, err, storage.ErrInvalidKey)
	}
	for _, prefix := range []string{"/", "../", "a/../b", "a//", "+tmp/", "a\x00"} {
		var err error
		for _, err = range a.List(t.Context(), prefix, "") {
			break
		}
		wantError(t, err, storage.ErrInvalidKey)
	}
	wantKeys(t, a, "", "")
}

func testMissing(t *testing.T, a storage.Archive) {
	mustCreate(t, a, "faxes/S1/pages/0001.tiff", []byte("page"))
	for _, key := range []string{"nothing", "faxes/S1/pages/0002.tiff", "faxes/S2/pages/0001.tiff", "faxes/S1/pages", "faxes", "faxes/S1/pages/0001.tif"} {
		_, _, err := a.Open(t.Context(), key)
		wantError(t, err, fs.ErrNotExist)
	}
	wantKeys(t, a, "nothing", "")
	wantKeys(t, a, "faxes/S2/", "")
}

func testSeek(t *testing.T, a storage.Archive) {
	body := noise(300_000, 3)
	mustCreate(t, a, "x", body)
	r, size, err := a.Open(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, tc := range []struct {
		offset int64
		whence int
		want   int64
	}{
		{0, io.SeekEnd, size},
		{100_000, io.SeekStart, 100_000},
		{-1000, io.SeekCurrent, 100_000}, // after 1000 bytes were read
		{-500, io.SeekEnd, size - 500},
		{0, io.SeekStart, 0},
		{size + 10, io.SeekStart, size + 10},
	} {
		got, err := r.Seek(tc.offset, tc.whence)
		if err != nil || got != tc.want {
			t.Fatalf("Seek(%d, %d) = %d, %v, want %d", tc.offset, tc.whence, got, err, tc.want)
		}
		buf := make([]byte, 1000)
		n, err := io.ReadFull(r, buf)
		want := body[min(got, size):min(got+1000, size)]
		if !bytes.Equal(buf[:n], want) {
			t.Fatalf("%d bytes at %d (%v) are not what was written", n, got, err)
		}
	}
	if _, err := r.Seek(-1, io.SeekStart); err == nil {
		t.Fatal("seeking before the start is no error")
	}
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
			t.Fatalf("%s is said to exist, and it does not: %v", key, err)
		default:
			_, _, err := a.Open(t.Context(), key)
			wantError(t, err, fs.ErrNotExist)
		}
	}
	wantObject(t, a, "a/b/c", []byte("c"))
}
