package jbig

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// Markers follow a byte ESC (T.82 table 12).
const (
	markerESC     = 0xff
	markerStuff   = 0x00
	markerNormal  = 0x02 // SDNORM: the stripe ends
	markerReset   = 0x03 // SDRST: it ends, and all that was learned is forgotten
	markerAbort   = 0x04
	markerNewLen  = 0x05
	markerATMove  = 0x06
	markerComment = 0x07
)

// A stripe is the code of some rows and what changes with it.
type stripe struct {
	code  []byte
	moves []atMove
	reset bool // ends with SDRST
	cut   bool // ends with the data
}

// An atMove says from which row of the stripe on the adaptive pixel is tx to
// the left and ty above (T.82 6.2.6.2).
type atMove struct{ row, tx, ty int }

// stripes are an image's.
type stripes struct {
	list     []stripe
	height   int // 0: as many rows as the stripes have
	warnings []string
}

// Bounds of what is remembered of an image: a stripe has a row at least, and the
// adaptive pixel moves once a stripe or so.
const (
	maxStripes = 200_000
	maxMoves   = 1_000
)

// maxWarnings bounds Result.Warnings.
const maxWarnings = 20

func (s *stripes) warn(text string) {
	if len(s.warnings) < maxWarnings {
		s.warnings = append(s.warnings, text)
	}
}

// splitStripes goes from marker to marker (T.82 6.2.2).
func splitStripes(h Header, data []byte) stripes {
	s := stripes{height: h.Height}
	data = data[headerSize:]
	var moves []atMove
	for len(data) > 0 && len(s.list) < maxStripes {
		n, known := s.floating(&moves, data, h)
		if n > 0 {
			data = data[min(n, len(data)):]
			continue
		}
		if !known {
			break
		}
		end := codeEnd(data)
		st := stripe{code: data[:end], moves: moves}
		moves = nil
		if end+1 >= len(data) {
			st.cut = true
			s.warn("the data end within a stripe")
			s.list = append(s.list, st)
			break
		}
		marker := data[end+1]
		st.reset = marker == markerReset
		if s.list = append(s.list, st); marker == markerAbort {
			s.warn("the sender aborted the image")
			s.list = s.list[:len(s.list)-1]
			break
		}
		data = data[end:]
		if marker == markerNormal || marker == markerReset {
			data = data[2:]
		}
	}
	return s
}

// floating reads a marker segment that stands before a stripe and returns its
// length, 0 when none does. It is false where no stripe can follow.
func (s *stripes) floating(moves *[]atMove, data []byte, h Header) (n int, ok bool) {
	if len(data) < 2 || data[0] != markerESC {
		return 0, true
	}
	be := binary.BigEndian
	switch data[1] {
	case markerStuff, markerNormal, markerReset:
		return 0, true // a stripe, perhaps without code
	case markerATMove:
		if len(data) < 8 {
			return 0, false
		}
		if len(*moves) >= maxMoves {
			return 0, false
		}
		*moves = append(*moves, atMove{row: int(be.Uint32(data[2:])), tx: int(int8(data[6])), ty: int(data[7])})
		return 8, true
	case markerNewLen:
		if len(data) < 6 {
			return 0, false
		}
		s.newLength(int(be.Uint32(data[2:])), h)
		// The marker that ends the stripe before may stand behind it once more (T.82 6.2.6.1).
		if len(data) >= 8 && data[6] == markerESC && (data[7] == markerNormal || data[7] == markerReset) {
			return 8, true
		}
		return 6, true
	case markerComment:
		if len(data) < 6 {
			return 0, false
		}
		return 6 + int(be.Uint32(data[2:])), true
	}
	s.warn(fmt.Sprintf("unknown marker %#x", data[1]))
	return 0, false
}

// newLength corrects the height, which can only become less.
func (s *stripes) newLength(rows int, h Header) {
	switch {
	case h.options&optionLength == 0 || rows == 0 || s.height > 0 && rows > s.height:
		s.warn(fmt.Sprintf("a new height of %d is not allowed", rows))
	default:
		s.height = rows
	}
}

// codeEnd returns where the code that data begin with ends: at the next ESC
// that is no stuffing, or at the end of the data.
func codeEnd(data []byte) int {
	at := 0
	for {
		i := bytes.IndexByte(data[at:], markerESC)
		if i < 0 {
			return len(data)
		}
		if at += i; at+1 >= len(data) || data[at+1] != markerStuff {
			return at
		}
		at += 2
	}
}
