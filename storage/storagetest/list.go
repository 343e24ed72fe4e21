package storagetest

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/faxstream/faxstream/storage"
)

// listed has keys in byte order. A walk by directories that sorts bare names
// gets their order wrong: '-' and '.' sort before '/', digits and letters
// after it.
var listed = []string{
	"a-b/1",
	"a.b",
	"a.b.c/1",
	"a/-",
	"a/.x/1",
	"a/1",
	"a/b-c",
	"a/b.c",
	"a/b/1",
	"a/b/2/3",
	"a/b0",
	"a/bb/1",
	"a0/1",
	"aa",
	"b",
}

func createListed(t *testing.T, a storage.Archive) {
	t.Helper()
	if !slices.IsSorted(listed) {
		t.Fatal("the keys are not in byte order")
	}
	for _, i := range []int{7, 0, 13, 3, 9, 14, 1, 11, 5, 2, 12, 8, 4, 10, 6} {
		mustCreate(t, a, listed[i], nil)
	}
}

func testList(t *testing.T, a storage.Archive) {
	wantKeys(t, a, "", "")
	createListed(t, a)
	wantKeys(t, a, "", "", listed...)
	wantKeys(t, a, "a/", "", listed[3:12]...)
	wantKeys(t, a, "a/b", "", listed[6:12]...)
	wantKeys(t, a, "a/b/", "", listed[8:10]...)
	wantKeys(t, a, "a/b/2", "", "a/b/2/3")
	wantKeys(t, a, "a.", "", "a.b", "a.b.c/1")
	wantKeys(t, a, "b", "", "b")
	wantKeys(t, a, "b/", "")
	wantKeys(t, a, "c", "")
	for key, err := range a.List(t.Context(), "", "") { // and one may stop
		if err != nil || key != listed[0] {
			t.Fatalf("first key %q, %v", key, err)
		}
		break
	}
}

func testListAfter(t *testing.T, a storage.Archive) {
	createListed(t, a)
	cursors := append([]string{"0", "a", "a/", "a/b", "a/b/", "a/b/2", "a/b/2/", "a/c", "a/zzz", "b/", "zz"}, listed...)
	for _, prefix := range []string{"", "a", "a/", "a/b", "a/b/", "b"} {
		for _, after := range cursors {
			var want []string
			for _, key := range listed {
				if key > after && len(key) >= len(prefix) && key[:len(prefix)] == prefix {
					want = append(want, key)
				}
			}
			wantKeys(t, a, prefix, after, want...)
		}
	}
}

// testListMany makes more keys than a page of S3 has (1,000).
func testListMany(t *testing.T, a storage.Archive) {
	var want []string
	for i := range 2100 {
		want = append(want, fmt.Sprintf("index/2026/11/%02d/S%04d", 1+i/1050, i))
	}
	var wg sync.WaitGroup
	for w := range 16 {
		wg.Go(func() {
			for i := w; i < len(want); i += 16 {
				if err := create(t.Context(), a, want[i], nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	wantKeys(t, a, "", "", want...)
	wantKeys(t, a, "index/2026/11/01/", want[20], want[21:1050]...)
	wantKeys(t, a, "index/", want[1030], want[1031:]...)
}
