package intake

import (
	"bytes"
	"fmt"

	"github.com/faxstream/faxstream/pipeline/raster"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// Image is one decoded page.
type Image struct {
	*tiff.Decoded
	SHA256 string // hex SHA-256 of the raster, or of the samples of a gray or colour page
}

// better orders images of one page, in every process in the same way: fewest bad rows, most rows, lowest raster hash.
func better(a, b Image) bool {
	if x, y := a.CountBadRows(), b.CountBadRows(); x != y {
		return x < y
	}
	if a.Raster.Height != b.Raster.Height {
		return a.Raster.Height > b.Raster.Height
	}
	return a.SHA256 < b.SHA256
}

// CountBadRows is the number of rows that could not be decoded as they were sent.
func (m Image) CountBadRows() int {
	n := 0
	for _, r := range m.BadRows {
		n += r.Last - r.First + 1
	}
	return n
}

// png encodes an upright page for OCR; tones is nil for a bilevel page.
func png(page *raster.Page, tones *raster.Tones) ([]byte, error) {
	var b bytes.Buffer
	write := page.WritePNG
	if tones != nil {
		write = tones.WritePNG
	}
	if err := write(&b); err != nil {
		return nil, fmt.Errorf("write PNG: %w", err)
	}
	return b.Bytes(), nil
}
