package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
	"github.com/faxstream/faxstream/cmd/faxstream/watch"
	"github.com/faxstream/faxstream/ingest"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/pipeline/session"
)

// A page that is streamed otherwise than it is in the whole file is seen in ls and metrics, both images can be fetched, and a person
// chooses one; all of it through a restart.
func TestAPersonSeesADifferenceAndChooses(t *testing.T) {
	t.Parallel()
	d := newDesk(t, false)
	if err := d.stop(); err != nil {
		t.Fatal(err)
	}
	d.cfg.Reconcile = session.ReconcileAll
	d.open()
	whole := apptest.Fixture(t, "three-pages-fine-g4")
	pages := apptest.Split(t, whole)
	f := faxplustest.Fax{Session: "case", Streamed: true, Pages: [][]byte{pages[0], pages[0], pages[2]}, Whole: whole}
	good := faxplustest.Fax{Session: "good", Streamed: true, Pages: pages, Whole: whole}
	for _, f := range []faxplustest.Fax{f, good} {
		d.sim.Add(f)
		d.send(apptest.Bodies(f, d.WebhookURL()+ingest.Path)...)
	}
	d.awaitFax("good", func(s session.State) bool { return s.Verification() == session.VerificationVerified })
	d.awaitFax("case", func(s session.State) bool { return s.Verification() == session.VerificationDiffers })
	for range 2 {
		await(t, "the difference in the list", func() bool {
			out := d.do(0, "ls", "--differs")
			return strings.Contains(out, "complete, page 2 differs") && !strings.Contains(out, "good")
		})
		if text := string(apptest.Fetch(t, d.AdminURL()+"/metrics")); !strings.Contains(text, "faxstream_differing_pages 1\n") {
			t.Error("the metrics do not say that a page differs")
		}
		d.awaitLetters("choice 2")
		d.restart()
	}
	for image, want := range map[string][]byte{"streamed": pages[0], "file": pages[1], "auto": pages[0]} {
		file := filepath.Join(t.TempDir(), "page.tiff")
		d.do(0, "get", "case", "--page=2", "--as=original", "--image="+image, "--output="+file)
		if apptest.PixelsOf(t, apptest.ReadFile(t, file)) != apptest.PixelsOf(t, want) {
			t.Errorf("the image %s is another", image)
		}
	}

	d.do(exitUsage, "choose", "case", "--page=2", "--image=best", "--reason=x")
	d.do(exitUsage, "choose", "case", "--page=2", "--image=file") // without a reason
	d.do(exitNotFound, "choose", "nobody", "--page=2", "--image=file", "--reason=x")
	d.do(exitFailed, "choose", "case", "--page=1", "--image=file", "--reason=x") // it does not differ
	out := d.do(0, "choose", "case", "--page=2", "--image=file", "--reason=it is page 1 twice", "--by=ada")
	if out != "chosen case page 2 file revision 2\n" {
		t.Errorf("choose says %q", out)
	}
	s := d.awaitFax("case", func(s session.State) bool { return s.Revision() == 2 })
	document := apptest.Parse(t, apptest.ReadFile(t, filepath.Join(d.cfg.Dir, "archive", filepath.FromSlash(s.Document.TIFF.Key))))
	if apptest.PixelsOfPage(t, document, 1) != apptest.PixelsOf(t, pages[1]) {
		t.Error("the document does not have the image that was chosen")
	}
	await(t, "no difference in the list", func() bool { return !strings.Contains(d.do(0, "ls", "--differs"), "case") })
	d.awaitLetters()
	if out := d.do(0, "audit", "--session=case"); !strings.Contains(out, "chosen file") || !strings.Contains(out, "it is page 1 twice") {
		t.Errorf("the audit says\n%s", out)
	}
	if out := d.do(0, "choose", "case", "--page=2", "--image=streamed", "--reason=no"); !strings.Contains(out, "revision 3") {
		t.Errorf("another choice says %q", out)
	}
	if _, err := os.Stat(filepath.Join(d.cfg.Dir, "archive", "faxes", "case", "r4")); err == nil {
		t.Error("there is a revision that nobody asked for")
	}
}

// What a comparison found is a line for people that names pages and differences.
func TestWatchTellsWhatDiffers(t *testing.T) {
	text, err := watch.EventText([]byte(`{"type":"fax.v1.doc.verified","time":"2026-11-24T12:00:00Z","data":{"session":"case","revision":1,
		"differing":[[2,2],[4,5]],"differences":{"inverted":[[4,5]],"blank_against_ink":[[2,2]]}}}`))
	want := "fax.v1.doc.verified case revision 1 page 2 differs (blank_against_ink) pages 4-5 differ (inverted)"
	if err != nil || !strings.HasSuffix(text, want) {
		t.Errorf("%q, %v, want %q", text, err, want)
	}
}
