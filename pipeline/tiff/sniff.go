package tiff

import (
	"fmt"

	"github.com/faxstream/faxstream/pipeline/ccitt"
)

// tagged returns the reading that the tags demand.
func (im *Image) tagged() reading {
	r := reading{lsb: im.FillOrder == 2}
	switch im.Compression {
	case compressionRLE:
		r.coding = ccitt.RLE
	case compressionRLEW:
		r.coding = ccitt.RLEW
	case compressionGroup4:
		r.coding = ccitt.MMR
	default:
		r.coding = ccitt.MH
		if im.T4Options&1 != 0 {
			r.coding = ccitt.MR
		}
	}
	return r
}

// sniff decodes as the tags demand and, when that goes badly wrong, in the
// other readings. One of those is believed only when it finds far more:
// damage alone never makes the data look like another coding.
func (p *pageDecoder) sniff() (*Decoded, error) {
	first := p.im.tagged()
	best, err := p.decode(first)
	if err == nil && badShare(best) < 0.1 || fatal(err) {
		return best, err
	}
	found := first
	for _, r := range p.im.guesses(first) {
		if !p.plausible(r) {
			continue
		}
		d, guessErr := p.decode(r)
		if guessErr != nil {
			continue
		}
		if best == nil && badShare(d) < 0.25 || best != nil && badShare(d)*4 < badShare(best) && goodRows(d) > goodRows(best) {
			best, found = d, r
		}
	}
	if best == nil {
		return nil, err
	}
	if found != first {
		best.Warnings = append([]string{fmt.Sprintf("tagged as %s, is %s", first, found)}, best.Warnings...)
	}
	return best, nil
}

func (r reading) String() string {
	if r.lsb {
		return r.coding.String() + ", least significant bit first"
	}
	return r.coding.String()
}

// guesses returns the other readings, the likely ones first.
func (im *Image) guesses(first reading) []reading {
	var rs []reading
	for _, lsb := range []bool{first.lsb, !first.lsb} {
		for _, c := range []ccitt.Coding{ccitt.MMR, ccitt.MR, ccitt.MH, ccitt.RLE} {
			if r := (reading{c, lsb}); r != first {
				rs = append(rs, r)
			}
		}
	}
	return rs
}

// plausible tells whether the first rows decode without a fault in a reading.
func (p *pageDecoder) plausible(r reading) bool {
	const rows = 16
	width, height := p.im.Width, p.im.RowsPerStrip
	if p.im.Tiled {
		width, height = p.im.TileWidth, p.im.TileLength
	}
	if height == 0 {
		height = rows
	}
	data, _ := p.im.f.segment(p.offsets[0], p.sizes[0])
	_, res, err := ccitt.Decode(nil, data, ccitt.Options{
		Coding: r.coding, Width: width, Rows: min(rows, height), LSBFirst: r.lsb, Strict: true,
	})
	return err == nil && res.Found == res.Rows && len(res.BadRows) == 0
}

func badRows(d *Decoded) int {
	n := 0
	for _, b := range d.BadRows {
		n += b.Last - b.First + 1
	}
	return n
}

func goodRows(d *Decoded) int { return d.Raster.Height - badRows(d) }

func badShare(d *Decoded) float64 { return float64(badRows(d)) / float64(max(d.Raster.Height, 1)) }
