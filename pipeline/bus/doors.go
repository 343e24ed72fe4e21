package bus

import (
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/faxstream/faxstream/pipeline/session"
)

// Subscriber is the user of the embedded server for all subscribers.
const Subscriber = "subscriber"

// self is the user of this process.
const self = "faxstream"

// doors says who may use an embedded server that listens. This process uses the server's global account, which has the streams.
// Subscribers are in an account of their own, without JetStream, which imports what they may ask of it. Permissions in the global account
// would not be enough: the server does not check the subject that a pull or a push consumer delivers to, and it may be any subject.
//
// A nil *doors lets everybody do everything.
type doors struct {
	secret     string // of self, for this run
	password   string // of Subscriber
	subscriber atomic.Pointer[server.Account]
	global     *server.Account

	mu  sync.Mutex
	own map[string]*own // by user; guarded by mu, made at first use
}

// own is a subscriber with an account of its own: it may use one durable, and nothing else.
type own struct {
	account  *server.Account
	password string // empty: it was dismissed
}

func newDoors(password string) *doors { return &doors{secret: rand.Text(), password: password} }

// login is this process's own.
func (d *doors) login() nats.Option {
	if d == nil {
		return func(*nats.Options) error { return nil }
	}
	return nats.UserInfo(self, d.secret)
}

// Check implements server.Authentication.
func (d *doors) Check(c server.ClientAuthentication) bool {
	opts, account := c.GetOpts(), d.subscriber.Load()
	same := func(password string) bool {
		return subtle.ConstantTimeCompare([]byte(opts.Password), []byte(password)) == 1
	}
	switch {
	case opts.Username == self && same(d.secret):
		c.RegisterUser(&server.User{Username: self})
		return true
	case opts.Username == Subscriber && same(d.password) && account != nil:
		c.RegisterUser(&server.User{Username: Subscriber, Account: account, Permissions: &server.Permissions{
			Publish:   &server.SubjectPermission{Allow: []string{"$JS.API.>", "$JS.ACK.>"}},
			Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX.>"}},
		}})
		return true
	}
	return d.checkOwn(c, same)
}

// checkOwn lets in a subscriber with an account of its own.
func (d *doors) checkOwn(c server.ClientAuthentication, same func(password string) bool) bool {
	user := c.GetOpts().Username
	d.mu.Lock()
	o := d.own[user]
	ok := o != nil && o.password != "" && same(o.password)
	d.mu.Unlock()
	if ok {
		c.RegisterUser(&server.User{Username: user, Account: o.account, Permissions: &server.Permissions{
			// Of these subjects only what is imported goes anywhere.
			Publish:   &server.SubjectPermission{Allow: []string{apiPrefix + ">", PublicAPI + ".>", "$JS.ACK.>"}},
			Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX.>"}},
		}})
	}
	return ok
}

// ErrNoListener: there is no embedded server that listens with logins.
var ErrNoListener = errors.New("no embedded NATS server listens for subscribers with a login: start faxstream with --nats-listen")

// Admit lets a subscriber into the embedded server under a name of its own, where it may pull from one durable of FAX_PAGES, ask how far
// that is, and settle what it delivers. A second call changes the password: connections with the old one end. An error that matches
// ErrNoListener: nobody can connect.
func (b *Bus) Admit(user, password, durable string) error {
	if b.server == nil || b.server.doors == nil {
		return ErrNoListener
	}
	if user == self || user == Subscriber || password == "" || !session.ValidToken(user) || !session.ValidToken(durable) {
		return fmt.Errorf("admit %.40q: the name is faxstream's own or cannot be one", user)
	}
	d := b.server.doors
	d.mu.Lock()
	defer d.mu.Unlock()
	o := d.own[user]
	if o == nil {
		account, err := b.server.srv.RegisterAccount("SUBSCRIBER-" + user)
		if err == nil {
			err = d.lendDurable(account, user, durable)
		}
		if err != nil {
			return fmt.Errorf("account of subscriber %s: %w", user, err)
		}
		if d.own == nil {
			d.own = map[string]*own{}
		}
		o = &own{account: account}
		d.own[user] = o
	}
	if o.password != password {
		o.password = password
		return b.server.disconnect(user)
	}
	return nil
}

// Dismiss lets a subscriber that was admitted in no more, and ends its connections.
func (b *Bus) Dismiss(user string) error {
	if b.server == nil || b.server.doors == nil {
		return nil
	}
	d := b.server.doors
	d.mu.Lock()
	defer d.mu.Unlock()
	if o := d.own[user]; o != nil {
		o.password = "" // the account stays: its imports cannot be taken back, and lead to a durable that is gone
		return b.server.disconnect(user)
	}
	return nil
}

// disconnect ends all connections of a user.
func (e *Embedded) disconnect(user string) error {
	list, err := e.srv.Connz(&server.ConnzOptions{Username: true, User: user})
	if err != nil {
		return fmt.Errorf("connections of subscriber %s: %w", user, err)
	}
	for _, c := range list.Conns {
		err = errors.Join(err, e.srv.DisconnectClientByID(c.Cid))
	}
	return err
}

// PublicAPI is the prefix of the JetStream API for subscribers with an account of their own: on an external server, $JS.API of an account
// without JetStream answers only that it has none. The embedded server knows both.
const PublicAPI = "FAX.API"

// TextRequests begins the subjects where subscribers with an account of their own send texts: TextRequests.<subscriber>.<session>.<page>.
// Their account has them as FAX.API.TEXT.<session>.<page>.
const TextRequests = "faxstream.texts"

// lendDurable lets an account use one durable of FAX_PAGES, and send texts. Acknowledgements have two forms of subjects: nats-server has
// announced the one with domain and account hash as its coming default.
func (d *doors) lendDurable(account *server.Account, user, durable string) error {
	of := StreamPages + "." + durable
	next := apiPrefix + "CONSUMER.MSG.NEXT." + of
	err := errors.Join(
		d.global.AddServiceExportWithResponse(next, server.Streamed, []*server.Account{account}),
		d.global.SetServiceExportResponseThreshold(next, longestPull),
		account.AddServiceImport(d.global, next, next),
		account.AddServiceImport(d.global, PublicAPI+".CONSUMER.MSG.NEXT."+of, next),
	)
	for _, subject := range []string{apiPrefix + "CONSUMER.INFO." + of, "$JS.ACK." + of + ".>", "$JS.ACK.*.*." + of + ".>"} {
		err = errors.Join(err, d.lend(account, subject, subject))
	}
	info := "CONSUMER.INFO." + of
	err = errors.Join(err, d.lend(account, PublicAPI+".TEXT.*.*", TextRequests+"."+user+".*.*"))
	return errors.Join(err, account.AddServiceImport(d.global, PublicAPI+"."+info, apiPrefix+info))
}

// gate is where this process answers what subscribers ask about consumers; see Bus.admit.
const gate = "faxstream.gate."

// Requests about consumers that go through the gate, with the place of stream and name after them.
var gated = []string{"CONSUMER.CREATE", "CONSUMER.DURABLE.CREATE", "CONSUMER.INFO", "CONSUMER.DELETE"}

// readable are the streams that subscribers may read, and those of Follow.
var readable = []string{StreamPages, StreamDocs, StreamText}

// longestPull is how long the server expects the messages of one pull.
const longestPull = 24 * time.Hour

// open makes the account of the subscribers. They get in from then on.
func (d *doors) open(s *server.Server) error {
	if d == nil {
		return nil
	}
	account, err := s.RegisterAccount("SUBSCRIBERS")
	if err != nil {
		return err
	}
	d.global = s.GlobalAccount()
	only := []*server.Account{account}
	for _, stream := range readable {
		next := apiPrefix + "CONSUMER.MSG.NEXT." + stream + ".*"
		err = errors.Join(err,
			d.global.AddServiceExportWithResponse(next, server.Streamed, only),
			d.global.SetServiceExportResponseThreshold(next, longestPull),
			d.global.AddServiceExport("$JS.ACK."+stream+".>", only),
			d.lend(account, apiPrefix+"STREAM.INFO."+stream, apiPrefix+"STREAM.INFO."+stream),
		)
		for _, request := range gated {
			asked := request + "." + stream + ".>"
			err = errors.Join(err, d.lend(account, apiPrefix+asked, gate+asked))
		}
	}
	for _, api := range []string{"INFO", "STREAM.NAMES"} {
		err = errors.Join(err, d.lend(account, apiPrefix+api, apiPrefix+api))
	}
	if err == nil {
		d.subscriber.Store(account)
	}
	return err
}

const apiPrefix = "$JS.API."

// lend lets the subscribers ask something of the global account; to is the subject there.
func (d *doors) lend(account *server.Account, from, to string) error {
	if err := d.global.AddServiceExport(to, []*server.Account{account}); err != nil {
		return fmt.Errorf("export %s: %w", to, err)
	}
	if err := account.AddServiceImport(d.global, from, to); err != nil {
		return fmt.Errorf("import %s: %w", from, err)
	}
	return nil
}

// allow lets the subscribers pull from one consumer and settle what it delivers.
func (d *doors) allow(stream, name string) error {
	account := d.subscriber.Load()
	for _, subject := range []string{apiPrefix + "CONSUMER.MSG.NEXT." + stream + "." + name, "$JS.ACK." + stream + "." + name + ".>"} {
		if err := account.AddServiceImport(d.global, subject, subject); err != nil {
			return fmt.Errorf("import %s: %w", subject, err)
		}
	}
	return nil
}
