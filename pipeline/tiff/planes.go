package tiff

import (
	"fmt"

	"github.com/faxstream/faxstream/pipeline/ccitt"
)

// planes decodes a page whose samples are kept in planes (PlanarConfiguration
// 2): all strips of the first sample, then all of the next. A row that is bad
// in one is bad.
func (p *pageDecoder) planes() ([]byte, error) {
	t := p.tones
	offsets, sizes := p.offsets, p.sizes
	defer func() { p.offsets, p.sizes = offsets, sizes }()
	per := len(offsets) / p.im.SamplesPerPixel
	if per == 0 {
		return nil, fmt.Errorf("%d strips for %d planes: %w", len(offsets), p.im.SamplesPerPixel, ErrMalformed)
	}
	planes := make([][]byte, p.im.SamplesPerPixel)
	var bad []ccitt.RowRange
	found, rows := p.im.f.lim.MaxRows, p.im.f.lim.MaxRows
	for _, i := range t.planes {
		p.offsets, p.sizes = offsets[i*per:(i+1)*per], sizes[i*per:(i+1)*per]
		p.out.BadRows, p.out.RowsFound, p.decoded, p.rows = nil, 0, 0, 0
		pix, err := p.segments(reading{})
		if err != nil {
			return nil, fmt.Errorf("plane %d of %d: %w", i+1, len(planes), err)
		}
		planes[i] = pix
		bad = append(bad, p.out.BadRows...)
		found, rows = min(found, p.out.RowsFound), min(rows, len(pix)/p.width)
	}
	p.out.RowsFound, p.out.BadRows, p.out.LongestBadRun = found, nil, 0
	p.markAll(bad, rows)
	t.samples = t.outSamples()
	return p.joined(planes, rows), nil
}

// markAll marks ranges in any order, of those rows that there are.
func (p *pageDecoder) markAll(bad []ccitt.RowRange, rows int) {
	isBad := make([]bool, rows)
	for _, b := range bad {
		for y := b.First; y <= b.Last && y < rows; y++ {
			isBad[y] = true
		}
	}
	for y, b := range isBad {
		if b {
			p.markBad(y, y)
		}
	}
}

// joined makes pixels of the samples in planes.
func (p *pageDecoder) joined(planes [][]byte, rows int) []byte {
	t, n := p.tones, len(planes)
	out := make([]byte, rows*p.width*t.samples)
	line := make([]byte, p.width*n)
	for y := range rows {
		for i, plane := range planes {
			if plane == nil {
				continue
			}
			for x, v := range plane[y*p.width : (y+1)*p.width] {
				line[x*n+i] = v
			}
		}
		t.convert(out[y*p.width*t.samples:(y+1)*p.width*t.samples], line)
	}
	return out
}
