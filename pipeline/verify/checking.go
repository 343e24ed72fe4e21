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
	revised []string                  // keys of its revisions, ascending; they were listed before all others
	listed  []string                  // all keys of the fax, ascending
	seen    map[string]digest         // objects that were read, by key
	named   map[string]session.Object // objects that manifests and reports name, by key
	served  map[string]bool           // keys of evidence: whole files from which pages were cut, and reports
	rasters map[string]string         // raster hashes by key of the original, or by name; "": it cannot be decoded
	sound   map[int]bool              // revisions without a fault
	remaker document.Builder
	indexed string // key of the index entry; "": unknown, there is no revision
}

func (k *checking) prefix() string { return archive.FaxPrefix(k.id) }

// gone says that an object disappeared during the check.
const gone = "It was there when the archive was listed"

// has reports whether the archive has an object of the fax.
func (k *checking) has(key string) bool {
	_, ok := slices.BinarySearch(k.listed, key)
	return ok
}

// rasterOf returns the raster hash of an image, "" if it cannot be decoded. It decodes each name only once.
func (k *checking) rasterOf(name string, decode func() (intake.Image, error)) (string, error) {
	if raster, done := k.rasters[name]; done {
		return raster, nil
	}
	m, err := decode()
	if _, failed := errors.AsType[*intake.Failure](err); err != nil && !failed {
		return "", fmt.Errorf("decode %s: %w", name, err)
	}
	m.Release()
	k.rasters[name] = m.SHA256 // empty if it cannot be decoded
	return m.SHA256, nil
}
