package archive_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io/fs"
	"os"
	"testing"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/pipelinetest"
)

// bare is a store that can do nothing but create and read.
type bare struct{ archive.Store }

func item(key, body string, sum [sha256.Size]byte) archive.Item {
	return archive.Item{Key: key, Body: bytes.NewReader([]byte(body)), Size: int64(len(body)), Sum: sum}
}

// A store that creates one object at a time does the same as one that creates several together.
func TestEveryStoreCreatesTogetherAndAdopts(t *testing.T) {
	own := pipelinetest.LocalArchive(t)
	for name, a := range map[string]archive.Store{"own": own, "bare": bare{pipelinetest.LocalArchive(t)}} {
		good, bad := sha256.Sum256([]byte("page")), sha256.Sum256(nil)
		errs := archive.BatcherOf(a).CreateAll(t.Context(), item("a", "page", good), item("a", "page", good)) // as a repeat
		if errs[0] != nil || !errors.Is(errs[1], fs.ErrExist) {
			t.Errorf("%s: %v", name, errs)
		}
		errs = archive.BatcherOf(a).CreateAll(t.Context(), item("a", "page", good), item("b", "page", bad), item("c", "page", good))
		if !errors.Is(errs[0], fs.ErrExist) || errs[1] == nil || errs[2] == nil {
			t.Errorf("%s: %v", name, errs)
		}
		f, err := os.CreateTemp(t.TempDir(), "")
		if err == nil {
			_, err = f.WriteString("page")
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, again := range []bool{false, true} {
			adopted := archive.Item{Key: "d", Body: f, Size: 4, Sum: good, Adopt: true}
			if existed, err := archive.CreateAll(t.Context(), a, adopted); err != nil || existed != again {
				t.Errorf("%s: adopted %t, %v", name, existed, err)
			}
			if existed, err := archive.Commit(t.Context(), a, adopted, item("e", "page", good)); err != nil || existed != again {
				t.Errorf("%s: committed %t, %v", name, existed, err)
			}
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := archive.Commit(t.Context(), a, item("f", "page", good), item("g", "page", bad), item("h", "page", good)); err == nil {
			t.Errorf("%s: committed with other bytes", name)
		}
		for key, want := range map[string]bool{"a": true, "b": false, "c": false, "d": true, "e": true, "g": false, "h": false} {
			if data, err := archive.Read(t.Context(), a, key, 10); (err == nil) != want || want && string(data) != "page" {
				t.Errorf("%s: %s has %q, %v", name, key, data, err)
			}
		}
	}
}
