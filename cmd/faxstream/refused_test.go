package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
	"github.com/faxstream/faxstream/ingest"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
)

// Webhooks that a proxy forwards for an address that is not allowed: readiness, log and API name it and the flag that helps.
func TestRefusedWebhooksAreSaid(t *testing.T) {
	t.Parallel()
	_, flags := newSimulator(t, faxplustest.Config{})
	p := serve(t, nil, append(flags, "--dir="+t.TempDir(), "--trusted-proxies=127.0.0.1")...)
	const advice = "--allow-from 127.0.0.0/8,203.0.113.9"
	ready := func() string { return string(apptest.Fetch(t, p.ready.Admin+"/readyz")) }
	if strings.Contains(ready(), "refused") {
		t.Errorf("before: %s", ready())
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.ready.Webhook+ingest.Path, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Forwarded-For", "203.0.113.9")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("HTTP %d", resp.StatusCode)
	}
	if !strings.Contains(ready(), advice) {
		t.Errorf("readiness: %s", ready())
	}
	var list api.RefusalList
	if err := json.Unmarshal(apptest.Fetch(t, p.api("/webhooks/refused")), &list); err != nil {
		t.Fatal(err)
	}
	if len(list.Refused) != 1 || list.Refused[0].Address != "203.0.113.9" || !list.Refused[0].RightPath ||
		!strings.Contains(list.Refused[0].Advice, advice) {
		t.Errorf("refused: %+v", list)
	}
	await(t, "the log says which flag helps", func() bool { return strings.Contains(p.log.String(), advice) })
}
