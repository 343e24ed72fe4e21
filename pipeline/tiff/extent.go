package tiff

import (
	"errors"
	"fmt"
	"slices"
)

// StripByteCounts may be missing or too small: some writers keep them in 16
// bits and lose the rest. The data of a strip then run up to the next thing in
// the file whose place is known.

// maxPlaces bounds what is remembered of a file's layout. A file with more has
// strips that end a little late.
const maxPlaces = 1 << 20

// extent returns how many bytes lie between offset at and the next structure
// of the file or its end.
func (f *File) extent(at uint64) uint64 {
	f.placesOnce.Do(func() { f.places = f.findPlaces() })
	i, found := slices.BinarySearch(f.places, at)
	if found {
		i++
	}
	switch {
	case i < len(f.places):
		return f.places[i] - at
	case at < f.size():
		return f.size() - at
	}
	return 0
}

// findPlaces returns, ascending and each once, the offsets of all IFDs, of their
// values and of all strips and tiles.
func (f *File) findPlaces() []uint64 {
	var places []uint64
	for _, ifds := range [2][]uint64{f.ifds, f.other} {
		for _, at := range ifds {
			places = f.appendPlaces(append(places, at), at)
			if len(places) > maxPlaces {
				break
			}
		}
	}
	slices.Sort(places)
	return slices.Compact(places)
}

// appendPlaces appends what the IFD at offset ifd refers to.
func (f *File) appendPlaces(places []uint64, ifd uint64) []uint64 {
	_, _, valueSize := f.layout()
	for tag, e := range f.entries(ifd) {
		if e.count > valueSize/typeSizes[e.typ] {
			places = append(places, e.value)
		}
		switch tag {
		case tagStripOffsets, tagTileOffsets:
			if e.count < maxPlaces {
				offsets, err := f.uints(e)
				if err != nil {
					continue // Image.Decode reports it
				}
				places = append(places, offsets...)
			}
		case tagJPEGInterchangeFormat:
			places = append(places, uint64(f.number(e)))
		}
	}
	return places
}

// extended decodes strip i from all bytes up to the next structure, when s and
// err, which its StripByteCounts gave, lack rows and that gives more.
func (p *pageDecoder) extended(pix []byte, i, width, rows int, r reading, s strip, err error) (strip, error) {
	size := p.size(i)
	extent := p.im.f.extent(p.offsets[i])
	if !s.short(rows, err) || extent <= size || p.beyond+extent > 2*p.im.f.size() {
		return s, err
	}
	if err := p.need(int64(2*len(pix) + rows*p.rowBytes(width))); err != nil {
		return s, err
	}
	p.beyond += extent
	clean := p.out.CleanG4
	data, _ := p.im.f.segment(p.offsets[i], extent)
	more, moreErr := p.decodeStrip(nil, data, i, width, rows, r)
	if errors.Is(moreErr, errMemory) {
		return s, moreErr
	}
	if moreErr != nil || err == nil && more.good() <= s.good() || !more.ended && more.good() < max(rows, s.good()*11/10) {
		p.out.CleanG4 = clean
		return s, err
	}
	more.pix = append(pix, more.pix...)
	more.warnings = append(more.warnings, fmt.Sprintf("StripByteCounts says %d bytes, the data go on up to %d", size, extent))
	return more, nil
}

// short tells whether a strip that should have rows rows, 0 for unknown, may
// go on behind its data.
func (s *strip) short(rows int, err error) bool {
	return err != nil && !fatal(err) || err == nil && !s.ended && (rows == 0 || s.good() < rows)
}

// good returns how many rows are as sent.
func (s *strip) good() int {
	n := s.found
	for _, b := range s.bad {
		n -= max(min(b.Last+1, s.found)-b.First, 0)
	}
	return n
}
