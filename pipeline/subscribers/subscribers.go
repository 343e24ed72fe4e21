// Package subscribers gives events of pages to services that have no NATS client: they claim events over HTTP and settle each. Begin with
// Service.Add, and then Claim and Settle.
//
// A subscriber is a durable pull consumer on FAX_PAGES, and nothing else: its name, numbers and lease are in the consumer's configuration
// and metadata. So it outlives a restart, every process serves it, and several workers share it. An event that is claimed has a lease. When
// the lease runs out before the event is settled, the event comes again: at least once. A crash of this process or of a worker loses
// nothing. For a burst of one number, and for a rewind, a subscriber that claims over HTTP has additional durables for a time (family.go):
// so neither keeps other events waiting.
package subscribers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/session"
)

// Limits of a subscriber.
const (
	MaxConcurrency = 1000
	MinLease       = 5 * time.Second
	MaxLease       = time.Hour
	defaultLease   = time.Minute
	defaultAtOnce  = 64
	maxNumbers     = 100
)

var (
	// ErrNone: there is no such subscriber.
	ErrNone = errors.New("no such subscriber")
	// ErrThere: there is one of this name already.
	ErrThere = errors.New("there is a subscriber of this name already")
	// ErrBad is matched by the error of a request that nobody can carry out. Its text says why.
	ErrBad = errors.New("bad request")
)

type badError struct{ text string }

func (e badError) Error() string        { return e.text }
func (e badError) Is(target error) bool { return target == ErrBad }

func bad(format string, a ...any) error { return badError{fmt.Sprintf(format, a...)} }

// Subscriber is one subscriber as it was added.
type Subscriber struct {
	Name        string        // session.ValidToken, at most 32 bytes
	Numbers     []string      // as session.NumberToken writes them; none: the pages of all numbers
	Lease       time.Duration // how long a claimed event waits until it comes again; 0: a minute
	Concurrency int           // events that are claimed and not settled, at most; 0: 64
	Since       time.Time     // it gets events from then on; zero: from now on
	Kind        string        // KindHTTP or KindNATS; empty: KindHTTP
}

// Kinds of subscribers.
const (
	KindHTTP = "http" // it claims events over HTTP
	KindNATS = "nats" // it pulls from the durable with a NATS client
)

// Login is how a subscriber of KindNATS reaches its durable.
type Login struct {
	URL      string // of the embedded server, without user and password; empty: the server is an external one, which knows nothing of it yet
	User     string
	Password string
	Stream   string
	Durable  string
}

// Status is a subscriber, and how far it is.
type Status struct {
	Subscriber
	Waiting int       // events that it has not claimed
	InWork  int       // events that it has claimed and not settled
	Again   int       // of them, those that were claimed before
	Claimed time.Time // when it last claimed an event; zero: not since the NATS server started
	Settled time.Time // when it last settled one; zero: not since then

	// Of List only.
	Oldest time.Time // when the oldest event was stored that is not settled, without those of a rewind; zero: there is none
	Failed Failures

	Login *Login // of Add, Rewind and Rotate for KindNATS only
}

// Service is what the API needs. All fields are required.
type Service struct {
	Bus *bus.Bus
	Key func() ([]byte, error) // gives the key that signs leases: the same in all processes and after a restart

	memories sync.Map // *memory by the name of a subscriber
}

// prefix begins the names of durables, so that none is that of a room.
const prefix = "sub-"

const maxName = 32

func check(s Subscriber) error {
	switch {
	case !session.ValidToken(s.Name) || len(s.Name) > maxName:
		return bad("name %.40q: want 1 to %d letters, digits, '-' and '_'", s.Name, maxName)
	case s.Lease < MinLease || s.Lease > MaxLease:
		return bad("lease %s: want %s to %s", s.Lease, MinLease, MaxLease)
	case s.Concurrency < 1 || s.Concurrency > MaxConcurrency:
		return bad("concurrency %d: want 1 to %d", s.Concurrency, MaxConcurrency)
	case s.Kind != KindHTTP && s.Kind != KindNATS:
		return bad("kind %.20q: want %s or %s", s.Kind, KindHTTP, KindNATS)
	case s.Kind == KindNATS && (s.Name == bus.Subscriber || s.Name == "faxstream"):
		return bad("name %q: it is a user of faxstream itself", s.Name)
	case len(s.Numbers) > maxNumbers:
		return bad("%d numbers, want at most %d", len(s.Numbers), maxNumbers)
	}
	for _, n := range s.Numbers {
		if n == session.UnknownToken || n != session.NumberToken(n) {
			return bad("number %.40q: want digits or a user id", n)
		}
	}
	return nil
}

// Metadata of a durable.
const (
	metaNumbers = "faxstream-numbers"
	metaSince   = "faxstream-since"
	metaKind    = "faxstream-kind"
	metaTurn    = "faxstream-turn" // of the password, from 1; of KindNATS only
)

// config is the durable of a subscriber.
func config(s Subscriber) jetstream.ConsumerConfig {
	c := jetstream.ConsumerConfig{
		Durable: prefix + s.Name, AckPolicy: jetstream.AckExplicitPolicy, AckWait: s.Lease, MaxAckPending: s.Concurrency,
		DeliverPolicy: jetstream.DeliverNewPolicy, FilterSubjects: filter(s.Numbers),
		Metadata: map[string]string{bus.Ours: bus.OursSubscriber, metaNumbers: strings.Join(s.Numbers, ",")},
	}
	if s.Kind == KindNATS {
		c.Metadata[metaKind], c.Metadata[metaTurn] = KindNATS, "1"
	}
	if !s.Since.IsZero() {
		since := s.Since.UTC()
		c.DeliverPolicy, c.OptStartTime = jetstream.DeliverByStartTimePolicy, &since
		c.Metadata[metaSince] = since.Format(time.RFC3339)
	}
	return c
}

// filter is the subjects of the events of these numbers.
func filter(numbers []string) []string {
	if len(numbers) == 0 {
		return []string{session.TypePageArchived + ".>", session.TypePageAmended + ".>"}
	}
	var subjects []string
	for _, n := range numbers {
		subjects = append(subjects, session.TypePageArchived+"."+n+".>", session.TypePageAmended+"."+n+".>")
	}
	return subjects
}

// Add makes a subscriber. If there is one of its name, the error matches ErrThere; ErrBad: it cannot be one.
func (v *Service) Add(ctx context.Context, s Subscriber) (Status, error) {
	s.Lease, s.Concurrency, s.Kind = cmp.Or(s.Lease, defaultLease), cmp.Or(s.Concurrency, defaultAtOnce), cmp.Or(s.Kind, KindHTTP)
	if err := check(s); err != nil {
		return Status{}, err
	}
	if _, err := v.find(ctx, s.Name); !errors.Is(err, ErrNone) {
		return Status{}, cmp.Or(err, fmt.Errorf("%s: %w", s.Name, ErrThere))
	}
	if err := v.removeOthers(ctx, s.Name); err != nil { // a removal that was interrupted may have left them
		return Status{}, err
	}
	return v.create(ctx, s.Name, config(s))
}

func (v *Service) removeOthers(ctx context.Context, name string) error {
	names, err := v.others(ctx, name)
	for _, n := range names {
		err = errors.Join(err, v.remove(ctx, n))
	}
	return err
}

// When a durable is deleted, nats-server 2.15.2 may still write its state, and disturbs the files of one of the same name that is created
// meanwhile: creating it fails with errFiles, or its state may be overwritten. It writes ten times a second at most.
const (
	errFiles    jetstream.ErrorCode = 10012
	afterFiles                      = 250 * time.Millisecond
	createTries                     = 5
)

// create makes the durable of a subscriber, and lets it in.
func (v *Service) create(ctx context.Context, name string, c jetstream.ConsumerConfig) (Status, error) {
	for try := 1; ; try++ {
		cons, err := v.Bus.JetStream().CreateConsumer(ctx, bus.StreamPages, c)
		api, ok := errors.AsType[*jetstream.APIError](err)
		switch {
		case err == nil:
			return v.admitted(cons.CachedInfo())
		case errors.Is(err, jetstream.ErrConsumerExists):
			return Status{}, fmt.Errorf("%s: %w", name, ErrThere)
		case !ok || api.ErrorCode != errFiles || try == createTries:
			return Status{}, fmt.Errorf("add subscriber %s: %w", name, err)
		}
		time.Sleep(afterFiles)
	}
}

// find finds the durable of a subscriber.
func (v *Service) find(ctx context.Context, name string) (jetstream.Consumer, error) {
	if !session.ValidToken(name) || len(name) > maxName {
		return nil, fmt.Errorf("%.40q: %w", name, ErrNone)
	}
	cons, err := v.Bus.JetStream().Consumer(ctx, bus.StreamPages, prefix+name)
	if errors.Is(err, jetstream.ErrConsumerNotFound) || err == nil && !mine(cons.CachedInfo()) {
		return nil, fmt.Errorf("%s: %w", name, ErrNone)
	}
	if err != nil {
		return nil, fmt.Errorf("find subscriber %s: %w", name, err)
	}
	return cons, nil
}

// Remove removes a subscriber. What it has claimed cannot be settled any more, and its login is refused.
func (v *Service) Remove(ctx context.Context, name string) error {
	if _, err := v.find(ctx, name); err != nil {
		return err
	}
	if err := v.Bus.JetStream().DeleteConsumer(ctx, bus.StreamPages, prefix+name); err != nil {
		return fmt.Errorf("remove subscriber %s: %w", name, err)
	}
	v.memories.Delete(name)
	return errors.Join(v.removeOthers(ctx, name), v.forgetFailures(ctx, name), v.Bus.Dismiss(name))
}

// Rewind gives a subscriber the events since a time again, also those that it has settled.
//
// One that claims over HTTP gets them after the new ones (family), and goes on where it is. A second rewind replaces the first.
//
// One of KindNATS has one durable only. JetStream cannot move it, so it is removed and made again: what it has claimed before cannot be
// settled any more, and a crash between the two leaves no subscriber until somebody adds it again.
func (v *Service) Rewind(ctx context.Context, name string, since time.Time) (Status, error) {
	cons, err := v.find(ctx, name)
	if err != nil {
		return Status{}, err
	}
	s := status(cons.CachedInfo()).Subscriber
	s.Since = since
	if s.Kind == KindNATS {
		return v.moved(ctx, cons.CachedInfo(), s)
	}
	f, err := v.family(ctx, cons, &memory{})
	if err != nil {
		return Status{}, err
	}
	c := config(s)
	c.Durable = prefix + name + againMark + strconv.FormatInt(time.Now().UnixNano(), 36) // never that of one that was deleted
	c.Metadata = map[string]string{bus.Ours: bus.OursSubscriber, metaOf: name, metaUntil: f.positions()}
	names, err := v.others(ctx, name)
	if err != nil {
		return Status{}, err
	}
	for _, n := range names {
		if strings.HasPrefix(n, prefix+name+againMark) {
			if err := v.remove(ctx, n); err != nil {
				return Status{}, err
			}
		}
	}
	if _, err := v.Bus.JetStream().CreateConsumer(ctx, bus.StreamPages, c); err != nil {
		return Status{}, fmt.Errorf("rewind subscriber %s: %w; rewind it again", name, err)
	}
	if err := v.grow(ctx, cons.CachedInfo(), c.Durable); err != nil {
		return Status{}, err
	}
	return v.Get(ctx, name)
}

// moved makes the durable of a subscriber again, from another time on.
func (v *Service) moved(ctx context.Context, info *jetstream.ConsumerInfo, s Subscriber) (Status, error) {
	c := config(s)
	c.Metadata[metaTurn] = info.Config.Metadata[metaTurn] // it keeps its password
	if err := v.Bus.JetStream().DeleteConsumer(ctx, bus.StreamPages, info.Name); err != nil {
		return Status{}, fmt.Errorf("rewind subscriber %s: %w", s.Name, err)
	}
	time.Sleep(afterFiles)
	// Whoever asked may be gone; without a durable the subscriber would get nothing.
	st, err := v.create(context.WithoutCancel(ctx), s.Name, c)
	if err != nil {
		return st, fmt.Errorf("rewind: %s is removed, and adding it again failed; add it with --since %s: %w",
			s.Name, s.Since.Format(time.RFC3339), err)
	}
	return st, nil
}

// Began is when the first event of a fax's pages was stored: a subscriber that is rewound to it gets all of them again. An error that
// matches ErrBad: the stream has no event of the fax.
func (v *Service) Began(ctx context.Context, id string) (time.Time, error) {
	if !session.ValidToken(id) {
		return time.Time{}, bad("session %.60q is not a session id", id)
	}
	stream, err := v.Bus.JetStream().Stream(ctx, bus.StreamPages)
	if err != nil {
		return time.Time{}, fmt.Errorf("stream %s: %w", bus.StreamPages, err)
	}
	first, err := stream.GetMsg(ctx, 1, jetstream.WithGetMsgSubject("fax.v1.page.*.*."+id+".>"))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return time.Time{}, bad("there are no events of session %s: the streams keep them for 30 days", id)
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("first event of session %s: %w", id, err)
	}
	return first.Time, nil
}
