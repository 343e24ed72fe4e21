package verify

import (
	"context"
	"crypto/sha256"
	"strings"

	"github.com/faxstream/faxstream/pipeline/archive"
)

// redirect checks the objects that say that another session has the fax, or that this session has the fax of others.
func (k *checking) redirect(ctx context.Context) error {
	for _, key := range k.listed {
		from, folded := strings.CutPrefix(key, archive.FoldedPrefix(k.id))
		from = strings.TrimSuffix(from, ".json")
		switch {
		case key == archive.RedirectKey(k.id):
			from = k.id
		case !folded:
			continue
		}
		data, ok, err := k.read(ctx, key, archive.MaxSidecar)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		k.named[key] = archive.NewObject(key, int64(len(data)), sha256.Sum256(data))
		if r, err := archive.ParseRedirect(data, from); err != nil {
			k.found.unreadable(FaultUnreadable, key, err)
		} else if folded && r.Into != k.id {
			k.found.fault(FaultForeign, key, 0, "It is the redirect of session "+r.Session+" to "+r.Into)
		}
	}
	return nil
}
