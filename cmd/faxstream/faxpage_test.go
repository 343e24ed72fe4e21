package main

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
	"github.com/faxstream/faxstream/ingest"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
)

// The dashboard of a real server verifies a fax, says how it came, and marks the rows that did not come as they were sent.
func TestWhatTheDashboardFindsOutAboutAFax(t *testing.T) {
	t.Parallel()
	d := newDesk(t, false)
	damaged := apptest.Fixture(t, "letter-fine-g3")
	for i := len(damaged) / 2; i < len(damaged)/2+40; i++ {
		damaged[i] ^= 0x5A
	}
	f := faxplustest.Fax{Session: "case", Streamed: true, Pages: [][]byte{apptest.Fixture(t, "letter-fine-g4"), damaged}}
	d.sim.Add(f)
	d.send(apptest.Bodies(f, d.WebhookURL()+ingest.Path)...)
	d.awaitFax("case", hasDocument)
	resp, err := http.PostForm(d.AdminURL()+"/fax/case/verify", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	verdict, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ what, page, want string }{
		{"the verdict", string(verdict), "objects checked, all right: 1 revision, 2 pages."},
		{"the verdict", string(verdict), "The documents of 1 revision were made again"},
		{"the timeline", d.body("/fax/case/timeline"), "announced by the provider"},
		{"the timeline", d.body("/fax/case/timeline"), "<td>2</td><td>archived, with "},
		{"the timeline", d.body("/fax/case/timeline"), "revision 1 is ready: complete, 2 pages"},
		{"page 2", d.body("/fax/case/pages/2?rows=bad"), `<rect class="bad" x="0"`},
		{"the list", d.body("/?thumbs=1"), `src="/api/v1/faxes/case/pages/1.thumbnail.png"`},
	} {
		if !strings.Contains(c.page, c.want) {
			t.Errorf("%s has no %s: %.3000s", c.what, c.want, c.page)
		}
	}
	if strings.Contains(d.body("/fax/case/pages/1?rows=bad"), "bad rows") {
		t.Error("page 1 has bad rows")
	}
	if audit := d.do(0, "audit", "--session=case"); !strings.Contains(audit, "verify") {
		t.Errorf("the audit has no verification: %s", audit)
	}
}
