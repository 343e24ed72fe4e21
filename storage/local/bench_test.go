package local_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
)

// pageSize is that of a usual page as fetched, in bytes.
const pageSize = 75_000

// BenchmarkCreate writes pages with 16 writers. raw is what the disk gives
// for the same bytes, file by file: create, write, fsync, close, in one
// directory and without a promise about names.
func BenchmarkCreate(b *testing.B) {
	body := bytes.Repeat([]byte("a fax page "), pageSize/11+1)[:pageSize]
	sum := sha256.Sum256(body)

	b.Run("raw", func(b *testing.B) {
		dir := b.TempDir()
		writers16(b, func(n int64) error {
			f, err := os.OpenFile(filepath.Join(dir, fmt.Sprint(n)), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			if err != nil {
				return err
			}
			_, err = f.Write(body)
			return errors.Join(err, f.Sync(), f.Close())
		})
	})
	for _, pages := range []int64{1, 10, 1000} {
		b.Run(fmt.Sprintf("pages=%d", pages), func(b *testing.B) {
			s := open(b, b.TempDir())
			writers16(b, func(n int64) error {
				key := fmt.Sprintf("faxes/S%d/pages/%04d.0123456789abcdef.tiff", n/pages, n%pages)
				return s.Create(b.Context(), key, bytes.NewReader(body), pageSize, sum)
			})
		})
	}
	b.Run("exists", func(b *testing.B) {
		s := open(b, b.TempDir())
		key := "faxes/S1/pages/0001.0123456789abcdef.tiff"
		if err := create(b, s, key, body); err != nil {
			b.Fatal(err)
		}
		writers16(b, func(int64) error {
			err := s.Create(b.Context(), key, bytes.NewReader(body), pageSize, sum)
			if !errors.Is(err, fs.ErrExist) {
				return fmt.Errorf("got %w, want fs.ErrExist", err)
			}
			return nil
		})
	})
}

// writers16 calls write with 1, 2, 3, ... from 16 goroutines.
func writers16(b *testing.B, write func(n int64) error) {
	var n atomic.Int64
	b.SetBytes(pageSize)
	b.ReportAllocs()
	b.SetParallelism(max(1, 16/runtime.GOMAXPROCS(0)))
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := write(n.Add(1)); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "objects/s")
}
