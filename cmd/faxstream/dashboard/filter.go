package dashboard

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/access"
	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/cmd/faxstream/flags"
	"github.com/faxstream/faxstream/pipeline/search"
	"github.com/faxstream/faxstream/pipeline/session"
)

// faxFilter chooses faxes; the zero value chooses all.
type faxFilter struct {
	to, from     string // numbers or user ids, in any spelling
	since, until time.Time
	status       string
	direction    string
	reader       access.Token // whose faxes are shown; the zero value sees all
	verification string
	assignee     string
	label        string
	text         string    // a query of the search index
	found        *withText // the faxes that text finds; nil: text is empty

	assigned, read, done string // yes or no; "": either
}

func (f *faxFilter) has(x *api.Fax) bool {
	return (!f.reader.Limited() || f.reader.Sees(numberOf(*x))) && f.hasWork(x) &&
		(f.to == "" || session.SameNumber(x.To, f.to)) && (f.from == "" || session.SameNumber(x.From, f.from)) &&
		!x.Opened.Before(f.since) && (f.until.IsZero() || x.Opened.Before(f.until)) &&
		(f.status == "" || x.Status == f.status) && (f.direction == "" || x.Direction == f.direction) &&
		(f.verification == "" || x.Verdict == f.verification) && (f.found == nil || f.found.has(x))
}

// hasWork reports whether what people say about a fax is as the filter wants it.
func (f *faxFilter) hasWork(x *api.Fax) bool {
	if f.status == "" && (f.assigned != "" || f.read != "" || f.done != "") &&
		(x.Status == session.StatusPurged || x.Status == session.StatusFolded) {
		return false // there is nothing to do
	}
	is := func(want string, have bool) bool { return want == "" || (want == yes) == have }
	return (f.assignee == "" || strings.EqualFold(x.Assignee, f.assignee)) && (f.label == "" || slices.Contains(x.Labels, f.label)) &&
		is(f.assigned, x.Assignee != "") && is(f.read, x.Read) && is(f.done, x.Done)
}

// What a filter wants of a state that a fax has or not.
const (
	yes = "yes"
	no  = "no"
)

// listing is what the search index knows of the filter. narrow: it may leave out many faxes.
func (f faxFilter) listing() (l search.Listing, narrow bool) {
	l = search.Listing{To: f.to, From: f.from, Status: f.status, Direction: f.direction}
	if f.reader.Limited() {
		l.Sees = f.reader.Sees
	}
	return l, f.to != "" || f.from != "" || f.status != "" || f.direction != "" || l.Sees != nil
}

// filterNames are the parameters of a filter.
var filterNames = []string{
	"to", "from", "since", "until", "zone", "status", "direction", "verification", "assignee", "label", "assigned", "read", "done",
	"text",
}

// View is a filter of the list with a name.
type View struct{ Name, Query string }

// URL is the list with the filter.
func (v View) URL() string { return "/?" + v.Query }

// shownTo reports whether a reader may see the view: its filter may have a number.
func (v View) shownTo(reader access.Token) bool {
	query, err := url.ParseQuery(v.Query)
	for _, number := range []string{query.Get("to"), query.Get("from")} {
		if number != "" && (reader.Masked || reader.Limited() && !reader.Sees(session.NumberToken(number))) {
			return false
		}
	}
	return err == nil
}

// maxViewName bounds a name of a view, bytes.
const maxViewName = 50

// ParseView reads a view from NAME=FILTER. The filter is written as in the address of the list, such as label=lab&done=no. byText: there is
// a search index, so that it may have a text.
func ParseView(text string, byText bool) (v View, err error) {
	name, filter, _ := strings.Cut(text, "=")
	if name = strings.TrimSpace(name); name == "" || len(name) > maxViewName {
		return v, fmt.Errorf("view %q: want NAME=FILTER with a name of at most %d bytes", text, maxViewName)
	}
	query, err := url.ParseQuery(filter)
	if err != nil {
		return v, fmt.Errorf("view %s: the filter cannot be read: %w", name, err)
	}
	for key := range query {
		if key != "thumbs" && !slices.Contains(filterNames, key) {
			return v, fmt.Errorf("view %s: %q is not part of a filter: want %s or thumbs", name, key, strings.Join(filterNames, ", "))
		}
	}
	f, err := parseFaxFilter(&http.Request{Form: query})
	if err != nil {
		return v, fmt.Errorf("view %s: %w", name, err)
	}
	if f.text != "" && !byText {
		return v, fmt.Errorf("view %s: text needs the search index: leave out the text, or --no-search", name)
	}
	if f.text != "" {
		if _, err := search.ParseTerms(f.text); err != nil {
			return v, fmt.Errorf("view %s: text: %w", name, err)
		}
	}
	return View{name, query.Encode()}, nil
}

var (
	statuses = []string{
		session.StatusReceiving, session.StatusComplete, session.StatusRecovered,
		session.StatusPartial, session.StatusFolded, session.StatusPurged,
	}
	directions = []string{session.Incoming, session.Outgoing}
)

// readersFilter chooses what the reader may see.
func readersFilter(r *http.Request) (f faxFilter) {
	f.reader, _ = access.Caller(r)
	return f
}

// filter is the filter that a request asks for, with the faxes that its text finds.
func (s *server) filter(r *http.Request) (f faxFilter, err error) {
	if f, err = parseFaxFilter(r); err == nil {
		err = s.findByText(r.Context(), &f)
	}
	return f, err
}

func parseFaxFilter(r *http.Request) (f faxFilter, err error) {
	f = readersFilter(r)
	f.to, f.from = strings.TrimSpace(r.FormValue("to")), strings.TrimSpace(r.FormValue("from"))
	if f.reader.Masked && (f.to != "" || f.from != "") {
		return f, errMasked("a filter by number would show them: leave out from and to")
	}
	f.assignee, f.label = strings.TrimSpace(r.FormValue("assignee")), strings.TrimSpace(r.FormValue("label"))
	f.text = strings.TrimSpace(r.FormValue("text"))
	if f.since, f.until, err = parsePeriod(r); err != nil {
		return f, err
	}
	for name, c := range map[string]struct {
		word    *string
		allowed []string
	}{
		"status": {&f.status, statuses}, "direction": {&f.direction, directions}, "verification": {&f.verification, session.Verifications()},
		"assigned": {&f.assigned, []string{yes, no}}, "read": {&f.read, []string{yes, no}}, "done": {&f.done, []string{yes, no}},
	} {
		if *c.word = r.FormValue(name); *c.word != "" && !slices.Contains(c.allowed, *c.word) {
			return f, api.BadRequest("%s %q: want %s", name, *c.word, strings.Join(c.allowed, ", "))
		}
	}
	return f, nil
}

// zoneName is how the IANA time zone database names zones.
var zoneName = regexp.MustCompile(`^[A-Za-z0-9_+-]{1,20}(/[A-Za-z0-9_+-]{1,20}){0,2}$`)

// parsePeriod reads since and until, each as flags.ParseMoment does. Days begin at midnight of the zone, a name of the IANA time zone
// database; without it at midnight UTC.
func parsePeriod(r *http.Request) (since, until time.Time, err error) {
	zone := time.UTC
	if name := r.FormValue("zone"); name != "" {
		known := zoneName.MatchString(name) && name != "Local"
		if known {
			zone, err = time.LoadLocation(name)
		}
		if !known || err != nil {
			return since, until, api.BadRequest("zone %q: want a name of the IANA time zone database, such as Europe/Berlin", name)
		}
	}
	for name, t := range map[string]*time.Time{"since": &since, "until": &until} {
		v := r.FormValue(name)
		if v == "" {
			continue
		}
		m, err := flags.ParseMoment(v, time.Now().In(zone))
		if err != nil {
			return since, until, api.BadRequest(
				"%s %q: want a day such as 2026-11-24, today, yesterday, an age such as 2d, or a time such as 2026-11-24T12:00:00Z", name, v)
		}
		*t = m.Time
	}
	return since, until, nil
}

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

// masked reports whether the numbers of faxes are masked for who makes the request.
func masked(r *http.Request) bool {
	t, _ := access.Caller(r)
	return t.Masked
}

// restricted reports whether who makes the request sees not all faxes with their numbers.
func restricted(r *http.Request) bool { return limited(r) || masked(r) }

// errMasked refuses what would show numbers to a reader who must not see them.
func errMasked(why string) error {
	return api.Errorf(http.StatusForbidden, "masked", "numbers are masked for you, and %s", why)
}

// maskEvent masks the numbers in an event: every event has them under the same keys. The details of a failure may quote the provider, who
// writes what he likes: the words of the reason stand there.
func maskEvent(data []byte) ([]byte, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return nil, err
	}
	for _, key := range []string{"from", "to", "to_token"} {
		if fields[key] == nil {
			continue
		}
		var number string
		if err := json.Unmarshal(fields[key], &number); err != nil {
			return nil, err
		}
		hidden, err := json.Marshal(session.MaskNumber(number))
		if err != nil {
			return nil, err
		}
		fields[key] = hidden
	}
	if fields["detail"] != nil {
		var reason session.Reason
		if err := json.Unmarshal(fields["reason"], &reason); err != nil {
			return nil, err
		}
		words, err := json.Marshal(reason.Words())
		if err != nil {
			return nil, err
		}
		fields["detail"] = words
	}
	if fields["attempts"] != nil {
		told, err := maskAttempts(fields["attempts"])
		if err != nil {
			return nil, err
		}
		fields["attempts"] = told
	}
	return json.Marshal(fields)
}

// maskAttempts puts the words of the reason in the place of the details of attempts.
func maskAttempts(data []byte) ([]byte, error) {
	var attempts []session.Attempt
	if err := json.Unmarshal(data, &attempts); err != nil {
		return nil, err
	}
	for i, a := range attempts {
		attempts[i].Detail = a.Reason.Words()
	}
	return json.Marshal(attempts)
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
