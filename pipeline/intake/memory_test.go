package intake_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/faxstream/faxstream/pipeline/ccitt"
	"github.com/faxstream/faxstream/pipeline/intake"
	"github.com/faxstream/faxstream/pipeline/pipelinetest"
	"github.com/faxstream/faxstream/pipeline/raster"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// sheet is a white page of some bytes of rows, in Group 4.
func sheet(t testing.TB, megabytes int) []byte {
	t.Helper()
	p := raster.New(8000, 1000*megabytes)
	var b bytes.Buffer
	w := tiff.NewWriter(&b)
	_, err := w.AddPage(
		tiff.PageMeta{Width: p.Width, Height: p.Height, XRes: 600, YRes: 600},
		tiff.G4Strip(ccitt.AppendG4(nil, p.Pix, p.Width, p.Height, p.Stride)),
	)
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Pages that are decoded at once, and kept, stay within the budget; a page that is larger than the budget is alone.
func TestPagesWaitForTheBudget(t *testing.T) {
	const budget = 20 // MB
	d := intake.NewMemory(budget<<20, t.TempDir()).NewDecoder(8)
	var inUse, most atomic.Int64
	var work sync.WaitGroup
	for _, megabytes := range []int{8, 8, 30, 8, 8, 8, 30, 8, 2, 2, 2, 2} {
		data := sheet(t, megabytes)
		work.Go(func() {
			ctx, free := d.Lease(t.Context())
			defer free()
			m, err := d.Page(ctx, data)
			if err != nil {
				t.Error(err)
				return
			}
			now := inUse.Add(int64(len(m.Raster.Pix)))
			for old := most.Load(); now > old && !most.CompareAndSwap(old, now); old = most.Load() {
			}
			if megabytes > budget && now != int64(len(m.Raster.Pix)) {
				t.Errorf("a page of %d MB is not alone: %d bytes in use", megabytes, now)
			}
			if megabytes < budget && now > budget<<20 {
				t.Errorf("%d bytes in use, the budget is %d MB", now, budget)
			}
			inUse.Add(-int64(len(m.Raster.Pix)))
		})
	}
	work.Wait()
}

// Who holds bytes and needs more does not wait: two who each hold half and want the rest both go on.
func TestNobodyWaitsWhoHoldsSomething(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := intake.NewMemory(20<<20, "")
		d := m.NewDecoder(2)
		var work sync.WaitGroup
		var both sync.WaitGroup
		both.Add(2)
		for range 2 {
			work.Go(func() {
				ctx, free := m.Lease(context.Background())
				defer free()
				if err := m.Reserve(ctx, 10<<20); err != nil {
					t.Error(err)
				}
				both.Done()
				both.Wait()
				for range 2 {
					if _, err := d.Page(ctx, sheet(t, 8)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		work.Wait()
	})
}

// A large page is not passed by small ones that come later, and who stops waiting gets nothing.
func TestALargePageGetsItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := intake.NewMemory(10<<20, "")
		take := func(ctx context.Context, n int64) (func(), error) {
			ctx, free := m.Lease(ctx)
			return free, m.Reserve(ctx, n)
		}
		small, err := take(t.Context(), 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		var order []string
		stopped, stop := context.WithCancelCause(t.Context())
		var work sync.WaitGroup
		work.Go(func() {
			if _, err := take(stopped, 10<<20); !errors.Is(err, errStop) {
				t.Errorf("who stopped waiting got %v", err)
			}
		})
		synctest.Wait()
		for _, w := range []struct {
			name string
			size int64
		}{{"large", 100 << 20}, {"small", 1 << 20}} {
			work.Go(func() {
				free, err := take(t.Context(), w.size)
				if err != nil {
					t.Error(err)
				}
				order = append(order, w.name)
				free()
			})
			synctest.Wait()
		}
		if len(order) > 0 {
			t.Errorf("%v passed who came before", order)
		}
		stop(errStop)
		small()
		small() // a second time gives nothing back
		work.Wait()
		if len(order) != 2 || order[0] != "large" {
			t.Errorf("the order is %v", order)
		}
	})
}

var errStop = errors.New("stop")

// A body has the same bytes, size and hash whether it is short or long, and leaves no file.
func TestABodyIsShortInMemoryAndLongOnDisk(t *testing.T) {
	dir := t.TempDir()
	m := intake.NewMemory(0, dir)
	for _, size := range []int{0, 1, 75_000, 128 << 10, 256 << 10, 256<<10 + 1, 3 << 20} {
		data := bytes.Repeat([]byte("a fax page "), size/11+1)[:size]
		b := m.NewBody()
		for range 2 { // the second time after a Reset, in smaller pieces
			b.Reset()
			for rest := data; len(rest) > 0; {
				n, err := b.Write(rest[:min(len(rest), 100_000)])
				if err != nil {
					t.Fatal(err)
				}
				rest = rest[n:]
			}
			got, err := io.ReadAll(b.Reader())
			if err != nil || !bytes.Equal(got, data) || b.Size() != int64(size) || b.SHA256() != sha256.Sum256(data) {
				t.Errorf("%d bytes: %d came back, size %d, %v", size, len(got), b.Size(), err)
			}
		}
		if files, err := os.ReadDir(dir); err != nil || len(files) > 0 { // a process that is killed now leaves nothing
			t.Errorf("%d bytes are in %d files that have a name, %v", size, len(files), err)
		}
		if err := errors.Join(b.Close(), b.Close()); err != nil {
			t.Error(err)
		}
	}
}

// A disk that takes no long file is not the page's fault, and a page on disk is decoded as one in memory.
func TestABodyOnDiskIsDecoded(t *testing.T) {
	data := pipelinetest.Testdata(t, "letter-standard-g4.tiff")
	data = append(data, make([]byte, 300<<10)...) // bytes behind the last page that nobody reads
	for _, dir := range []string{t.TempDir(), filepath.Join(t.TempDir(), "missing")} {
		d := intake.NewMemory(1, dir).NewDecoder(1)
		b := d.NewBody()
		_, err := b.Write(data)
		if there := filepath.Base(dir) != "missing"; (err == nil) != there || (b.Err() == nil) != there {
			t.Fatalf("directory %s: %v, %v", dir, err, b.Err())
		}
		if err != nil {
			continue
		}
		m, err := d.PageIn(t.Context(), b)
		want, wantErr := intake.NewDecoder(1).Page(t.Context(), data)
		if err != nil || wantErr != nil || m.SHA256 != want.SHA256 {
			t.Errorf("%v, %v; other pixels: %t", err, wantErr, m.SHA256 != want.SHA256)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		if _, err := d.PageIn(t.Context(), b); err == nil {
			t.Error("a body that is closed is decoded")
		}
	}
}
