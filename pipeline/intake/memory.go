package intake

import (
	"context"
	"sync/atomic"

	"golang.org/x/sync/semaphore"

	"github.com/faxstream/faxstream/pipeline/session"
)

// Memory is the budget of all work on pages: the bytes in flight of fetches, decoded pages, images for OCR, documents, comparisons, replays
// and thumbnails. It may be used by several goroutines.
//
// A file is fetched and read into a Body, which has up to 256 KiB in memory and more in a file on disk: bodies are not in the budget,
// because there are at most as many as fetches and handlers, whatever their size. A page is known before it is decoded: its tags say what
// it takes (tiff.Image.Memory), file, rows and all. So there is one budget, and the work on one page takes from it once.
//
// The work on a page has a lease (Lease). Whoever waits for bytes holds none: a lease that holds some takes more only if they are free, and
// else goes on without them. So nobody waits for somebody who waits. Who comes first gets bytes first, and a large page is not passed by
// small ones. A page that needs more than the budget gets all of it, when nobody else has any, and then as much as tiff.Limits allow.
type Memory struct {
	total   int64
	free    *semaphore.Weighted // nil: there is no budget
	waiting atomic.Int32        // leases that wait for bytes
	dir     string              // private, for bodies that are not in memory; empty: that of the system
	small   chan []byte         // buffers of bufferSize bytes that nobody uses
}

// NewMemory returns a Memory of so many bytes, 0: without a limit. dir is a private directory for files without a name; empty: the
// system's.
func NewMemory(bytes int64, dir string) *Memory {
	m := &Memory{total: bytes, dir: dir, small: make(chan []byte, spareBuffers)}
	if bytes > 0 {
		m.free = semaphore.NewWeighted(bytes)
	}
	return m
}

// lease is what the work on one page has of the budget. It is for one goroutine.
type lease struct {
	m    *Memory
	held int64 // bytes of the budget
	used int64 // bytes that were asked for; more than held for a page that is larger than the budget
	all  bool  // Reserve has taken all that is needed
}

type leaseKey struct{}

// Lease returns a context for the work on one page. What is taken with it is given back by free, which must be called when nothing of the
// page is in use any more.
func (m *Memory) Lease(ctx context.Context) (_ context.Context, free func()) {
	l := &lease{m: m}
	return context.WithValue(ctx, leaseKey{}, l), l.free
}

// leased is ctx if it has a lease, else one with a lease of its own.
func (m *Memory) leased(ctx context.Context) (context.Context, *lease, func()) {
	if l, ok := ctx.Value(leaseKey{}).(*lease); ok {
		return ctx, l, func() {}
	}
	ctx, free := m.Lease(ctx)
	l, _ := ctx.Value(leaseKey{}).(*lease)
	return ctx, l, free
}

// Reserve waits until the lease of ctx has n bytes. It is called before anything else is taken, by work that needs several pages at once:
// what they take is then taken from these n. The error: ctx ended.
func (m *Memory) Reserve(ctx context.Context, n int64) error {
	l, ok := ctx.Value(leaseKey{}).(*lease)
	if !ok || m.free == nil || l.held > 0 {
		return nil
	}
	if err := l.wait(ctx, n); err != nil {
		return err
	}
	l.all = true
	return nil
}

// take takes n bytes. It waits for them if the lease holds none.
func (l *lease) take(ctx context.Context, n int64) error {
	if l.m.free == nil {
		return nil
	}
	switch more := l.used + n - l.held; {
	case l.held == 0:
		if err := l.wait(ctx, n); err != nil {
			return err
		}
	case more > 0 && l.m.free.TryAcquire(more):
		l.held += more
	}
	l.used += n
	return nil
}

// Keep gives back what the lease of ctx has beyond n bytes.
func (m *Memory) Keep(ctx context.Context, n int64) {
	l, ok := ctx.Value(leaseKey{}).(*lease)
	if !ok || l.held <= n {
		return
	}
	m.free.Release(l.held - n)
	l.held, l.used = n, n
}

// retake takes n bytes instead of `before`, and waits for them if that is all that the lease has.
func (l *lease) retake(ctx context.Context, before, n int64) error {
	if l.used -= before; l.used == 0 && !l.all {
		l.free()
	}
	return l.take(ctx, n)
}

func (l *lease) wait(ctx context.Context, n int64) error {
	n = min(max(n, 1), l.m.total)
	l.m.waiting.Add(1)
	defer l.m.waiting.Add(-1)
	if err := l.m.free.Acquire(ctx, n); err != nil {
		return context.Cause(ctx)
	}
	l.held = n
	return nil
}

// free gives everything back. It may be called twice.
func (l *lease) free() {
	if l.held > 0 {
		l.m.free.Release(l.held)
	}
	l.held, l.used, l.all = 0, 0, false
}

// MemoryOf is about what the original of an archived page takes when it is decoded, in bytes: its fact does not say how it is coded.
func MemoryOf(f session.PageArchived) int64 {
	const small = 2 << 20
	pixels := int64(f.Width) * int64(f.Height)
	n := pixels/8 + small
	if f.Samples > 0 {
		n += pixels * int64(f.Samples)
	}
	if f.Orientation > 1 {
		n *= 2
	}
	return n + f.Original.Size
}
