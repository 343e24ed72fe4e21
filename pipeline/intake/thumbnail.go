package intake

import (
	"bytes"
	"context"
	"fmt"
	"runtime"

	"github.com/faxstream/faxstream/pipeline/raster"
)

// ThumbnailSide is the longer side of a thumbnail, in pixels.
const ThumbnailSide = 300

// Thumbnails makes small images of archived originals, at most as many at once as there are cores.
type Thumbnails struct{ decoder *Decoder }

// NewThumbnails returns a Thumbnails. It may be used by several goroutines.
func NewThumbnails() *Thumbnails { return &Thumbnails{NewDecoder(runtime.GOMAXPROCS(0))} }

// PNG returns a page as a gray or colour PNG with the proportions of the sheet. data is the archived TIFF of the page. If it cannot be
// decoded, the error matches *Failure.
func (t *Thumbnails) PNG(ctx context.Context, data []byte) ([]byte, error) {
	m, err := t.decoder.Page(ctx, data)
	if err != nil {
		return nil, fmt.Errorf("thumbnail: %w", err)
	}
	defer m.Release()
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
