package dashboard

import (
	"net/http"
	"strings"

	"github.com/faxstream/faxstream/cmd/faxstream/access"
	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/pipeline/session"
)

// numberOf is the number whose fax it is, as session.NumberToken writes it: the receiver's of a received fax, the sender's of a sent one.
func numberOf(x api.Fax) string {
	if x.Direction == session.Outgoing {
		return session.NumberToken(x.From)
	}
	return session.NumberToken(x.To)
}

// limited reports whether the request is made with a token that sees only faxes of its numbers.
func limited(r *http.Request) bool {
	t, _ := access.Caller(r)
	return t.Limited()
}

// sees reports whether the token of a request, if there is one, sees the faxes of a number. Who has no token gets as far as here only where
// no token is needed.
func sees(r *http.Request, number string) bool {
	t, _ := access.Caller(r)
	return t.Sees(number)
}

// eventNumber is the number in the subject of an event: fax.v1.page.archived.<number>.<session>.<page>. A subject of another form has none
// that a token could have.
func eventNumber(subject string) string {
	parts := strings.SplitN(subject, ".", 6)
	if len(parts) < 6 {
		return ""
	}
	return parts[4]
}
