package tiff

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image/jpeg"
	"slices"
)

// Old-style JPEG (compression 6, TIFF 6.0 section 22) came in two layouts, and
// in mixtures of them: a whole JPEG stream that JPEGInterchangeFormat names, or
// tables that fields name and strips of entropy-coded data. Either way a strip
// becomes a JPEG stream of its own here.

// oldJPEG is what the strips of a page share.
type oldJPEG struct {
	stream   []byte // the page in one stream, when it can be decoded
	segments []byte // tables, as marker segments
	frame    []byte // the parameters of SOF0, whose height is that of a strip
	scan     []byte // SOS
}

// Markers of JPEG (T.81 table B.1).
const (
	markerSOF0 = 0xc0
	markerSOF1 = 0xc1
	markerDHT  = 0xc4
	markerSOS  = 0xda
	markerDQT  = 0xdb
	markerDRI  = 0xdd
)

// readOldJPEG finds the stream or the tables.
func (t *tonesReader) readOldJPEG(offsets, sizes []uint64) error {
	im := t.im
	if v := im.small(tagJPEGProc, 1); v != 1 {
		return fmt.Errorf("JPEGProc %d, old-style JPEG that is not baseline: %w", v, ErrUnsupported)
	}
	if im.Tiled {
		return fmt.Errorf("old-style JPEG in tiles: %w", ErrUnsupported)
	}
	if at := im.small(tagJPEGInterchangeFormat, 0); at > 0 {
		size := max(uint64(im.small(tagJPEGInterchangeFormatLength, 0)), im.f.extent(uint64(at)))
		data, _ := im.f.segment(uint64(at), size)
		t.old.parse(data)
		if t.wholeStream(data) {
			return nil
		}
	}
	first, _ := im.f.segment(offsets[0], sizes[0])
	if bytes.HasPrefix(first, jpegSOI) {
		t.old.parse(first)
		return nil // each strip is a stream
	}
	if t.old.frame == nil {
		t.old.frame = t.taggedFrame()
	}
	if t.old.scan == nil {
		t.old.scan = scanOf(t.old.frame)
	}
	if len(t.old.segments) > 0 {
		return nil
	}
	return t.taggedTables()
}

// wholeStream tells whether data are the page in one stream, and keeps it.
func (t *tonesReader) wholeStream(data []byte) bool {
	cfg, err := jpeg.DecodeConfig(t.reader(data))
	if err != nil || cfg.Width < t.im.Width || cfg.Height < t.im.Height || t.checkSize(cfg.Width, cfg.Height, len(data)) != nil {
		return false
	}
	if _, err = jpeg.Decode(t.reader(data)); err != nil { // within what Memory counts: a page of compression 6 is one strip for it
		return false
	}
	t.old.stream = data
	return true
}

// parse collects the segments of a stream up to its scan.
func (o *oldJPEG) parse(data []byte) {
	data = bytes.TrimPrefix(data, jpegSOI)
	for len(data) >= 4 && data[0] == 0xff {
		marker, size := data[1], 2+int(binary.BigEndian.Uint16(data[2:]))
		if size > len(data) || size < 4 {
			return
		}
		switch body := data[4:size]; marker {
		case markerSOF0, markerSOF1:
			if len(body) >= 6 && len(body) >= 6+3*int(body[5]) {
				o.frame = slices.Clone(body)
			}
		case markerDHT, markerDQT, markerDRI:
			o.segments = append(o.segments, data[:size]...)
		case markerSOS:
			o.scan = slices.Clone(body)
			return
		}
		data = data[size:]
	}
}

// segment appends a marker segment.
func segment(s []byte, marker byte, body []byte) []byte {
	s = append(s, 0xff, marker)
	s = binary.BigEndian.AppendUint16(s, uint16(2+len(body)))
	return append(s, body...)
}

// taggedFrame makes the parameters of SOF0 of the fields.
func (t *tonesReader) taggedFrame() []byte {
	n := max(min(t.im.SamplesPerPixel, 4), 1)
	frame := []byte{8, 0, 0, 0, 0, byte(n)}
	h, v := 1, 1
	if n == 3 && t.kind.photometric == photometricYCbCr {
		h, v = 2, 2
		if vs, err := t.im.f.uints(t.im.entries[tagYCbCrSubSampling]); err == nil && len(vs) >= 2 {
			h, v = int(min(vs[0], 4)), int(min(vs[1], 4))
		}
	}
	for i := range n {
		frame = append(frame, byte(i+1), byte(h<<4|v), byte(i))
		h, v = 1, 1
	}
	return frame
}

// scanOf makes the SOS of a frame whose component i has the tables i.
func scanOf(frame []byte) []byte {
	n := int(frame[5])
	scan := []byte{byte(n)}
	for i := range n {
		scan = append(scan, frame[6+3*i], byte(min(i, 1)<<4|min(i, 1)))
	}
	return append(scan, 0, 63, 0)
}

// taggedTables makes segments of the tables that fields name. The third
// component mostly has those of the second; Huffman tables are two at most in
// baseline JPEG.
func (t *tonesReader) taggedTables() error {
	quantizers, err := t.tableOffsets(tagJPEGQTables)
	if err != nil {
		return err
	}
	for i, at := range quantizers[:min(len(quantizers), 4)] {
		table, lacking := t.im.f.segment(at, 64)
		if lacking > 0 {
			return fmt.Errorf("a table of JPEGQTables at byte %d: %w", at, ErrTruncated)
		}
		t.old.segments = segment(t.old.segments, markerDQT, append([]byte{byte(i)}, table...))
	}
	for i := len(quantizers); i < int(t.old.frame[5]); i++ {
		t.old.frame[6+3*i+2] = byte(len(quantizers) - 1)
	}
	for class, tag := range [2]uint16{tagJPEGDCTables, tagJPEGACTables} {
		offsets, err := t.tableOffsets(tag)
		if err != nil {
			return err
		}
		for i, at := range offsets[:min(len(offsets), 2)] {
			counts, lacking := t.im.f.segment(at, 16)
			n := 0
			for _, c := range counts {
				n += int(c)
			}
			values, cut := t.im.f.segment(at+16, uint64(n))
			if lacking+cut > 0 || n > 256 {
				return fmt.Errorf("a Huffman table at byte %d: %w", at, ErrMalformed)
			}
			body := append([]byte{byte(class<<4 | i)}, counts...)
			t.old.segments = segment(t.old.segments, markerDHT, append(body, values...))
		}
	}
	if n := t.im.small(tagJPEGRestartInterval, 0); n > 0 && n < 1<<16 {
		t.old.segments = segment(t.old.segments, markerDRI, binary.BigEndian.AppendUint16(nil, uint16(n)))
	}
	return nil
}

func (t *tonesReader) tableOffsets(tag uint16) ([]uint64, error) {
	offsets, err := t.im.f.uints(t.im.entries[tag])
	if err != nil || len(offsets) == 0 {
		return nil, fmt.Errorf("old-style JPEG without a stream and without field %d: %w", tag, ErrMalformed)
	}
	return offsets, nil
}

// oldStream is the JPEG stream of a strip of width x rows pixels, or that of
// the whole page.
func (t *tonesReader) oldStream(data []byte, width, rows int) []byte {
	switch {
	case t.old.stream != nil:
		data = t.old.stream
	case !bytes.HasPrefix(data, jpegSOI):
		s := slices.Clone(jpegSOI)
		if t.kind.photometric == photometricRGB {
			s = append(s, adobeRGB...)
		}
		s = append(s, t.old.segments...)
		frame := slices.Clone(t.old.frame)
		binary.BigEndian.PutUint16(frame[1:], uint16(min(rows, 1<<16-1)))
		binary.BigEndian.PutUint16(frame[3:], uint16(min(width, 1<<16-1)))
		s = segment(s, markerSOF0, frame)
		s = segment(s, markerSOS, t.old.scan)
		return append(append(s, data...), jpegEOI...)
	}
	if t.kind.photometric == photometricRGB && !bytes.Contains(data[:min(len(data), 4096)], []byte("Adobe")) {
		return append(append(slices.Clone(jpegSOI), adobeRGB...), data[2:]...)
	}
	return data
}
