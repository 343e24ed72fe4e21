package dashboard

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/faxstream/faxstream/cmd/faxstream/access"
	"github.com/faxstream/faxstream/pipeline/ocr"
	"github.com/faxstream/faxstream/pipeline/pipelinetest"
	"github.com/faxstream/faxstream/pipeline/session"
)

var raster = strings.Repeat("ab", 32)

// ocrDesk is a desk with tokens of an OCR service (scopes text and read, limited to the office), of a reader, and of a sender of texts who
// may not read; and where results go.
func ocrDesk(t *testing.T) (*listener, *pipelinetest.Desk) {
	t.Helper()
	store := &pipelinetest.Desk{Objects: map[string][]byte{}, Events: map[string][]byte{}}
	d := newListener(t, func(c *Config) {
		s := fourFaxes()
		s.facts = map[int]session.PageArchived{
			1: {Session: "mine", Page: 1, ToToken: "13343040000", RasterSHA256: raster, Width: 100, Height: 50},
		}
		c.Ledgers, c.Archive = s, s
		c.PNGScale = func(session.PageArchived) (x, y int) { return 1, 2 }
		c.Texts = &ocr.Results{Facts: store, Archive: store}
	})
	d.admit(t, "ocr", []access.Scope{access.ScopeRead, access.ScopeText}, office)
	d.admit(t, "reader", []access.Scope{access.ScopeRead})
	d.admit(t, "sender", []access.Scope{access.ScopeText})
	return d, store
}

func textPath(id, page string, query ...string) string {
	q := url.Values{"engine": {"tesseract"}, "format": {"plain"}, "raster": {raster}}
	for i := 0; i < len(query); i += 2 {
		q.Set(query[i], query[i+1])
	}
	return "/api/v1/faxes/" + id + "/pages/" + page + "/text?" + q.Encode()
}

// What an OCR service sends is there for readers, as text, as words and as it was sent; the same again is no second one.
func TestTextsComeBack(t *testing.T) {
	d, store := ocrDesk(t)
	path := textPath("mine", "1", "version", "5.3.0", "languages", "eng,deu", "orientation", "180", "orientation_confidence", "2.5")
	for _, want := range []int{http.StatusCreated, http.StatusOK} {
		status, answer := d.Ask("ocr", "PUT", path, "Order 4711\nnow\n")
		var fact session.TextRecognised
		if err := json.Unmarshal([]byte(answer), &fact); err != nil || status != want || fact.Count != 3 || fact.Session != "mine" ||
			fact.Orientation == nil || *fact.Orientation != (session.TextOrientation{Degrees: 180, Confidence: 2.5}) {
			t.Errorf("status %d, want %d: %s, %v", status, want, answer, err)
		}
	}
	if len(store.Objects) != 2 || len(store.Events) != 1 {
		t.Errorf("%d objects and %d events, want a result, its words and one event", len(store.Objects), len(store.Events))
	}
	for form, want := range map[string]string{
		"pages/1/text/txt": "Order 4711\nnow\n", "pages/1/text/sent": "Order 4711\nnow\n", "pages/1/text/words": `"by":"ocr"`,
		"document.txt": "Order 4711\nnow\n\f",
	} {
		for _, reader := range []string{"ocr", "reader"} {
			if status, body := d.Ask(reader, "GET", "/api/v1/faxes/mine/"+form, ""); status != http.StatusOK || !strings.Contains(body, want) {
				t.Errorf("%s as %s: %d %s", form, reader, status, body)
			}
		}
	}
}

// The page for one page shows its image, turned and larger on request, and beside it what an OCR engine read; a word with a place lies on
// the image. A look is recorded.
func TestAPageIsViewed(t *testing.T) {
	d, _ := ocrDesk(t)
	const hocr = `<html><body><div class="ocr_page" title="bbox 0 0 100 50"><p class="ocr_par"><span class="ocr_line" title="bbox 1 2 90 6">` +
		`<span class="ocrx_word" title="bbox 1 2 40 6">Order</span> <span class="ocrx_word" title="bbox 45 2 90 6">&lt;4711&gt;</span>` +
		`</span></p></div></body></html>`
	_, before := d.Ask("reader", "GET", "/fax/mine/pages/1", "")
	if !strings.Contains(before, `src="/api/v1/faxes/mine/pages/1.png"`) || strings.Contains(before, "<pre") {
		t.Errorf("before there is a text: %s", before)
	}
	if status, answer := d.Ask("ocr", "PUT", textPath("mine", "1", "format", "hocr"), hocr); status != http.StatusCreated {
		t.Fatal(status, answer)
	}
	_, page := d.Ask("reader", "GET", "/fax/mine/pages/1?zoom=200&turn=90", "")
	for _, want := range []string{
		"Order &lt;4711&gt;", `<rect x="1" y="2" width="39" height="4"><title>Order</title>`, "rotate(90deg)", "zoom=200&amp;turn=180",
		"aspect-ratio: 100 / 100; width: 200px", // of a PNG with doubled rows
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %s in %s", want, page)
		}
	}
	_, page = d.Ask("reader", "GET", "/fax/mine/pages/1?words=4711+nothing", "")
	for _, want := range []string{
		`<mark>4711 nothing</mark>`, `Order <mark>&lt;4711&gt;</mark>`, `<rect class="found" x="45" y="2" width="45" height="4">`,
		`<rect x="1" y="2" width="39" height="4">`, "zoom=200&amp;turn=0&amp;words=4711&#43;nothing",
		`pages/1?zoom=fit&amp;turn=0">Hide the marks`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %s in %s", want, page)
		}
	}
	if n := len(d.recorded); n < 2 || d.recorded[n-1].Kind != session.AccessView || d.recorded[n-1].Page != 1 {
		t.Errorf("recorded are %+v", d.recorded)
	}
	for path, want := range map[string]int{
		"/fax/mine/pages/1?words=!": 400, "/fax/mine/pages/1?zoom=17": 400, "/fax/mine/pages/1?turn=1": 400,
		"/fax/mine/pages/0": 400, "/fax/mine/pages/9": 404, "/fax/none/pages/1": 404,
	} {
		if status, page := d.Ask("reader", "GET", path, ""); status != want || !strings.Contains(page, "This did not work") {
			t.Errorf("%s: %d, want %d", path, status, want)
		}
	}
}

// Each mistake has its sentence, and nothing of it is stored.
func TestTextsThatAreRefused(t *testing.T) {
	d, store := ocrDesk(t)
	for _, row := range []struct {
		name, token, path, body string
		status                  int
		want                    string
	}{
		{"no login", "", textPath("mine", "1"), "x", 401, ""},
		{"a reader", "reader", textPath("mine", "1"), "x", 403, "text"},
		{"another's fax", "ocr", textPath("other", "1"), "x", 404, "no fax has the session other"},
		{"no such fax", "ocr", textPath("nothing", "1"), "x", 404, "no fax has the session nothing"},
		{"no such page", "ocr", textPath("mine", "2"), "x", 404, "session mine has no archived page 2"},
		{"a page that cannot be", "ocr", textPath("mine", "0"), "x", 400, `page \"0\": want 1 to`},
		{"another image", "ocr", textPath("mine", "1", "raster", strings.Repeat("0", 64)), "x", 409, "read the page again"},
		{"no raster", "ocr", textPath("mine", "1", "raster", ""), "x", 400, "raster: want the raster_sha256"},
		{"no engine", "ocr", textPath("mine", "1", "engine", ""), "x", 400, `engine \"\": want`},
		{"a slope", "ocr", textPath("mine", "1", "orientation", "45", "orientation_confidence", "1"), "x", 400, "want 0, 90, 180 or 270"},
		{"no orientation", "ocr", textPath("mine", "1", "orientation", "up"), "x", 400, `orientation \"up\"`},
		{"a word of confidence", "ocr", textPath("mine", "1", "orientation", "90"), "x", 400, "orientation_confidence"},
		{"no confidence", "ocr", textPath("mine", "1", "orientation", "90", "orientation_confidence", "NaN"), "x", 400, "confidence NaN"},
		{"another format", "ocr", textPath("mine", "1", "format", "docx"), "x", 400, `format \"docx\": want one of`},
		{"broken XML", "ocr", textPath("mine", "1", "format", "alto"), "<alto><TextLine>", 400, "alto: line 1"},
		{"an entity", "ocr", textPath("mine", "1", "format", "alto"), `<!DOCTYPE alto [<!ENTITY a "b">]><alto>&a;</alto>`, 400, "entity"},
		{"50 MB", "ocr", textPath("mine", "1"), strings.Repeat("x", 50<<20), 413, "at most 8388608 bytes"},
	} {
		status, answer := d.Ask(row.token, "PUT", row.path, row.body)
		if status != row.status || !strings.Contains(answer, row.want) {
			t.Errorf("%s: %d %.300s, want %d %s", row.name, status, answer, row.status, row.want)
		}
	}
	if len(store.Objects)+len(store.Events) > 0 {
		t.Errorf("%d objects and %d events are stored", len(store.Objects), len(store.Events))
	}
	for path, want := range map[string]string{
		"pages/1/text/txt": "no text yet", "document.txt": "no text yet", "pages/1/text/pdf": "want txt, words or sent",
		"document.searchable.pdf": "no searchable document", "pages/x/text/txt": "want 1 to", "pages/2/text/txt": "no archived page 2",
	} {
		status, answer := d.Ask("ocr", "GET", "/api/v1/faxes/mine/"+path, "")
		if status < 400 || status > 404 || !strings.Contains(answer, want) {
			t.Errorf("%s: %d %s", path, status, answer)
		}
	}
	if status, _ := d.Ask("sender", "GET", "/api/v1/faxes/mine", ""); status != http.StatusForbidden {
		t.Errorf("who may only send texts reads a fax: %d", status)
	}
	if status, answer := d.Ask("sender", "PUT", textPath("mine", "1"), "x"); status != http.StatusCreated {
		t.Errorf("who may send texts sends one: %d %s", status, answer)
	}
}
