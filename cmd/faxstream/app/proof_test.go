package app

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"log/slog"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/raster"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/sign"
	"github.com/faxstream/faxstream/pipeline/verify"
)

// objects is an archive in memory that a test may spoil.
type objects map[string][]byte

func (o objects) Open(_ context.Context, key string) (io.ReadSeekCloser, int64, error) {
	data, ok := o[key]
	if !ok {
		return nil, 0, fmt.Errorf("open %s: %w", key, fs.ErrNotExist)
	}
	return struct {
		io.ReadSeeker
		io.Closer
	}{bytes.NewReader(data), io.NopCloser(nil)}, int64(len(data)), nil
}

func (o objects) List(_ context.Context, prefix, after string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, key := range slices.Sorted(maps.Keys(o)) {
			if strings.HasPrefix(key, prefix) && key > after && !yield(key, nil) {
				return
			}
		}
	}
}

// archived reads everything that a rig has archived.
func archived(t *testing.T, r *rig) objects {
	t.Helper()
	all := objects{}
	dir := filepath.Join(r.Dir, "archive")
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.Contains(path, "+") {
			return err
		}
		key, err := filepath.Rel(dir, path)
		all[key] = apptest.ReadFile(t, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// checkedFaxes is the archive of two faxes: "fax" with two revisions that were compared with the whole file, and "other".
func checkedFaxes(t *testing.T, key ed25519.PrivateKey) objects {
	t.Helper()
	r := newRig(t)
	r.Key = key
	policy := apptest.ImpatientPolicy()
	policy.Reconcile, policy.Grace = session.ReconcileAll, apptest.Patience
	r.Start(t, r.Bus, r.Store, policy, apptest.ImpatientRetry())
	whole := apptest.Fixture(t, "three-pages-fine-g4")
	pages := apptest.Split(t, whole)
	two := 2
	f := faxplustest.Fax{Session: "fax", Streamed: true, Pages: pages, PageCount: &two}
	other := faxplustest.Fax{Session: "other", Streamed: true, Pages: pages[:1]}
	for _, f := range []faxplustest.Fax{f, other} {
		r.Sim.Add(f)
	}
	file := apptest.Parse(t, whole)
	_, before := apptest.Scan(t, []*raster.Page{apptest.DecodePage(t, file, 0), apptest.DecodePage(t, file, 1)})
	r.Sim.Script("fax", 0, apptest.AnswerWith(before, whole)) // the file grows with the late page
	events := apptest.Bodies(f, "http://x")
	for _, b := range append([][]byte{events[0], events[1], events[3]}, apptest.Bodies(other, "http://x")...) {
		r.Record(t, b)
	}
	r.Await(t, "fax", func(s session.State) bool { return s.Revision() == 1 && !s.WholeOpen })
	r.Record(t, events[2])
	r.Await(t, "fax", func(s session.State) bool {
		return s.Revision() == 2 && s.Verification() == session.VerificationVerified && !s.WholeOpen
	})
	r.Await(t, "other", func(s session.State) bool { return s.Revision() == 1 && !s.WholeOpen })
	return archived(t, r)
}

// check runs the checker over an archive and gives the findings by session.
func check(t *testing.T, a objects, software string, keys ...ed25519.PublicKey) map[string]verify.Finding {
	t.Helper()
	found := map[string]verify.Finding{}
	c := verify.Checker{Archive: a, Keys: keys, Software: software, ScratchDir: t.TempDir(), Log: slog.New(slog.DiscardHandler)}
	err := c.All(t.Context(), func(f verify.Finding) error {
		found[f.Session] = f
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func kinds(found map[string]verify.Finding) (all []verify.FaultKind) {
	for _, f := range found {
		for _, fault := range f.Faults {
			all = append(all, fault.Kind)
		}
	}
	return all
}

func newKey(t *testing.T) (ed25519.PrivateKey, ed25519.PublicKey) {
	t.Helper()
	key, _, err := sign.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return key, key.Public().(ed25519.PublicKey)
}

// Whatever is done to an archive after it was written is found from the archive alone.
func TestTamperingIsFound(t *testing.T) {
	key, public := newKey(t)
	signed := checkedFaxes(t, key)
	t.Run("nobody touched it", func(t *testing.T) { checkUntouched(t, signed, public) })
	t.Run("flipped and removed", func(t *testing.T) { checkSpoilt(t, signed, public) })
	t.Run("forged", func(t *testing.T) { checkForged(t, signed, key) })
	t.Run("unsigned", func(t *testing.T) { checkUnsigned(t, unsignedOther(signed)) })
	t.Run("schemas", func(t *testing.T) { checkSchemas(t, signed) })
	t.Run("rebuilt", func(t *testing.T) { checkVerdicts(t, signed) })
}

func checkUntouched(t *testing.T, signed objects, public ed25519.PublicKey) {
	_, next := newKey(t)
	for name, c := range map[string]struct {
		software       string
		keys           []ed25519.PublicKey
		remade, signed int
	}{
		"the same version":                  {"test", []ed25519.PublicKey{public}, 2, 2},
		"another version":                   {"newer", []ed25519.PublicKey{public}, 0, 2},
		"no key":                            {"test", nil, 2, 0},
		"the key was replaced after a time": {"test", []ed25519.PublicKey{next, public}, 2, 2},
	} {
		found := check(t, signed, c.software, c.keys...)
		if all := kinds(found); len(all) > 0 || len(found) != 2 {
			t.Errorf("%s: %+v", name, found)
		}
		for id, f := range found {
			if f.Orphans > 0 {
				t.Errorf("%s: a normal run leaves %d orphans of %s", name, f.Orphans, id)
			}
		}
		if f := found["fax"]; f.Revisions != 2 || f.Remade != c.remade || f.Signed != c.signed || f.Pages != 3 {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

// checkSpoilt wants a fault for a flipped byte in each object, and for each object that is gone.
func checkSpoilt(t *testing.T, signed objects, public ed25519.PublicKey) {
	for key := range signed {
		t.Run(key, func(t *testing.T) {
			t.Parallel()
			for _, at := range positions(len(signed[key])) {
				a := maps.Clone(signed)
				a[key] = flipped(signed[key], at)
				if len(kinds(check(t, a, "test", public))) == 0 {
					t.Errorf("a flip of byte %d of %d is not found", at, len(signed[key]))
				}
			}
			a := maps.Clone(signed)
			delete(a, key)
			// A comparison that came after the newest manifest is named by nothing: the whole file can be compared again.
			if len(kinds(check(t, a, "test", public))) == 0 && !strings.Contains(key, "/verified.") {
				t.Error("it is gone, and that is not found")
			}
		})
	}
}

// checkUnsigned wants a fault for a flip of any byte also where there is no signature, whatever version checks it.
func checkUnsigned(t *testing.T, plain objects) {
	if f := check(t, plain, "test")["other"]; len(f.Faults) > 0 || f.Unsigned != 1 {
		t.Fatalf("nobody touched it: %+v", f)
	}
	for _, software := range []string{"test", "newer"} {
		for key, data := range plain {
			step := 1 + len(data)/3
			if strings.HasSuffix(key, "/manifest.json") {
				step = apptest.Usual(17, 170)
			}
			for at := 0; at < len(data); at += step {
				a := maps.Clone(plain)
				a[key] = flipped(data, at)
				if len(kinds(check(t, a, software))) == 0 {
					t.Errorf("a flip of byte %d of %d of %s is not found by version %s", at, len(data), key, software)
				}
			}
		}
	}
}

// unsignedOther is the fax "other" as if no key had been configured.
func unsignedOther(signed objects) objects {
	plain := objects{}
	for key, data := range signed {
		if strings.Contains(key, "other") {
			plain[key] = data
		}
	}
	const manifest = "faxes/other/r1/manifest.json"
	text := plain[manifest]
	plain[manifest] = append(bytes.Clone(text[:bytes.Index(text, []byte(",\n  \"signature\""))]), "\n}\n"...)
	return plain
}

// checkSchemas validates everything in an archive that has a schema.
func checkSchemas(t *testing.T, all objects) {
	schemas, seen := map[string]*jsonschema.Schema{}, map[string]int{}
	for _, name := range archive.SchemaNames {
		if slices.Contains([]string{"text", "searchable", "derived"}, name) {
			continue // no OCR engine has read these faxes, and nobody has chosen pages of them
		}
		text, err := archive.Schema(name)
		if err != nil {
			t.Fatal(err)
		}
		c := jsonschema.NewCompiler()
		if err := c.AddResource(name, jsonValue(t, text)); err != nil {
			t.Fatal(err)
		}
		if schemas[name], err = c.Compile(name); err != nil {
			t.Fatal(err)
		}
	}
	for key, data := range all {
		name := path.Base(key)
		name, _, _ = strings.Cut(name, ".")
		switch {
		case name == "verified":
			name = "report"
		case strings.HasSuffix(key, ".tiff.json"):
			name = "sidecar"
		case schemas[name] == nil:
			continue
		}
		seen[name]++
		if err := schemas[name].Validate(jsonValue(t, data)); err != nil {
			t.Errorf("%s: %v", key, err)
		}
	}
	if len(seen) != len(schemas) {
		t.Errorf("only these were there to be validated: %v", seen)
	}
}

func jsonValue(t *testing.T, text []byte) any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// positions are the first, the last and one between.
func positions(size int) []int {
	if testing.Short() {
		return []int{size / 2}
	}
	return slices.Compact([]int{0, size / 2, size - 1})
}

func flipped(data []byte, at int) []byte {
	data = bytes.Clone(data)
	data[at] ^= 1
	return data
}

// checkForged makes edits as somebody does who knows how hashes work.
func checkForged(t *testing.T, signed objects, key ed25519.PrivateKey) {
	public := key.Public().(ed25519.PublicKey)
	stranger, _ := newKey(t)
	const r1, r2, other = "faxes/fax/r1/manifest.json", "faxes/fax/r2/manifest.json", "faxes/other/r1/manifest.json"
	documentOf := func(dir, ext string) string {
		for name := range signed {
			if strings.HasPrefix(name, dir+"/document.") && strings.HasSuffix(name, ext) {
				return name
			}
		}
		t.Fatalf("no document in %s", dir)
		return ""
	}
	for name, c := range map[string]struct {
		forge func(a objects)
		keys  []ed25519.PublicKey
		want  verify.FaultKind
	}{
		"the manifest of another fax":         {func(a objects) { a[r1] = a[other] }, nil, verify.FaultForeign},
		"revisions in each other's place":     {func(a objects) { a[r1], a[r2] = a[r2], a[r1] }, nil, verify.FaultForeign},
		"the first revision's manifest gone":  {func(a objects) { delete(a, r1) }, nil, verify.FaultChain},
		"the newest revision's manifest gone": {func(a objects) { delete(a, r2) }, nil, verify.FaultUncommitted},
		"the whole fax gone": {func(a objects) {
			maps.DeleteFunc(a, func(key string, _ []byte) bool { return strings.HasPrefix(key, "faxes/other/") })
		}, nil, verify.FaultGone},
		"an earlier manifest and plan that fit each other": {
			func(a objects) {
				replaceInPlan(t, a, "faxes/fax/r1", `"verification": "pending"`, `"verification": "differs"`)
			},
			nil, verify.FaultChain,
		},
		"the newest manifest and plan that fit each other, without a signature": {
			func(a objects) { replaceInPlan(t, a, "faxes/other/r1", `"to": "+`, `"to": "-`) },
			[]ed25519.PublicKey{public},
			verify.FaultUnsigned,
		},
		"another's signature": {
			func(a objects) { resign(t, a, other, stranger) }, []ed25519.PublicKey{public}, verify.FaultUnknownKey,
		},
		"another's signature under our key's id": {
			func(a objects) {
				resign(t, a, other, stranger)
				a[other] = bytes.ReplaceAll(a[other], []byte(sign.KeyID(stranger.Public().(ed25519.PublicKey))), []byte(sign.KeyID(public)))
			}, []ed25519.PublicKey{public}, verify.FaultSignature,
		},
		"a signature taken from another revision": {
			func(a objects) {
				own, theirs := bytes.Index(a[r1], []byte(`  "signature"`)), bytes.Index(a[r2], []byte(`  "signature"`))
				a[r1] = slices.Concat(a[r1][:own], a[r2][theirs:])
			}, []ed25519.PublicKey{public}, verify.FaultSignature,
		},
		"a document cut short": {
			func(a objects) { name := documentOf("faxes/fax/r1", ".tiff"); a[name] = a[name][:len(a[name])-2] }, nil, verify.FaultAltered,
		},
		"a PDF of nothing": {func(a objects) { a[documentOf("faxes/fax/r1", ".pdf")] = nil }, nil, verify.FaultAltered},
		"pages changed about, hashes made right": {
			func(a objects) { swapDocuments(t, a) }, nil, verify.FaultContradicts,
		},
		"an index entry gone": {
			func(a objects) {
				maps.DeleteFunc(a, func(key string, _ []byte) bool { return regexp.MustCompile(`^index/.*-other$`).MatchString(key) })
			}, nil, verify.FaultIndex,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := maps.Clone(signed)
			c.forge(a)
			found := kinds(check(t, a, "test", c.keys...))
			if !slices.Contains(found, c.want) {
				t.Errorf("found %v, want %s", found, c.want)
			}
		})
	}
}

// replaceInPlan edits plan and manifest of a revision so that they agree with each other, unsigned.
func replaceInPlan(t *testing.T, a objects, dir, old, changed string) {
	t.Helper()
	plan, manifest := dir+"/plan.json", dir+"/manifest.json"
	before := fmt.Sprintf("%x", sha256.Sum256(a[plan]))
	if !bytes.Contains(a[plan], []byte(old)) {
		t.Fatalf("%s has no %s", plan, old)
	}
	a[plan] = bytes.ReplaceAll(a[plan], []byte(old), []byte(changed))
	text := bytes.ReplaceAll(a[manifest], []byte(old), []byte(changed))
	text = bytes.ReplaceAll(text, []byte(before), fmt.Appendf(nil, "%x", sha256.Sum256(a[plan])))
	at := bytes.Index(text, []byte(",\n  \"signature\""))
	a[manifest] = append(bytes.Clone(text[:at]), "\n}\n"...)
}

// resign signs a manifest with another key.
func resign(t *testing.T, a objects, manifest string, key ed25519.PrivateKey) {
	t.Helper()
	text := a[manifest][:bytes.Index(a[manifest], []byte(`  "signature"`))]
	sig, err := json.Marshal(ed25519.Sign(key, text))
	if err != nil {
		t.Fatal(err)
	}
	id := sign.KeyID(key.Public().(ed25519.PublicKey))
	a[manifest] = fmt.Appendf(bytes.Clone(text), "  \"signature\": {\n    \"key_id\": %q,\n    \"ed25519\": %s\n  }\n}\n", id, sig)
}

// swapDocuments makes the manifest of revision 1 say that its pages 1 and 2 are each other's.
func swapDocuments(t *testing.T, a objects) {
	t.Helper()
	const key = "faxes/fax/r1/manifest.json"
	var m archive.Manifest
	if err := json.Unmarshal(a[key], &m); err != nil {
		t.Fatal(err)
	}
	m.Pages[0].Original, m.Pages[1].Original = m.Pages[1].Original, m.Pages[0].Original
	m.Signature = nil
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	a[key] = append(text, '\n')
}

// A store that fails is no fault of the archive.
func TestAnArchiveThatCannotBeReadIsNoFault(t *testing.T) {
	c := verify.Checker{
		Archive: brokenReader{objects{"faxes/fax/r1/manifest.json": []byte("{}")}}, ScratchDir: t.TempDir(), Log: slog.New(slog.DiscardHandler),
	}
	if _, err := c.Session(t.Context(), "fax"); !errors.Is(err, errBusFault) {
		t.Errorf("the error is %v", err)
	}
	if _, err := c.Session(t.Context(), "nobody"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the error for a fax that is not there is %v", err)
	}
}

type brokenReader struct{ objects }

func (brokenReader) Open(context.Context, string) (io.ReadSeekCloser, int64, error) {
	return nil, 0, errBusFault
}
