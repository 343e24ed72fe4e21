package dashboard

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/access"
	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/pipeline/session"
)

// bulkPrefix begins the names of fields that are not of the filter.
const bulkPrefix = "new_"

const (
	// maxBulk bounds the faxes that one order is for.
	maxBulk = 10_000
	// maxTicked bounds those that are named one by one.
	maxTicked = 100
)

// bulkOrder is what is ordered for each of many faxes.
type bulkOrder struct {
	question string                                 // what is done with a fax, in words
	action   session.Action                         // without its session
	suits    func(api.Fax) bool                     // there is something to do with a fax; the others are left out; nil: there is
	allowed  func(r *http.Request, x api.Fax) error // nil: it is
	final    bool                                   // it cannot be undone: only for faxes that are named, and with a box to tick
}

// bulkView is what bulk.html shows.
type bulkView struct {
	listView
	Action   string     // where the form goes
	Question string     // what would be done
	Fields   url.Values // of the form, without the filter
	Count    int        // faxes that it is about
	Newest   string     // the cursor of the newest of them
	Final    bool       // it cannot be undone
	Done     bool       // it is ordered
}

// bulkForm orders something for the faxes that are ticked, or for all that a filter chooses, also beyond the page. Without the field sure
// it shows how many these are, and asks; with it, it orders it for those that were there then. They are carried out one after another.
func (s *server) bulkForm(read func(r *http.Request) (bulkOrder, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxOrder)
		o, err := read(r)
		if err == nil {
			err = http.NewResponseController(w).SetWriteDeadline(time.Time{})
		}
		var v bulkView
		if err == nil {
			v, err = s.bulk(r, o)
		}
		if err != nil {
			s.problem(w, r, err)
			return
		}
		s.render(w, r, http.StatusOK, "bulk.html", v)
	}
}

// bulk counts the faxes of an order, and orders it if the form is sure.
func (s *server) bulk(r *http.Request, o bulkOrder) (v bulkView, err error) {
	who := api.Order{By: r.PostFormValue("by"), Why: r.PostFormValue("why")}
	if err := checkOrder(r, &who); err != nil {
		return v, err
	}
	o.action.By, o.action.Why = who.By, who.Why
	ticked := r.PostForm["fax"]
	if t, ok := access.Caller(r); ok && r.FormValue("text") != "" && !slices.Contains(t.Scopes, access.ScopeRead) {
		return v, api.Errorf(http.StatusForbidden, "forbidden",
			"%s does not have the scope read, and what text finds shows what faxes say", t.Name)
	}
	if v.listView, err = s.listView(r); err != nil {
		return v, err
	}
	v.Action, v.Question, v.Final, v.Newest = r.URL.Path, o.question, o.final, r.PostFormValue("newest")
	v.Done = r.PostFormValue("sure") == yes
	v.Fields = url.Values{"fax": ticked}
	for _, name := range []string{"do", "by", "why", bulkPrefix + "assignee", bulkPrefix + "labels"} {
		v.Fields.Set(name, r.PostFormValue(name))
	}
	switch {
	case len(ticked) == 0 && (o.final || !v.Filtered()):
		return v, api.BadRequest("tick faxes in the list")
	case len(ticked) > maxTicked:
		return v, api.BadRequest("%d faxes are ticked: want at most %d", len(ticked), maxTicked)
	case o.final && v.Done && r.PostFormValue("really") != yes:
		return v, api.BadRequest("tick the box to confirm that the faxes are deleted for good")
	}
	give := func(x api.Fax) error { return s.orderOne(r, &v, o, x) }
	if len(ticked) > 0 {
		return v, s.onTicked(r, ticked, o, give)
	}
	var newest orderKey
	if v.Done {
		if newest, err = parseCursor(v.Newest); err != nil {
			return v, err
		}
	}
	return v, s.onAllFaxes(r.Context(), v.filter, newest, give)
}

// orderOne counts a fax, and orders something for it if the form is sure.
func (s *server) orderOne(r *http.Request, v *bulkView, o bulkOrder, x api.Fax) error {
	if o.suits != nil && !o.suits(x) {
		return nil
	}
	if v.Count++; !v.Done {
		if v.Count == 1 {
			v.Newest = keyOf(x).cursor()
		}
		return s.recordFound(r.Context(), r, v.filter, []api.Fax{x})
	}
	o.action.Session = x.Session
	_, err := s.Letters.Act(r.Context(), o.action)
	return err
}

// onTicked calls do with faxes that are named. If one of them is not there, or the order is not allowed for it, it calls do with none.
func (s *server) onTicked(r *http.Request, ids []string, o bulkOrder, do func(api.Fax) error) error {
	var faxes []api.Fax
	for _, id := range ids {
		if _, err := wholeID(r.Context(), id); err != nil {
			return err
		}
		st, err := s.findSession(r, id)
		if err != nil {
			return err
		}
		x := summary(st)
		if o.allowed != nil {
			if err := o.allowed(r, x); err != nil {
				return err
			}
		}
		faxes = append(faxes, x)
	}
	for i, x := range faxes {
		if err := do(x); err != nil {
			return s.stopped(err, i, x.Session)
		}
	}
	return nil
}

// stopped is the error of an order for many faxes that was ordered for n of them.
func (s *server) stopped(err error, n int, id string) error {
	if refused, ok := errors.AsType[*api.Error](err); ok {
		return refused
	}
	s.Log.Error("an order for many faxes stopped", "ordered", n, "session", id, "err", err)
	return api.Unavailable("the change is ordered for %d faxes, and then JetStream did not answer: look at /readyz, and order it "+
		"again; where it is done already, it does no harm", n)
}

// onAllFaxes calls do with the faxes that a filter chooses, newest first, from newest on; the zero newest is the beginning. Faxes about
// which there is nothing to say are left out.
func (s *server) onAllFaxes(ctx context.Context, f faxFilter, newest orderKey, do func(api.Fax) error) error {
	tooMany := api.BadRequest("the filter chooses more than %d faxes: choose fewer, for example by dates", maxBulk)
	if f.found != nil && f.found.more {
		return tooMany
	}
	n := 0
	for after := (orderKey{}); ; {
		l := s.list(ctx, f, after, maxLimit)
		if l.Incomplete != "" {
			return api.Unavailable("%s: try again later", l.Incomplete)
		}
		for _, x := range l.Faxes {
			switch {
			case newest.session != "" && keyOf(x).compare(newest) > 0, x.Status == session.StatusPurged, x.Status == session.StatusFolded:
				continue
			case n == maxBulk:
				return tooMany
			}
			if n++; ctx.Err() != nil {
				return ctx.Err()
			}
			if err := do(x); err != nil {
				return s.stopped(err, n-1, x.Session)
			}
		}
		if l.Next == "" {
			return nil
		}
		var err error
		if after, err = parseCursor(l.Next); err != nil {
			return err
		}
	}
}

// bulkWork reads a change of what people say about faxes.
func (s *server) bulkWork(r *http.Request) (bulkOrder, error) {
	o, err := parseWorkForm(r, bulkPrefix)
	o.Seen = nil
	if err == nil && o.Note != nil {
		err = api.BadRequest("a note is for one fax: write it on its page")
	}
	if err != nil {
		return bulkOrder{}, err
	}
	change, err := s.change(r.Context(), "", o)
	return bulkOrder{question: changeQuestion(change), action: session.Action{Kind: session.ActionWorked, Work: &change}}, err
}

// bulkReplay reads an order to make faxes again, or to have missing pages fetched again.
func (s *server) bulkReplay(r *http.Request) (bulkOrder, error) {
	stage := r.PostFormValue("do")
	o := bulkOrder{
		action: session.Action{Kind: session.ActionReplayed, Stage: stage},
		suits:  func(x api.Fax) bool { return x.Revision > 0 },
		question: map[string]string{
			session.ReplayFetch: "ask the provider for the missing pages again", session.ReplayDecode: "decode the originals again",
			session.ReplayAssemble: "make a new revision",
		}[stage],
	}
	if stage == session.ReplayFetch {
		o.suits = func(x api.Fax) bool { return x.Revision > 0 && x.Status == session.StatusPartial }
	}
	if o.question == "" {
		return o, errButton(stage)
	}
	return o, nil
}

// bulkKeep reads an order to hold, release or purge faxes.
func (s *server) bulkKeep(r *http.Request) (bulkOrder, error) {
	do := r.PostFormValue("do")
	o, ok := map[string]bulkOrder{
		"hold": {
			question: "put under legal hold", action: session.Action{Kind: session.ActionHeld}, suits: func(x api.Fax) bool { return !x.Held },
		},
		"release": {
			question: "release from legal hold", action: session.Action{Kind: session.ActionReleased},
			suits: func(x api.Fax) bool { return x.Held },
		},
		"purge": {question: "delete for good", action: session.Action{Kind: session.ActionPurged}, allowed: s.mayPurge, final: true},
	}[do]
	if !ok {
		return o, errButton(do)
	}
	return o, checkReason(o.action.Kind, r.PostFormValue("why"))
}

// mayPurge refuses a purge that could not be carried out.
func (s *server) mayPurge(r *http.Request, x api.Fax) error {
	return s.allowed(r, session.ActionPurged, api.HoldStatus{Session: x.Session})
}

// changeQuestion says in words what a change would do to each fax.
func changeQuestion(c session.WorkChange) string {
	l := api.DeskLine{Assignee: c.Assignee, Add: c.Add, Remove: c.Remove, Read: c.Read, Done: c.Done}
	switch {
	case l.Assignee != nil && *l.Assignee == "":
		return "assign to nobody"
	case l.Assignee != nil:
		return "assign to " + *l.Assignee
	case len(l.Add) > 0:
		return "add the labels " + strings.Join(l.Add, ", ")
	case len(l.Remove) > 0:
		return "remove the labels " + strings.Join(l.Remove, ", ")
	case l.Read != nil:
		return map[bool]string{true: "mark as read", false: "mark as unread"}[*l.Read]
	case l.Done != nil:
		return map[bool]string{true: "mark as done", false: "open again"}[*l.Done]
	}
	return ""
}
