package pipelinetest

import (
	"encoding/binary"
	"slices"
	"testing"
)

// SinglePages splits a classic TIFF whose pages have strips into files of one page each, with the same fields and strips, as a provider
// does that serves pages one by one. nil: the file is another one, or too damaged.
func SinglePages(t testing.TB, data []byte) (files [][]byte) {
	t.Helper()
	defer func() { // the corpus has damaged files
		if recover() != nil {
			files = nil
		}
	}()
	var order byteOrder = binary.LittleEndian
	if string(data[:2]) == "MM" {
		order = binary.BigEndian
	}
	if order.Uint16(data[2:]) != 42 {
		return nil
	}
	for at := order.Uint32(data[4:]); at != 0 && len(files) < 1000; {
		n := int(order.Uint16(data[at:]))
		s := splitter{order: order, from: data, fields: slices.Clone(data[at+2:][:12*n]), file: slices.Clone(data[:8])}
		files = append(files, s.single())
		at = order.Uint32(data[int(at)+2+12*n:])
	}
	return files
}

type byteOrder interface {
	binary.ByteOrder
	binary.AppendByteOrder
}

// splitter makes a file of one page of a TIFF.
type splitter struct {
	order  byteOrder
	from   []byte // the TIFF
	fields []byte // of the page's IFD, 12 bytes each
	file   []byte
}

const stripOffsets, stripByteCounts, long = 273, 279, 4

// single writes strips, values and IFD, in this order.
func (s *splitter) single() []byte {
	offsets, sizes := s.numbers(stripOffsets), s.numbers(stripByteCounts)
	var places []byte
	for i, at := range offsets {
		places = s.order.AppendUint32(places, s.add(s.from[at:][:sizes[i]]))
	}
	for f := range slices.Chunk(s.fields, 12) {
		value := s.value(f)
		if s.order.Uint16(f) == stripOffsets {
			s.order.PutUint16(f[2:], long)
			value = places
		}
		if len(value) > 4 {
			s.order.PutUint32(f[8:], s.add(value))
		} else {
			copy(f[8:], value)
		}
	}
	s.order.PutUint32(s.file[4:], uint32(len(s.file)))
	s.file = s.order.AppendUint16(s.file, uint16(len(s.fields)/12))
	return append(append(s.file, s.fields...), 0, 0, 0, 0)
}

// add appends bytes to the file, up to a word boundary, and returns where they are.
func (s *splitter) add(b []byte) (at uint32) {
	at = uint32(len(s.file))
	if s.file = append(s.file, b...); len(s.file)&1 != 0 {
		s.file = append(s.file, 0)
	}
	return at
}

// value returns the bytes of a field's values.
func (s *splitter) value(field []byte) []byte {
	bytesOf := [...]uint32{0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8} // a value of each type of TIFF 6.0, section 2
	n := s.order.Uint32(field[4:]) * bytesOf[s.order.Uint16(field[2:])]
	if n <= 4 {
		return field[8:][:n]
	}
	return s.from[s.order.Uint32(field[8:]):][:n]
}

// numbers returns the values of a field of SHORTs or LONGs.
func (s *splitter) numbers(tag uint16) (all []uint32) {
	for f := range slices.Chunk(s.fields, 12) {
		if s.order.Uint16(f) != tag {
			continue
		}
		size := 2
		if s.order.Uint16(f[2:]) == long {
			size = 4
		}
		for v := range slices.Chunk(s.value(f), size) {
			if size == 2 {
				all = append(all, uint32(s.order.Uint16(v)))
			} else {
				all = append(all, s.order.Uint32(v))
			}
		}
	}
	return all
}
