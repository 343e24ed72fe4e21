package local_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/faxstream/faxstream/storage"
	"github.com/faxstream/faxstream/storage/local"
)

// pageSizes are those of a usual page, in bytes: sidecar, original, PNG.
var pageSizes = [3]int{420, pageSize, 60_000}

const pagesOfAFax = 20

// BenchmarkPages writes pages of three objects, sidecar and original together and then the PNG, and in turn the same bytes in the plain
// way: create, write, fsync, rename, file by file. x-plain is the time of the store divided by that of the plain way, x-plain-cpu the
// processor time.
func BenchmarkPages(b *testing.B) {
	var bodies [3][]byte
	var sums [3][sha256.Size]byte
	for i, size := range pageSizes {
		bodies[i] = bytes.Repeat([]byte("a fax page "), size/11+1)[:size]
		sums[i] = sha256.Sum256(bodies[i])
	}
	for _, writers := range []int{1, 2, 8, 32} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			s, dir := open(b, b.TempDir()), b.TempDir()
			var store, plain cost
			var n int64
			for left := b.N; left > 0; left -= 4 * writers {
				pages := int64(min(left, 4*writers))
				n += pages
				plain.add(b, writers, n-pages, n, func(n int64) error { return writePlain(filepath.Join(dir, fmt.Sprint(n)), bodies) })
				store.add(b, writers, n-pages, n, func(n int64) error { return writePage(b, s, n, bodies, sums) })
			}
			b.ReportMetric(float64(b.N)/store.wall.Seconds(), "pages/s")
			b.ReportMetric(float64(store.cpu.Microseconds())/float64(b.N), "cpu-us/page")
			b.ReportMetric(store.wall.Seconds()/plain.wall.Seconds(), "x-plain")
			b.ReportMetric(store.cpu.Seconds()/plain.cpu.Seconds(), "x-plain-cpu")
		})
	}
}

func writePage(b *testing.B, s *local.Store, n int64, bodies [3][]byte, sums [3][sha256.Size]byte) error {
	item := func(i int, kind string) storage.Item {
		key := fmt.Sprintf("faxes/S%d/pages/%04d.0123456789abcdef.%s", n/pagesOfAFax, n%pagesOfAFax, kind)
		return storage.Item{Key: key, Body: bytes.NewReader(bodies[i]), Size: int64(len(bodies[i])), Sum: sums[i]}
	}
	errs := s.CreateAll(b.Context(), item(0, "tiff.json"), item(1, "tiff"))
	return errors.Join(append(errs, s.CreateAll(b.Context(), item(2, "png"))...)...)
}

func writePlain(path string, bodies [3][]byte) error {
	for i, body := range bodies {
		f, err := os.OpenFile(path+".tmp", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		_, err = f.Write(body)
		err = errors.Join(err, f.Sync(), f.Close(), os.Rename(path+".tmp", fmt.Sprintf("%s.%d", path, i)))
		if err != nil {
			return err
		}
	}
	return nil
}

// cost is what pages cost: the time of all writers together, and the processor time of the process.
type cost struct{ wall, cpu time.Duration }

// add calls write for the pages from first up to end, by several writers.
func (c *cost) add(b *testing.B, writers int, first, end int64, write func(n int64) error) {
	var next atomic.Int64
	next.Store(first)
	cpu, start := processorTime(b), time.Now()
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for n := next.Add(1) - 1; n < end; n = next.Add(1) - 1 {
				if err := write(n); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	c.wall += time.Since(start)
	c.cpu += processorTime(b) - cpu
}

func processorTime(b *testing.B) time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
