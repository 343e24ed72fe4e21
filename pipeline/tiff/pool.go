package tiff

import (
	"context"
	"fmt"
	"sync"

	"github.com/faxstream/faxstream/pipeline/ccitt"
)

// A Pool keeps the memory of pages that are not used any more, for the pages that are decoded next. It may be used by several
// goroutines.
type Pool struct{ free chan *memory }

// memory is what the decoding of a page takes and what can serve another page.
type memory struct {
	pix []byte // the rows of a page that was released; nil while a page has them
	dec ccitt.Decoder
}

// maxKept is the capacity, in bytes, of the largest rows that a Pool keeps: a page of 3456 x 4400 pixels has half of it.
const maxKept = 4 << 20

// NewPool returns a Pool that keeps the memory of at most so many pages, at most 4 MiB of rows each.
func NewPool(pages int) *Pool { return &Pool{make(chan *memory, pages)} }

// Decode does what [Image.Decode] does, in memory of the pool. Call [Decoded.Release] when the page is not used any more; without it the
// memory is not used again, and nothing else happens.
func (p *Pool) Decode(ctx context.Context, im *Image) (*Decoded, error) {
	mem := p.take()
	d, err := im.decode(ctx, mem)
	if err != nil {
		p.give(mem)
		return nil, fmt.Errorf("tiff: page %d: %w", im.Page, err)
	}
	d.lease = &lease{pool: p, mem: mem}
	return d, nil
}

func (p *Pool) take() *memory {
	select {
	case mem := <-p.free:
		return mem
	default:
		return new(memory)
	}
}

func (p *Pool) give(mem *memory) {
	if mem.dec.Memory() > maxKept { // it turned the bits of a large file, or read rows wider than a fax has
		mem.dec = ccitt.Decoder{}
	}
	select {
	case p.free <- mem:
	default: // there are enough
	}
}

// rows returns empty memory with room for n bytes. It is that of an earlier page only once: a second reading of the same page has its own.
func (m *memory) rows(n int) []byte {
	pix := m.pix
	if m.pix = nil; cap(pix) < n {
		return make([]byte, 0, n)
	}
	return pix[:0]
}

// A lease is the use of a pool's memory by one page.
type lease struct {
	once sync.Once
	pool *Pool
	mem  *memory
}

// Release gives the memory of the pixels back to the pool that the page was decoded in. Afterwards Raster and Tones have no pixels: who
// reads them panics, also by another pointer to them. Nobody may hold a part of Pix. A second call does nothing, and so does the call
// for a page that was not decoded in a pool, or for nil.
func (d *Decoded) Release() {
	if d == nil || d.lease == nil {
		return
	}
	d.lease.once.Do(func() {
		pix := d.Raster.Pix
		if d.Raster.Pix = nil; d.Tones != nil {
			pix, d.Tones.Pix = d.Tones.Pix, nil
		}
		if cap(pix) <= maxKept {
			d.lease.mem.pix = pix[:0]
		}
		d.lease.pool.give(d.lease.mem)
	})
}
