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

// Decoder turns TIFF bytes into rasters, at most cap(slots) at once.
type Decoder struct{ slots chan struct{} }

func NewDecoder(atOnce int) *Decoder { return &Decoder{slots: make(chan struct{}, atOnce)} }

// AtOnce is how many pages it decodes at once.
func (d *Decoder) AtOnce() int { return cap(d.slots) }

// Page decodes the first page of a TIFF. A file that is cut short gives what is there. An error that is a *failure is the page's, any other
// ours: ctx ended.
func (d *Decoder) Page(ctx context.Context, data []byte) (Image, error) {
	return d.run(ctx, func(ctx context.Context) (Image, error) {
		file, err := tiff.Parse(data, tiff.Limits{})
		if err != nil {
			return Image{}, err
		}
		return decodePage(ctx, file, 0)
	})
}

// PageOf decodes page i (from 0) of a TIFF that is parsed already.
func (d *Decoder) PageOf(ctx context.Context, file *tiff.File, i int) (Image, error) {
	return d.run(ctx, func(ctx context.Context) (Image, error) { return decodePage(ctx, file, i) })
}

// maxDecode ends the decoding of a page that is made to take long; real ones take milliseconds.
const maxDecode = 5 * time.Minute

// run decodes in a slot.
func (d *Decoder) run(ctx context.Context, decode func(context.Context) (Image, error)) (m Image, err error) {
	select {
	case d.slots <- struct{}{}:
		defer func() { <-d.slots }()
	case <-ctx.Done():
		return Image{}, context.Cause(ctx)
	}
	defer func() {
		// The decoder is fuzzed and should not panic; if it does, one page is lost and not the process, again and again.
		if p := recover(); p != nil {
			m, err = Image{}, &Failure{Stage: stage.Decode, Reason: session.ReasonInternal, Detail: fmt.Sprintf("the decoder panicked: %v", p)}
		}
	}()
	limited, cancel := context.WithTimeout(ctx, maxDecode)
	defer cancel()
	m, err = decode(limited)
	switch {
	case ctx.Err() != nil:
		return Image{}, context.Cause(ctx)
	case err != nil:
		return Image{}, undecodable(err)
	}
	return m, nil
}

func decodePage(ctx context.Context, file *tiff.File, i int) (Image, error) {
	im, err := file.Page(i)
	if err != nil {
		return Image{}, err
	}
	dec, err := im.Decode(ctx)
	if err != nil {
		return Image{}, err
	}
	sum := dec.Raster.SHA256()
	if dec.Tones != nil {
		sum = dec.Tones.SHA256()
	}
	return Image{Decoded: dec, SHA256: fmt.Sprintf("%x", sum)}, nil
}

// undecodable says why bytes are no page. Asking for them again cannot help.
func undecodable(err error) *Failure {
	f := &Failure{Stage: stage.Decode, Reason: session.ReasonDamaged, Detail: err.Error()}
	switch {
	case errors.Is(err, tiff.ErrUnsupported):
		f.Reason = session.ReasonUnsupported
	case errors.Is(err, tiff.ErrTruncated): // cut before its first row, and so twice
		f.Reason = session.ReasonTruncated
	}
	return f
}
