package tiff

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/klauspost/compress/zlib"
)

// expand decompresses data that is not CCITT and appends at most want bytes
// to dst. An error comes with what was decompressed before it.
func (im *Image) expand(dst, data []byte, want int) ([]byte, error) {
	switch im.Compression {
	case compressionNone:
		return append(dst, data[:min(want, len(data))]...), nil
	case compressionPackBits:
		return unpackBits(dst, data, want), nil
	case compressionDeflate, compressionOldDeflate:
		return inflate(dst, data, want)
	case compressionLZW:
		return unLZW(dst, data, want)
	}
	return dst, fmt.Errorf("compression %d: %w", im.Compression, ErrUnsupported)
}

// unpackBits expands PackBits (TIFF 6.0 section 9).
func unpackBits(dst, src []byte, want int) []byte {
	end := len(dst) + want
	for len(src) > 0 && len(dst) < end {
		n := int(int8(src[0]))
		src = src[1:]
		switch {
		case n >= 0:
			k := min(n+1, len(src), end-len(dst))
			dst = append(dst, src[:k]...)
			src = src[min(n+1, len(src)):]
		case n != -128 && len(src) > 0:
			for range min(1-n, end-len(dst)) {
				dst = append(dst, src[0])
			}
			src = src[1:]
		}
	}
	return dst
}

// inflate expands Deflate with a zlib header (Adobe Photoshop TIFF Technical
// Notes). Memory follows what the data hold, in steps.
func inflate(dst, src []byte, want int) ([]byte, error) {
	z, err := zlib.NewReader(bytes.NewReader(src))
	if err != nil {
		return dst, fmt.Errorf("inflate: %w: %w", ErrMalformed, err)
	}
	defer z.Close()
	for want > 0 {
		step := min(want, max(64<<10, len(dst)))
		dst = slices.Grow(dst, step)
		n, err := io.ReadFull(z, dst[len(dst):len(dst)+step])
		dst = dst[:len(dst)+n]
		want -= n
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return dst, nil
		}
		if err != nil {
			return dst, fmt.Errorf("inflate: %w: %w", ErrMalformed, err)
		}
	}
	// The checksum is compared at the end of the data.
	if _, err := z.Read(make([]byte, 1)); errors.Is(err, zlib.ErrChecksum) {
		return dst, fmt.Errorf("inflate: rows may be wrong: %w: %w", ErrMalformed, err)
	}
	return dst, nil
}
