package document

import (
	"crypto/sha256"
	"fmt"

	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// copied returns the strip of the page's own file, if the decoder found it clean when the page was archived; else nil.
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
	if fmt.Sprintf("%x", sha256.Sum256(strip)) != f.CleanStrip.SHA256 {
		return nil
	}
	return strip
}
