package dashboard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/access"
	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/subscribers"
)

// Subscribers are services that claim events: a subscribers.Service.
type Subscribers interface {
	Add(ctx context.Context, s subscribers.Subscriber) (subscribers.Status, error)
	Get(ctx context.Context, name string) (subscribers.Status, error)
	List(ctx context.Context) ([]subscribers.Status, error)
	Remove(ctx context.Context, name string) error
	Rewind(ctx context.Context, name string, since time.Time) (subscribers.Status, error)
	// Rotate gives one of kind nats a new password.
	Rotate(ctx context.Context, name string) (subscribers.Status, error)
	// Began is when the first event of a fax's pages was stored.
	Began(ctx context.Context, session string) (time.Time, error)
	Claim(ctx context.Context, name string, most int, wait time.Duration) ([]subscribers.Event, error)
	Settle(ctx context.Context, name string, events ...subscribers.Settlement) []error
}

// maxSettlements bounds the body of a settlement, bytes: 256 events.
const maxSettlements = 256 << 10

// failSubscriber answers with the error of a subscriber.
func (s *server) failSubscriber(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case errors.Is(err, subscribers.ErrBad):
		err = api.BadRequest("%v", err)
	case errors.Is(err, subscribers.ErrNone):
		err = api.NotFound("%v: `faxstream subscriber ls` lists them", err)
	case errors.Is(err, subscribers.ErrThere):
		err = api.Errorf(http.StatusConflict, "exists", "%v", err)
	}
	s.fail(w, r, err)
}

func subscriberOf(s subscribers.Status) api.Subscriber {
	return api.Subscriber{
		Name: s.Name, Numbers: s.Numbers, Lease: s.Lease.String(), Concurrency: s.Concurrency, Since: s.Since, Waiting: s.Waiting,
		InWork: s.InWork, Again: s.Again, Claimed: s.Claimed, Settled: s.Settled, Kind: s.Kind, NATS: (*api.NATSLogin)(s.Login),
		Oldest: s.Oldest, Failed: s.Failed.Count, LastFailed: s.Failed.Last, LastFailure: s.Failed.Why,
	}
}

// addSubscriber makes a subscriber.
func (s *server) addSubscriber(w http.ResponseWriter, r *http.Request) {
	var o api.SubscriberOrder
	err := readOrderInto(w, r, &o, &o.Order)
	sub := subscribers.Subscriber{Name: o.Name, Concurrency: o.Concurrency, Since: o.Since, Kind: o.Kind}
	if err == nil && o.Lease != "" {
		if sub.Lease, err = time.ParseDuration(o.Lease); err != nil {
			err = api.BadRequest("lease %q: want a duration such as 1m", o.Lease)
		}
	}
	for _, n := range o.Numbers {
		sub.Numbers = append(sub.Numbers, session.NumberToken(n))
	}
	var made subscribers.Status
	if err == nil {
		made, err = s.Subscribers.Add(r.Context(), sub)
	}
	if err != nil {
		s.failSubscriber(w, r, err)
		return
	}
	s.Log.Info("subscriber added", "name", made.Name, "kind", made.Kind, "numbers", len(made.Numbers), "by", o.By, "why", o.Why)
	api.Write(w, http.StatusOK, subscriberOf(made))
}

// listSubscribers lists all subscribers.
func (s *server) listSubscribers(w http.ResponseWriter, r *http.Request) {
	all, err := s.Subscribers.List(r.Context())
	if err != nil {
		s.fail(w, r, err)
		return
	}
	l := api.SubscriberList{Subscribers: []api.Subscriber{}}
	for _, sub := range all {
		l.Subscribers = append(l.Subscribers, subscriberOf(sub))
	}
	api.Write(w, http.StatusOK, l)
}

// removeSubscriber removes a subscriber.
func (s *server) removeSubscriber(w http.ResponseWriter, r *http.Request) {
	o, err := readOrder(w, r)
	if err == nil {
		err = s.Subscribers.Remove(r.Context(), r.PathValue("name"))
	}
	if err != nil {
		s.failSubscriber(w, r, err)
		return
	}
	s.Log.Info("subscriber removed", "name", r.PathValue("name"), "by", o.By, "why", o.Why)
	api.Write(w, http.StatusOK, struct{}{})
}

// rewindSubscriber makes a subscriber go on from a time, or from the first page of a fax.
func (s *server) rewindSubscriber(w http.ResponseWriter, r *http.Request) {
	var o api.RewindOrder
	err := readOrderInto(w, r, &o, &o.Order)
	switch {
	case err != nil:
	case o.Session != "" && o.Since.IsZero():
		if o.Session, err = s.resolveFor(r, o.Session); err == nil {
			o.Since, err = s.Subscribers.Began(r.Context(), o.Session)
		}
	case o.Session != "" || o.Since.IsZero() || o.Since.After(time.Now()):
		err = api.BadRequest("want since, a time in the past such as 2026-11-24T12:00:00Z, or session: a fax")
	}
	var done subscribers.Status
	if err == nil {
		done, err = s.Subscribers.Rewind(r.Context(), r.PathValue("name"), o.Since)
	}
	if err != nil {
		s.failSubscriber(w, r, err)
		return
	}
	s.Log.Info("subscriber rewound", "name", done.Name, "since", o.Since, "session", o.Session, "by", o.By, "why", o.Why)
	api.Write(w, http.StatusOK, subscriberOf(done))
}

// rotateSubscriber gives a subscriber a new password.
func (s *server) rotateSubscriber(w http.ResponseWriter, r *http.Request) {
	o, err := readOrder(w, r)
	var done subscribers.Status
	if err == nil {
		done, err = s.Subscribers.Rotate(r.Context(), r.PathValue("name"))
	}
	if err != nil {
		s.failSubscriber(w, r, err)
		return
	}
	s.Log.Info("password of a subscriber changed", "name", done.Name, "by", o.By, "why", o.Why)
	api.Write(w, http.StatusOK, subscriberOf(done))
}

// claims checks that a request may claim and settle for the subscriber in its path: it is the subscriber's own token, and the subscriber
// gets no events that the token may not see.
func (s *server) claims(r *http.Request) (name string, err error) {
	name = r.PathValue("name")
	t, ok := access.Caller(r)
	if !ok {
		return name, nil // where no token is needed
	}
	if t.Person { // who chooses a name at a provider must not take the events of a service
		return name, api.Errorf(http.StatusForbidden, "forbidden", "people cannot claim events: a subscriber needs a token of its name")
	}
	if t.Name != name {
		return name, api.Errorf(http.StatusForbidden, "forbidden",
			"the token of %s cannot claim for %s: a subscriber needs a token of its name", t.Name, name)
	}
	if !t.Limited() {
		return name, nil
	}
	sub, err := s.Subscribers.Get(r.Context(), name)
	if err != nil {
		return name, err
	}
	if len(sub.Numbers) == 0 || slices.ContainsFunc(sub.Numbers, func(n string) bool { return !t.Sees(n) }) {
		return name, api.Errorf(http.StatusForbidden, "forbidden",
			"the token of %s is limited to numbers, and the subscriber gets events of others: add it again with the numbers of the token", name)
	}
	return name, nil
}

// claim gives events to a worker of a subscriber, and waits for the first one if it is asked to.
func (s *server) claim(w http.ResponseWriter, r *http.Request) {
	given, err := s.claimed(w, r)
	if err != nil {
		s.failSubscriber(w, r, err)
		return
	}
	api.Write(w, http.StatusOK, given)
}

func (s *server) claimed(w http.ResponseWriter, r *http.Request) (given api.Claimed, err error) {
	name, err := s.claims(r)
	if err != nil {
		return given, err
	}
	var o api.ClaimOrder
	if err := readJSON(w, r, maxOrder, &o); err != nil {
		return given, err
	}
	wait := time.Duration(0)
	if o.Wait != "" {
		if wait, err = time.ParseDuration(o.Wait); err != nil {
			return given, api.BadRequest("wait %q: want a duration such as 20s", o.Wait)
		}
	}
	if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(subscribers.MaxWait + eventWithin)); err != nil {
		return given, fmt.Errorf("claim: %w", err)
	}
	select {
	case s.streams <- struct{}{}: // a claim that waits costs what a stream of events costs
		defer func() { <-s.streams }()
	default:
		return given, api.Unavailable("%d claims and event streams wait, and no more are allowed: try again later", maxStreams)
	}
	events, err := s.Subscribers.Claim(r.Context(), name, max(o.Max, 1), wait)
	if err != nil {
		return given, err
	}
	given.Events = []api.ClaimedEvent{}
	for _, e := range events {
		given.Events = append(given.Events, api.ClaimedEvent{
			Lease: e.Lease, ID: e.ID, Type: bus.EventType(e.Subject), Time: e.Time, Tries: e.Tries, Data: json.RawMessage(e.Data),
		})
	}
	return given, nil
}

// settle says what became of claimed events.
func (s *server) settle(w http.ResponseWriter, r *http.Request) {
	name, err := s.claims(r)
	var o api.SettleOrder
	if err == nil {
		err = readJSON(w, r, maxSettlements, &o)
	}
	if err == nil && len(o.Events) > subscribers.MaxClaim {
		err = api.BadRequest("%d events, want at most %d", len(o.Events), subscribers.MaxClaim)
	}
	if err != nil {
		s.failSubscriber(w, r, err)
		return
	}
	done, events, at := api.Settled{Errors: make([]string, len(o.Events))}, []subscribers.Settlement{}, []int{}
	for i, e := range o.Events {
		one, err := settlement(e)
		if err != nil {
			done.Errors[i] = err.Error()
			continue
		}
		events, at = append(events, one), append(at, i)
	}
	for k, err := range s.Subscribers.Settle(r.Context(), name, events...) {
		e := o.Events[at[k]]
		switch {
		case err != nil:
			done.Errors[at[k]] = err.Error()
		case e.As == subscribers.Fail || e.Why != "":
			s.Log.Warn("a subscriber did not process an event", "name", name, "as", e.As, "delay", e.Delay, "why", stated(e.Why))
		}
	}
	api.Write(w, http.StatusOK, done)
}

func settlement(e api.Settlement) (one subscribers.Settlement, err error) {
	one = subscribers.Settlement{Lease: e.Lease, As: e.As, Why: stated(e.Why)}
	if e.Delay != "" {
		if one.Delay, err = time.ParseDuration(e.Delay); err != nil {
			return one, fmt.Errorf("delay %.20q: want a duration such as 10m", e.Delay)
		}
	}
	return one, nil
}
