package bus

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

func TestXBatch(t *testing.T) {
	b := open(t, t.TempDir())
	rec := func(name string, n, rounds int) {
		start := time.Now()
		for r := range rounds {
			var wg sync.WaitGroup
			for i := range n {
				wg.Go(func() {
					if _, err := b.Record(t.Context(), page(fmt.Sprint(name, r), i+1)); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
		}
		fmt.Println(name, n, time.Since(start)/time.Duration(rounds))
	}
	for _, n := range []int{1, 2, 3, 4, 6, 8, 16, 100, 256} {
		rec(fmt.Sprint("new", n), n, 8)
		rec(fmt.Sprint("new", n), n, 8)
	}
}
