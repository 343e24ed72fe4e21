package tiff

import (
	"fmt"
	"math"
)

// Tags of TIFF 6.0, RFC 2306 and RFC 2301 in the order of their numbers.
const (
	tagNewSubfileType              = 254
	tagSubfileType                 = 255
	tagImageWidth                  = 256
	tagImageLength                 = 257
	tagBitsPerSample               = 258
	tagCompression                 = 259
	tagPhotometric                 = 262
	tagFillOrder                   = 266
	tagImageDescription            = 270
	tagStripOffsets                = 273
	tagOrientation                 = 274
	tagSamplesPerPixel             = 277
	tagRowsPerStrip                = 278
	tagStripByteCounts             = 279
	tagXResolution                 = 282
	tagYResolution                 = 283
	tagPlanarConfiguration         = 284
	tagT4Options                   = 292
	tagT6Options                   = 293
	tagResolutionUnit              = 296
	tagPageNumber                  = 297
	tagSoftware                    = 305
	tagDateTime                    = 306
	tagPredictor                   = 317
	tagColorMap                    = 320
	tagTileWidth                   = 322
	tagTileLength                  = 323
	tagTileOffsets                 = 324
	tagTileByteCounts              = 325
	tagBadFaxLines                 = 326
	tagCleanFaxData                = 327
	tagConsecutiveBadFaxLines      = 328
	tagInkSet                      = 332
	tagExtraSamples                = 338
	tagSampleFormat                = 339
	tagJPEGTables                  = 347
	tagJPEGProc                    = 512
	tagJPEGInterchangeFormat       = 513
	tagJPEGInterchangeFormatLength = 514
	tagJPEGRestartInterval         = 515
	tagJPEGQTables                 = 519
	tagJPEGDCTables                = 520
	tagJPEGACTables                = 521
	tagYCbCrSubSampling            = 530
)

// Field types of TIFF 6.0 section 2 and of BigTIFF.
const (
	typeByte     = 1
	typeASCII    = 2
	typeShort    = 3
	typeLong     = 4
	typeRational = 5
	typeFloat    = 11
	typeDouble   = 12
	typeIFD      = 13
	typeLong8    = 16
	typeIFD8     = 18
)

var typeSizes = map[uint16]uint64{
	typeByte: 1, typeASCII: 1, typeShort: 2, typeLong: 4, typeRational: 8,
	6: 1, 7: 1, 8: 2, 9: 4, 10: 8, typeFloat: 4, typeDouble: 8, typeIFD: 4, typeLong8: 8, 17: 8, typeIFD8: 8,
}

// An entry is one field of an IFD; its values are read when they are asked for.
type entry struct {
	typ   uint16
	count uint64
	value uint64 // offset in the file of the first value
}

// layout returns the sizes that differ between classic TIFF and BigTIFF: of
// the entry count, of an entry, and of a value or offset in it.
func (f *File) layout() (countSize, entrySize, valueSize uint64) {
	if f.big {
		return 8, 20, 8
	}
	return 2, 12, 4
}

// uintAt reads an unsigned number of n bytes, which must lie in the file.
func (f *File) uintAt(at, n uint64) uint64 {
	return f.uint(f.read(at, n))
}

// uint reads an unsigned number of all bytes of b.
func (f *File) uint(b []byte) uint64 {
	switch len(b) {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(f.order.Uint16(b))
	case 4:
		return uint64(f.order.Uint32(b))
	}
	return f.order.Uint64(b)
}

// within tells whether n bytes at offset at lie in the file.
func (f *File) within(at, n uint64) bool { return at <= f.size() && n <= f.size()-at }

// following returns the offset of the IFD after that at offset at, 0 for none.
func (f *File) following(at uint64) (uint64, error) {
	countSize, entrySize, valueSize := f.layout()
	if !f.within(at, countSize) {
		return 0, fmt.Errorf("its IFD at byte %d of %d: %w", at, f.size(), ErrTruncated)
	}
	n := f.uintAt(at, countSize)
	if n == 0 {
		return 0, fmt.Errorf("its IFD at byte %d has no entries: %w", at, ErrMalformed)
	}
	if n > uint64(f.lim.MaxIFDEntries) && n <= f.size()/entrySize {
		return 0, fmt.Errorf("its IFD at byte %d claims %d entries, allowed are %d: %w", at, n, f.lim.MaxIFDEntries, ErrLimit)
	}
	if n > f.size()/entrySize || !f.within(at+countSize, n*entrySize) {
		return 0, fmt.Errorf("its IFD at byte %d claims %d entries, which reach past the end: %w", at, n, ErrTruncated)
	}
	link := at + countSize + n*entrySize
	if !f.within(link, valueSize) {
		return 0, nil // cut behind the last IFD's entries, nothing is missing
	}
	return f.uintAt(link, valueSize), nil
}

// entries reads the IFD at offset at. Of repeated tags the first counts.
func (f *File) entries(at uint64) map[uint16]entry {
	countSize, entrySize, _ := f.layout()
	n := f.uintAt(at, countSize)
	es := make(map[uint16]entry, min(n, 64))
	for at += countSize; n > 0; n, at = n-1, at+entrySize {
		tag := uint16(f.uintAt(at, 2))
		if _, repeated := es[tag]; repeated {
			continue
		}
		if e, ok := f.entry(at); ok {
			es[tag] = e
		}
	}
	return es
}

// field reads one field of the IFD at offset at, without those behind it. A
// field that is not there has no values.
func (f *File) field(at uint64, tag uint16) entry {
	countSize, entrySize, _ := f.layout()
	n := f.uintAt(at, countSize)
	for at += countSize; n > 0; n, at = n-1, at+entrySize {
		if uint16(f.uintAt(at, 2)) == tag {
			if e, ok := f.entry(at); ok {
				return e
			}
		}
	}
	return entry{}
}

// entry reads the field at offset at of an IFD; false for one without values
// or of an unknown type.
func (f *File) entry(at uint64) (entry, bool) {
	_, _, valueSize := f.layout()
	e := entry{typ: uint16(f.uintAt(at+2, 2)), count: f.uintAt(at+4, valueSize), value: at + 4 + valueSize}
	size, known := typeSizes[e.typ]
	if !known || e.count == 0 {
		return entry{}, false
	}
	if e.count > valueSize/size {
		e.value = f.uintAt(e.value, valueSize)
	}
	return e, true
}

// uints returns the values of an unsigned field. Values that lie past the end
// of the file, or of another type, are an error.
func (f *File) uints(e entry) ([]uint64, error) {
	size := typeSizes[e.typ]
	switch e.typ {
	case typeByte, typeShort, typeLong, typeLong8, typeIFD, typeIFD8:
	default:
		return nil, fmt.Errorf("a field of type %d instead of an integer: %w", e.typ, ErrMalformed)
	}
	if e.count > f.size()/size || !f.within(e.value, e.count*size) {
		return nil, fmt.Errorf("%d values of %d bytes at byte %d of %d: %w", e.count, size, e.value, f.size(), ErrTruncated)
	}
	vs, b := make([]uint64, e.count), f.read(e.value, e.count*size)
	for i := range vs {
		vs[i] = f.uint(b[uint64(i)*size:][:size])
	}
	return vs, nil
}

// number returns the first value of a field as a number, 0 when it has none.
func (f *File) number(e entry) float64 {
	size := typeSizes[e.typ]
	if size == 0 || !f.within(e.value, size) {
		return 0
	}
	switch e.typ {
	case typeRational:
		if d := f.uintAt(e.value+4, 4); d != 0 {
			return float64(f.uintAt(e.value, 4)) / float64(d)
		}
		return 0
	case typeFloat:
		return finite(float64(math.Float32frombits(uint32(f.uintAt(e.value, 4)))))
	case typeDouble:
		return finite(math.Float64frombits(f.uintAt(e.value, 8)))
	case typeByte, typeShort, typeLong, typeLong8:
		return float64(f.uintAt(e.value, size))
	}
	return 0
}

func finite(v float64) float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) || v < 0 {
		return 0
	}
	return v
}
