package archive_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/sign"
	"github.com/faxstream/faxstream/pipeline/text"
)

var update = flag.Bool("update", false, "write the golden files anew")

// The schemas, the structs and the golden files say the same. Every field of every sample is set, so that a field that a schema
// does not have cannot be added without this test.
func TestSchemasAreThoseOfTheArchive(t *testing.T) {
	for name, sample := range samples() {
		t.Run(name, func(t *testing.T) {
			schema := compiled(t, name)
			if field := unset(reflect.ValueOf(sample), name); field != "" {
				t.Errorf("the sample does not set %s", field)
			}
			text, err := json.MarshalIndent(sample, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			if s, ok := sample.(interface{ Text() ([]byte, error) }); ok {
				if text, err = s.Text(); err != nil {
					t.Fatal(err)
				}
			}
			golden := filepath.Join("testdata", "golden", name+".json")
			if *update {
				if err := os.WriteFile(golden, append(text, '\n'), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if string(text)+"\n" != string(want) {
				t.Errorf("the format has changed: archived objects of earlier versions must stay readable. Now\n%s", text)
			}
			valid(t, schema, text)
			if schema.Validate(value(t, bytes.Replace(text, []byte(`"session"`), []byte(`"unknown":1,"session"`), 1))) == nil {
				t.Error("an unknown field is let through")
			}
		})
	}
}

// A fax of which nothing is known but its session leaves out all that may be left out.
func TestSchemasAllowWhatIsLeftOut(t *testing.T) {
	o := session.Object{Key: "faxes/s/r1/document.0123456789abcdef.pdf", Size: 1, SHA256: sum64}
	for name, least := range map[string]any{
		"plan": archive.Plan{
			Session: "s", Direction: "incoming", Revision: 1, ToToken: "unknown", Status: "partial",
			Verification: "none", Pages: []session.PageArchived{{
				Session: "s", Page: 1, ToToken: "unknown", Source: "whole_file", Original: o, PNG: o, RasterSHA256: sum64, Width: 1,
				Height: 1, Coding: "mmr",
			}},
		},
		"manifest": archive.Manifest{
			Session: "s", Direction: "incoming", Revision: 1, ToToken: "unknown", Status: "partial",
			Verification: "none", Facts: []archive.AcceptedFact{}, Pages: []archive.ManifestPage{
				{
					Page: 1, Status: "archived", Source: "fetch", Original: &o, PNG: &o, RasterSHA256: sum64, Width: 1, Height: 1,
					StripSHA256: sum64, StripSize: 1, TIFFOffset: 8, PDFOffset: 15,
				},
			}, Plan: o, PDF: o, Software: "test",
		},
		"report": archive.Report{
			Session: "s", Revision: 1,
			Pages: []archive.PageVerdict{{Page: 1, Verdict: "agreed", Streamed: archive.PageImage{RasterSHA256: sum64}}},
		},
	} {
		text, err := json.Marshal(least)
		if err != nil {
			t.Fatal(err)
		}
		valid(t, compiled(t, name), text)
	}
}

const sum64 = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

// samples set every field.
func samples() map[string]any {
	at := time.Date(2026, 11, 27, 12, 30, 5, 0, time.UTC)
	object := func(name string) session.Object {
		return session.Object{Key: "faxes/s1/" + name, Size: 4711, SHA256: sum64}
	}
	ref := func(name string) *session.Object { o := object(name); return &o }
	page := session.PageArchived{
		Session: "s1", Page: 1, From: "+1 334-304-0000", To: "+1 334-304-0001", ToToken: "13343040001", Source: session.SourceFetch,
		Original: object("pages/0001.0011223344556677.tiff"), PNG: object("pages/0001.0011223344556677.png"), RasterSHA256: sum64,
		Width: 1728, Height: 2200, XResolution: 204, YResolution: 196, Samples: 3, Coding: "jpeg", BadRows: 3, LongestBad: 2,
		Quality:    &session.Quality{Blank: true, Ink: 1, Skew: -5000, SkewKnown: true, Border: 2, Isolated: 3},
		CleanStrip: &session.Strip{Size: 1234, SHA256: sum64}, EventTime: at, BodySHA256: sum64,
		Received: &session.Received{BadRows: 4, LongestBad: 2, CleanFaxData: new(1)}, Orientation: 3,
		ResolutionAssumed: "no resolution: 204 x 98 assumed",
	}
	choices := []session.Choice{{
		Page: 1, Image: session.ImageFile, By: "ada", Why: "the streamed one is inverted", At: at,
		Report: object("r1/verified.0011223344556677.json"),
	}}
	reports := []session.Object{object("r1/verified.0011223344556677.json")}
	image := archive.PageImage{Original: &page.Original, RasterSHA256: sum64, BadRows: 3}
	return map[string]any{
		"plan": archive.Plan{
			Session: "s1", Direction: session.Incoming, Revision: 2, Previous: 1, From: page.From, To: page.To, ToToken: page.ToToken,
			Status: session.StatusPartial, Reason: session.PartialMissing, StartTime: at, Indexed: at,
			Close: &session.Closed{
				Session: "s1", Direction: session.Incoming, Hook: "h1", Status: "success", Pages: 2, File: "f1", FileName: "fax.tiff",
				UID:  "u1",
				From: page.From, To: page.To, StartTime: at, EventTime: at, BodySHA256: sum64,
			},
			Missing: session.PageReasons{2: session.ReasonNotYet}, Pages: []session.PageArchived{page},
			Verification: session.VerificationPending, Reports: reports, Choices: choices,
		},
		"manifest": archive.Manifest{
			Session: "s1", Direction: session.Incoming, Revision: 2, From: page.From, To: page.To, ToToken: page.ToToken,
			Status: session.StatusPartial, Reason: session.PartialMissing, Verified: true, StartTime: at,
			Facts: []archive.AcceptedFact{{Subject: "fax.v1.in.page.s1.1", BodySHA256: sum64}},
			Pages: []archive.ManifestPage{
				{
					Page: 1, Status: session.PageStatusArchived, Source: page.Source, Original: &page.Original, Sidecar: sum64,
					PNG:          &page.PNG,
					RasterSHA256: sum64, Width: 1728, Height: 2200, XResolution: 204, YResolution: 196, Samples: 3, BadRows: 3,
					LongestBad: 2, Quality: page.Quality,
					Received: page.Received, Orientation: 3, ResolutionAssumed: page.ResolutionAssumed,
					StripSHA256: sum64, StripSize: 1234, TIFFOffset: 8, PDFOffset: 15,
				},
				{Page: 2, Status: session.PageStatusMissing, Reason: session.ReasonNotYet},
			},
			Plan: object("r2/plan.json"), Verification: session.VerificationPending, Reports: reports, Choices: choices,
			TIFF: ref("r2/document.0011223344556677.tiff"), PDF: object("r2/document.0011223344556677.pdf"),
			Previous: sum64, Software: "faxstream 1.2.3",
			Signature: &sign.Signature{KeyID: sum64[:16], Ed25519: strings.Repeat("A", 86) + "=="},
		},
		"sidecar": archive.Sidecar{
			Session: "s1", Page: 1, From: page.From, To: page.To, EventTime: at, BodySHA256: sum64, Source: session.SourceFetch,
			Reason: session.ReasonTruncated, Object: object("pages/0001.0011223344556677.rejected"),
		},
		"report": archive.Report{
			Session: "s1", Revision: 1, File: object("original.0011223344556677.tiff"),
			Pages: []archive.PageVerdict{{
				Page: 1, Verdict: "repaired", Reason: session.ReasonNotInFile, Streamed: image, File: &image,
				Repair: &page, Difference: "different", Alternative: &page, Kept: &page,
			}},
		},
		"searchable": archive.Searchable{
			Session: "s1", ToToken: page.ToToken, Revision: 1, Manifest: object("r1/manifest.json"),
			PDF: object("r1/searchable.0011223344556677.pdf"), At: at, Software: "faxstream v1",
			Pages: []archive.SearchablePage{{Page: 1, Words: object("text/0001.words.0011223344556677.tesseract.json"), PDFOffset: 4711}},
		},
		"derived": archive.Derived{
			Session: "s1", ToToken: page.ToToken, Revision: 1, Manifest: object("r1/manifest.json"), By: "ada",
			Asked: "a1-1764246605000000000", At: at,
			Order: session.Derivation{
				Revision: 1, Pages: session.Span(1, 4), Right: session.Span(1, 1), Over: session.Span(2, 2), Left: session.Span(3, 3),
			},
			Pages: []archive.DerivedPage{
				{
					Page: 1, Source: sum64, Turned: 90, RasterSHA256: sum64, Width: 2200, Height: 1728, StripSHA256: sum64, StripSize: 1234,
					TIFFOffset: 8, PDFOffset: 15,
				},
				{Page: 2, Reason: session.ReasonNotYet},
			},
			TIFF: object("r1/derived.0011223344556677.tiff"), PDF: object("r1/derived.0011223344556677.pdf"), Software: "faxstream v1",
		},
		"text": archive.PageText{
			Session: "s1", Page: 1, ToToken: page.ToToken, Engine: "tesseract", Version: "5.3.0", Languages: []string{"eng"}, Format: text.HOCR,
			Read: session.ReadPNG, RasterSHA256: sum64, Width: 1728, Height: 2200,
			Result: object("text/0001.0011223344556677.tesseract.hocr"), By: "ocr", At: at,
			Orientation: &session.TextOrientation{Degrees: 180, Confidence: 2.5}, Words: []text.Word{
				{Text: "Order", Confidence: new(0.91), Box: &text.Box{Left: 1, Top: 2, Right: 30, Bottom: 40}, Line: 1, Block: 1},
			},
		},
	}
}

// unset names a field that is its zero value; "": there is none. Of a list it is enough that one of its elements has it.
func unset(v reflect.Value, path string) string {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return path
		}
		return unset(v.Elem(), path)
	case reflect.Slice:
		for i := range v.Len() {
			if unset(v.Index(i), path) == "" || present(v.Index(i).Type()) && pagesSet(v) {
				return ""
			}
		}
		return path
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

// present reports whether a type is that of a page that is there or missing.
func present(t reflect.Type) bool {
	return t == reflect.TypeFor[archive.ManifestPage]() || t == reflect.TypeFor[archive.DerivedPage]()
}

// pagesSet reports whether every field is set in one of the pages: there or missing.
func pagesSet(pages reflect.Value) bool {
	for i := range pages.Index(0).NumField() {
		set := false
		for k := range pages.Len() {
			set = set || unset(pages.Index(k).Field(i), "") == ""
		}
		if !set {
			return false
		}
	}
	return true
}

func compiled(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	text, err := archive.Schema(name)
	if err != nil {
		t.Fatal(err)
	}
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

func valid(t *testing.T, s *jsonschema.Schema, text []byte) {
	t.Helper()
	if err := s.Validate(value(t, text)); err != nil {
		t.Errorf("%v\n%s", err, text)
	}
}
