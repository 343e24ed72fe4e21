package collect

import (
	"context"

	"github.com/faxstream/faxstream/pipeline/session"
)

// bind sets the number token of an event, if the ledger does not have it yet.
func (c *Collector) bind(ctx context.Context, s *session.State, e *session.Event) error {
	if s.ToToken != "" || s.Purged {
		return nil
	}
	number := ""
	switch f := e.Fact.(type) {
	case session.PageAnnounced:
		number = f.To
	case session.Closed:
		number = f.To
		if f.Direction == session.Outgoing {
			number = f.From
		}
	}
	token, err := c.Bus.Bind(ctx, s.Session, session.NumberToken(number))
	e.ToToken = token
	return err
}

// claim sets the owner of an event if another session has this fax already: the provider's id of a whole file belongs to one fax. A sent
// fax that is tried again has the same session.
func (c *Collector) claim(ctx context.Context, s *session.State, e *session.Event) error {
	f, ok := e.Fact.(session.Closed)
	if !ok || f.Direction == session.Outgoing || f.File == "" || s.Close != nil && s.Close.File == f.File {
		return nil
	}
	owner, err := c.Bus.Claim(ctx, session.AliasFile, f.File, s.Session)
	if owner != s.Session {
		e.Owner = owner
	}
	return err
}
