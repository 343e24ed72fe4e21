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
	room    chan struct{} // a place for each request that is answered
	log     *slog.Logger
}

// textsAtOnce bounds the requests that are answered at the same time; a NATS message is at most a megabyte.
const textsAtOnce = 8

// textWords are the headers of a request, which are the words of the URL of the PUT.
var textWords = []string{"engine", "version", "languages", "format", "raster", "read", "orientation", "orientation_confidence"}

// startTexts answers requests with texts. All processes share them.
func (a *App) startTexts(ctx context.Context, h *dashboard.Handler, known *subscribers.Service) error {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	t := &texts{handler: h, known: known, life: ctx, room: make(chan struct{}, textsAtOnce), log: a.log}
	service, err := micro.AddService(a.bus.JetStream().Conn(), micro.Config{
		Name: "faxstream-texts", Version: "1.0.0", Description: "takes what OCR services recognise on pages",
		Endpoint: &micro.EndpointConfig{Subject: bus.TextRequests + ".*.*.*", Handler: micro.HandlerFunc(t.take)},
	})
	if err != nil {
		cancel()
		return fmt.Errorf("take texts over NATS: %w", err)
	}
	a.closers = append(a.closers, func() error {
		err := service.Stop()
		for range textsAtOnce {
			t.room <- struct{}{} // those that are answered
		}
		cancel()
		if err != nil {
			return fmt.Errorf("stop taking texts over NATS: %w", err)
		}
		return nil
	})
	return nil
}

// take answers one request. The next one is taken meanwhile, while there is room.
func (t *texts) take(r micro.Request) {
	t.room <- struct{}{}
	go func() {
		defer func() { <-t.room }()
		body, err := t.put(r)
		if err == nil {
			err = r.Respond(body)
		} else {
			answered, ok := errors.AsType[*api.Error](err)
			if !ok {
				t.log.Error("a text over NATS was not taken", "subject", r.Subject(), "err", err)
				answered = api.Errorf(http.StatusServiceUnavailable, "unavailable", "a store did not answer: try again")
			}
			err = r.Error(strconv.Itoa(answered.Status), answered.Message, body)
		}
		if err != nil {
			t.log.Warn("a text was taken, and its answer was not sent; the same request may be made again", "err", err)
		}
	}()
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
