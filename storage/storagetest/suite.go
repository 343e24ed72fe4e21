// Package storagetest tests stores and what is built on them. Start with
// [Run], the suite for every [storage.Archive]; [RunRemover] is the suite for
// every [storage.Remover]. [Faulty] makes an archive fail on demand.
// [VersityGW] and [MinIO] start a real S3 server, which the test's cleanup
// stops; a test process that is killed leaves its server running.
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
	"testing"

	"github.com/faxstream/faxstream/storage"
)

// Run is the conformance suite. open returns an empty archive. It is called
// once for each subtest and closes the archive itself (t.Cleanup).
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
		{"a batch is created", testBatch},
		{"a batch ends at the item that fails", testBatchFails},
		{"what is committed comes last", testCommit},
		{"of 16 racing batches each key has one winner", testBatchRace},
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

// noise returns n bytes that do not compress; every seed has other bytes.
func noise(n int, seed uint64) []byte {
	var key [32]byte
	key[0], key[1], key[2] = byte(seed), byte(seed>>8), byte(seed>>16)
	b := make([]byte, n)
	rand.NewChaCha8(key).Read(b) // never fails
	return b
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
	for _, key := range []string{
		"nothing", "faxes/S1/pages/0002.tiff", "faxes/S2/pages/0001.tiff", "faxes/S1/pages", "faxes", "faxes/S1/pages/0001.tif",
	} {
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
