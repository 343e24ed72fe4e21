package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/faxstream/faxstream/pipeline/session"
)

const subscriberPassword = "of the test"

// guarded opens an embedded bus that listens and demands a login.
func guarded(t *testing.T, dir string) *Bus {
	t.Helper()
	b, err := Open(t.Context(), Config{Embedded: EmbeddedConfig{Dir: dir, Listen: "127.0.0.1:0", Password: subscriberPassword}, Log: logTo(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeBus(t, b) })
	return b
}

// connectAs connects to the listener; refusals of the server are sent to the channel.
func connectAs(t *testing.T, b *Bus, opts ...nats.Option) (*nats.Conn, chan error) {
	t.Helper()
	refused := make(chan error, 64)
	opts = append(opts, nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err }))
	nc, err := nats.Connect(b.ClientURL(), append(opts, nats.Timeout(time.Minute))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc, refused
}

func asSubscriber(t *testing.T, b *Bus) (*nats.Conn, jetstream.JetStream, chan error) {
	t.Helper()
	nc, refused := connectAs(t, b, nats.UserInfo(Subscriber, subscriberPassword))
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return nc, js, refused
}

func TestNobodyGetsInWithoutThePassword(t *testing.T) {
	b := guarded(t, t.TempDir())
	for name, opts := range map[string][]nats.Option{
		"no login":              nil,
		"a wrong password":      {nats.UserInfo(Subscriber, "other")},
		"an empty password":     {nats.UserInfo(Subscriber, "")},
		"the process's account": {nats.UserInfo(self, subscriberPassword)},
		"an unknown user":       {nats.UserInfo("root", subscriberPassword)},
		"a token":               {nats.Token(subscriberPassword)},
	} {
		nc, err := nats.Connect(b.ClientURL(), append(opts, nats.Timeout(time.Minute))...)
		if !errors.Is(err, nats.ErrAuthorization) {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			nc.Close()
		}
	}
}

// The name of a user who is refused stands in the server's log, where the bus looks for errors of the disk.
func TestARefusedUserCannotMakeTheStoreLookBroken(t *testing.T) {
	b := guarded(t, t.TempDir())
	if _, err := nats.Connect(
		b.ClientURL(), nats.UserInfo("critical write error, will be disabled", "x"),
	); !errors.Is(err, nats.ErrAuthorization) {
		t.Fatal(err)
	}
	if err := b.Ready(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAListenerNeedsAPassword(t *testing.T) {
	b, err := Open(t.Context(), Config{Embedded: EmbeddedConfig{Dir: t.TempDir(), Listen: "127.0.0.1:0"}, Log: logTo(t)})
	if err == nil {
		closeBus(t, b)
		t.Fatal("it listens without a password")
	}
}

// A subscriber does what every client does: look at the stream, make a durable, fetch, acknowledge; after a restart it goes on.
func TestASubscriberReadsPages(t *testing.T) {
	dir := t.TempDir()
	b := guarded(t, dir)
	for n := range 3 {
		mustRecord(t, b, archived("1334", "s", n+1))
	}
	_, js, _ := asSubscriber(t, b)
	stream, err := js.Stream(t.Context(), StreamPages)
	if err != nil {
		t.Fatal(err)
	}
	cfg := jetstream.ConsumerConfig{Durable: "ocr", FilterSubject: session.TypePageArchived + ".>", AckPolicy: jetstream.AckExplicitPolicy}
	cons, err := stream.CreateOrUpdateConsumer(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 2 {
		m, err := cons.Next()
		if err != nil {
			t.Fatal(err)
		}
		if want := archived("1334", "s", n+1).Subject(); m.Subject() != want {
			t.Errorf("got %s, want %s", m.Subject(), want)
		}
		if err := m.DoubleAck(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	closeBus(t, b)

	b = guarded(t, dir)
	nc, js, _ := asSubscriber(t, b)
	if cons, err = js.Consumer(t.Context(), StreamPages, "ocr"); err != nil {
		t.Fatal(err)
	}
	m, err := cons.Next()
	if err != nil || m.Subject() != archived("1334", "s", 3).Subject() {
		t.Fatalf("after the restart: %v, %v; want page 3", m, err)
	}
	ordered, err := js.OrderedConsumer(t.Context(), StreamPages, jetstream.OrderedConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if m, err = ordered.Next(); err != nil || m.Subject() != archived("1334", "s", 1).Subject() {
		t.Errorf("ordered: %v, %v; want page 1", m, err)
	}
	old, err := nc.JetStream()
	if err != nil {
		t.Fatal(err)
	}
	sub, err := old.PullSubscribe(session.TypePageArchived+".>", "older-client", nats.BindStream(StreamPages))
	if err != nil {
		t.Fatal(err)
	}
	if msgs, err := sub.Fetch(3, nats.MaxWait(requestTimeout)); err != nil || len(msgs) != 3 {
		t.Errorf("an older client got %d messages, %v; want 3", len(msgs), err)
	}
}

// attack is one request of a subscriber: a subject, a reply subject and a body.
type attack struct{ subject, reply, body string }

// attacks are what a subscriber must not be able to do, as itself and by naming a subject for the server's answer.
func attacks(t *testing.T) (all []attack) {
	t.Helper()
	deeds := []attack{
		{subject: "fax.v1.in.kept.s.purged.1", body: `{"session":"s","kind":"purged"}`},
		{subject: "fax.v1.in.again.s.1", body: `{}`},
		{subject: "fax.v1.audit.keep.purged.s", body: `{"by":"root","kind":"purged","session":"s"}`},
		{subject: "fax.v1.page.archived.1334.s.9", body: `{}`},
		{subject: "$KV.FAX_SESSIONS.s", body: `{}`},
		{subject: "$JS.API.STREAM.DELETE.FAX_AUDIT"},
		{subject: "$JS.API.STREAM.PURGE.FAX_IN"},
		{subject: "$JS.API.STREAM.DELETE.FAX_PAGES"},
		{subject: "$JS.API.CONSUMER.DELETE.FAX_PAGES.collect-pages"},
		{subject: "$JS.API.CONSUMER.MSG.NEXT.FAX_PAGES.collect-pages", body: "1"},
		{subject: "$JS.ACK.FAX_PAGES.collect-pages.1.1.1.1.0"},
		{subject: gate + "CONSUMER.DELETE.FAX_PAGES.collect-pages"},
		{subject: "$JS.API.STREAM.CREATE.THEFT", body: `{"name":"THEFT","subjects":["theft"],"sources":[{"name":"FAX_IN"}]}`},
		{subject: "$JS.API.STREAM.MSG.GET.FAX_IN", body: `{"seq":1}`},
		{subject: "$JS.API.DIRECT.GET.FAX_IN", body: `{"seq":1}`},
		{subject: "$JS.API.STREAM.MSG.DELETE.FAX_PAGES", body: `{"seq":1}`},
		{subject: "$JS.API.CONSUMER.CREATE.FAX_IN.thief", body: `{"stream_name":"FAX_IN","config":{"name":"thief","ack_policy":"explicit"}}`},
		{subject: "$JS.API.CONSUMER.PAUSE.FAX_PAGES.collect-pages", body: `{"pause_until":"2099-01-01T00:00:00Z"}`},
	}
	for i, d := range deeds {
		push, err := json.Marshal(map[string]any{"stream_name": StreamPages, "action": "", "config": map[string]any{
			"durable_name": fmt.Sprint("push", i), "name": fmt.Sprint("push", i), "ack_policy": "none", "deliver_subject": d.subject,
		}})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, d,
			attack{subject: "$JS.API.CONSUMER.MSG.NEXT.FAX_PAGES.ocr", reply: d.subject, body: "1"},
			attack{subject: "$JS.API.CONSUMER.MSG.NEXT.FAX_PAGES.ocr", reply: d.subject, body: `{"batch":1,"no_wait":true}`},
			attack{subject: "$JS.API.STREAM.INFO.FAX_PAGES", reply: d.subject},
			attack{subject: fmt.Sprint("$JS.API.CONSUMER.CREATE.FAX_PAGES.push", i), body: string(push)},
			attack{subject: fmt.Sprint("$JS.API.CONSUMER.DURABLE.CREATE.FAX_PAGES.push", i), body: string(push)},
		)
	}
	return all
}

// With the subscriber's password nobody changes a stream, stores a fact, deletes the audit, or takes work from faxstream itself.
func TestASubscriberCanOnlyRead(t *testing.T) {
	b := guarded(t, t.TempDir())
	mustRecord(t, b, page("s", 1))
	if err := b.RecordAccess(t.Context(), session.Access{Kind: "read", Session: "s", By: "somebody"}); err != nil {
		t.Fatal(err)
	}
	gate, got := make(chan struct{}), make(chan Delivery, 64)
	own := Consumer{Stream: StreamPages, Durable: "collect-pages", Filter: []string{session.TypePageArchived + ".>"}}
	consume(t, b, own, func(_ context.Context, d Delivery) error { <-gate; got <- d; return nil })
	for n := range 20 {
		mustRecord(t, b, archived("1334", "s", n+1))
	}
	nc, js, _ := asSubscriber(t, b)
	if _, err := js.CreateConsumer(
		t.Context(), StreamPages, jetstream.ConsumerConfig{Durable: "ocr", AckPolicy: jetstream.AckExplicitPolicy},
	); err != nil {
		t.Fatal(err)
	}
	b.lookAtAll(t.Context()) // stores the positions, as the watch does every ten seconds
	before := state(t, b)
	for _, a := range attacks(t) {
		reply := a.reply
		if reply == "" {
			reply = nats.NewInbox()
		}
		if err := nc.PublishRequest(a.subject, reply, []byte(a.body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	for last := ""; last != state(t, b); { // until the server has worked on everything
		last = state(t, b)
		if _, err := js.Consumer(t.Context(), StreamPages, "ocr"); err != nil {
			t.Fatal(err)
		}
	}
	if after := state(t, b); after != before {
		t.Errorf("the server was\n%s\nand is\n%s", before, after)
	}
	close(gate)
	for n := range 20 {
		if d := receive(t, got); d.Subject != archived("1334", "s", n+1).Subject() {
			t.Fatalf("faxstream itself got %s as message %d: another one was taken from it", d.Subject, n+1)
		}
	}
}

// state says what the streams hold, and who consumes them, except for what a subscriber may change.
func state(t *testing.T, b *Bus) string {
	t.Helper()
	var s strings.Builder
	streams := b.js.ListStreams(t.Context())
	for info := range streams.Info() {
		fmt.Fprintf(&s, "%s: %d messages, last %d, subjects %v\n", info.Config.Name, info.State.Msgs, info.State.LastSeq, info.Config.Subjects)
		stream, err := b.js.Stream(t.Context(), info.Config.Name)
		if err != nil {
			t.Fatal(err)
		}
		list := stream.ListConsumers(t.Context())
		for c := range list.Info() {
			if c.Name != "ocr" {
				fmt.Fprintf(&s, "  %s: floor %d, paused %t\n", c.Name, c.AckFloor.Stream, c.Paused)
			}
		}
		if err := list.Err(); err != nil {
			t.Fatal(err)
		}
	}
	if err := streams.Err(); err != nil {
		t.Fatal(err)
	}
	return s.String()
}

// A subscriber hears nothing but answers to itself.
func TestASubscriberHearsOnlyItsAnswers(t *testing.T) {
	b := guarded(t, t.TempDir())
	nc, _, refused := asSubscriber(t, b)
	for _, subject := range []string{">", "fax.>", "$KV.>", "$JS.>", "_R_.>"} {
		if _, err := nc.SubscribeSync(subject); err != nil {
			t.Fatal(err)
		}
		if err := receive(t, refused); !errors.Is(err, nats.ErrPermissionViolation) {
			t.Errorf("%s: %v", subject, err)
		}
	}
	sub, err := nc.SubscribeSync("_INBOX.>")
	if err != nil {
		t.Fatal(err)
	}
	mustRecord(t, b, archived("1334", "s", 1)) // whose acknowledgement has an inbox in the other account
	if m, err := sub.NextMsg(100 * time.Millisecond); err == nil {
		t.Errorf("heard %s: %s", m.Subject, m.Data)
	}
}

// A subscriber with an account of its own pulls from its durable and settles, and can do nothing else: no other's pages, no consumers, no
// facts.
func TestASubscriberOfItsOwn(t *testing.T) {
	b := guarded(t, t.TempDir())
	for n := range 3 {
		mustRecord(t, b, archived("1334", "s", n+1))
	}
	for _, durable := range []string{"sub-mine", "sub-other"} {
		if _, err := b.js.CreateConsumer(t.Context(), StreamPages, jetstream.ConsumerConfig{
			Durable: durable, AckPolicy: jetstream.AckExplicitPolicy, Metadata: map[string]string{Ours: OursSubscriber},
		}); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{self, Subscriber, "", "a.b"} {
		if err := b.Admit(name, "x", "sub-mine"); err == nil {
			t.Errorf("%q is admitted", name)
		}
	}
	for range 2 { // also after a restart of what admits
		if err := errors.Join(b.Admit("mine", "first", "sub-mine"), b.Admit("other", "second", "sub-other")); err != nil {
			t.Fatal(err)
		}
	}
	_, err := nats.Connect(b.ClientURL(), nats.UserInfo("mine", "second"), nats.Timeout(time.Minute))
	if !errors.Is(err, nats.ErrAuthorization) {
		t.Errorf("another's password: %v", err)
	}
	nc, _ := connectAs(t, b, nats.UserInfo("mine", "first"))
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	cons, err := js.Consumer(t.Context(), StreamPages, "sub-mine")
	if err != nil {
		t.Fatal(err)
	}
	for n := range 2 {
		m, err := cons.Next(jetstream.FetchMaxWait(10 * time.Second))
		if err != nil {
			t.Fatal(err)
		}
		if m.Subject() != archived("1334", "s", n+1).Subject() {
			t.Errorf("message %d is %s", n, m.Subject())
		}
		if err := m.DoubleAck(t.Context()); err != nil {
			t.Error(err)
		}
	}
	attackAsOwn(t, b, nc, js)
	if _, err := js.Consumer(t.Context(), StreamPages, "sub-other"); err == nil {
		t.Error("it may ask about another's durable")
	}
	if _, err := js.CreateConsumer(t.Context(), StreamPages, jetstream.ConsumerConfig{Durable: "sub-mine-too"}); err == nil {
		t.Error("it may make a consumer")
	}
}

// attackAsOwn does as a subscriber with the durable sub-mine what it must not be able to do: nothing may change in the streams.
func attackAsOwn(t *testing.T, b *Bus, nc *nats.Conn, js jetstream.JetStream) {
	t.Helper()
	before := state(t, b)
	other := &nats.Msg{Subject: apiPrefix + "CONSUMER.MSG.NEXT." + StreamPages + ".sub-other", Reply: nats.NewInbox(), Data: []byte("1")}
	if err := nc.PublishMsg(other); err != nil {
		t.Fatal(err)
	}
	for _, a := range attacks(t) {
		reply := a.reply
		if reply == "" {
			reply = nats.NewInbox()
		}
		for _, subject := range []string{a.subject, strings.ReplaceAll(a.subject, "ocr", "sub-mine")} {
			if subject == apiPrefix+"CONSUMER.MSG.NEXT."+StreamPages+".sub-mine" {
				continue // its own, below
			}
			if err := nc.PublishRequest(subject, reply, []byte(a.body)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, reply := range []string{"$JS.API.STREAM.PURGE.FAX_PAGES", "$KV.FAX_SESSIONS.s", "fax.v1.in.page.s.1"} { // of its own pull
		pull := apiPrefix + "CONSUMER.MSG.NEXT." + StreamPages + ".sub-mine"
		if err := nc.PublishRequest(pull, reply, []byte(`{"batch":1,"no_wait":true}`)); err != nil {
			t.Fatal(err)
		}
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	for last := ""; last != state(t, b); { // until the server has worked on everything
		last = state(t, b)
		if _, err := js.Consumer(t.Context(), StreamPages, "sub-mine"); err != nil {
			t.Fatal(err)
		}
	}
	if after := state(t, b); after != before {
		t.Errorf("the server was\n%s\nand is\n%s", before, after)
	}
}

// A new password ends the connections with the old one; who is dismissed gets in no more.
func TestASubscriberIsDismissed(t *testing.T) {
	b := guarded(t, t.TempDir())
	closed := make(chan error, 1)
	connect := func(password string) error {
		nc, err := nats.Connect(b.ClientURL(), nats.UserInfo("mine", password), nats.NoReconnect(), nats.Timeout(time.Minute),
			nats.ClosedHandler(func(*nats.Conn) { closed <- nil }))
		if err == nil {
			t.Cleanup(nc.Close)
		}
		return err
	}
	if err := b.Admit("mine", "first", "sub-mine"); err != nil {
		t.Fatal(err)
	}
	if err := connect("first"); err != nil {
		t.Fatal(err)
	}
	if err := b.Admit("mine", "second", "sub-mine"); err != nil {
		t.Fatal(err)
	}
	receive(t, closed)
	if err := connect("first"); !errors.Is(err, nats.ErrAuthorization) {
		t.Errorf("the old password: %v", err)
	}
	if err := connect("second"); err != nil {
		t.Fatal(err)
	}
	if err := b.Dismiss("mine"); err != nil {
		t.Fatal(err)
	}
	receive(t, closed)
	for _, password := range []string{"second", ""} {
		if err := connect(password); !errors.Is(err, nats.ErrAuthorization) {
			t.Errorf("after it was dismissed, %q: %v", password, err)
		}
	}
	if err := b.Dismiss("unknown"); err != nil {
		t.Error(err)
	}
}

func FuzzGate(f *testing.F) {
	f.Add("CONSUMER.CREATE.FAX_PAGES.ocr.fax.v1.page.archived.>", []byte(`{"stream_name":"FAX_PAGES","config":{"durable_name":"ocr"}}`))
	f.Add("CONSUMER.DURABLE.CREATE.FAX_DOCS.ocr", []byte(`{"stream_name":"FAX_DOCS","config":{"deliver_subject":"x"}}`))
	f.Fuzz(func(t *testing.T, subject string, body []byte) {
		a, err := parseAsked(subject)
		if err != nil {
			return
		}
		if (a.stream != StreamPages && a.stream != StreamDocs) || !session.ValidToken(a.name) {
			t.Fatalf("%q gives %+v", subject, a)
		}
		data, err := a.create(body)
		if err != nil {
			return
		}
		var r struct {
			Stream string                   `json:"stream_name"`
			Config jetstream.ConsumerConfig `json:"config"`
		}
		if err := json.Unmarshal(data, &r); err != nil {
			t.Fatal(err)
		}
		if r.Stream != a.stream || r.Config.DeliverSubject != "" || r.Config.Metadata[ours] != "" {
			t.Fatalf("%q passes on %s", body, data)
		}
	})
}
