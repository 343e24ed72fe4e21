package tiff

import "fmt"

// maxTileMargin is by how many pixels a tile may be larger than its page.
const maxTileMargin = 4 << 20

// tiles decodes the tiles and puts them together.
func (p *pageDecoder) tiles(r reading) ([]byte, error) {
	im := p.im
	tw, tl := im.TileWidth, im.TileLength
	switch {
	case im.Height == 0:
		return nil, fmt.Errorf("tiles without ImageLength: %w", ErrMalformed)
	case tw <= 0 || tl <= 0:
		return nil, fmt.Errorf("tiles of %d x %d pixels: %w", tw, tl, ErrMalformed)
	case tw > im.f.lim.MaxWidth+1024 || tl > (im.Width*im.Height+maxTileMargin)/tw:
		return nil, fmt.Errorf("tiles of %d x %d pixels: %w", tw, tl, ErrLimit)
	}
	across := (im.Width + tw - 1) / tw
	rowBytes, tileBytes := p.rowBytes(im.Width), p.rowBytes(tw)
	pix := make([]byte, 0, p.eager(rowBytes*im.Height))
	var tile []byte
	var lastErr error
	for i := range p.offsets {
		x, y := i%across*tw, i/across*tl
		if y >= im.Height {
			break
		}
		if err := p.ctx.Err(); err != nil {
			return nil, err
		}
		got, err := p.strip(tile[:0], i, tw, tl, r)
		if fatal(err) {
			return nil, err
		}
		tile, pix = got.pix, appendPaper(pix, 0, rowBytes*min(y+tl, im.Height)-len(pix))
		if err != nil {
			lastErr = fmt.Errorf("tile %d of %d at byte %d: %w", i+1, len(p.offsets), p.offsets[i], err)
			p.warn(lastErr.Error())
		} else {
			p.decoded++
		}
		for j := range min(tl, im.Height-y) {
			p.place(pix[(y+j)*rowBytes:(y+j+1)*rowBytes], x, tile[j*tileBytes:(j+1)*tileBytes])
		}
		got.clip(im.Height - y)
		p.merge(got, y)
		if i%across == 0 {
			p.out.RowsFound += min(got.found, im.Height-y)
		}
	}
	if p.decoded == 0 {
		if lastErr == nil {
			lastErr = fmt.Errorf("no tiles: %w", ErrMalformed)
		}
		return nil, lastErr
	}
	return appendPaper(pix, 0, rowBytes*im.Height-len(pix)), nil
}

// place puts a row of a tile at pixel x of a row of the page.
func (p *pageDecoder) place(row []byte, x int, tile []byte) {
	switch {
	case p.tones != nil:
		copy(row[x*p.tones.samples:], tile)
	case x%8 == 0:
		copy(row[x/8:], tile)
	default:
		row = row[x/8:]
		row[0] &= 0xff << (8 - x%8) // past the tile to the left
		for i, b := range tile {
			if row[i] |= b >> (x % 8); i+1 == len(row) {
				break
			}
			row[i+1] = b << (8 - x%8)
		}
	}
}

// clip forgets bad rows from row n on: the last tiles reach past the page.
func (s *strip) clip(n int) {
	for len(s.bad) > 0 && s.bad[len(s.bad)-1].First >= n {
		s.bad = s.bad[:len(s.bad)-1]
	}
	if k := len(s.bad); k > 0 {
		s.bad[k-1].Last = min(s.bad[k-1].Last, n-1)
	}
}
