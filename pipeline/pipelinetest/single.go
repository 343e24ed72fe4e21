package pipelinetest

import (
	"encoding/binary"
	"slices"
	"testing"
)

// Bytes of a value of each field type of TIFF 6.0, section 2.
var typeBytes = [...]uint32{0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8}

// SinglePages splits a classic TIFF whose pages have strips into files of one page each, with the same fields and strips. A provider that
// serves pages one by one makes them in this way. nil: the file is another one, or damaged.
func SinglePages(t testing.TB, data []byte) (files [][]byte) {
	t.Helper()
	defer func() { // the corpus has damaged files
		if recover() != nil {
			files = nil
		}
	}()
	var order interface {
		binary.ByteOrder
		binary.AppendByteOrder
	} = binary.LittleEndian
	if string(data[:2]) == "MM" {
		order = binary.BigEndian
	}
	if order.Uint16(data[2:]) != 42 {
		return nil
	}
	for at := order.Uint32(data[4:]); at != 0 && len(files) < 1000; {
		n := int(order.Uint16(data[at:]))
		fields := data[at+2:][:12*n]
		files = append(files, single(order, data, fields))
		at = order.Uint32(data[int(at)+2+12*n:])
	}
	return files
}

func single(order interface {
	binary.ByteOrder
	binary.AppendByteOrder
}, data, fields []byte,
) []byte {
	file := slices.Clone(data[:8])
	fields = slices.Clone(fields)
	values := func(tag uint16) (all []uint32) {
		for f := range slices.Chunk(fields, 12) {
			if order.Uint16(f) != tag {
				continue
			}
			typ, count, place := order.Uint16(f[2:]), order.Uint32(f[4:]), f[8:]
			if count*typeBytes[typ] > 4 {
				place = data[order.Uint32(place):]
			}
			for i := range count {
				if typ == 3 {
					all = append(all, uint32(order.Uint16(place[2*i:])))
				} else {
					all = append(all, order.Uint32(place[4*i:]))
				}
			}
		}
		return all
	}
	const stripOffsets, stripByteCounts = 273, 279
	offsets, sizes := values(stripOffsets), values(stripByteCounts)
	var places []byte
	for i, at := range offsets {
		places = order.AppendUint32(places, uint32(len(file)))
		file = append(file, data[at:][:sizes[i]]...)
		if len(file)&1 != 0 {
			file = append(file, 0)
		}
	}
	for f := range slices.Chunk(fields, 12) {
		size := order.Uint32(f[4:]) * typeBytes[order.Uint16(f[2:])]
		var value []byte
		if order.Uint16(f) == stripOffsets {
			order.PutUint16(f[2:], 4)
			value, size = places, uint32(len(places))
			if size == 4 {
				copy(f[8:], places)
			}
		} else if size > 4 {
			value = data[order.Uint32(f[8:]):][:size]
		}
		if size > 4 {
			order.PutUint32(f[8:], uint32(len(file)))
			file = append(file, value...)
			if len(file)&1 != 0 {
				file = append(file, 0)
			}
		}
	}
	order.PutUint32(file[4:], uint32(len(file)))
	file = order.AppendUint16(file, uint16(len(fields)/12))
	return append(append(file, fields...), 0, 0, 0, 0)
}
