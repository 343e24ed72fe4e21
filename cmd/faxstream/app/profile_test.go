package app

import (
	"bytes"
	"log/slog"
	"net/http"
	"testing"

	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
)

// Profiles are on a listener of their own, for requests of this machine, and say which part of faxstream a goroutine belongs to.
func TestProfilesAreServedOnlyWhereTheyAreAskedFor(t *testing.T) {
	c := DemoConfig(t.TempDir(), "http://127.0.0.1:1", false, slog.New(slog.DiscardHandler))
	c.PprofAddr = "127.0.0.1:0"
	a, err := Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := a.Stop(); err != nil {
			t.Error(err)
		}
	}()
	for _, url := range []string{a.WebhookURL(), a.AdminURL()} {
		if got := status(t, url+"/debug/pprof/", ""); got == http.StatusOK {
			t.Errorf("%s serves profiles", url)
		}
	}
	// Both listeners have answered, so that their goroutines run.
	goroutines := apptest.Fetch(t, a.PprofURL()+"/debug/pprof/goroutine?debug=1")
	for _, part := range []string{"nats", "webhook", "admin"} {
		if !bytes.Contains(goroutines, []byte(`"part":"`+part+`"`)) {
			t.Errorf("no goroutine has the label of %s", part)
		}
	}
	apptest.Fetch(t, a.PprofURL()+"/debug/pprof/profile?seconds=1")
	if got := status(t, a.PprofURL()+"/debug/pprof/", "fax.example.org"); got != http.StatusForbidden {
		t.Errorf("a request to a foreign name is answered %d", got)
	}
}

func TestWithoutTheFlagThereAreNoProfiles(t *testing.T) {
	a, err := Start(t.Context(), DemoConfig(t.TempDir(), "http://127.0.0.1:1", false, slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	if a.PprofURL() != "" {
		t.Errorf("profiles are served on %s", a.PprofURL())
	}
	if err := a.Stop(); err != nil {
		t.Error(err)
	}
}

// status asks for a URL under another host name, if one is given.
func status(t *testing.T, url, host string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(apptest.Context(t), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}
