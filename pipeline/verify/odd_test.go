package verify

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/pipelinetest"
	"github.com/faxstream/faxstream/pipeline/session"
)

// checkOdd gives the kinds of faults by session, and the error.
func checkOdd(t *testing.T, a archive.Reader) (map[string][]FaultKind, error) {
	t.Helper()
	found := map[string][]FaultKind{}
	c := Checker{Archive: a, Software: "v1", ScratchDir: t.TempDir(), Log: slog.New(slog.DiscardHandler)}
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
	clean := pipelinetest.OddDesk(t)
	under := func(d *pipelinetest.Desk, prefix string) {
		maps.DeleteFunc(d.Objects, func(key string, _ []byte) bool { return strings.HasPrefix(key, prefix) })
	}
	for name, c := range map[string]struct {
		spoil   func(d *pipelinetest.Desk)
		session string
		want    FaultKind // "": nothing that a reader is given
	}{
		"nothing":                    {func(*pipelinetest.Desk) {}, "fax", ""},
		"an object that is no fax's": {func(d *pipelinetest.Desk) { d.Objects["faxes/abc"] = nil }, "fax", ""},
		"a second entry of the index": {
			func(d *pipelinetest.Desk) { d.Objects["index/2020/01/01/000000-fax"] = []byte(archive.IndexText) }, "fax", FaultMisfiled,
		},
		"an entry that is none": {func(d *pipelinetest.Desk) { d.Objects["index/2020/01/fax"] = nil }, "", FaultMisfiled},
		"all revisions gone":    {func(d *pipelinetest.Desk) { under(d, "faxes/fax/r1/") }, "fax", FaultGone},
		"the whole file gone":   {func(d *pipelinetest.Desk) { under(d, "faxes/whole/original.") }, "whole", FaultMissing},
		"only the whole file's gone": {func(d *pipelinetest.Desk) {
			delete(d.Objects, pipelinetest.WholeFile(t, d, "three-pages-fine-g4.tiff"))
		}, "whole", FaultMissing},
		"another whole file": {func(d *pipelinetest.Desk) {
			under(d, "faxes/whole/original.")
			pipelinetest.WholeFile(t, d, "letter-standard-g4.tiff")
		}, "whole", FaultPixels},
		"a report on another fax": {func(d *pipelinetest.Desk) {
			text := []byte(`{"session":"whole","revision":1,"file":{"key":"","size":0,"sha256":""},"pages":[]}`)
			d.Objects["faxes/fax/r1/verified."+archive.Hash16(sha256.Sum256(text))+".json"] = text
		}, "fax", FaultForeign},
		"a log that says it was purged": {func(d *pipelinetest.Desk) {
			d.Objects["keep/fax/0001.purged.json"] = []byte(
				`{"session":"fax","action":"purged","by":"x","why":"x","at":"2026-11-27T10:00:00Z","asked":"a1"}`)
		}, "fax", FaultPurged},
		"a log that is none":             {func(d *pipelinetest.Desk) { d.Objects["keep/fax/rubbish"] = nil }, "fax", FaultUnreadable},
		"a log of the desk that is none": {func(d *pipelinetest.Desk) { d.Objects["desk/fax/0001.changed.json"] = nil }, "fax", FaultUnreadable},
		"a redirect that is none": {func(d *pipelinetest.Desk) {
			d.Objects[archive.RedirectKey("fax")] = []byte(`{"session":"whole"}`)
		}, "fax", FaultUnreadable},
		"a sidecar of any size": {func(d *pipelinetest.Desk) {
			d.Objects[archive.SidecarKey(d.Pages[1].Original.Key)] = make([]byte, archive.MaxSidecar+1)
		}, "fax", FaultUnreadable},
		"a manifest that would need memory": {func(d *pipelinetest.Desk) {
			d.Objects["faxes/fax/r1/manifest.json"] = []byte(`{"pages":[{}` + strings.Repeat(",{}", 4*session.MaxPages+1) + `]}`)
		}, "fax", FaultUnreadable},
	} {
		t.Run(name, func(t *testing.T) {
			d := &pipelinetest.Desk{Objects: maps.Clone(clean.Objects), Pages: clean.Pages}
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

// What a newer version of faxstream wrote has fields that this one does not know. It is said to be newer, not damaged, and the hashes of
// what it names are checked all the same.
func TestWhatANewerVersionWroteIsNotCalledDamaged(t *testing.T) {
	clean := pipelinetest.OddDesk(t)
	const manifest = "faxes/fax/r1/manifest.json"
	sidecar := archive.SidecarKey(clean.Pages[1].Original.Key)
	grow := func(d *pipelinetest.Desk, key string) { // as a newer version would have written it
		old := d.Objects[key]
		grown := bytes.Replace(old, []byte("{"), []byte(`{"later":[1],`), 1)
		if archive.IsSidecar(key) {
			body, _, _ := bytes.Cut(grown, []byte(`,"sum":`))
			grown = fmt.Appendf(bytes.Clone(body), `,"sum":"%s"}`, archive.Hash16(sha256.Sum256(body)))
		}
		d.Objects[key] = grown
		text := bytes.ReplaceAll(d.Objects[manifest], []byte(pipelinetest.SHA(old)), []byte(pipelinetest.SHA(grown)))
		d.Objects[manifest] = bytes.Replace(text, fmt.Appendf(nil, `"size": %d`, len(old)), fmt.Appendf(nil, `"size": %d`, len(grown)), 1)
	}
	by := func(d *pipelinetest.Desk, version string) {
		d.Objects[manifest] = bytes.Replace(d.Objects[manifest], []byte(`"software": "v1"`), []byte(`"software": "`+version+`"`), 1)
	}
	for _, c := range []struct {
		name string
		made func(d *pipelinetest.Desk)
		want []FaultKind
	}{
		{"a manifest", func(d *pipelinetest.Desk) { grow(d, manifest); by(d, "v2") }, []FaultKind{FaultNewer}},
		{"a manifest that says this version made it", func(d *pipelinetest.Desk) { grow(d, manifest) }, []FaultKind{FaultUnreadable}},
		{"a manifest with bytes after it", func(d *pipelinetest.Desk) {
			grow(d, manifest)
			by(d, "v2")
			d.Objects[manifest] = append(d.Objects[manifest], '{')
		}, []FaultKind{FaultUnreadable}},
		{"a manifest, and a page is damaged", func(d *pipelinetest.Desk) {
			grow(d, manifest)
			by(d, "v2")
			d.Objects[clean.Pages[1].PNG.Key] = []byte("another image")
		}, []FaultKind{FaultNewer, FaultAltered}},
		{"a manifest, and a sidecar is gone", func(d *pipelinetest.Desk) {
			grow(d, manifest)
			by(d, "v2")
			delete(d.Objects, sidecar)
		}, []FaultKind{FaultNewer, FaultSidecar}},
		{"a plan", func(d *pipelinetest.Desk) { grow(d, "faxes/fax/r1/plan.json"); by(d, "v2") }, []FaultKind{FaultNewer}},
		{"a sidecar", func(d *pipelinetest.Desk) { grow(d, sidecar) }, []FaultKind{FaultNewer}},
		{"a log", func(d *pipelinetest.Desk) {
			d.Objects["keep/fax/0001.held.json"] = []byte(
				`{"session":"fax","action":"held","by":"x","why":"x","at":"2026-11-27T10:00:00Z","asked":"a1","later":1}`)
		}, []FaultKind{FaultNewer}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := &pipelinetest.Desk{Objects: maps.Clone(clean.Objects), Pages: clean.Pages}
			c.made(d)
			found, err := checkOdd(t, d)
			if err != nil {
				t.Fatal(err)
			}
			slices.Sort(found["fax"])
			slices.Sort(c.want)
			if !slices.Equal(found["fax"], c.want) || len(found["whole"]) > 0 {
				t.Errorf("found %v, want %v", found, c.want)
			}
		})
	}
}

// unreadable is an archive of which one fax cannot be read.
type unreadable struct {
	*pipelinetest.Desk
	prefix string
}

func (u unreadable) Open(ctx context.Context, key string) (io.ReadSeekCloser, int64, error) {
	if strings.HasPrefix(key, u.prefix) {
		return nil, 0, fmt.Errorf("open %s: %w", key, pipelinetest.ErrDesk)
	}
	return u.Desk.Open(ctx, key)
}

// The error names a fax that cannot be read, and the others are checked.
func TestOneFaxThatCannotBeReadHidesNoOther(t *testing.T) {
	d := pipelinetest.OddDesk(t)
	delete(d.Objects, d.Pages[1].PNG.Key)
	found, err := checkOdd(t, unreadable{d, "faxes/whole/"})
	if !errors.Is(err, pipelinetest.ErrDesk) || !strings.Contains(err.Error(), "whole") {
		t.Errorf("the error is %v", err)
	}
	if !slices.Equal(found["fax"], []FaultKind{FaultMissing}) {
		t.Errorf("found %v", found)
	}
}

// alive is an archive that is written to while it is listed.
type alive struct {
	*pipelinetest.Desk
	coming map[string][]byte
	now    func(prefix, last string) bool // everything that is to come comes now, after the key last; "": at the end
}

func (a *alive) List(ctx context.Context, prefix, after string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for {
			next := ""
			for key, err := range a.Desk.List(ctx, prefix, after) {
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
				a.Mu.Lock()
				maps.Copy(a.Objects, a.coming)
				a.Mu.Unlock()
			}
			if after = next; next == "" {
				return
			}
		}
	}
}

// What is written while an archive is checked makes no fault: a revision, and a whole fax.
func TestTheArchiveIsWrittenToMeanwhile(t *testing.T) {
	full := pipelinetest.OddDesk(t)
	for name, c := range map[string]struct {
		coming func(key string) bool
		now    func(prefix, last string) bool
	}{
		"a page and its revision": {func(key string) bool {
			return strings.HasPrefix(key, archive.PagePrefix("fax", 1)) || strings.HasPrefix(key, "faxes/fax/r1/") ||
				strings.HasSuffix(key, "-fax")
		}, func(prefix, _ string) bool { return prefix == "faxes/fax/" }},
		"another fax": {func(key string) bool {
			return strings.HasPrefix(key, "faxes/whole/") || strings.HasSuffix(key, "-whole")
		}, func(prefix, last string) bool { return prefix == "faxes/" && last == "" }},
	} {
		t.Run(name, func(t *testing.T) {
			a := &alive{Desk: &pipelinetest.Desk{Objects: map[string][]byte{}}, coming: map[string][]byte{}, now: c.now}
			for key, data := range full.Objects {
				if c.coming(key) {
					a.coming[key] = data
				} else {
					a.Objects[key] = data
				}
			}
			found, err := checkOdd(t, a)
			if err != nil || len(found["fax"])+len(found["whole"]) > 0 || len(found) == 0 {
				t.Errorf("found %v, %v", found, err)
			}
		})
	}
}
