package pdf

import (
	"encoding/binary"
	"math"
)

// srgbProfile returns an ICC version 2 monitor profile of the sRGB colour space (IEC 61966-2-1). It is built here because
// the usual profiles are too large for a fax page, or not free to copy. Layout: ICC.1:2001-04.
func srgbProfile() []byte {
	xyz := func(x, y, z uint32) []byte {
		b := append([]byte("XYZ "), 0, 0, 0, 0)
		for _, v := range []uint32{x, y, z} {
			b = binary.BigEndian.AppendUint32(b, v) // s15Fixed16
		}
		return b
	}
	curve := toneCurve()
	tags := []struct {
		name string
		data []byte
	}{
		{"desc", description("sRGB")},
		{"cprt", []byte("text\x00\x00\x00\x00No copyright, use freely\x00")},
		{"wtpt", xyz(0xF351, 0x10000, 0x116CC)}, // D65
		{"rXYZ", xyz(0x6FA2, 0x38F5, 0x0390)},   // the primaries, adapted to D50
		{"gXYZ", xyz(0x6299, 0xB785, 0x18DA)},
		{"bXYZ", xyz(0x24A0, 0x0F84, 0xB6CF)},
		{"rTRC", curve},
		{"gTRC", nil}, // nil: shares the data of the tag before it
		{"bTRC", nil},
	}
	table := binary.BigEndian.AppendUint32(nil, uint32(len(tags)))
	var data []byte
	base := 128 + 4 + 12*len(tags)
	var offset, size int
	for _, t := range tags {
		if t.data != nil {
			offset, size = base+len(data), len(t.data)
			data = append(data, t.data...)
			data = append(data, make([]byte, -len(data)&3)...)
		}
		table = append(table, t.name...)
		table = binary.BigEndian.AppendUint32(table, uint32(offset))
		table = binary.BigEndian.AppendUint32(table, uint32(size))
	}

	head := make([]byte, 128)
	binary.BigEndian.PutUint32(head[0:], uint32(base+len(data)))
	binary.BigEndian.PutUint32(head[8:], 0x02100000) // version 2.1
	copy(head[12:], "mntrRGB XYZ ")
	for i, v := range []uint16{2000, 1, 1} { // a date is required; this one has no meaning
		binary.BigEndian.PutUint16(head[24+2*i:], v)
	}
	copy(head[36:], "acsp")
	copy(head[68:], xyz(0xF6D6, 0x10000, 0xD32D)[8:]) // D50
	return append(append(head, table...), data...)
}

// toneCurve samples the transfer function of IEC 61966-2-1 at 256 points.
func toneCurve() []byte {
	b := append([]byte("curv"), 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint32(b, 256)
	for i := range 256 {
		v := float64(i) / 255
		linear := v / 12.92
		if v > 0.04045 {
			linear = math.Pow((v+0.055)/1.055, 2.4)
		}
		b = binary.BigEndian.AppendUint16(b, uint16(math.Round(linear*65535)))
	}
	return b
}

// description is a textDescriptionType: the ASCII text, then empty Unicode and Macintosh ones.
func description(text string) []byte {
	b := append([]byte("desc"), 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(len(text)+1))
	b = append(append(b, text...), 0)
	return append(b, make([]byte, 4+4+2+1+67)...)
}
