package document

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// copied returns the strip of the page's own file, if the decoder found it clean when the page was archived; else nil. The caller has
// compared the hash of data with that of the original. Then the strip has the hash in the fact if its end is in the same place and its
// bits are in the same order, which the mark at its end shows; a second hash is only necessary where there is no whole mark.
func copied(f session.PageArchived, data []byte) []byte {
	if f.CleanStrip == nil {
		return nil
	}
	file, err := tiff.Parse(data, tiff.Limits{})
	if err != nil {
		return nil
	}
	im, err := file.Page(0)
	if err != nil {
		return nil
	}
	strip := im.Strip(f.CleanStrip.Size)
	if !endsWithEOFB(strip) && fmt.Sprintf("%x", sha256.Sum256(strip)) != f.CleanStrip.SHA256 {
		return nil
	}
	return strip
}

// eofb is the end of a Group 4 page: two EOL codes (T.6, 2.4.1.1).
const eofb, eofbBits = 0x001001, 24

// endsWithEOFB reports whether EOFB ends in the last byte of a strip, most significant bit first. No strip does so in both orders of bits.
func endsWithEOFB(strip []byte) bool {
	if len(strip) < 4 {
		return false
	}
	end := binary.BigEndian.Uint32(strip[len(strip)-4:])
	for pad := range 8 {
		if end>>pad&(1<<eofbBits-1) == eofb {
			return true
		}
	}
	return false
}
