package pipeline

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/faxstream/faxstream/pipeline/session"
)

// oddDesk has two faxes with documents: "fax", which streamed, and "whole", whose pages were cut from the whole file.
func oddDesk(t testing.TB) *desk {
	t.Helper()
	d, order := newDesk(t)
	if err := d.assemblerOf(t, "v1").assemble(t.Context(), order, time.Now()); err != nil {
		t.Fatal(err)
	}
	wb := newWorkbench(t, d)
	wholeFile(t, d, "three-pages-fine-g4.tiff")
	wb.cut("whole", testdata(t, "three-pages-fine-g4.tiff"))
	wb.assembler.builder.software = "v1"
	wb.assemble(wb.order("whole", nil))
	return d
}

// wholeFile archives a file as the whole file of "whole", and gives its key.
func wholeFile(t testing.TB, d *desk, name string) string {
	t.Helper()
	data := testdata(t, name)
	sum := sha256.Sum256(data)
	o := origin{session: "whole", source: session.SourceWholeFile}
	obj := object(originalKey("whole", sum), int64(len(data)), sum)
	if _, err := keep(t.Context(), d, data, sum, o.sidecar(obj, "")); err != nil {
		t.Fatal(err)
	}
	return obj.Key
}

// checkOdd gives the kinds of faults by session, and the error.
func checkOdd(t *testing.T, a Reader) (map[string][]FaultKind, error) {
	t.Helper()
	found := map[string][]FaultKind{}
	c := Checker{Archive: a, Software: "v1", SpoolDir: t.TempDir(), Log: slog.New(slog.DiscardHandler)}
	err := c.All(t.Context(), func(f Finding) error {
		found[f.Session] = []FaultKind{}
		for _, fault := range f.Faults {
			found[f.Session] = append(found[f.Session], fault.Kind)
		}
		return nil
	})
	return found, err
}

// What somebody adds to an archive, or takes from it, is named; it neither ends the check nor hides the other fax.
func TestOddObjectsAreNamed(t *testing.T) {
	clean := oddDesk(t)
	under := func(d *desk, prefix string) {
		maps.DeleteFunc(d.objects, func(key string, _ []byte) bool { return strings.HasPrefix(key, prefix) })
	}
	for name, c := range map[string]struct {
		spoil   func(d *desk)
		session string
		want    FaultKind // "": nothing that a reader is given
	}{
		"nothing":                    {func(*desk) {}, "fax", ""},
		"an object that is no fax's": {func(d *desk) { d.objects["faxes/abc"] = nil }, "fax", ""},
		"a second entry of the index": {
			func(d *desk) { d.objects["index/2020/01/01/000000-fax"] = []byte(indexText) }, "fax", FaultMisfiled,
		},
		"an entry that is none":      {func(d *desk) { d.objects["index/2020/01/fax"] = nil }, "", FaultMisfiled},
		"all revisions gone":         {func(d *desk) { under(d, "faxes/fax/r1/") }, "fax", FaultGone},
		"the whole file gone":        {func(d *desk) { under(d, "faxes/whole/original.") }, "whole", FaultMissing},
		"only the whole file's gone": {func(d *desk) { delete(d.objects, wholeFile(t, d, "three-pages-fine-g4.tiff")) }, "whole", FaultMissing},
		"another whole file": {func(d *desk) {
			under(d, "faxes/whole/original.")
			wholeFile(t, d, "letter-standard-g4.tiff")
		}, "whole", FaultPixels},
		"a report on another fax": {func(d *desk) {
			text := []byte(`{"session":"whole","revision":1,"file":{"key":"","size":0,"sha256":""},"pages":[]}`)
			d.objects["faxes/fax/r1/verified."+hash16(sha256.Sum256(text))+".json"] = text
		}, "fax", FaultForeign},
		"a log that says it was purged": {func(d *desk) {
			d.objects[keepKey("fax", 1, session.ActionPurged)] = []byte(`{"session":"fax","action":"purged","by":"x","why":"x","at":"2026-11-27T10:00:00Z","asked":"a1"}`)
		}, "fax", FaultPurged},
		"a log that is none":      {func(d *desk) { d.objects["keep/fax/rubbish"] = nil }, "fax", FaultUnreadable},
		"a redirect that is none": {func(d *desk) { d.objects[redirectKey("fax")] = []byte(`{"session":"whole"}`) }, "fax", FaultUnreadable},
		"a sidecar of any size": {func(d *desk) {
			d.objects[sidecarKey(d.pages[1].Original.Key)] = make([]byte, maxSidecar+1)
		}, "fax", FaultUnreadable},
		"a manifest that would need memory": {func(d *desk) {
			d.objects["faxes/fax/r1/manifest.json"] = []byte(`{"pages":[{}` + strings.Repeat(",{}", maxElements+1) + `]}`)
		}, "fax", FaultUnreadable},
	} {
		t.Run(name, func(t *testing.T) {
			d := &desk{objects: maps.Clone(clean.objects), pages: clean.pages}
			c.spoil(d)
			found, err := checkOdd(t, d)
			if err != nil {
				t.Fatal(err)
			}
			if kinds := found[c.session]; c.want != "" && !slices.Contains(kinds, c.want) || c.want == "" && len(kinds) > 0 {
				t.Errorf("found %v, want %q", kinds, c.want)
			}
			for id := range map[string]bool{"fax": true, "whole": true} {
				if kinds, checked := found[id]; !checked || id != c.session && len(kinds) > 0 {
					t.Errorf("of %s there is %v, checked %v", id, kinds, checked)
				}
			}
		})
	}
}

// unreadable is an archive of which one fax cannot be read.
type unreadable struct {
	*desk
	prefix string
}

func (u unreadable) Open(ctx context.Context, key string) (io.ReadSeekCloser, int64, error) {
	if strings.HasPrefix(key, u.prefix) {
		return nil, 0, fmt.Errorf("open %s: %w", key, errDesk)
	}
	return u.desk.Open(ctx, key)
}

// A fax that cannot be read is told of, and the others are checked.
func TestOneFaxThatCannotBeReadHidesNoOther(t *testing.T) {
	d := oddDesk(t)
	delete(d.objects, d.pages[1].PNG.Key)
	found, err := checkOdd(t, unreadable{d, "faxes/whole/"})
	if !errors.Is(err, errDesk) || !strings.Contains(err.Error(), "whole") {
		t.Errorf("the error is %v", err)
	}
	if !slices.Equal(found["fax"], []FaultKind{FaultMissing}) {
		t.Errorf("found %v", found)
	}
}

// alive is an archive that is written to while it is listed.
type alive struct {
	*desk
	coming map[string][]byte
	now    func(prefix, last string) bool // everything that is to come comes now, after the key last; "": at the end
}

func (a *alive) List(ctx context.Context, prefix, after string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for {
			next := ""
			for key, err := range a.desk.List(ctx, prefix, after) {
				if err != nil {
					yield("", err)
					return
				}
				next = key
				break
			}
			if next != "" && !yield(next, nil) {
				return
			}
			if a.now(prefix, next) {
				a.mu.Lock()
				maps.Copy(a.objects, a.coming)
				a.mu.Unlock()
			}
			if after = next; next == "" {
				return
			}
		}
	}
}

// What is written while an archive is checked makes no fault: a revision, and a whole fax.
func TestTheArchiveIsWrittenToMeanwhile(t *testing.T) {
	full := oddDesk(t)
	for name, c := range map[string]struct {
		coming func(key string) bool
		now    func(prefix, last string) bool
	}{
		"a page and its revision": {func(key string) bool {
			return strings.HasPrefix(key, pagePrefix("fax", 1)) || strings.HasPrefix(key, "faxes/fax/r1/") || strings.HasSuffix(key, "-fax")
		}, func(prefix, _ string) bool { return prefix == "faxes/fax/" }},
		"another fax": {func(key string) bool {
			return strings.HasPrefix(key, "faxes/whole/") || strings.HasSuffix(key, "-whole")
		}, func(prefix, last string) bool { return prefix == "faxes/" && last == "" }},
	} {
		t.Run(name, func(t *testing.T) {
			a := &alive{desk: &desk{objects: map[string][]byte{}}, coming: map[string][]byte{}, now: c.now}
			for key, data := range full.objects {
				if c.coming(key) {
					a.coming[key] = data
				} else {
					a.objects[key] = data
				}
			}
			found, err := checkOdd(t, a)
			if err != nil || len(found["fax"])+len(found["whole"]) > 0 || len(found) == 0 {
				t.Errorf("found %v, %v", found, err)
			}
		})
	}
}

// FuzzCommas wants as many commas as the JSON decoder finds elements, and an end for what is no JSON.
func FuzzCommas(f *testing.F) {
	for _, text := range []string{`{"a":["\\"],",[1,2],{}]}`, `["\\\\",1]`, `"`, `"\`, `[,]]],`, `[[],[1,[2,"]"]],{"b":[3,4]}]`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		elements, _ := commas(text)
		var v any
		if json.Unmarshal(text, &v) == nil && !bytes.ContainsRune(text, '{') && elements != betweenElements(v) { // a field may come twice
			t.Errorf("%s has %d commas between elements, want %d", text, elements, betweenElements(v))
		}
	})
}

func betweenElements(v any) int {
	array, ok := v.([]any)
	if !ok || len(array) == 0 {
		return 0
	}
	n := len(array) - 1
	for _, e := range array {
		n += betweenElements(e)
	}
	return n
}
