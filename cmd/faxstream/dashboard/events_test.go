package dashboard

import (
	"context"
	"net/http"
	"runtime"
	"testing"

	"github.com/faxstream/faxstream/pipeline/bus"
)

// Streams of events are bounded, since each has consumers of JetStream; one that ends makes room.
func TestStreamsOfEventsAreBounded(t *testing.T) {
	d := newListener(t, func(c *Config) {
		c.Events = func(ctx context.Context, _ *bus.Place, _ func(bus.Stored, bus.Place) bool) error {
			<-ctx.Done()
			return nil
		}
	})
	open := func(ctx context.Context) *http.Response {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.URL+"/api/v1/events", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+d.Secrets["reader"])
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		return resp
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	for n := range maxStreams {
		if resp := open(ctx); resp.StatusCode != http.StatusOK {
			t.Fatalf("stream %d: %s", n+1, resp.Status)
		}
	}
	if resp := open(t.Context()); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("one more: %s, want 503", resp.Status)
	}
	stop()
	for open(t.Context()).StatusCode != http.StatusOK { // the server notices in its own time
		runtime.Gosched()
	}
}
