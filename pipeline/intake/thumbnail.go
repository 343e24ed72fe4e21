package intake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"

	"github.com/faxstream/faxstream/pipeline/ccitt"
	"github.com/faxstream/faxstream/pipeline/raster"
)

// ThumbnailSide is the longer side of a thumbnail, in pixels.
const ThumbnailSide = 300

// Thumbnails makes small images of archived originals, and finds their bad rows, at most as many at once as there are cores.
type Thumbnails struct{ decoder *Decoder }

// NewThumbnails returns a Thumbnails, which take their memory from m. It may be used by several goroutines.
func NewThumbnails(m *Memory) *Thumbnails { return &Thumbnails{m.NewDecoder(runtime.GOMAXPROCS(0))} }

// PNG returns a page as a gray or colour PNG with the proportions of the sheet. original is the archived TIFF of the page. If it cannot be
// decoded, the error matches *Failure.
func (t *Thumbnails) PNG(ctx context.Context, original io.Reader) (small []byte, err error) {
	err = t.decoded(ctx, original, func(m Image) (err error) {
		small, err = thumbnail(m)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("thumbnail: %w", err)
	}
	return small, nil
}

// BadRows returns the ranges of rows of a page that could not be decoded as they were sent, from 0 and in order, as the page is stored. Its
// errors are those of PNG.
func (t *Thumbnails) BadRows(ctx context.Context, original io.Reader) (rows []ccitt.RowRange, err error) {
	err = t.decoded(ctx, original, func(m Image) error {
		rows = slices.Clone(m.BadRows)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("find bad rows: %w", err)
	}
	return rows, nil
}

// decoded calls f with the first page of a TIFF, which is released after it.
func (t *Thumbnails) decoded(ctx context.Context, original io.Reader, f func(m Image) error) (err error) {
	b := t.decoder.NewBody()
	defer func() { err = errors.Join(err, b.Close()) }()
	if _, err := io.Copy(b, original); err != nil {
		return err
	}
	ctx, free := t.decoder.Lease(ctx)
	defer free()
	m, err := t.decoder.PageIn(ctx, b)
	if err != nil {
		return err
	}
	defer m.Release()
	return f(m)
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
		return nil, err
	}
	return b.Bytes(), nil
}
