package tiff

import (
	"fmt"

	"github.com/faxstream/faxstream/pipeline/ccitt"
)

// LZW of TIFF 6.0 section 13.
const (
	lzwClear    = 256
	lzwEnd      = 257
	lzwFirst    = 258 // the first code of the table
	lzwMinBits  = 9
	lzwMaxBits  = 12
	lzwMaxCodes = 1 << lzwMaxBits
)

// A lzwEntry is a string of the table: its first bytes are an earlier output,
// so that a string is a place in what was written.
type lzwEntry struct{ at, n int32 }

// unLZW expands LZW and appends at most want bytes to dst. It reads both the
// codes of TIFF 6.0 and those of older writers (libtiff before 1991), which
// begin with the least significant bit and change width one code later.
func unLZW(dst, src []byte, want int) ([]byte, error) {
	old := len(src) >= 2 && src[0] == 0 && src[1]&1 != 0
	early := int32(1)
	if old {
		src, early = ccitt.ReverseBits(src), 0
	}
	base := len(dst)
	var table [lzwMaxCodes]lzwEntry
	next, bits := int32(lzwFirst), uint(lzwMinBits)
	prevAt, prevN := int32(0), int32(0) // the string written last
	acc, have := uint32(0), uint(0)
	for len(dst)-base < want {
		for have < bits {
			if len(src) == 0 {
				return dst, nil
			}
			acc, have, src = acc<<8|uint32(src[0]), have+8, src[1:]
		}
		code := acc >> (have - bits) & (1<<bits - 1)
		have -= bits
		if old {
			code = reverseCode(code, bits)
		}
		if code == lzwEnd {
			return dst, nil
		}
		if code == lzwClear {
			next, bits, prevN = lzwFirst, lzwMinBits, 0
			continue
		}
		at := int32(len(dst) - base)
		switch {
		case code < lzwClear:
			dst = append(dst, byte(code))
		case int32(code) < next:
			e := table[code]
			dst = appendWithin(dst, base, e)
		case int32(code) == next && prevN > 0:
			dst = appendWithin(dst, base, lzwEntry{prevAt, prevN})
			dst = append(dst, dst[base+int(prevAt)])
		default:
			return dst, fmt.Errorf("code %d of LZW before its string: %w", code, ErrMalformed)
		}
		if prevN > 0 && next < lzwMaxCodes {
			table[next] = lzwEntry{prevAt, prevN + 1}
			next++
			if next+early >= 1<<bits && bits < lzwMaxBits {
				bits++
			}
		}
		prevAt, prevN = at, int32(len(dst)-base)-at
	}
	return dst[:base+want], nil
}

// appendWithin repeats a string written before; it may reach into itself.
func appendWithin(dst []byte, base int, e lzwEntry) []byte {
	for i := range int(e.n) {
		dst = append(dst, dst[base+int(e.at)+i])
	}
	return dst
}

func reverseCode(code uint32, bits uint) uint32 {
	r := uint32(0)
	for range bits {
		r, code = r<<1|code&1, code>>1
	}
	return r
}
