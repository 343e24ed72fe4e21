package s3

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/faxstream/faxstream/storage/storagetest"
)

// BenchmarkPut writes pages of three objects (sidecar, original, PNG) to versitygw, 1 or 8 at the same time. cpu-us/page is the processor
// time of the client.
func BenchmarkPut(b *testing.B) {
	endpoint, access, secret := storagetest.VersityGW(b)
	s := open(b, Config{Bucket: storagetest.Bucket, Endpoint: endpoint, AccessKey: access, SecretKey: secret})
	var bodies [3][]byte
	var sums [3][sha256.Size]byte
	for i, size := range []int{420, 75_000, 60_000} {
		bodies[i] = bytes.Repeat([]byte("a fax page "), size/11+1)[:size]
		sums[i] = sha256.Sum256(bodies[i])
	}
	var n atomic.Int64
	for _, writers := range []int{1, 8} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			b.ReportAllocs()
			cpu := processorTime(b)
			end := n.Load() + int64(b.N)
			var all errgroup.Group
			for range writers {
				all.Go(func() error {
					for page := n.Add(1); page <= end; page = n.Add(1) {
						for i, kind := range []string{"tiff.json", "tiff", "png"} {
							key := fmt.Sprintf("faxes/S%d/pages/%04d.%s", page/20, page%20, kind)
							if err := s.Create(b.Context(), key, bytes.NewReader(bodies[i]), int64(len(bodies[i])), sums[i]); err != nil {
								return err
							}
						}
					}
					return nil
				})
			}
			if err := all.Wait(); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64((processorTime(b)-cpu).Microseconds())/float64(b.N), "cpu-us/page")
		})
	}
}

func processorTime(b *testing.B) time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
