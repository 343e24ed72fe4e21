package intake

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/stage"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// Decoder decodes pages of TIFF files, a limited number at once. It may be used by several goroutines. Call Release of an Image that is
// not used any more: its memory serves the next one.
type Decoder struct {
	*Memory
	slots *Slots
	pool  *tiff.Pool
}

// NewDecoder returns a Decoder of at most atOnce pages at once, without a limit of memory.
func NewDecoder(atOnce int) *Decoder { return NewMemory(0, "").NewDecoder(atOnce) }

// NewDecoder returns a Decoder of at most atOnce pages at once, which take their memory from m.
func (m *Memory) NewDecoder(atOnce int) *Decoder {
	return &Decoder{Memory: m, slots: NewSlots(atOnce), pool: tiff.NewPool(2 * atOnce)} // as many again are being archived
}

// Pace makes slots of work that decodes follow the line at the decoder and for memory, as Slots.Follow says.
func (d *Decoder) Pace(s *Slots) { s.Follow(d.slots, int(d.waiting.Load())) }

// AtOnce is the number of pages that it decodes at once.
func (d *Decoder) AtOnce() int { return d.slots.most }

// Page decodes the first page of a TIFF. A file that is cut short gives the rows that are there. An error that is a *Failure means that
// the page cannot be decoded; any other error means that ctx ended, or that the disk failed. The page takes memory from the lease of ctx
// (Memory.Lease), if it has one.
func (d *Decoder) Page(ctx context.Context, data []byte) (Image, error) {
	file, err := tiff.Parse(data, tiff.Limits{})
	if err != nil {
		return Image{}, undecodable(err)
	}
	return d.PageOf(ctx, file, 0)
}

// PageIn is Page for a Body, which the image may use.
func (d *Decoder) PageIn(ctx context.Context, b *Body) (Image, error) {
	file, err := b.TIFF(tiff.Limits{})
	if errors.Is(err, tiff.ErrRead) {
		return Image{}, err
	}
	if err != nil {
		return Image{}, undecodable(err)
	}
	return d.PageOf(ctx, file, 0)
}

// PageOf decodes page i, from 0, of a parsed TIFF. Its errors are those of Page.
func (d *Decoder) PageOf(ctx context.Context, file *tiff.File, i int) (Image, error) {
	im, err := file.Page(i)
	if errors.Is(err, tiff.ErrRead) {
		return Image{}, err
	}
	if err != nil {
		return Image{}, undecodable(err)
	}
	ctx, l, free := d.leased(ctx)
	defer free()
	need := im.Memory()
	err = l.take(ctx, need)
	for err == nil {
		if im.Allowed = need; d.free == nil || need >= d.total {
			im.Allowed = 0
		}
		var m Image
		m, err = d.run(ctx, func(ctx context.Context) (Image, error) { return d.page(ctx, im) })
		more, ok := errors.AsType[*tiff.MemoryError](err)
		if !ok {
			return m, err
		}
		before := need
		need = max(more.Need, 2*need)
		err = l.retake(ctx, before, need)
	}
	return Image{}, err
}

// maxDecode limits the time for one page, against files that are made to decode slowly; real pages take milliseconds.
const maxDecode = 5 * time.Minute

// run waits for a free slot and decodes.
func (d *Decoder) run(ctx context.Context, decode func(context.Context) (Image, error)) (m Image, err error) {
	release, err := d.slots.Take(ctx)
	if err != nil {
		return Image{}, err
	}
	defer release()
	defer func() {
		// The decoder is fuzzed and should not panic. If it does, one page fails. Without this the process would crash again and again.
		if p := recover(); p != nil {
			m = Image{}
			err = &Failure{Stage: stage.Decode, Reason: session.ReasonInternal, Detail: fmt.Sprintf("the decoder panicked: %v", p)}
		}
	}()
	limited, cancel := context.WithTimeout(ctx, maxDecode)
	defer cancel()
	m, err = decode(limited)
	switch {
	case ctx.Err() != nil:
		return Image{}, context.Cause(ctx)
	case err != nil:
		if _, more := errors.AsType[*tiff.MemoryError](err); more || errors.Is(err, tiff.ErrRead) {
			return Image{}, err
		}
		return Image{}, undecodable(err)
	}
	return m, nil
}

func (d *Decoder) page(ctx context.Context, im *tiff.Image) (Image, error) {
	dec, err := d.pool.Decode(ctx, im)
	if err != nil {
		return Image{}, err
	}
	sum := dec.Raster.SHA256()
	if dec.Tones != nil {
		sum = dec.Tones.SHA256()
	}
	return Image{Decoded: dec, SHA256: fmt.Sprintf("%x", sum)}, nil
}

// undecodable says why the bytes cannot be decoded. A second fetch of the same bytes does not help.
func undecodable(err error) *Failure {
	f := &Failure{Stage: stage.Decode, Reason: session.ReasonDamaged, Detail: err.Error()}
	switch {
	case errors.Is(err, tiff.ErrUnsupported):
		f.Reason = session.ReasonUnsupported
	case errors.Is(err, tiff.ErrTruncated): // cut before its first row, in two fetches
		f.Reason = session.ReasonTruncated
	}
	return f
}
