package pipeline

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// image is one decoded page.
type image struct {
	*tiff.Decoded
	sum string // hex SHA-256 of the raster, or of the samples of a gray or colour page
}

// copied gives the page's own strip, if the decoder found it clean when the page was archived; else nil.
func copied(f session.PageArchived, data []byte) []byte {
	if f.CleanStrip == nil {
		return nil
	}
	file, err := tiff.Parse(data, tiff.Limits{})
	if err != nil {
		return nil
	}
	im, err := file.Page(0)
	if err != nil {
		return nil
	}
	strip := im.Strip(f.CleanStrip.Size)
	if fmt.Sprintf("%x", sha256.Sum256(strip)) != f.CleanStrip.SHA256 {
		return nil
	}
	return strip
}

// decoder turns TIFF bytes into rasters, at most cap(slots) at once.
type decoder struct{ slots chan struct{} }

func newDecoder(atOnce int) *decoder { return &decoder{slots: make(chan struct{}, atOnce)} }

// atOnce is how many pages it decodes at once.
func (d *decoder) atOnce() int { return cap(d.slots) }

// page decodes the first page of a TIFF. A file that is cut short gives what is there. An error that is a *failure is the page's, any other
// ours: ctx ended.
func (d *decoder) page(ctx context.Context, data []byte) (image, error) {
	return d.run(ctx, func(ctx context.Context) (image, error) {
		file, err := tiff.Parse(data, tiff.Limits{})
		if err != nil {
			return image{}, err
		}
		return decodePage(ctx, file, 0)
	})
}

// pageOf decodes page i (from 0) of a TIFF that is parsed already.
func (d *decoder) pageOf(ctx context.Context, file *tiff.File, i int) (image, error) {
	return d.run(ctx, func(ctx context.Context) (image, error) { return decodePage(ctx, file, i) })
}

// maxDecode ends the decoding of a page that is made to take long; real ones take milliseconds.
const maxDecode = 5 * time.Minute

// run decodes in a slot.
func (d *decoder) run(ctx context.Context, decode func(context.Context) (image, error)) (m image, err error) {
	select {
	case d.slots <- struct{}{}:
		defer func() { <-d.slots }()
	case <-ctx.Done():
		return image{}, context.Cause(ctx)
	}
	defer func() {
		// The decoder is fuzzed and should not panic; if it does, one page is lost and not the process, again and again.
		if p := recover(); p != nil {
			m, err = image{}, &failure{stage: stageDecode, reason: session.ReasonInternal, detail: fmt.Sprintf("the decoder panicked: %v", p)}
		}
	}()
	limited, cancel := context.WithTimeout(ctx, maxDecode)
	defer cancel()
	m, err = decode(limited)
	switch {
	case ctx.Err() != nil:
		return image{}, context.Cause(ctx)
	case err != nil:
		return image{}, undecodable(err)
	}
	return m, nil
}

func decodePage(ctx context.Context, file *tiff.File, i int) (image, error) {
	im, err := file.Page(i)
	if err != nil {
		return image{}, err
	}
	dec, err := im.Decode(ctx)
	if err != nil {
		return image{}, err
	}
	sum := dec.Raster.SHA256()
	if dec.Tones != nil {
		sum = dec.Tones.SHA256()
	}
	return image{Decoded: dec, sum: fmt.Sprintf("%x", sum)}, nil
}

// undecodable says why bytes are no page. Asking for them again cannot help.
func undecodable(err error) *failure {
	f := &failure{stage: stageDecode, reason: session.ReasonDamaged, detail: err.Error()}
	switch {
	case errors.Is(err, tiff.ErrUnsupported):
		f.reason = session.ReasonUnsupported
	case errors.Is(err, tiff.ErrTruncated): // cut before its first row, and so twice
		f.reason = session.ReasonTruncated
	}
	return f
}

// better orders images of one page, everywhere alike: fewest bad rows, most rows, lowest raster hash.
func better(a, b image) bool {
	if x, y := badRows(a), badRows(b); x != y {
		return x < y
	}
	if a.Raster.Height != b.Raster.Height {
		return a.Raster.Height > b.Raster.Height
	}
	return a.sum < b.sum
}

func badRows(m image) int {
	n := 0
	for _, r := range m.BadRows {
		n += r.Last - r.First + 1
	}
	return n
}

// png is the page for OCR.
func png(m image) ([]byte, error) {
	var b bytes.Buffer
	write := m.Raster.WritePNG
	if m.Tones != nil {
		write = m.Tones.WritePNG
	}
	if err := write(&b); err != nil {
		return nil, fmt.Errorf("write PNG: %w", err)
	}
	return b.Bytes(), nil
}
