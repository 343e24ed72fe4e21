package tiff

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

// expands tells whether expand knows the compression.
func (im *Image) expands() bool {
	switch im.Compression {
	case compressionNone, compressionPackBits, compressionDeflate, compressionOldDeflate, compressionLZW, compressionZstd:
		return true
	}
	return false
}

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
	case compressionZstd:
		return unZstd(dst, data, want)
	}
	return dst, fmt.Errorf("%s: %w", compressionName(im.Compression), ErrUnsupported)
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
// Notes).
func inflate(dst, src []byte, want int) ([]byte, error) {
	z, err := zlib.NewReader(bytes.NewReader(src))
	if err != nil {
		return dst, fmt.Errorf("inflate: %w: %w", ErrMalformed, err)
	}
	defer z.Close()
	before := len(dst)
	if dst, err = readUpTo(dst, z, want); err != nil {
		return dst, fmt.Errorf("inflate: %w: %w", ErrMalformed, err)
	}
	if len(dst) < before+want {
		return dst, nil
	}
	// The checksum is compared at the end of the data.
	if _, err := z.Read(make([]byte, 1)); errors.Is(err, zlib.ErrChecksum) {
		return dst, fmt.Errorf("inflate: rows may be wrong: %w: %w", ErrMalformed, err)
	}
	return dst, nil
}

// readUpTo appends want bytes, or as many as there are, to dst. Memory follows
// what the data hold, in steps.
func readUpTo(dst []byte, r io.Reader, want int) ([]byte, error) {
	for want > 0 {
		step := min(want, max(64<<10, len(dst)))
		dst = slices.Grow(dst, step)
		n, err := io.ReadFull(r, dst[len(dst):len(dst)+step])
		dst = dst[:len(dst)+n]
		want -= n
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return dst, nil
		}
		if err != nil {
			return dst, err
		}
	}
	return dst, nil
}

// unZstd expands Zstandard, which libtiff numbers 50000.
func unZstd(dst, src []byte, want int) ([]byte, error) {
	const window = 8 << 20 // what RFC 8878 3.1.1.1.2 asks every reader to support
	z, err := zstd.NewReader(bytes.NewReader(src),
		zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(window))
	if err != nil {
		return dst, fmt.Errorf("zstd: %w: %w", ErrMalformed, err)
	}
	defer z.Close()
	if dst, err = readUpTo(dst, z, want); err != nil {
		return dst, fmt.Errorf("zstd: %w: %w", ErrMalformed, err)
	}
	return dst, nil
}

// compressionName names a compression as people know it.
func compressionName(compression int) string {
	names := map[int]string{
		9: "JBIG of TIFF-FX", 10: "JBIG in colour (T.43)", 32766: "NeXT", 32809: "ThunderScan", 32908: "PixarFilm", 32909: "PixarLog",
		34661: "JBIG", 34663: "JBIG2", 34676: "SGILog", 34677: "SGILog24", 34712: "JPEG 2000", 34887: "LERC", 34892: "lossy JPEG of DNG",
		34925: "LZMA", 50001: "WebP", 50002: "JPEG XL", 32771: "RLE of CCITT in words",
		compressionRLE: "RLE of CCITT", compressionGroup3: "Group 3", compressionGroup4: "Group 4",
	}
	if name, ok := names[compression]; ok {
		return fmt.Sprintf("compression %d (%s)", compression, name)
	}
	return fmt.Sprintf("compression %d", compression)
}
