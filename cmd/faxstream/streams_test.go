package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/session"
)

// askAgain is how long an answer of JetStream is waited for: while a cluster has no leader, nobody answers.
const askAgain = 5 * time.Second

// streams reads what JetStream holds, without any code of ours.
type streams struct {
	t  *testing.T
	nc *nats.Conn
	js jetstream.JetStream
}

// readStreams connects; whoever calls it closes it.
func readStreams(t *testing.T, url string, options ...nats.Option) streams {
	t.Helper()
	nc, err := nats.Connect(url, append([]nats.Option{nats.Timeout(apptest.Patience)}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return streams{t, nc, js}
}

func (s streams) close() { s.nc.Close() }

func (s streams) stream(ctx context.Context, name string) jetstream.Stream {
	s.t.Helper()
	var st jetstream.Stream
	await(s.t, "an answer about "+name, func() bool {
		short, cancel := context.WithTimeout(ctx, askAgain)
		defer cancel()
		var err error
		st, err = s.js.Stream(short, name)
		return err == nil
	})
	return st
}

// subjects counts the messages of a stream by subject.
func (s streams) subjects(stream, filter string) map[string]uint64 {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), apptest.Patience)
	defer cancel()
	info, err := s.stream(ctx, stream).Info(ctx, jetstream.WithSubjectFilter(filter))
	if err != nil {
		s.t.Fatal(err)
	}
	return info.State.Subjects
}

// bodies gives the hash of the webhook's body that each fact of FAX_IN names, by subject.
func (s streams) bodies(subjects []string) map[string]string {
	s.t.Helper()
	st := s.stream(apptest.Context(s.t), bus.StreamIn)
	hashes := map[string]string{}
	for _, subject := range subjects {
		ctx, cancel := context.WithTimeout(s.t.Context(), apptest.Patience)
		m, err := st.GetLastMsgForSubject(ctx, subject)
		cancel()
		if err != nil {
			s.t.Errorf("%s: %v", subject, err)
			continue
		}
		var fact struct {
			BodySHA256 string `json:"body_sha256"`
		}
		if err := json.Unmarshal(m.Data, &fact); err != nil {
			s.t.Errorf("%s: %v", subject, err)
		}
		hashes[subject] = fact.BodySHA256
	}
	return hashes
}

// assembled gives the revisions of each session's documents, one for each event.
func (s streams) assembled() map[string][]string {
	s.t.Helper()
	documents := map[string][]string{}
	for subject, n := range s.subjects(bus.StreamDocs, session.TypeDocAssembled+".>") {
		parts := strings.Split(subject, ".") // fax.v1.doc.assembled.<to>.<session>.<revision>
		for range n {
			documents[parts[5]] = append(documents[parts[5]], parts[6])
		}
	}
	return documents
}

// awaitAssembled waits until every fax has a document, and is patient as long as there are more of them.
func (s streams) awaitAssembled(faxes []faxplustest.Fax) {
	s.t.Helper()
	for have := 0; have < len(faxes); {
		now := 0
		await(s.t, fmt.Sprintf("more than %d documents of %d", have, len(faxes)), func() bool {
			now = len(s.assembled())
			return now > have
		})
		have = now
	}
}

// checkOneDocumentEach wants revision 1 of every fax, assembled once.
func (s streams) checkOneDocumentEach(faxes []faxplustest.Fax) {
	s.t.Helper()
	documents := s.assembled()
	for _, f := range faxes {
		if got := documents[f.Session]; len(got) != 1 || got[0] != "1" {
			s.t.Errorf("fax %s was assembled as revisions %v, want 1 once", f.Session, got)
		}
	}
	if len(documents) != len(faxes) {
		s.t.Errorf("%d faxes have documents, want %d", len(documents), len(faxes))
	}
}
