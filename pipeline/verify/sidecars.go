package verify

import (
	"context"
	"fmt"
	"strings"

	"github.com/faxstream/faxstream/pipeline/archive"
)

// sidecars checks that every object that needs a sidecar has one, and that it describes the object.
func (k *checking) sidecars(ctx context.Context) error {
	for _, key := range k.listed {
		if archive.NeedsSidecar(key) && !k.has(archive.SidecarKey(key)) {
			k.found.fault(FaultSidecar, archive.SidecarKey(key), 0, "It is missing")
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
			k.found.unreadable(FaultSidecar, key, err)
		case s.Session != k.id || s.Object.Key != object || s.Page != archive.PageOfKey(object):
			k.found.fault(FaultSidecar, key, 0, fmt.Sprintf("It describes session %s page %d, %s", s.Session, s.Page, s.Object.Key))
		case there && (s.Object.Size < 0 || !d.is(s.Object)):
			k.found.fault(FaultSidecar, key, 0, "The size or hash in it is not that of the object")
		}
	}
	return nil
}
