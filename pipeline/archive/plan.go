package archive

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/faxstream/faxstream/pipeline/session"
)

// Plan has all inputs of one revision of a document. It is written create-only, before any document of the revision, and the first writer
// wins. The documents depend on the plan and on the version of the software, and on nothing else.
type Plan struct {
	Session   string                 `json:"session"`
	Direction string                 `json:"direction"`
	Revision  int                    `json:"revision"`
	Previous  int                    `json:"previous,omitempty"` // the newest revision before this one that has a manifest; 0: none
	From      string                 `json:"from"`
	To        string                 `json:"to"`
	ToToken   string                 `json:"to_token"`
	Status    string                 `json:"status"`
	Reason    string                 `json:"reason,omitempty"`
	StartTime time.Time              `json:"start_time,omitzero"` // the provider's, else the lowest page's event time
	Indexed   time.Time              `json:"indexed"`             // the day under which the fax is listed
	Close     *session.Closed        `json:"close,omitempty"`
	Missing   session.PageReasons    `json:"missing,omitempty"`
	Pages     []session.PageArchived `json:"pages"` // ascending

	// Verification is the result of comparing with the whole file when the order was made. Reports are the reports whose repairs are in
	// Pages.
	Verification string           `json:"verification"`
	Reports      []session.Object `json:"reports,omitempty"`

	Choices []session.Choice `json:"choices,omitempty"` // which of two images of a page a person chose; by page
}

// NewPlan makes the plan of an order from the facts of its pages, by page. ordered is when the order was stored. If a fact is missing,
// the error is a PageError, and Lost reports true for it.
func NewPlan(r session.DocReady, facts map[int]session.PageArchived, ordered time.Time) (Plan, error) {
	p := Plan{
		Session: r.Session, Direction: r.Direction, Revision: r.Revision, Previous: r.Previous, From: r.From, To: r.To, ToToken: r.ToToken,
		Status: r.Status, Reason: r.Reason, Close: r.Close, Missing: r.Missing, Pages: []session.PageArchived{},
		Verification: r.Verification, Choices: r.Choices,
	}
	for _, repair := range r.Repairs {
		if !slices.Contains(p.Reports, repair.Report) {
			p.Reports = append(p.Reports, repair.Report)
		}
	}
	for page := range r.Pages.All() {
		f, ok := facts[page]
		if !ok {
			return Plan{}, PageError{page, errNoFact}
		}
		p.Pages = append(p.Pages, f)
	}
	if r.Close != nil {
		p.StartTime = r.Close.StartTime
	}
	if p.StartTime.IsZero() && len(p.Pages) > 0 {
		p.StartTime = p.Pages[0].EventTime
	}
	p.Indexed = p.StartTime
	if p.Indexed.Before(firstFax) || p.Indexed.After(ordered.Add(clocksApart)) {
		p.Indexed = ordered.UTC()
	}
	return p, nil
}

// A start before firstFax, or later than clocksApart after the order, is a wrong clock. Then the fax is listed under the day of its
// order, where people look for it.
var firstFax = time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC)

const clocksApart = 48 * time.Hour

// Expected returns the numbers of all pages of the document, ascending, also of the missing ones.
func (p Plan) Expected() []int {
	pages := slices.Collect(maps.Keys(p.Missing))
	for _, f := range p.Pages {
		pages = append(pages, f.Page)
	}
	slices.Sort(pages)
	return pages
}

// facts lists the webhooks that the plan is based on, by subject.
func (p Plan) facts() []AcceptedFact {
	facts := []AcceptedFact{}
	if p.Close != nil {
		facts = append(facts, AcceptedFact{p.Close.Subject(), p.Close.BodySHA256})
	}
	for _, f := range p.Pages {
		if f.BodySHA256 != "" {
			facts = append(facts, AcceptedFact{session.PageAnnounced{Session: p.Session, Page: f.Page}.Subject(), f.BodySHA256})
		}
	}
	slices.SortFunc(facts, func(a, b AcceptedFact) int { return cmp.Compare(a.Subject, b.Subject) })
	return facts
}

// Order returns the order that the plan was made for. It has no Repairs: they are in the pages already.
func (p Plan) Order() session.DocReady {
	ready := session.DocReady{
		Session: p.Session, Direction: p.Direction, ToToken: p.ToToken, Revision: p.Revision, Previous: p.Previous, From: p.From, To: p.To,
		Status: p.Status, Reason: p.Reason, Missing: p.Missing, Close: p.Close, Verification: p.Verification, Choices: p.Choices,
	}
	for _, f := range p.Pages {
		ready.Pages = ready.Pages.Add(f.Page)
	}
	return ready
}
