package local

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"sync"
	"testing"
)

// While another goroutine removes directories as soon as they are empty, Create's directory stays between mkdir(2) and link(2), and
// until it is synced.
func TestNoDirectoryIsRemovedUnderACreate(t *testing.T) {
	s, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	done := make(chan struct{})
	var wg sync.WaitGroup
	for _, dir := range []string{"a/b/c", "a/b", "a"} {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if _, err := s.removeDir(dir); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range 60 {
		key := fmt.Sprintf("a/b/c/%d", i)
		if err := s.Create(t.Context(), key, bytes.NewReader(nil), 0, sha256.Sum256(nil)); err != nil {
			t.Error(err)
		}
		if err := s.Delete(t.Context(), key); err != nil {
			t.Error(err)
		}
	}
	close(done)
	wg.Wait()
}
