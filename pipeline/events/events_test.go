package events_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/events"
	"github.com/faxstream/faxstream/pipeline/session"
)

var update = flag.Bool("update", false, "write the golden files anew")

const sum64 = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

func object(name string) session.Object {
	return session.Object{Key: "faxes/s1/" + name, Size: 4711, SHA256: sum64}
}

// full are the events with every field set, as facts.
func full() map[string]session.Fact {
	at := time.Date(2026, 11, 27, 12, 30, 5, 0, time.UTC)
	kept, tiff := object("pages/0001.0011223344556677.rejected"), object("r1/document.0011223344556677.tiff")
	page := session.PageArchived{
		Session: "s1", Page: 1, From: "+1 334-304-0000", To: "+1 334-304-0001", ToToken: "13343040001", Source: session.SourceFetch,
		Original: object("pages/0001.0011223344556677.tiff"), PNG: object("pages/0001.0011223344556677.png"), RasterSHA256: sum64,
		Width: 1728, Height: 2200, XResolution: 204, YResolution: 196, Samples: 3, Coding: "jpeg", BadRows: 3, LongestBad: 2,
		Quality:    &session.Quality{Blank: true, Ink: 1, Skew: -5000, SkewKnown: true, Border: 2, Isolated: 3},
		CleanStrip: &session.Strip{Size: 1234, SHA256: sum64}, EventTime: at, BodySHA256: sum64,
		Received: &session.Received{BadRows: 4, LongestBad: 2, CleanFaxData: new(1)}, Orientation: 3,
		ResolutionAssumed: "no resolution: 204 x 98 assumed",
	}
	return map[string]session.Fact{
		"page.archived": page,
		"page.amended":  session.PageAmended{PageArchived: page},
		"page.failed": session.PageFailed{
			Session: "s1", Page: 1, ToToken: "unknown", Attempt: 7, Stage: "fetch", Reason: session.ReasonTruncated,
			Detail: "the TIFF refers to bytes past its end", Final: true, Kept: &kept, At: at,
		},
		"doc.assembled": session.DocAssembled{
			Session: "s1", Direction: session.Incoming, ToToken: "13343040001", Revision: 1, From: page.From, To: page.To,
			Status: session.StatusPartial, Reason: session.PartialMissing, Pages: 3, Missing: 1, TIFF: &tiff,
			PDF: object("r1/document.0011223344556677.pdf"), Manifest: object("r1/manifest.json"),
		},
		"doc.verified": session.DocVerified{
			Session: "s1", ToToken: "13343040001", Revision: 1, N: 1, File: object("original.0011223344556677.tiff"),
			Report: object("r1/verified.0011223344556677.json"), Compared: session.Span(1, 9), Agreed: session.Span(1, 3),
			Repaired: session.Span(4, 5), Differing: session.Span(6, 6), At: at,
			Differences: map[string]session.Ranges{"inverted": session.Span(6, 6)},
		},
		"doc.searchable": session.DocSearchable{
			Session: "s1", ToToken: "13343040001", Revision: 1, Pages: 9, PDF: object("r1/searchable.0011223344556677.pdf"),
			Record: object("r1/searchable.8899aabbccddeeff.json"), At: at,
		},
		"doc.derived": session.DocDerived{
			Session: "s1", ToToken: "13343040001", TIFF: object("r1/derived.0011223344556677.tiff"),
			PDF: object("r1/derived.0011223344556677.pdf"), Record: object("r1/derived.8899aabbccddeeff.json"), At: at,
			Derivation: session.Derivation{
				Revision: 1, Pages: session.Span(1, 5), Right: session.Span(1, 1), Over: session.Span(2, 2), Left: session.Span(4, 5),
			},
		},
		"text.recognised": session.TextRecognised{
			Session: "s1", Page: 1, ToToken: "13343040001", Engine: "tesseract", Version: "5.3.0", Languages: []string{"eng", "deu"},
			Format: "hocr", RasterSHA256: sum64, Result: object("text/0001.0011223344556677.tesseract.hocr"),
			Words: object("text/0001.words.0011223344556677.tesseract.json"), Count: 312, Confidence: new(0.93), At: at,
			Orientation: &session.TextOrientation{Degrees: 180, Confidence: 2.5},
		},
	}
}

// least are events with nothing but what must be there.
func least() map[string]session.Fact {
	page := session.PageArchived{
		Session: "s", Page: 1, ToToken: "unknown", Source: session.SourceWholeFile, Original: object("a.tiff"), PNG: object("a.png"),
		RasterSHA256: sum64, Width: 1, Height: 1, Coding: "mmr",
	}
	at := time.Date(2026, 11, 27, 12, 30, 5, 0, time.UTC)
	return map[string]session.Fact{
		"page.archived": page,
		"page.amended":  session.PageAmended{PageArchived: page},
		"page.failed": session.PageFailed{
			Session: "s", Page: 1, ToToken: "unknown", Attempt: 1, Stage: "whole", Reason: session.ReasonEmpty, At: at,
		},
		"doc.assembled": session.DocAssembled{
			Session: "s", ToToken: "unknown", Revision: 1, Status: session.StatusComplete, PDF: object("a.pdf"), Manifest: object("m.json"),
		},
		"doc.verified": session.DocVerified{
			Session: "s", ToToken: "unknown", Revision: 1, N: 1, File: object("o.tiff"), Report: object("v.json"),
			Compared: session.Span(1, 1), At: at,
		},
		"doc.searchable": session.DocSearchable{
			Session: "s", ToToken: "unknown", Revision: 1, Pages: 1, PDF: object("a.pdf"), Record: object("a.json"), At: at,
		},
		"doc.derived": session.DocDerived{
			Session: "s", ToToken: "unknown", TIFF: object("a.tiff"), PDF: object("a.pdf"), Record: object("a.json"), At: at,
			Derivation: session.Derivation{Revision: 1, Pages: session.Span(1, 1)},
		},
		"text.recognised": session.TextRecognised{
			Session: "s", Page: 1, ToToken: "unknown", Engine: "x", Format: "plain", RasterSHA256: sum64, Result: object("a.plain"),
			Words: object("a.json"), At: at,
		},
	}
}

// The schemas, the structs and the golden files say the same. Every field of a full event is set, and the schema names it: so a field
// cannot be added, renamed or removed without this test.
func TestSchemasAreThoseOfTheEvents(t *testing.T) {
	samples, small := full(), least()
	if len(samples) != len(events.Names()) {
		t.Errorf("%d events have a sample, want %v", len(samples), events.Names())
	}
	for _, name := range events.Names() {
		t.Run(name, func(t *testing.T) {
			outward := events.Outward("https://fax.example.org")
			schema, text := compiled(t, name), indented(t, outward(samples[name]))
			if field := unset(reflect.ValueOf(outward(samples[name])), name); field != "" {
				t.Errorf("the sample does not set %s", field)
			}
			golden(t, name+".json", text)
			for _, text := range [][]byte{text, indented(t, small[name]), indented(t, events.Outward("")(small[name]))} {
				if err := schema.Validate(value(t, text)); err != nil {
					t.Errorf("%s\n%v", text, err)
				}
			}
			var fields map[string]any
			if err := json.Unmarshal(text, &fields); err != nil {
				t.Fatal(err)
			}
			for field := range fields {
				if schema.Properties[field] == nil {
					t.Errorf("the schema does not name %s", field)
				}
			}
			for field := range schema.Properties {
				if _, ok := fields[field]; !ok {
					t.Errorf("no event has %s", field)
				}
			}
		})
	}
}

// Later versions may add fields, and none goes away.
func TestSchemasAllowNewFieldsAndNoMissingOnes(t *testing.T) {
	for name, sample := range full() {
		schema := compiled(t, name)
		text := indented(t, events.Outward("https://fax.example.org")(sample))
		if err := schema.Validate(value(t, bytes.ReplaceAll(text, []byte("{\n"), []byte("{\n\"unknown\": [],\n")))); err != nil {
			t.Errorf("%s: a new field is refused: %v", name, err)
		}
		for _, field := range schema.Required {
			var fields map[string]any
			if err := json.Unmarshal(text, &fields); err != nil {
				t.Fatal(err)
			}
			delete(fields, field)
			if schema.Validate(fields) == nil {
				t.Errorf("%s without %s is let through", name, field)
			}
		}
	}
}

// An event has the subject that the contract says.
func TestSubjectsAreThoseOfTheEvents(t *testing.T) {
	var doc struct {
		Channels map[string]struct{ Address string }
	}
	text, err := events.AsyncAPI()
	if err == nil {
		err = json.Unmarshal(text, &doc)
	}
	if err != nil {
		t.Fatal(err)
	}
	parameter := regexp.MustCompile(`\\\{[a-z]+\\\}`)
	for name, sample := range full() {
		pattern := "^" + parameter.ReplaceAllString(regexp.QuoteMeta(doc.Channels[name].Address), `[^.]+`) + "$"
		if !regexp.MustCompile(pattern).MatchString(sample.Subject()) {
			t.Errorf("%s has the subject %s, which is not %s", name, sample.Subject(), doc.Channels[name].Address)
		}
		if sample.Type() != "fax.v1."+name {
			t.Errorf("%s has the type %s", name, sample.Type())
		}
	}
}

// What an event says of a page is what the plan of its document says, and what only subscribers need.
func TestEventsAndPlansSayTheSameOfAPage(t *testing.T) {
	type schema struct {
		Properties map[string]struct{ Description string }
		Required   []string
	}
	var event schema
	var plan struct {
		Defs map[string]schema `json:"$defs"`
	}
	text, err := events.Schema("page.archived")
	if err == nil {
		err = json.Unmarshal(text, &event)
	}
	if err != nil {
		t.Fatal(err)
	}
	if text, err = archive.Schema("plan"); err == nil {
		err = json.Unmarshal(text, &plan)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{"png_scale_x", "png_scale_y", "urls"} {
		delete(event.Properties, field)
	}
	if page := plan.Defs["page_archived"]; !reflect.DeepEqual(page, event) {
		t.Errorf("the plan says\n%+v\nand the event\n%+v", page, event)
	}
}

func TestAnUnknownEventHasNoSchema(t *testing.T) {
	if _, err := events.Schema("page.lost"); err == nil || !strings.Contains(err.Error(), "page.archived") {
		t.Errorf("got %v, want an error that names the events", err)
	}
}

func indented(t *testing.T, v any) []byte {
	t.Helper()
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(text, '\n')
}

func golden(t *testing.T, name string, text []byte) {
	t.Helper()
	file := filepath.Join("testdata", "golden", name)
	if *update {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(text, want) {
		t.Errorf("%s has changed: subscribers depend on it (see the version rule of the package). Now\n%s", file, text)
	}
}

// unset returns the path of a field that has its zero value, or nothing. Of a slice or map the first element is looked at.
func unset(v reflect.Value, path string) string {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return path
		}
		return unset(v.Elem(), path)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			break
		}
		for i := range v.NumField() {
			if field := unset(v.Field(i), path+"."+v.Type().Field(i).Name); field != "" {
				return field
			}
		}
		return ""
	}
	if v.IsZero() {
		return path
	}
	return ""
}

func compiled(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	text, err := events.Schema(name)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, name+".schema.json", text)
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource(name+".json", value(t, text)); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func value(t *testing.T, text []byte) any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// The names come in the order of a page's way.
func TestNames(t *testing.T) {
	want := []string{
		"page.archived", "page.amended", "page.failed", "doc.assembled", "doc.verified", "doc.searchable", "doc.derived", "text.recognised",
	}
	if !slices.Equal(events.Names(), want) {
		t.Errorf("got %v, want %v", events.Names(), want)
	}
}
