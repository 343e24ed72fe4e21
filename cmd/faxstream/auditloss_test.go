package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
	"github.com/faxstream/faxstream/ingest"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
)

// Somebody reads a fax, the process stops, and JetStream is lost before the day is sealed: a rebuild brings the record back, and says
// up to when it has it.
func TestTheAuditOutlivesJetStream(t *testing.T) {
	t.Parallel()
	d := newDesk(t, false)
	f := faxplustest.Fax{Session: "case", Streamed: true, Pages: apptest.Split(t, apptest.Fixture(t, "three-pages-fine-g4"))}
	d.sim.Add(f)
	d.send(apptest.Bodies(f, d.WebhookURL()+ingest.Path)...)
	d.awaitFax("case", hasDocument)
	d.do(0, "link", "case", "--by=alice")
	d.do(0, "hold", "case", "--by=bob", "--reason=case 4711")
	d.loseJetStream()
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"rebuild", "--dir=" + d.cfg.Dir}, os.Getenv, &out, &errs); code != 0 {
		t.Fatalf("rebuild: exit code %d, %s", code, &errs)
	}
	if !strings.Contains(errs.String(), "FAX_AUDIT was lost: its entries up to 20") || !strings.Contains(errs.String(), "and 2 of them") {
		t.Errorf("the rebuild says %s", &errs)
	}
	d.open()
	got := d.do(0, "audit")
	for _, want := range []string{"alice", "bob", "case 4711"} {
		if strings.Count(got, want) != 1 {
			t.Errorf("the audit has %q %d times, want once:\n%s", want, strings.Count(got, want), got)
		}
	}
	if err := d.stop(); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"audit", "--verify"}, {"audit", "--offline"}} {
		out.Reset()
		if code := run(t.Context(), append(args, "--dir="+d.cfg.Dir), os.Getenv, &out, &errs); code != 0 {
			t.Errorf("%q: exit code %d, %s %s", args, code, &out, &errs)
		}
	}
	if strings.Count(out.String(), "alice") != 1 {
		t.Errorf("offline the audit is\n%s", &out)
	}
	d.open()
}
