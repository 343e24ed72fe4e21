package ocr_test

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/ocr"
	"github.com/faxstream/faxstream/pipeline/pipelinetest"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/text"
)

var noon = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

// page is a page of standard resolution: its PNG has every row twice.
func page(raster string) session.PageArchived {
	return session.PageArchived{
		Session: "fax", Page: 1, ToToken: "15550100", RasterSHA256: strings.Repeat(raster, 64), Width: 100, Height: 50, XResolution: 204,
		YResolution: 98,
	}
}

func result(engine, words string, at time.Time) session.OCRResult {
	tsv := "level\tblock_num\tpar_num\tline_num\tleft\ttop\twidth\theight\tconf\ttext\n"
	for i, w := range strings.Fields(words) {
		tsv += fmt.Sprintf("5\t1\t1\t%d\t10\t20\t30\t40\t%d\t%s\n", 1+i/2, 80+i, w)
	}
	return session.OCRResult{Engine: engine, Format: text.TSV, Read: session.ReadPNG, Data: []byte(tsv), At: at}
}

func newResults() (*ocr.Results, *pipelinetest.Desk) {
	d := &pipelinetest.Desk{Objects: map[string][]byte{}, Events: map[string][]byte{}}
	return &ocr.Results{Facts: d, Archive: d}, d
}

// A result is in the archive as it was sent and as words on the page, and its event says where.
func TestAResultIsArchivedAndPublished(t *testing.T) {
	r, d := newResults()
	res := result("tesseract", "Order 4711 now", noon)
	res.Version, res.Languages, res.By = "5.3.0", []string{"eng"}, "ocr-1"
	f, repeat, err := r.Take(t.Context(), page("a"), res)
	if err != nil || repeat {
		t.Fatal(err, repeat)
	}
	if f.Count != 3 || f.Confidence == nil || *f.Confidence < 0.8 || *f.Confidence > 0.83 || f.Engine != "tesseract" || !f.At.Equal(noon) {
		t.Errorf("the event says %+v", f)
	}
	if string(d.Objects[f.Result.Key]) != string(res.Data) || d.Events[f.Subject()] == nil {
		t.Errorf("the archive has %q, the stream %q", slices.Collect(maps.Keys(d.Objects)), slices.Collect(maps.Keys(d.Events)))
	}
	p, err := archive.ParseText(d.Objects[f.Words.Key])
	box := text.Box{Left: 10, Top: 10, Right: 40, Bottom: 30} // half as high as on the PNG
	if err != nil || p.By != "ocr-1" || p.Version != "5.3.0" || len(p.Words) != 3 || *p.Words[0].Box != box {
		t.Errorf("the words are %+v, %v", p, err)
	}
	for as, want := range map[string]string{
		ocr.AsText: "Order 4711\nnow\n", ocr.AsSent: string(res.Data), ocr.AsWords: string(d.Objects[f.Words.Key]),
	} {
		if got, key, err := r.Text(t.Context(), page("a"), as, ""); err != nil || string(got) != want || d.Objects[key] == nil {
			t.Errorf("as %s: %q of %s, %v", as, got, key, err)
		}
	}
}

// Whatever write fails, the same result that comes again completes what is there: one result, one text, one event.
func TestAResultIsThereOnceAfterEveryFault(t *testing.T) {
	for at := range 3 {
		for _, persist := range []bool{false, true} {
			r, d := newResults()
			writes := 0
			d.Before = func(string) (bool, bool) {
				writes++
				return persist || writes-1 != at, writes-1 == at
			}
			if _, _, err := r.Take(t.Context(), page("a"), result("x", "one", noon)); !errors.Is(err, pipelinetest.ErrDesk) {
				t.Fatalf("write %d: %v", at, err)
			}
			d.Before = nil
			f, _, err := r.Take(t.Context(), page("a"), result("x", "one", noon.Add(time.Hour)))
			if err != nil || len(d.Objects) != 2 || len(d.Events) != 1 || len(d.Wrong) > 0 {
				t.Errorf("write %d, persists %t: %v; %d objects, %d events, %v", at, persist, err, len(d.Objects), len(d.Events), d.Wrong)
			}
			if _, repeat, err := r.Take(t.Context(), page("a"), result("x", "one", noon.Add(2*time.Hour))); err != nil || !repeat {
				t.Errorf("write %d: the same once more: %t, %v", at, repeat, err)
			}
			if p, err := archive.ParseText(d.Objects[f.Words.Key]); err != nil || !p.At.Equal(f.At) {
				t.Errorf("write %d: the text is of %s, the event of %s, %v", at, p.At, f.At, err)
			}
		}
	}
}

// The newest result counts of the image that counts. An older one of another engine, and those of other images, stay.
func TestWhichResultCounts(t *testing.T) {
	r, d := newResults()
	take := func(image, engine, words string, after time.Duration) {
		t.Helper()
		if _, _, err := r.Take(t.Context(), page(image), result(engine, words, noon.Add(after))); err != nil {
			t.Fatal(err)
		}
	}
	text := func(image, engine string) string {
		t.Helper()
		got, _, err := r.Text(t.Context(), page(image), ocr.AsText, engine)
		if errors.Is(err, fs.ErrNotExist) {
			return "none"
		}
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(got))
	}
	take("a", "one", "first", 2*time.Minute)
	take("a", "two", "second", time.Minute)
	take("b", "two", "other", time.Hour)
	take("b", "two", "second", 2*time.Hour) // the same bytes as of image a
	for _, row := range []struct{ image, engine, want string }{
		{"a", "", "first"}, {"a", "two", "second"}, {"a", "three", "none"}, {"b", "", "second"}, {"b", "one", "none"}, {"c", "", "none"},
	} {
		if got := text(row.image, row.engine); got != row.want {
			t.Errorf("image %s, engine %q: %q counts, want %q", row.image, row.engine, got, row.want)
		}
	}
	if len(d.Events) != 4 {
		t.Errorf("%d events, want one a result", len(d.Events))
	}
	for key, data := range d.Objects { // somebody damages the newest text of image a
		if p, err := archive.ParseText(data); err == nil && p.RasterSHA256 == page("a").RasterSHA256 && p.Engine == "one" {
			d.Objects[key] = []byte(strings.Replace(string(data), "first", "worst", 1))
		}
	}
	if got := text("a", ""); got != "second" {
		t.Errorf("beside a damaged text %q counts", got)
	}
}

// A result that cannot be taken gets a sentence, and nothing of it stays.
func TestBadResults(t *testing.T) {
	for want, change := range map[string]func(*session.OCRResult){
		`engine "Tess eract"`:                   func(r *session.OCRResult) { r.Engine = "Tess eract" },
		`engine "../x"`:                         func(r *session.OCRResult) { r.Engine = "../x" },
		`format "pdf": want one of`:             func(r *session.OCRResult) { r.Format = "pdf" },
		`read "page": want png or original`:     func(r *session.OCRResult) { r.Read = "page" },
		"version: want at most 100":             func(r *session.OCRResult) { r.Version = strings.Repeat("1", 101) },
		`language "": want 1 to 40`:             func(r *session.OCRResult) { r.Languages = []string{""} },
		"21 languages, want at most 20":         func(r *session.OCRResult) { r.Languages = make([]string, 21) },
		"is not UTF-8":                          func(r *session.OCRResult) { r.Data = []byte("\xff") },
		"no column level":                       func(r *session.OCRResult) { r.Data = []byte("hello") },
		"is not on the image of 100 x 50 pixel": func(r *session.OCRResult) { r.Read = session.ReadOriginal },
	} {
		r, d := newResults()
		res := result("x", "one two", noon)
		change(&res)
		_, _, err := r.Take(t.Context(), page("a"), res)
		if _, ok := errors.AsType[*session.BadResult](err); !ok || !strings.Contains(err.Error(), want) || len(d.Objects)+len(d.Events) > 0 {
			t.Errorf("want %q: %v; %d objects and %d events are there", want, err, len(d.Objects), len(d.Events))
		}
	}
}

// A page has a bounded number of results.
func TestAPageHasAHundredResults(t *testing.T) {
	r, d := newResults()
	for i := range 100 {
		if _, _, err := r.Take(t.Context(), page("a"), result("x", fmt.Sprint("word", i), noon)); err != nil {
			t.Fatal(err)
		}
	}
	_, _, err := r.Take(t.Context(), page("a"), result("x", "more", noon))
	if _, ok := errors.AsType[*session.BadResult](err); !ok || !strings.Contains(err.Error(), "has 100 results") || len(d.Objects) != 200 {
		t.Errorf("one more: %v; %d objects", err, len(d.Objects))
	}
	other := page("a")
	other.Page = 2
	if _, _, err := r.Take(t.Context(), other, result("x", "more", noon)); err != nil {
		t.Errorf("another page: %v", err)
	}
}

// An engine that finds nothing says that the page is blank.
func TestABlankPageHasAnEmptyText(t *testing.T) {
	r, _ := newResults()
	f, _, err := r.Take(t.Context(), page("a"), result("x", "", noon))
	if err != nil || f.Count != 0 || f.Confidence != nil {
		t.Errorf("%+v, %v", f, err)
	}
	if got, _, err := r.Text(t.Context(), page("a"), ocr.AsText, ""); err != nil || len(got) > 0 {
		t.Errorf("%q, %v", got, err)
	}
}
