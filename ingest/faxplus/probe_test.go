package faxplus_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/faxstream/faxstream/ingest/faxplus"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/pipeline/session"
)

func TestProbeTellsAnOutageFromOneFax(t *testing.T) {
	sim, c, srv := provider(t, nil)
	sim.Script("s1", 1, func(int) faxplustest.Answer { return faxplustest.Answer{Status: 403} })
	_, err := fetchedPage(c, t.Context(), "s1", 1)
	wantError(t, err, session.ReasonUnauthorized)
	if err := c.Probe(t.Context()); err != nil {
		t.Errorf("a healthy provider that refuses one fax: %v", err)
	}
	dead := client(t, srv.URL, func(cfg *faxplus.Config) {
		cfg.Token = func() (string, error) { return "pat-of-somebody-else", nil }
	})
	wantError(t, dead.Probe(t.Context()), session.ReasonUnauthorized)
	srv.Close()
	wantError(t, c.Probe(t.Context()), session.ReasonUnavailable)
}

func TestProbeAsksOnceForTheListAndWantsJSON(t *testing.T) {
	for name, row := range map[string]struct {
		status int
		body   string
		want   session.Reason // empty: well
	}{
		"a list":        {200, `{"data":{"records":[]}}`, ""},
		"a login page":  {200, `<html>`, session.ReasonWrongType},
		"nothing":       {200, ``, session.ReasonWrongType},
		"down":          {503, ``, session.ReasonUnavailable},
		"too many":      {429, ``, session.ReasonNotYet},
		"token refused": {401, `{"error":"unauthorized"}`, session.ReasonUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			var asked []string
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked = append(asked, r.Method+" "+r.RequestURI)
				w.WriteHeader(row.status)
				_, _ = w.Write([]byte(row.body))
			}))
			defer srv.Close()
			err := client(t, srv.URL, nil).Probe(t.Context())
			if row.want != "" {
				wantError(t, err, row.want)
			} else if err != nil {
				t.Error(err)
			}
			if want := "[GET /accounts/self/faxes?category=inbox&limit=1]"; fmt.Sprint(asked) != want {
				t.Errorf("asked %v, want %s", asked, want)
			}
		})
	}
}
