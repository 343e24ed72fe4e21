package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/micro"

	"github.com/faxstream/faxstream/cmd/faxstream/access"
	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/cmd/faxstream/dashboard"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/subscribers"
)

// texts takes what subscribers of kind nats recognise, as requests. It asks the API for them: a request is the PUT of a text, by a token of
// the subscriber's name and numbers.
type texts struct {
	handler *dashboard.Handler
	known   *subscribers.Service
	life    context.Context
	busy    sync.WaitGroup // requests that are being answered
	log     *slog.Logger
}

// Limits of requests with texts; a NATS message is at most a megabyte.
const (
	textsAtOnce   = 8       // that are being answered
	textsWaiting  = 16      // that wait, for each of those
	textsInMemory = 4 << 20 // bytes of those that wait
)

// textWords are the headers of a request, which are the words of the URL of the PUT.
var textWords = []string{"engine", "version", "languages", "format", "raster", "read", "orientation", "orientation_confidence"}

// startTexts answers requests with texts. All processes share them.
func (a *App) startTexts(ctx context.Context, h *dashboard.Handler, known *subscribers.Service) error {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	t := &texts{handler: h, known: known, life: ctx, log: a.log}
	service, err := micro.AddService(a.bus.JetStream().Conn(), micro.Config{
		Name: "faxstream-texts", Version: "1.0.0", Description: "takes what OCR services recognise on pages",
	})
	for n := range textsAtOnce { // the requests of one endpoint are answered one after another
		if err == nil {
			err = service.AddEndpoint(fmt.Sprintf("text-%d", n+1), micro.HandlerFunc(t.take),
				micro.WithEndpointSubject(bus.TextRequests+".*.*.*"), micro.WithEndpointPendingLimits(textsWaiting, textsInMemory))
		}
	}
	if err != nil {
		cancel()
		return fmt.Errorf("take texts over NATS: %w", err)
	}
	a.closers = append(a.closers, func() error {
		err := service.Stop() // no other request is taken; those that came are answered, after a while with an error
		stop := time.AfterFunc(stopTimeout, cancel)
		t.busy.Wait()
		stop.Stop()
		cancel()
		if err != nil {
			return fmt.Errorf("stop taking texts over NATS: %w", err)
		}
		return nil
	})
	return nil
}

// take answers one request.
func (t *texts) take(r micro.Request) {
	t.busy.Add(1)
	defer t.busy.Done()
	if r.Reply() == "" {
		return // nobody would hear whether it was taken
	}
	body, err := t.put(r)
	if err == nil {
		if err = r.Respond(body); err != nil {
			t.log.Warn("a text was taken, and its answer was not sent; the same request may be made again", "err", err)
		}
		return
	}
	refused, ok := errors.AsType[*api.Error](err)
	if !ok {
		t.log.Error("a text over NATS was not taken", "err", err)
		refused = api.Errorf(http.StatusServiceUnavailable, "unavailable", "a store did not answer: try again")
	}
	if err := r.Error(strconv.Itoa(refused.Status), refused.Message, body); err != nil {
		t.log.Warn("a text was refused, and the answer was not sent", "err", err)
	}
}

// put makes the request that the API knows.
func (t *texts) put(r micro.Request) ([]byte, error) {
	parts := strings.Split(strings.TrimPrefix(r.Subject(), bus.TextRequests+"."), ".")
	if len(parts) != 3 {
		return nil, api.NotFound("no such subject")
	}
	sub, err := t.known.Get(t.life, parts[0])
	switch {
	case errors.Is(err, subscribers.ErrNone), err == nil && sub.Kind != subscribers.KindNATS:
		return nil, api.NotFound("no subscriber %s of kind nats", parts[0])
	case err != nil:
		return nil, err
	}
	query := url.Values{}
	for _, word := range textWords {
		if v := r.Headers().Get(word); v != "" {
			query.Set(word, v)
		}
	}
	target := fmt.Sprintf("%s/api/v1/faxes/%s/pages/%s/text?%s", insideURL, url.PathEscape(parts[1]), url.PathEscape(parts[2]), query.Encode())
	req, err := http.NewRequestWithContext(t.life, http.MethodPut, target, bytes.NewReader(r.Data()))
	if err != nil {
		return nil, err
	}
	as := access.Token{Name: sub.Name, Numbers: sub.Numbers}
	resp, err := inside{t.handler.As(as)}.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode < http.StatusMultipleChoices {
		return body, err
	}
	var refused api.ErrorAnswer
	if err := json.Unmarshal(body, &refused); err != nil || refused.Error == nil {
		return body, fmt.Errorf("the API answers %d", resp.StatusCode)
	}
	refused.Error.Status = resp.StatusCode
	return body, refused.Error
}
