package verify

import (
	"errors"
	"fmt"
	"slices"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/document"
	"github.com/faxstream/faxstream/pipeline/intake"
	"github.com/faxstream/faxstream/pipeline/session"
)

// checking is one check of one fax.
type checking struct {
	Checker
	id      string
	found   *Finding
	revised []string                  // keys of its revisions, ascending, as they were listed before all others
	listed  []string                  // every key of the fax, ascending
	seen    map[string]digest         // objects that were read
	named   map[string]session.Object // by manifests and reports
	served  map[string]bool           // whole files from which pages were cut
	rasters map[string]string         // of originals, by key; "" where it does not decode
	remaker document.Builder
	indexed string // key of the index entry; "": no revision says
}

func (k *checking) prefix() string { return archive.FaxPrefix(k.id) }

// gone is said of an object that went away while it was looked at.
const gone = "It was there when the archive was listed"

func (k *checking) has(key string) bool {
	_, ok := slices.BinarySearch(k.listed, key)
	return ok
}

// rasterOf decodes what has a name, once; "" where it does not decode.
func (k *checking) rasterOf(name string, decode func() (intake.Image, error)) (string, error) {
	if raster, done := k.rasters[name]; done {
		return raster, nil
	}
	m, err := decode()
	if _, failed := errors.AsType[*intake.Failure](err); err != nil && !failed {
		return "", fmt.Errorf("decode %s: %w", name, err)
	}
	k.rasters[name] = m.SHA256 // of what does not decode it is empty
	return m.SHA256, nil
}
