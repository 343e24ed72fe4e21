package intake

import (
	"fmt"
	"io"

	"github.com/faxstream/faxstream/pipeline/raster"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// Image is one decoded page.
type Image struct {
	*tiff.Decoded
	SHA256 string // hex SHA-256 of the raster, or of the samples of a gray or colour page
}

// rank orders images of one page, in every process in the same way: fewest bad rows, most rows, lowest raster hash.
type rank struct {
	bad, rows int
	sum       string
}

func (m Image) rank() rank { return rank{m.CountBadRows(), m.Raster.Height, m.SHA256} }

func (a rank) better(b rank) bool {
	switch {
	case a.bad != b.bad:
		return a.bad < b.bad
	case a.rows != b.rows:
		return a.rows > b.rows
	}
	return a.sum < b.sum
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
func png(w io.Writer, page *raster.Page, tones *raster.Tones) error {
	write := page.WritePNG
	if tones != nil {
		write = tones.WritePNG
	}
	if err := write(w); err != nil {
		return fmt.Errorf("write PNG: %w", err)
	}
	return nil
}
