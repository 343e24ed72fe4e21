package bus

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// lateServer is a server whose every word arrives late, as on a machine that has much else to do.
type lateServer struct {
	*server.Server
	by time.Duration
}

func (s lateServer) InProcessConn() (net.Conn, error) {
	c, err := s.Server.InProcessConn()
	if err != nil {
		return nil, err
	}
	l := &lateConn{Conn: c, words: make(chan word, 4096)}
	go l.read(s.by)
	return l, nil
}

type word struct {
	data []byte
	due  time.Time
	err  error
}

type lateConn struct {
	net.Conn
	words chan word
	rest  word
}

func (l *lateConn) read(by time.Duration) {
	for {
		data := make([]byte, 32<<10)
		n, err := l.Conn.Read(data)
		l.words <- word{data[:n], time.Now().Add(by), err}
		if err != nil {
			return
		}
	}
}

func (l *lateConn) Read(p []byte) (int, error) {
	if len(l.rest.data) == 0 && l.rest.err == nil {
		l.rest = <-l.words
		time.Sleep(time.Until(l.rest.due))
	}
	if n := copy(p, l.rest.data); n > 0 {
		l.rest.data = l.rest.data[n:]
		return n, nil
	}
	return 0, l.rest.err
}

// A message that arrives just when its pull is over is taken all the same: it does not wait for its ack timeout.
func TestAMessageThatIsOnItsWayWhenItsPullEndsIsTaken(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := open(t, dir)
		prompt := b.nc
		defer prompt.Close()
		var err error
		if b.nc, err = nats.Connect("", nats.InProcessServer(lateServer{b.server.srv, fetchWait / 2})); err != nil {
			t.Fatal(err)
		}
		if b.js, err = jetstream.New(b.nc); err != nil {
			t.Fatal(err)
		}
		seen := make(chan Delivery, 64)
		consume(t, b, pageConsumer, func(_ context.Context, d Delivery) error { seen <- d; return nil })
		for n := range 20 {
			start := time.Now()
			mustRecord(t, b, page("s", n+1))
			if d := receive(t, seen); d.Tries != 1 {
				t.Errorf("message %d came with delivery %d, after %s", n+1, d.Tries, time.Since(start))
			}
			time.Sleep(time.Duration(n) * fetchWait / 20)
		}
		closeBus(t, b)
		time.Sleep(fetchWait) // for the last words that are on their way
	})
}
