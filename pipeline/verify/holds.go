package verify

import (
	"context"
	"errors"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/desk"
	"github.com/faxstream/faxstream/pipeline/hold"
	"github.com/faxstream/faxstream/pipeline/session"
)

// holds checks that the log of holds and purges is readable and has no purge: with one false entry somebody could hide the fax.
func (k *checking) holds(ctx context.Context) error {
	last, err := hold.LastEntry(ctx, k.Archive, k.id)
	switch {
	case errors.Is(err, archive.ErrDamagedLog) || errors.Is(err, archive.ErrTooLarge):
		k.found.unreadable(FaultUnreadable, hold.LogPrefix+k.id+"/", err)
	case err != nil:
		return err
	case last.Kind == session.ActionPurged:
		k.found.fault(FaultPurged, hold.LogPrefix+k.id+"/", 0, last.String())
	}
	return k.desk(ctx)
}

// desk checks that the log of what people say about the fax is readable, with its notes.
func (k *checking) desk(ctx context.Context) error {
	_, _, err := desk.Read(ctx, k.Archive, k.id)
	if desk.Damaged(err) {
		k.found.unreadable(FaultUnreadable, archive.DeskPrefix+k.id+"/", err)
		return nil
	}
	return err
}
