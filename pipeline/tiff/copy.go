package tiff

import "github.com/faxstream/faxstream/pipeline/ccitt"

// Strip returns the first size bytes of the page's only strip, most significant
// bit first, without decoding it: the CleanG4 that an earlier Decode found,
// whose size and hash the caller has kept. It returns nil when the page has not
// exactly one strip of at least that size. It may share the file's memory.
func (im *Image) Strip(size int) []byte {
	offsets, sizes, err := im.segments()
	if err != nil || len(offsets) != 1 || im.Tiled || size < 0 || uint64(size) > sizes[0] && uint64(size) > im.f.extent(offsets[0]) {
		return nil
	}
	data, lacking := im.f.segment(offsets[0], uint64(size))
	if lacking > 0 {
		return nil
	}
	if im.FillOrder == 2 {
		return ccitt.ReverseBits(data)
	}
	return data
}
