package collect

import (
	"context"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/hold"
	"github.com/faxstream/faxstream/pipeline/session"
)

// perform performs the effects of a state, and archives the redirect of a folded session. All of it is short and may be repeated.
func (c *Collector) perform(ctx context.Context, s session.State) error {
	purged, err := archive.WriteRedirect(ctx, c.Archive, s)
	if err == nil && purged {
		err = hold.FollowPurge(ctx, c.Archive, c.Bus, s)
	}
	if err != nil {
		return err
	}
	for _, e := range s.Effects {
		var err error
		switch {
		case e.Timer != nil:
			err = c.Bus.Schedule(ctx, *e.Timer, nil)
		case e.Whole != nil:
			_, _, err = c.Bus.RecordFact(ctx, *e.Whole)
		case e.Ask != nil:
			_, _, err = c.Bus.RecordFact(ctx, *e.Ask)
		case e.Ready != nil:
			_, _, err = c.Bus.RecordFact(ctx, *e.Ready)
		case len(e.Rebind) > 0:
			err = c.rebind(ctx, s.Session, e.Rebind)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// rebind publishes pages again under the session's number that were published under `unknown` before the number was known.
func (c *Collector) rebind(ctx context.Context, id string, pages session.Ranges) error {
	token, err := c.Bus.Bind(ctx, id, session.UnknownToken)
	if err != nil {
		return err
	}
	for page := range pages.All() {
		f, ok, err := c.Bus.PageFact(ctx, session.UnknownToken, id, page)
		if err != nil {
			return err
		}
		if !ok {
			continue // it is too old for the stream: no subscriber waits for it any more
		}
		f.ToToken = token
		if _, _, err := c.Bus.RecordFact(ctx, f); err != nil {
			return err
		}
	}
	return nil
}
