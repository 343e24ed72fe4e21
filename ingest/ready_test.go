package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/faxstream/faxstream/ingest"
)

// A load balancer asks the webhook listener, from an address that may not send webhooks and without a secret.
func TestALoadBalancerLearnsWhetherWebhooksCanBeStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fails error
		asked := 0
		s := newSender(t, func(c *ingest.Config) {
			c.Ready = func(ctx context.Context) error {
				if _, ok := ctx.Deadline(); !ok {
					t.Error("the check has no deadline")
				}
				asked++
				return fails
			}
		})
		ask := func(method string) (int, string) {
			r := httptest.NewRequest(method, ingest.ReadyPath, nil)
			r.RemoteAddr = "10.0.0.7:40000"
			w := httptest.NewRecorder()
			s.handler.ServeHTTP(w, r)
			return w.Code, w.Body.String()
		}
		for _, step := range []struct {
			method string
			fails  error
			want   int
			code   string
		}{
			{http.MethodGet, nil, 200, "ready"},
			{http.MethodGet, errors.New("stream FAX_IN is full at 10.1.2.3"), 503, "not_ready"},
			{http.MethodGet, fmt.Errorf("NATS is gone: %w", ingest.ErrSpooling), 200, "spooling"},
			{http.MethodHead, nil, 200, ""},
			{http.MethodPost, nil, 405, "method_not_allowed"},
		} {
			fails = step.fails
			time.Sleep(time.Second)
			got, body := ask(step.method)
			if got != step.want || !strings.Contains(body, step.code) || strings.Contains(body, "10.1.2.3") {
				t.Errorf("%s with %v: %d %s, want %d %s and no reason", step.method, step.fails, got, body, step.want, step.code)
			}
		}
		time.Sleep(time.Second)
		asked = 0
		for range 100 {
			ask(http.MethodGet)
		}
		if asked > 1 {
			t.Errorf("%d checks at the same second", asked)
		}
		if strings.Contains(s.log.String(), "webhook refused because of its address") {
			t.Errorf("a load balancer that asks is logged as a sender: %s", s.log)
		}
	})
}

// Without a check there is no such path: it is a webhook of a stranger.
func TestReadinessIsAnsweredOnlyWhereItIsKnown(t *testing.T) {
	s := newSender(t, nil)
	r := request(nil)
	r.URL.Path = ingest.ReadyPath
	if status, code := s.send(r); status != 404 || code != "not_found" {
		t.Errorf("got %d %s", status, code)
	}
}
