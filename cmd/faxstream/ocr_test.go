package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
	"github.com/faxstream/faxstream/ingest"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
)

// Two OCR workers read every page of a fax once, and end when they are told to. They add their subscriber themselves.
func TestOCRWorkers(t *testing.T) {
	d := newDesk(t, false)
	if _, err := exec.LookPath("tesseract"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	d.do(exitUsage, "ocr", "--memory=1")
	d.do(exitFailed, "ocr", "--tesseract=no-such-program")
	ctx, stop := context.WithCancel(t.Context())
	codes := make(chan int, 2)
	for range 2 {
		go func() {
			var out bytes.Buffer
			code := run(ctx, []string{"ocr", "--at-once=1", "--server=" + d.AdminURL()}, func(string) string { return "" }, &out, &out)
			if code != exitOK {
				t.Error(out.String())
			}
			codes <- code
		}()
	}
	await(t, "the subscriber", func() bool { return strings.Contains(d.do(0, "subscriber", "ls"), "ocr ") })
	f := faxplustest.Fax{Session: "case", Streamed: true, Pages: apptest.Split(t, apptest.Fixture(t, "three-pages-fine-g4"))}
	d.sim.Add(f)
	d.send(apptest.Bodies(f, d.WebhookURL()+ingest.Path)...)
	d.awaitFax("case", hasDocument)
	await(t, "the texts of all pages", func() bool {
		return strings.Contains(d.do(0, "subscriber", "ls", "--json"), `"waiting":0,"in_work":0`) && d.hasText("case")
	})
	stop()
	for range 2 {
		if code := <-codes; code != exitOK {
			t.Errorf("a worker ended with code %d", code)
		}
	}
	if words := d.do(0, "get", "case", "--page=2", "--as=words"); !strings.Contains(words, `"engine":"tesseract"`) ||
		!strings.Contains(words, `"box":[`) {
		t.Errorf("the words of page 2 are %.300s", words)
	}
	if n := d.texts("case"); n != 3 {
		t.Errorf("three pages have %d texts", n)
	}
}

// texts is how many texts of a fax are in the archive.
func (d *desk) texts(id string) int {
	d.t.Helper()
	found, err := filepath.Glob(filepath.Join(d.cfg.Dir, "archive", "faxes", id, "text", "*.words.*"))
	if err != nil {
		d.t.Fatal(err)
	}
	return len(found)
}

// hasText reports whether every page of a fax has a text.
func (d *desk) hasText(id string) bool {
	d.t.Helper()
	var out bytes.Buffer
	code := run(d.t.Context(), []string{"get", id, "--as=txt", "--server=" + d.AdminURL()}, func(string) string { return "" }, &out, &out)
	return code == exitOK && !strings.Contains(out.String(), "no text")
}
