package api

import (
	"encoding/json"
	"time"
)

// SubscriberOrder adds a subscriber: POST /subscribers.
type SubscriberOrder struct {
	Order
	Name        string    `json:"name"`
	Numbers     []string  `json:"to,omitempty"`          // however they are written; none: the pages of all numbers
	Lease       string    `json:"lease,omitempty"`       // 5s to 1h; empty: 1m
	Concurrency int       `json:"concurrency,omitempty"` // 1 to 1000; 0: 64
	Since       time.Time `json:"since,omitzero"`        // it gets events from then on; zero: from now on
	Kind        string    `json:"kind,omitempty"`        // http or nats; empty: http
}

// Subscriber is a service that claims events of pages: GET /subscribers.
type Subscriber struct {
	Name        string    `json:"name"`
	Numbers     []string  `json:"to,omitempty"`     // digits or user ids; none: the pages of all numbers
	Lease       string    `json:"lease"`            // how long a claimed event waits until it comes again, such as 1m0s
	Concurrency int       `json:"concurrency"`      // events that are claimed and not settled, at most
	Since       time.Time `json:"since,omitzero"`   // it gets events from then on; zero: from when it was added
	Waiting     int       `json:"waiting"`          // events that it has not claimed
	InWork      int       `json:"in_work"`          // events that it has claimed and not settled
	Again       int       `json:"again"`            // of them, those that were claimed before
	Claimed     time.Time `json:"claimed,omitzero"` // when it last claimed an event
	Settled     time.Time `json:"settled,omitzero"` // when it last settled one as done
	Oldest      time.Time `json:"oldest,omitzero"`  // of the list only: when the oldest event came that is not settled
	Failed      int       `json:"failed"`           // of the list only: events that it has settled as fail
	LastFailed  time.Time `json:"last_failed,omitzero"`
	LastFailure string    `json:"last_failure,omitempty"` // what its worker said of the last one
	Kind        string    `json:"kind"`                   // http: it claims events; nats: it pulls from its durable with a NATS client

	NATS *NATSLogin `json:"nats,omitempty"` // only in the answers to orders that add, rewind or rotate one of kind nats
}

// NATSLogin is how a subscriber reaches its durable.
type NATSLogin struct {
	URL      string `json:"url,omitempty"` // without the login; absent: faxstream does not run the server, or it does not listen
	User     string `json:"user"`
	Password string `json:"password"`
	Stream   string `json:"stream"`
	Durable  string `json:"durable"`
}

// SubscriberList has all subscribers by name: GET /subscribers.
type SubscriberList struct {
	Subscribers []Subscriber `json:"subscribers"`
}

// RewindOrder makes a subscriber go on from a time, or from the first page of a fax: POST /subscribers/{name}/rewind.
type RewindOrder struct {
	Order
	Since   time.Time `json:"since,omitzero"`
	Session string    `json:"session,omitempty"` // instead of Since
}

// ClaimOrder claims events: POST /subscribers/{name}/claim.
type ClaimOrder struct {
	Max  int    `json:"max"`            // 1 to 256; 0: 1
	Wait string `json:"wait,omitempty"` // for the first event, at most 30s; empty: not at all
}

// Claimed are the events that a worker has claimed; none: there were none.
type Claimed struct {
	Events []ClaimedEvent `json:"events"`
}

// ClaimedEvent is one of them.
type ClaimedEvent struct {
	Lease string          `json:"lease"` // with it the event is settled
	ID    string          `json:"id"`    // CloudEvents id: the same for every repeat
	Type  string          `json:"type"`  // such as fax.v1.page.archived
	Time  time.Time       `json:"time"`  // when it was published
	Tries int             `json:"tries"` // claims of this event, this one included
	Data  json.RawMessage `json:"data"`
}

// SettleOrder says what became of claimed events: POST /subscribers/{name}/settle.
type SettleOrder struct {
	Events []Settlement `json:"events"`
}

// Settlement says it of one event.
type Settlement struct {
	Lease string `json:"lease"`
	As    string `json:"as"`              // done, later, extend or fail
	Delay string `json:"delay,omitempty"` // of later, such as 10m
	Why   string `json:"why,omitempty"`   // of later and fail, for the log
}

// Settled is the answer to a SettleOrder: an error for each event, empty for those that are settled, in the order of the order.
type Settled struct {
	Errors []string `json:"errors"`
}
