package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"
)

// straight publishes to a stream of the driver's on serve's own server: what the server alone needs for messages as long as webhooks.
type straight struct {
	nc    *nats.Conn
	js    jetstream.JetStream
	stage string // directory in memory for unfinished batches
	sent  int
}

// straightStream has the bytes of webhooks.
const straightStream = "BENCH"

// straight makes the stream, with unfinished batches in memory as those of serve.
func (r *rig) straight(ctx context.Context) (_ *straight, err error) {
	s := &straight{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.nc, err = nats.Connect(r.natsURL); err != nil {
		return nil, err
	}
	if s.js, err = jetstream.New(s.nc); err != nil {
		return nil, err
	}
	_, err = s.js.CreateStream(ctx, jetstream.StreamConfig{
		Name: straightStream, Subjects: []string{"bench.>"}, Storage: jetstream.FileStorage, AllowAtomicPublish: true,
	})
	if err != nil {
		return nil, err
	}
	if s.stage, err = os.MkdirTemp("/dev/shm", "faxstream-bench-"); err != nil {
		return nil, err
	}
	return s, os.Symlink(s.stage, filepath.Join(filepath.Dir(r.archive), "nats", "jetstream", "$G", "streams", straightStream, "batches"))
}

func (s *straight) close() error {
	if s.nc != nil {
		s.nc.Close()
	}
	return os.RemoveAll(s.stage)
}

// message has a subject of its own, on which nothing may be yet, as that of a fact.
func (s *straight) message(body []byte) *nats.Msg {
	s.sent++
	m := nats.NewMsg(fmt.Sprintf("bench.%d", s.sent))
	m.Data = body
	m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, "0")
	return m
}

// one publishes one message and returns how long that took.
func (s *straight) one(ctx context.Context, body []byte) (time.Duration, error) {
	start := time.Now()
	_, err := s.js.PublishMsg(ctx, s.message(body))
	return time.Since(start), err
}

// rate publishes batches, one after another, and returns the messages a second.
func (s *straight) rate(ctx context.Context, work [][]byte) (float64, error) {
	start := time.Now()
	for i := 0; i < len(work); i += senders {
		var batch []*nats.Msg
		for _, body := range work[i:min(i+senders, len(work))] {
			batch = append(batch, s.message(body))
		}
		if _, err := jetstreamext.PublishMsgBatch(ctx, s.js, batch, jetstreamext.BatchFlowControl{}); err != nil {
			return 0, err
		}
	}
	return float64(len(work)) / time.Since(start).Seconds(), nil
}
