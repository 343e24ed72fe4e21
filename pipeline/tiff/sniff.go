package tiff

import (
	"errors"
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
	for _, r := range p.guesses(first) {
		if best != nil {
			if err := p.need(int64(len(best.Raster.Pix) + p.rowBytes(max(r.width, p.im.Width))*p.im.Height)); err != nil {
				return nil, err
			}
		}
		d, guessErr := p.decode(r)
		if errors.Is(guessErr, errMemory) {
			return nil, guessErr
		}
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
	best.Warnings = append(p.im.corrections(first, found), best.Warnings...)
	return best, nil
}

// corrections says what the tags have wrong.
func (im *Image) corrections(tagged, found reading) []string {
	var said []string
	if tagged.coding != found.coding || tagged.lsb != found.lsb {
		said = append(said, fmt.Sprintf("tagged as %s, is %s", tagged, found))
	}
	if found.width > 0 {
		said = append(said, fmt.Sprintf("ImageWidth %d, the rows are %d pixels wide", im.Width, found.width))
	}
	return said
}

func (r reading) String() string {
	if r.lsb {
		return r.coding.String() + ", least significant bit first"
	}
	return r.coding.String()
}

// guesses returns the other readings that the beginning of the data allows, the
// likely ones first.
func (p *pageDecoder) guesses(first reading) []reading {
	rs := p.widths(first)
	for _, lsb := range []bool{first.lsb, !first.lsb} {
		for _, c := range []ccitt.Coding{ccitt.MMR, ccitt.MR, ccitt.MH, ccitt.RLE} {
			r := reading{coding: c, lsb: lsb}
			if r == first {
				continue
			}
			if p.plausible(r) {
				rs = append(rs, r)
			}
			rs = append(rs, p.widths(r)...)
		}
	}
	return rs
}

// widths returns a reading with rows of the width on which they agree, where
// that is not ImageWidth, or else with rows of any width where they are in order.
func (p *pageDecoder) widths(r reading) []reading {
	if p.im.Tiled {
		return nil
	}
	data, there := make([][]byte, len(p.offsets)), uint64(0)
	for i := range data {
		if n, _ := p.im.f.held(p.offsets[i], p.sizes[i]); there+n > p.im.f.size() {
			break // strips share their bytes
		} else {
			there += n
		}
		data[i], _ = p.im.f.segment(p.offsets[i], p.sizes[i])
	}
	o := ccitt.Options{Coding: r.coding, LSBFirst: r.lsb}
	switch w := ccitt.CodedWidth(data, o); {
	case w > 0 && w <= p.im.f.lim.MaxWidth && w != p.im.Width:
		r.width = w
	case w == 0 && ccitt.Ragged(data, o):
		r.ragged = true
	default:
		return nil
	}
	return []reading{r}
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
