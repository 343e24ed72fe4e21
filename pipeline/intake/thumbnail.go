package intake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"

	"github.com/faxstream/faxstream/pipeline/raster"
)

// ThumbnailSide is the longer side of a thumbnail, in pixels.
const ThumbnailSide = 300

// Thumbnails makes small images of archived originals, at most as many at once as there are cores.
type Thumbnails struct{ decoder *Decoder }

// NewThumbnails returns a Thumbnails, which take their memory from m. It may be used by several goroutines.
func NewThumbnails(m *Memory) *Thumbnails { return &Thumbnails{m.NewDecoder(runtime.GOMAXPROCS(0))} }

// PNG returns a page as a gray or colour PNG with the proportions of the sheet. original is the archived TIFF of the page. If it cannot be
// decoded, the error matches *Failure.
func (t *Thumbnails) PNG(ctx context.Context, original io.Reader) (small []byte, err error) {
	b := t.decoder.NewBody()
	defer func() { err = errors.Join(err, b.Close()) }()
	if _, err := io.Copy(b, original); err != nil {
		return nil, fmt.Errorf("thumbnail: %w", err)
	}
	ctx, free := t.decoder.Lease(ctx)
	defer free()
	m, err := t.decoder.PageIn(ctx, b)
	if err != nil {
		return nil, fmt.Errorf("thumbnail: %w", err)
	}
	defer m.Release()
	return thumbnail(m)
}

func thumbnail(m Image) ([]byte, error) {
	page, tones := m.Upright()
	var small *raster.Tones
	if tones != nil {
		small = tones.Thumbnail(ThumbnailSide)
	} else {
		small = page.Thumbnail(ThumbnailSide)
	}
	var b bytes.Buffer
	if err := small.WritePNG(&b); err != nil {
		return nil, fmt.Errorf("thumbnail: %w", err)
	}
	return b.Bytes(), nil
}
