package main

import (
	"bytes"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
	"github.com/faxstream/faxstream/ingest"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/pipeline/session"
)

var keepDurables = map[string]string{"page": "FAX_IN", "collect-in": "FAX_IN", "keep": "FAX_AUDIT"}

// stored counts the messages of all streams whose subject has a session in it, but for what says that it was purged.
func (d *desk) stored(id string) (subjects []string) {
	d.t.Helper()
	for _, stream := range []string{"FAX_IN", "FAX_PAGES", "FAX_DOCS", "FAX_TIMERS", "FAX_DLQ", "KV_FAX_SESSIONS"} {
		s, err := d.js.Stream(d.t.Context(), stream)
		if err != nil {
			d.t.Fatal(err)
		}
		info, err := s.Info(d.t.Context(), jetstream.WithSubjectFilter(">"))
		if err != nil {
			d.t.Fatal(err)
		}
		for subject := range info.State.Subjects {
			if slices.Contains(strings.Split(subject, "."), id) && !strings.HasPrefix(subject, session.TypeKept) &&
				subject != "$KV.FAX_SESSIONS."+id {
				subjects = append(subjects, subject)
			}
		}
	}
	return subjects
}

// objects lists the files of a fax.
func (d *desk) objects(id string) (names []string) {
	d.t.Helper()
	for _, pattern := range []string{"faxes/" + id, "index/*/*/*/*-" + id} {
		found, err := filepath.Glob(filepath.Join(d.cfg.Dir, "archive", filepath.FromSlash(pattern)))
		if err != nil {
			d.t.Fatal(err)
		}
		names = append(names, found...)
	}
	return names
}

// A fax under legal hold cannot be purged, through a restart too; a released one can; then nothing of it is left but the record of
// that, and what the provider sends afterwards changes nothing. Its neighbour keeps everything.
func TestHoldReleasePurge(t *testing.T) {
	t.Parallel()
	d := newDesk(t, false)
	fax := func(id string) faxplustest.Fax {
		f := faxplustest.Fax{Session: id, From: "+15550111", Streamed: true, Pages: apptest.Split(t, apptest.Fixture(t, "three-pages-fine-g4"))}
		d.sim.Add(f)
		d.send(apptest.Bodies(f, d.WebhookURL()+ingest.Path)...)
		d.awaitFax(id, hasDocument)
		return f
	}
	f, neighbour := fax("case"), fax("case2")
	before := len(d.objects(neighbour.Session))

	d.do(exitUsage, "hold", "case")
	d.do(exitNotFound, "hold", "nobody", "--reason=case 1")
	d.do(0, "hold", "case", "--reason=case 1", "--by=ada")
	if out := d.do(0, "holds"); !strings.Contains(out, "case ") || !strings.Contains(out, "case 1") || !strings.Contains(out, "ada") ||
		strings.Contains(out, "case2") {
		t.Errorf("holds lists\n%s", out)
	}
	await(t, "the hold in the list", func() bool { return strings.Contains(d.do(0, "ls"), "complete, held") })
	d.do(exitUsage, "purge", "case", "--reason=privacy") // without --yes
	d.do(exitFailed, "purge", "case", "--reason=privacy", "--yes")
	d.restart()
	d.do(exitFailed, "purge", "case", "--reason=privacy", "--yes")
	d.do(0, "release", "case", "--reason=case 1 is over", "--by=ada")
	d.do(exitFailed, "release", "case", "--reason=again")
	if len(d.objects("case")) != 2 {
		t.Fatal("objects of a fax went before it was purged")
	}

	d.do(0, "purge", "case", "--reason=privacy", "--yes", "--by=bob")
	var left []string
	defer func() {
		if t.Failed() {
			t.Log("left: ", left)
		}
	}()
	await(t, "nothing of the fax in archive and streams", func() bool {
		left = append(d.objects("case"), d.stored("case")...)
		return len(left) == 0
	})
	d.awaitFax("case", func(s session.State) bool { return s.Status() == session.StatusPurged })
	if out := d.do(0, "holds", "case"); !strings.Contains(out, "bob") || !strings.Contains(out, "privacy") || strings.Count(out, "\n") != 4 {
		t.Errorf("the log of the fax:\n%s", out)
	}
	resp, err := http.Get(d.AdminURL() + "/api/v1/faxes/case/document.pdf")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusGone {
		t.Errorf("the document of a purged fax: %s, want 410", resp.Status)
	}
	d.do(exitNotFound, "hold", "case", "--reason=too late")

	d.restart()
	d.send(apptest.Bodies(f, d.WebhookURL()+ingest.Path)...) // the provider repeats itself, and a page comes late
	f.Pages = append(f.Pages, f.Pages[0])
	d.sim.Add(f)
	d.send(apptest.Bodies(f, d.WebhookURL()+ingest.Path)...)
	d.quiet(keepDurables)
	if left = d.objects("case"); len(left) > 0 {
		t.Errorf("webhooks brought back %s", left)
	}
	if letters := d.letters(); len(letters) > 0 {
		t.Errorf("webhooks about a purged fax left letters: %+v", letters)
	}
	if s := d.awaitFax(neighbour.Session, hasDocument); s.Purged || len(d.objects(neighbour.Session)) != before {
		t.Errorf("the neighbour is %s and has %s", s.Status(), d.objects(neighbour.Session))
	}
	if got := d.do(0, "get", neighbour.Session, "--output="+filepath.Join(t.TempDir(), "x.pdf")); strings.Contains(got, "error") {
		t.Error(got)
	}
	for kind, n := range map[string]int{session.ActionHeld: 1, session.ActionReleased: 1, session.ActionPurged: 1} {
		if got := d.audit(kind); len(got) != n || got[0].Why == "" || got[0].Session != "case" {
			t.Errorf("FAX_AUDIT has %d of %s: %+v", len(got), kind, got)
		}
	}
}

// loseJetStream also removes what the archive says about it, so that the next start creates it again without a word from a person.
func (d *desk) loseJetStream() {
	d.t.Helper()
	err := errors.Join(d.stop(), os.RemoveAll(filepath.Join(d.cfg.Dir, "nats")), os.RemoveAll(filepath.Join(d.cfg.Archive.Dir, "jetstream")))
	if err != nil {
		d.t.Fatal(err)
	}
}

// The provider still lists a fax that was purged: it is not taken in as a new one, also by a JetStream that was rebuilt.
func TestAPurgedFaxIsNotFoundAgain(t *testing.T) {
	t.Parallel()
	d := newDesk(t, true)
	f := apptest.Silent(t, "case")
	d.sim.Add(f)
	d.send(apptest.Bodies(f, d.WebhookURL()+ingest.Path)...)
	d.awaitFax("case", hasDocument)
	d.do(0, "purge", "case", "--reason=privacy", "--yes")
	await(t, "nothing of the fax in the archive", func() bool { return len(d.objects("case")) == 0 })
	for _, when := range []string{"as it was", "rebuilt"} {
		if when == "rebuilt" {
			d.loseJetStream()
			var out bytes.Buffer
			if code := run(t.Context(), []string{"rebuild", "--dir=" + d.cfg.Dir}, os.Getenv, &out, &out); code != 0 {
				t.Fatalf("rebuild: exit code %d, %s", code, &out)
			}
			d.open()
		}
		if out := d.do(0, "reconcile", "--since=48h", "--json"); !strings.Contains(out, `"outcome":"`+ingest.OutcomeKnown+`"`) {
			t.Errorf("%s: the reconciler says %s", when, out)
		}
		if left := d.objects("*"); len(left) > 0 {
			t.Errorf("%s: the archive has %s", when, left)
		}
	}
}

// What was ordered holds without JetStream's memory: a new one finds hold and purge in the archive.
func TestKeepingOutlivesJetStream(t *testing.T) {
	t.Parallel()
	d := newDesk(t, false)
	f := faxplustest.Fax{Session: "case", Streamed: true, Pages: apptest.Split(t, apptest.Fixture(t, "three-pages-fine-g4"))}
	d.sim.Add(f)
	d.send(apptest.Bodies(f, d.WebhookURL()+ingest.Path)...)
	d.awaitFax("case", hasDocument)
	f.Session = "open"
	d.sim.Add(f)
	d.send(apptest.Bodies(f, d.WebhookURL()+ingest.Path)[:1]...)
	d.awaitFax("open", func(s session.State) bool { return s.Usable.Len() == 1 })
	d.do(0, "hold", "case", "--reason=case 1")
	d.do(0, "hold", "open", "--reason=case 1")
	d.loseJetStream()
	d.open()
	d.send(apptest.Bodies(f, d.WebhookURL()+ingest.Path)[1:2]...)
	d.awaitFax("open", func(s session.State) bool { return s.Held && s.Usable.Len() == 1 })
	f.Session = "case"
	d.do(exitFailed, "purge", "case", "--reason=privacy", "--yes")
	d.send(apptest.Bodies(f, d.WebhookURL()+ingest.Path)...)
	d.awaitFax("case", func(s session.State) bool { return s.Held && s.Revision() == 1 })
	d.do(0, "release", "case", "--reason=case 1 is over")
	d.do(0, "purge", "case", "--reason=privacy", "--yes")
	await(t, "nothing of the fax in the archive", func() bool { return len(d.objects("case")) == 0 })
	d.loseJetStream()
	d.open()
	d.send(apptest.Bodies(f, d.WebhookURL()+ingest.Path)...)
	d.awaitFax("case", func(s session.State) bool { return s.Purged })
	d.quiet(keepDurables)
	if left := d.objects("case"); len(left) > 0 {
		t.Errorf("webhooks brought back %s", left)
	}
}
