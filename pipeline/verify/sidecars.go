package verify

import (
	"context"
	"fmt"
	"strings"

	"github.com/faxstream/faxstream/pipeline/archive"
)

// sidecars wants one beside every object that must have it, that says what the object is.
func (k *checking) sidecars(ctx context.Context) error {
	for _, key := range k.listed {
		if archive.NeedsSidecar(key) && !k.has(archive.SidecarKey(key)) {
			k.found.fault(FaultSidecar, archive.SidecarKey(key), 0, "It is not there")
		}
		if !archive.IsSidecar(key) {
			continue
		}
		data, ok, err := k.read(ctx, key, archive.MaxSidecar)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		s, err := archive.ParseSidecar(data)
		object := strings.TrimSuffix(key, ".json")
		d, there := k.seen[object]
		switch {
		case err != nil:
			k.found.fault(FaultSidecar, key, 0, err.Error())
		case s.Session != k.id || s.Object.Key != object || s.Page != archive.PageOfKey(object):
			k.found.fault(FaultSidecar, key, 0, fmt.Sprintf("It speaks of session %s page %d, %s", s.Session, s.Page, s.Object.Key))
		case there && (s.Object.Size < 0 || !d.is(s.Object)):
			k.found.fault(FaultSidecar, key, 0, "It has another size or hash of its object")
		}
	}
	return nil
}
