package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
	"github.com/faxstream/faxstream/ingest"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/session"
)

// replayed gives what the archive has of one object of a fax.
func replayed[T any](d *desk, key string) (v T) {
	d.t.Helper()
	data, err := os.ReadFile(filepath.Join(d.cfg.Dir, "archive", filepath.FromSlash(key)))
	if err == nil {
		err = json.Unmarshal(data, &v)
	}
	if err != nil {
		d.t.Fatal(err)
	}
	return v
}

// A replay makes documents of what is archived: a new revision in any case, or only where the decoder has come to see a page
// otherwise. The provider is not asked.
func TestReplay(t *testing.T) {
	t.Parallel()
	d := newDesk(t, false)
	f := faxplustest.Fax{Session: "fax", Streamed: true, Pages: apptest.Split(t, apptest.Fixture(t, "three-pages-fine-g4"))}
	d.sim.Add(f)
	d.send(apptest.Bodies(f, d.WebhookURL()+ingest.Path)...)
	d.awaitFax("fax", hasDocument)
	asked := 0
	for page := range 4 {
		asked += d.sim.Tries("fax", page)
	}

	d.do(0, "replay", "fax", "--stage=assemble", "--by=ada", "--why=a new PDF writer")
	s := d.awaitFax("fax", func(s session.State) bool { return s.Revision() == 2 })
	if s.Status() != session.StatusComplete || s.Document.Pages != 3 {
		t.Errorf("revision 2 is %s with %d pages", s.Status(), s.Document.Pages)
	}

	d.do(0, "replay", "fax") // the same decoder sees the same
	d.quiet(letterDurables)
	if s := d.awaitFax("fax", hasDocument); s.Ordered != 2 {
		t.Errorf("after a replay without a difference revision %d was ordered", s.Ordered)
	}

	// As if the decoder of revision 2 had seen page 2 otherwise.
	plan := filepath.Join(d.cfg.Dir, "archive", "faxes", "fax", "r2", "plan.json")
	var old archive.Plan
	text, err := os.ReadFile(plan)
	if err == nil {
		err = json.Unmarshal(text, &old)
	}
	if err != nil {
		t.Fatal(err)
	}
	raster := old.Pages[1].RasterSHA256
	altered := strings.ReplaceAll(string(text), raster, strings.Repeat("ab", 32))
	if err := os.Chmod(plan, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(plan, []byte(altered), 0o600); err != nil {
		t.Fatal(err)
	}
	d.do(0, "replay", "--since=1h", "--stage=decode")
	s = d.awaitFax("fax", func(s session.State) bool { return s.Revision() == 3 })
	m := replayed[archive.Manifest](d, s.Document.Manifest.Key)
	if len(m.Reports) != 1 || !strings.Contains(m.Reports[0].Key, "/r2/decoded.") || m.Pages[1].RasterSHA256 != raster {
		t.Errorf("revision 3 rests on %+v, its page 2 is %+v", m.Reports, m.Pages[1])
	}
	report := replayed[archive.Report](d, m.Reports[0].Key)
	if len(report.Pages) != 1 || report.Pages[0].Page != 2 || report.Pages[0].Verdict != "decoded" || report.Pages[0].Repair == nil ||
		report.Pages[0].Repair.RasterSHA256 != raster {
		t.Errorf("the report is %+v", report)
	}
	stream, err := d.js.Stream(t.Context(), "FAX_PAGES")
	if err != nil {
		t.Fatal(err)
	}
	if m, err := stream.GetLastMsgForSubject(t.Context(), session.TypePageAmended+".*.fax.2.>"); err != nil ||
		!strings.Contains(string(m.Data), raster) {
		t.Errorf("page.amended is %v, %v", m, err)
	}

	after := 0
	for page := range 4 {
		after += d.sim.Tries("fax", page)
	}
	if after != asked {
		t.Errorf("the provider was asked %d times by replays", after-asked)
	}
	actions := d.audit(session.ActionReplayed)
	if len(actions) != 3 || actions[0].By != "ada" || actions[0].Why != "a new PDF writer" || actions[0].Stage != session.ReplayAssemble ||
		actions[0].Session != "fax" {
		t.Errorf("FAX_AUDIT has %+v", actions)
	}
	d.do(2, "replay")
	d.do(2, "replay", "fax", "--since=1h")
	d.do(2, "replay", "fax", "--stage=burn")
	d.do(3, "replay", "no-such-fax")
	d.replayFromTheArchive()
}

// lacksPage2 sends a fax of threePages whose page 2 nobody has, and waits for its dead letters.
func (d *desk) lacksPage2(f faxplustest.Fax) {
	d.t.Helper()
	d.sim.Add(f)
	d.sim.Script(f.Session, 3, apptest.AnswerWith(f.Pages[2]))
	d.send(apptest.Bodies(f, d.WebhookURL()+ingest.Path)...)
	d.awaitFax(f.Session, hasDocument)
	d.awaitLetters("page 2", "whole")
	d.quiet(letterDurables)
}

// A missing page whose dead letters were given up comes when somebody asks the provider again.
func TestAPageThatWasGivenUpIsAskedForAgain(t *testing.T) {
	t.Parallel()
	d := newDesk(t, true)
	f := d.threePages("fax")
	d.lacksPage2(f)
	d.do(0, "dlq", "drop", "--all", "--why=it is lost")
	d.awaitLetters()
	d.sim.Script("fax", 2, apptest.AnswerWith(f.Pages[1]))
	d.do(0, "replay", "fax", "--stage=fetch", "--by=ada", "--reason=the provider has found it")
	d.awaitFax("fax", func(s session.State) bool { return s.Document != nil && s.Document.Status != session.StatusPartial })
}

// replayFromTheArchive is years later: streams and ledger know nothing of the fax any more.
func (d *desk) replayFromTheArchive() {
	d.t.Helper()
	d.loseJetStream()
	d.open()
	d.do(0, "replay", "fax", "--stage=assemble")
	s := d.awaitFax("fax", func(s session.State) bool { return s.Revision() == 4 })
	if s.Status() != session.StatusComplete || s.Document.Pages != 3 {
		d.t.Errorf("revision 4 is %s with %d pages", s.Status(), s.Document.Pages)
	}
	d.loseJetStream()
	d.open()
	d.do(0, "replay", "fax")
	d.quiet(letterDurables)
	if letters := d.letters(); len(letters) > 0 {
		d.t.Errorf("letters: %+v", letters)
	}
}
