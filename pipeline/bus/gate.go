package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/faxstream/faxstream/pipeline/session"
)

const (
	maxGateRequest = 64 << 10 // bytes of one request about a consumer
	maxAllowed     = 10_000   // consumers that subscribers may use in one run of the server: imports are not removed again
)

// gatekeeper checks what subscribers ask about consumers, and passes it on in its own words. They may only make pull consumers: a push
// consumer delivers to any subject of the product's account. They may not touch the consumers of faxstream itself.
type gatekeeper struct {
	bus *Bus

	mu      sync.Mutex
	allowed map[string]bool // stream and name of consumers from which subscribers may pull; guarded by mu
}

// admit begins to serve the subscribers of the embedded server. Those that were here before find their durables.
func (b *Bus) admit(ctx context.Context) error {
	if b.server == nil || b.server.doors == nil {
		return nil
	}
	g := &gatekeeper{bus: b, allowed: map[string]bool{}}
	for _, stream := range readable {
		s, err := b.js.Stream(ctx, stream)
		if err != nil {
			return fmt.Errorf("stream %s: %w", stream, err)
		}
		list := s.ListConsumers(ctx)
		for info := range list.Info() {
			if info.Config.Metadata[ours] == "" && !reserved(info.Name) {
				err = errors.Join(err, g.allow(stream, info.Name))
			}
		}
		if err := errors.Join(err, list.Err()); err != nil {
			return fmt.Errorf("consumers of subscribers of %s: %w", stream, err)
		}
	}
	if _, err := b.nc.Subscribe(gate+">", g.serve); err != nil {
		return fmt.Errorf("serve subscribers: %w", err)
	}
	// Until the server has the subscription, a request gets "no responders".
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	if err := b.nc.FlushWithContext(ctx); err != nil {
		return fmt.Errorf("serve subscribers: %w", err)
	}
	return nil
}

// reserved reports whether faxstream has a durable of this name on FAX_PAGES or FAX_DOCS, or gets one when the name is refused; see
// maxNames. A subscriber who had the name first could take messages from faxstream, or decide where it begins.
func reserved(name string) bool {
	if n := len(name) - 2; n > 0 && name[n] == '-' && name[n+1] >= '2' && name[n+1] <= '0'+maxNames {
		name = name[:n]
	}
	switch name {
	case "assemble", "collect-docs", "collect-pages", "letters-docs", "letters-pages":
		return true
	}
	return false
}

func (g *gatekeeper) allow(stream, name string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.allowed[stream+"."+name] {
		return nil
	}
	if len(g.allowed) >= maxAllowed {
		return fmt.Errorf("subscribers have used %d consumers since the start: use durable consumers, or restart faxstream", maxAllowed)
	}
	if err := g.bus.server.doors.allow(stream, name); err != nil {
		return err
	}
	g.allowed[stream+"."+name] = true
	return nil
}

// serve answers one request.
func (g *gatekeeper) serve(m *nats.Msg) {
	ctx, cancel := context.WithTimeout(g.bus.life, requestTimeout)
	defer cancel()
	answer, err := g.answer(ctx, strings.TrimPrefix(m.Subject, gate), m.Data)
	if err != nil {
		g.bus.log.Warn("a request of a subscriber is refused", "request", strings.TrimPrefix(m.Subject, gate), "err", err)
		answer, err = json.Marshal(map[string]any{"error": jetstream.APIError{Code: 403, Description: "faxstream: " + err.Error()}})
	}
	if err == nil {
		err = m.Respond(answer)
	}
	if err != nil && g.bus.life.Err() == nil {
		g.bus.log.Warn("a subscriber gets no answer", "err", err)
	}
}

// asked is a request about a consumer, such as CONSUMER.CREATE.FAX_PAGES.ocr.fax.v1.page.archived.>.
type asked struct{ request, stream, name, filter string }

func parseAsked(subject string) (a asked, err error) {
	for _, request := range gated {
		rest, ok := strings.CutPrefix(subject, request+".")
		if !ok {
			continue
		}
		parts := strings.SplitN(rest, ".", 3)
		if len(parts) < 2 || !slices.Contains(readable, parts[0]) || !session.ValidToken(parts[1]) {
			continue
		}
		a = asked{request: request, stream: parts[0], name: parts[1]}
		if len(parts) == 3 {
			a.filter = parts[2]
		}
		if a.filter == "" || request == "CONSUMER.CREATE" {
			return a, nil
		}
	}
	return a, errors.New("this is not a request for a consumer with a name on FAX_PAGES or FAX_DOCS")
}

func (g *gatekeeper) answer(ctx context.Context, subject string, body []byte) ([]byte, error) {
	a, err := parseAsked(subject)
	if err != nil {
		return nil, err
	}
	old, err := g.bus.js.Consumer(ctx, a.stream, a.name)
	if err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return nil, err
	}
	there := err == nil
	if reserved(a.name) || there && old.CachedInfo().Config.Metadata[ours] != "" {
		return nil, fmt.Errorf("consumer %s of %s is faxstream's own", a.name, a.stream)
	}
	create := strings.HasSuffix(a.request, "CREATE")
	if create {
		if body, err = a.create(body); err != nil {
			return nil, err
		}
	}
	if create || there && a.request != "CONSUMER.DELETE" { // to ask about what is not there uses nothing up
		if err := g.allow(a.stream, a.name); err != nil {
			return nil, err
		}
	}
	m, err := g.bus.nc.RequestWithContext(ctx, apiPrefix+subject, body)
	if err != nil {
		return nil, err
	}
	return m.Data, nil
}

// create checks a request for a new consumer, and writes it anew: only what was checked is passed on.
func (a asked) create(body []byte) ([]byte, error) {
	var r server.CreateConsumerRequest
	if len(body) > maxGateRequest {
		return nil, fmt.Errorf("the request has %d bytes, at most %d are allowed", len(body), maxGateRequest)
	}
	if err := json.Unmarshal(body, &r); err != nil {
		return nil, fmt.Errorf("malformed request: %w", err)
	}
	named := func(name string) bool { return name == "" || name == a.name }
	switch {
	case r.Config.DeliverSubject != "" || r.Config.DeliverGroup != "":
		return nil, errors.New("push consumers are not allowed: make a pull consumer")
	case r.Stream != a.stream || !named(r.Config.Durable) || !named(r.Config.Name):
		return nil, errors.New("subject and body name different consumers")
	case r.Config.Metadata[ours] != "" || r.Config.SampleFrequency != "" || r.Config.Direct:
		return nil, errors.New("metadata faxstream, sample_freq and direct are not allowed")
	}
	return json.Marshal(r)
}
