package bus

import (
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
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
	return false
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
