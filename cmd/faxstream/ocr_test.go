package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/cmd/faxstream/app"
	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
	"github.com/faxstream/faxstream/cmd/faxstream/faxgen"
	"github.com/faxstream/faxstream/ingest"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/session"
)

// Two OCR workers read every page of a fax once, and end when they are told to. They add their subscriber themselves.
func TestOCRWorkers(t *testing.T) {
	d := newDesk(t, false)
	for _, tool := range []string{"tesseract", "ocrmypdf", "qpdf", "pdftotext"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
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
		!strings.Contains(words, `"box":[`) || !strings.Contains(words, `"orientation":{"degrees":0,`) {
		t.Errorf("the words of page 2 are %.300s", words)
	}
	if n := len(d.texts("case")); n != 3 {
		t.Errorf("three pages have %d texts", n)
	}
	await(t, "the searchable document", func() bool { return d.code("get", "case", "--as=searchable") == exitOK })
	d.searchable("case")
	d.search()
	for path, want := range map[string]string{"/api/v1/faxes/case": `"searchable":true`, "/fax/case": "PDF with text"} {
		if page := d.body(path); !strings.Contains(page, want) {
			t.Errorf("%s has no %q: %.2000s", path, want, page)
		}
	}
	d.do(0, "purge", "case", "--reason=privacy", "--yes")
	await(t, "the purge", func() bool { return d.code("search", "metformin") == exitNotFound })
}

// A server that reads pages itself adds its subscriber, and reads every page.
func TestServeReadsPages(t *testing.T) {
	if testing.Short() {
		t.Skip("Tesseract reads three pages")
	}
	if _, err := exec.LookPath("tesseract"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	sim, flags := newSimulator(t, faxplustest.Config{})
	p := serve(t, nil, append(flags, "--dir="+t.TempDir(), "--ocr", "--ocr-at-once=1", patientGrace)...)
	await(t, "the subscriber", func() bool {
		return strings.Contains(command(t, "subscriber", "ls", "--server="+p.ready.Admin), "ocr ")
	})
	f := faxplustest.Fax{Session: "case", Streamed: true, Pages: apptest.Split(t, apptest.Fixture(t, "three-pages-fine-g4"))}
	p.send(sim, f)
	p.awaitComplete("case")
	await(t, "the text of the fax", func() bool { return p.fax("case").Searchable })
	await(t, "no page waits to be read", func() bool {
		waiting, shown := metrics(t, p)[`faxstream_backlog_pages{role="ocr"}`]
		return shown && waiting == 0
	})
	if text := command(t, "get", "case", "--as=txt", "--server="+p.ready.Admin); strings.Count(text, "\f") < 2 || len(text) < 100 {
		t.Errorf("the text is %q", text)
	}
}

// texts are the texts of a fax in the archive; of all faxes for *.
func (d *desk) texts(id string) (texts []archive.PageText) {
	d.t.Helper()
	found, err := filepath.Glob(filepath.Join(d.cfg.Dir, "archive", "faxes", id, "text", "*.words.*.json"))
	if err != nil {
		d.t.Fatal(err)
	}
	for _, file := range found {
		var p archive.PageText
		if err := json.Unmarshal(apptest.ReadFile(d.t, file), &p); err != nil {
			d.t.Fatalf("%s: %v", file, err)
		}
		texts = append(texts, p)
	}
	return texts
}

// hasText reports whether every page of a fax has a text.
func (d *desk) hasText(id string) bool {
	d.t.Helper()
	return d.code("get", id, "--as=txt") == exitOK && !strings.Contains(d.do(0, "get", id, "--as=txt"), "no text")
}

// Three workers read faxes whose provider does what it does wrong in the demo with --chaos, and one worker is killed whenever another page
// is read: every usable page has one text of each of its images, and each fax that has a usable page is searchable.
func TestOCRWorkersAreKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("Tesseract reads three faxes")
	}
	if _, err := exec.LookPath("tesseract"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	const seed = 3
	log := slog.New(slog.DiscardHandler)
	faxes, err := faxgen.Order{Count: 3, Seed: seed, Chaos: true}.Faxes()
	if err != nil {
		t.Fatal(err)
	}
	sim, err := faxgen.StartSimulator("127.0.0.1:0", faxplustest.Config{Seed: seed}, log)
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{t: t, cfg: app.DemoConfig(t.TempDir(), sim.URL, true, log)}
	d.cfg.PageDeadline, d.cfg.WholeFor = 30*time.Second, 30*time.Second // a busy machine comes to the second try late
	d.cfg.NATS.Embedded.Listen, d.cfg.NATS.Embedded.Insecure = "127.0.0.1:0", true
	d.open()
	t.Cleanup(func() {
		if err := errors.Join(d.stop(), sim.Stop()); err != nil {
			t.Error(err)
		}
	})
	d.do(0, "subscriber", "add", "ocr", "--lease=10s")
	var trials []*app.Trial
	over := make(chan error, 1)
	go func() {
		trials, err = app.RunTrials(t.Context(), d.App, sim, faxes, 2*d.cfg.WholeFor, func(session.DocAssembled) {})
		over <- err
	}()
	d.killWorkers(over)
	d.awaitRead("ocr")
	for _, tr := range trials {
		id, usable := tr.Fax.Session, tr.State.Usable
		if wrong := tr.Wrong(); wrong != "" {
			t.Errorf("%s with %v: %s", id, tr.Fax.Faults, wrong)
		}
		if usable.Len() == 0 {
			continue
		}
		await(t, "the searchable document of "+id, func() bool { return d.code("get", id, "--as=searchable") == exitOK })
		images := map[string]bool{}
		for _, p := range d.texts(id) {
			image := fmt.Sprintf("%d of raster %s", p.Page, p.RasterSHA256)
			if images[image] {
				t.Errorf("%s: the image of page %s has two texts", id, image)
			}
			images[image] = true
		}
		if len(images) < usable.Len() {
			t.Errorf("%s: %d usable pages, %d images with a text", id, usable.Len(), len(images))
		}
	}
}

// awaitRead waits until a subscriber has nothing left to do, however long that takes, as long as it goes on.
func (d *desk) awaitRead(name string) {
	d.t.Helper()
	left := func() int {
		for line := range strings.Lines(d.do(0, "subscriber", "ls", "--json")) {
			var s api.Subscriber
			if err := json.Unmarshal([]byte(line), &s); err != nil {
				d.t.Fatal(err)
			}
			if s.Name == name {
				return s.Waiting + s.InWork
			}
		}
		d.t.Fatalf("there is no subscriber %s", name)
		return 0
	}
	for before := left(); before > 0; {
		now := before
		await(d.t, fmt.Sprintf("fewer than %d pages to read", before), func() bool { now = left(); return now < before })
		before = now
	}
}

// killWorkers runs three workers, and kills one of them whenever there is another text, until over has a value.
func (d *desk) killWorkers(over <-chan error) {
	d.t.Helper()
	worker := func() func() {
		return d.start(io.Discard, "env", asProgram+"=1", os.Args[0], "ocr", "--at-once=1", "--server="+d.AdminURL())
	}
	kills := []func(){worker(), worker(), worker()}
	ended := false
	for n, texts := 0, 0; !ended; n++ {
		await(d.t, "another text, or the end of the faxes", func() bool {
			select {
			case err := <-over:
				if ended = true; err != nil {
					d.t.Fatal(err)
				}
			default:
			}
			return ended || len(d.texts("*")) > texts
		})
		texts = len(d.texts("*"))
		kills[n%3]()
		kills[n%3] = worker()
	}
}

// body is what the admin listener answers.
func (d *desk) body(path string) string {
	d.t.Helper()
	resp, err := http.Get(d.AdminURL() + path)
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	return string(data)
}

// code is how a command ends, whose output does not matter.
func (d *desk) code(args ...string) int {
	d.t.Helper()
	return run(d.t.Context(), append(args, "--server="+d.AdminURL()), func(string) string { return "" }, io.Discard, io.Discard)
}

// search finds the fax of TestOCRWorkers, also after the index was made again while the server runs, and the audit says so.
func (d *desk) search() {
	d.t.Helper()
	await(d.t, "the text in the index", func() bool { return d.code("search", "metformin") == exitOK })
	for range 2 {
		found := d.do(0, "search", "metformin", "tabl*", "--status=complete")
		if !strings.Contains(found, "  case  from ") || !strings.Contains(found, "    page 1: ") || !strings.Contains(found, "»Metformin«") {
			d.t.Errorf("the search prints %s", found)
		}
		if found := d.do(0, "search", "--json", `"service agreement"`); !strings.Contains(found, `"found":[{"page":2,"snippet":[`) {
			d.t.Errorf("the search prints %s", found)
		}
		d.do(exitNotFound, "search", "metformin", "agreement") // no page has both
		if list := d.do(0, "ls", "--text=metformin tabl*", "--status=complete"); !strings.Contains(list, "  case  ") {
			d.t.Errorf("the list by text is %s", list)
		}
		if list := d.do(0, "ls", "--text=metformin agreement"); strings.Contains(list, "  case  ") {
			d.t.Errorf("the list by text has a fax without the words: %s", list)
		}
		d.do(exitUsage, "search", "-", "--limit=1")
		var out, errs bytes.Buffer
		code := run(d.t.Context(), []string{"reindex", "--dir=" + d.cfg.Dir}, func(string) string { return "" }, &out, &errs)
		if code != exitOK || out.String() != "faxes: 1, pages with a text: 3, removed: 0\n" {
			d.t.Errorf("reindex ends with code %d: %s%s", code, &out, &errs)
		}
	}
	if audit := d.do(0, "audit", "--since=1h"); !strings.Contains(audit, "search") {
		d.t.Errorf("the audit has no search: %s", audit)
	}
}

// searchable checks the searchable document of a fax with the programs of others: its text is what the engine recognised, in that order,
// the words lie on the ink, and a program that adds text to PDFs says that this one has it.
func (d *desk) searchable(id string) {
	d.t.Helper()
	path := filepath.Join(d.t.TempDir(), "searchable.pdf")
	d.do(0, "get", id, "--as=searchable", "--output="+path)
	judge := func(name string, args ...string) string {
		d.t.Helper()
		out, err := exec.CommandContext(d.t.Context(), name, args...).CombinedOutput()
		if err != nil {
			d.t.Fatalf("%s: %v\n%s", name, err, out)
		}
		return string(out)
	}
	judge("qpdf", "--check", path)
	want, got := strings.Fields(d.do(0, "get", id, "--as=txt")), strings.Fields(judge("pdftotext", "-raw", path, "-"))
	if len(want) < 100 || !slices.Equal(got, want) {
		d.t.Errorf("pdftotext reads %d words, want %d, or others: %.300q, want %.300q", len(got), len(want), got, want)
	}
	boxes := judge("pdftotext", "-bbox", path, "-")
	for page, part := range strings.Split(boxes, "<page ")[1:] {
		name := fmt.Sprintf("%s-%d", path, page+1)
		judge("pdftoppm", "-gray", "-r", "72", "-singlefile", "-f", fmt.Sprint(page+1), path, name)
		all, covered, empty := inkUnder(d.t, name+".pgm", part)
		if covered < 0.6*all || len(empty) > 0 { // the rest is lines, and a signature
			d.t.Errorf("page %d: words cover %.0f of %.0f ink; no ink is under %v", page+1, covered, all, empty)
		}
	}
	out, err := exec.Command("ocrmypdf", path, path+".ocr").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "already has text") {
		d.t.Errorf("ocrmypdf says %v %s", err, out)
	}
}

var wordBox = regexp.MustCompile(`<word xMin="([^"]*)" yMin="([^"]*)" xMax="([^"]*)" yMax="([^"]*)">`)

// inkUnder is how much ink a page of 72 pixels per inch has, how much of that lies in the boxes of words, which are in points, and which
// boxes have nearly none.
func inkUnder(t *testing.T, path, boxes string) (all, covered float64, empty []string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var width, height, most int
	if _, err := fmt.Sscanf(string(data[:min(len(data), 40)]), "P5\n%d %d\n%d\n", &width, &height, &most); err != nil {
		t.Fatal(err)
	}
	gray := data[len(data)-width*height:]
	ink := func(r image.Rectangle, counted []bool) (n float64) {
		for y := r.Min.Y; y < r.Max.Y; y++ {
			for x := r.Min.X; x < r.Max.X; x++ {
				if at := y*width + x; !counted[at] {
					counted[at], n = true, n+float64(255-int(gray[at]))/255
				}
			}
		}
		return n
	}
	page := image.Rect(0, 0, width, height)
	counted := make([]bool, width*height)
	for _, m := range wordBox.FindAllStringSubmatch(boxes, -1) {
		var side [4]float64
		for i := range side {
			if side[i], err = strconv.ParseFloat(m[i+1], 64); err != nil {
				t.Fatal(err)
			}
		}
		box := image.Rect(int(side[0]), int(side[1]), int(side[2])+1, int(side[3])+1).Intersect(page)
		covered += ink(box, counted)
		if n := ink(box, make([]bool, width*height)); n < 0.03*float64(box.Dx()*box.Dy()) {
			empty = append(empty, m[0])
		}
	}
	return ink(page, make([]bool, width*height)), covered, empty
}
