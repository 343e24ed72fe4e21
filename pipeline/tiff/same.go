package tiff

import "bytes"

// Same tells whether two pages, of two files perhaps, are stored in the same
// way: all fields that Decode could read have the same bytes, and so have all
// strips or tiles. Then Decode gives the same rows, of which the same are bad.
// False says nothing: rows may be the same in another coding.
func (im *Image) Same(o *Image) bool {
	if im.f.order != o.f.order || im.f.big != o.f.big || im.Compression == compressionOldJPEG || !im.f.lim.samePage(o.f.lim) {
		return false
	}
	return im.sameFields(o) && o.sameFields(im) && im.sameStrips(o)
}

// samePage tells whether two limits are the same for a page.
func (l Limits) samePage(o Limits) bool {
	l.MaxBytes, l.MaxPages = o.MaxBytes, o.MaxPages
	return l == o
}

// sameFields tells whether all fields of im are in o, with the same bytes, but
// for what a page is about and where its data lie.
func (im *Image) sameFields(o *Image) bool {
	for tag, e := range im.entries {
		if describes(tag) {
			continue
		}
		other := o.entries[tag]
		if e.typ != other.typ || e.count != other.count {
			return false
		}
		if tag == tagStripOffsets || tag == tagTileOffsets {
			continue
		}
		value, within := im.f.values(e)
		if theirs, also := o.f.values(other); !within || !also || !bytes.Equal(value, theirs) {
			return false
		}
	}
	return true
}

// describes tells whether a field says something about a page that changes
// none of its rows. The others, also unknown ones, may.
func describes(tag uint16) bool {
	switch tag {
	case tagNewSubfileType, tagSubfileType, tagImageDescription, tagPageNumber, tagSoftware, tagDateTime:
		return true
	case 269, 271, 272, 285, 315, 316: // DocumentName, Make, Model, PageName, Artist, HostComputer
		return true
	}
	return false
}

// values returns the bytes of a field's values; false where they are not all
// in the file.
func (f *File) values(e entry) (b []byte, within bool) {
	size := typeSizes[e.typ]
	if e.count > f.size()/size || !f.within(e.value, e.count*size) {
		return nil, false
	}
	return f.read(e.value, e.count*size), true
}

// sameStrips tells whether the strips or tiles have the same bytes as far as
// Decode could read them: up to what follows in the file.
func (im *Image) sameStrips(o *Image) bool {
	ours, sizes, err := im.segments()
	if err != nil {
		return false
	}
	theirs, otherSizes, err := o.segments()
	if err != nil || len(ours) != len(theirs) {
		return false
	}
	all := uint64(0)
	for i, at := range ours {
		n := max(sizes[i], im.f.extent(at))
		if sizes[i] != otherSizes[i] || n != max(sizes[i], o.f.extent(theirs[i])) {
			return false
		}
		// Decode reads no more than twice the size of a file, which differs:
		// strips that do not overlap stay below that.
		if all += n; all > min(im.f.size(), o.f.size()) {
			return false
		}
		a, lacking := im.f.segment(at, n)
		b, otherLacking := o.f.segment(theirs[i], n)
		if lacking+otherLacking > 0 || !bytes.Equal(a, b) {
			return false
		}
	}
	return true
}

// CleanStrip returns what Decode finds as CleanG4 if the first size bytes of
// the page's only strip are a clean strip of a page of this size in pixels,
// which only their hash can show; nil where the fields speak against it.
func (im *Image) CleanStrip(width, height, size int) []byte {
	if im.Compression != compressionGroup4 || im.BitsPerSample != 1 || im.SamplesPerPixel != 1 || im.zeroIsBlack() ||
		im.Width != width || im.Height != height {
		return nil
	}
	if _, sizes, err := im.segments(); err != nil || size < 1 || uint64(size) > sizes[0] {
		return nil // segments gives at least one
	}
	return im.Strip(size)
}

// Bytes is how many bytes the strips or tiles of the page have, as the file
// says; 0 where it does not say it.
func (im *Image) Bytes() (n uint64) {
	_, sizes, err := im.segments()
	if err != nil {
		return 0
	}
	for _, size := range sizes {
		n += size
	}
	return n
}
