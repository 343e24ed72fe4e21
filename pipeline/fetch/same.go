package fetch

import (
	"context"
	"crypto/sha256"
	"fmt"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// maxSpare is the largest original, in bytes, whose memory is used again.
const maxSpare = 1 << 20

// same reports whether the file has a streamed page with the same bytes in the same coding: then it has the same pixels and bad rows, and
// need not be decoded. False says nothing about the pixels.
func (w *Worker) same(ctx context.Context, f session.PageArchived, file *tiff.File) (bool, error) {
	page, err := file.Page(f.Page - 1)
	if err != nil {
		return false, nil // to decode it says what is wrong
	}
	if c := f.CleanStrip; c != nil && f.BadRows == 0 { // of a page that was cut, the strip is clean but its rows may be repaired ones
		strip := page.CleanStrip(f.Width, f.Height, c.Size)
		return strip != nil && fmt.Sprintf("%x", sha256.Sum256(strip)) == c.SHA256, nil
	}
	if page.Bytes() > uint64(f.Original.Size) {
		return false, nil
	}
	ctx, free := w.Decoder.Lease(ctx)
	defer free()
	if err := w.Decoder.Reserve(ctx, f.Original.Size); err != nil {
		return false, err
	}
	buf := w.originals.Get().(*[]byte)
	defer func() {
		if cap(*buf) <= maxSpare {
			w.originals.Put(buf)
		}
	}()
	data, err := archive.ReadObjectInto(ctx, w.Archive, f.Original, *buf)
	if archive.Lost(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	*buf = data
	streamed, err := tiff.Parse(data, tiff.Limits{})
	if err != nil {
		return false, nil
	}
	first, err := streamed.Page(0)
	return err == nil && first.Same(page), nil
}
