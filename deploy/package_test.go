package deploy_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/faxstream/faxstream/pipeline/sign"
)

// made are the packages that the tests try.
var made struct {
	sync.Mutex
	dir string
}

// packages is the directory of the packages: $FAXSTREAM_PACKAGES, or one that is made once.
func packages(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("it builds the program as packages do, and runs no Go of ours: runs without -short")
	}
	made.Lock()
	defer made.Unlock()
	if made.dir == "" {
		made.dir = os.Getenv("FAXSTREAM_PACKAGES")
	}
	if made.dir == "" {
		dir := filepath.Join(binDir, "packages")
		pack(t, dir)
		made.dir = dir
	}
	return made.dir
}

// pack makes the packages of the working tree.
func pack(t *testing.T, dir string, args ...string) {
	t.Helper()
	tools := filepath.Dir(tool(t, "nfpm", "make tools"))
	tool(t, "cyclonedx-gomod", "make tools")
	cmd := exec.Command("go", append([]string{"run", "./cmd/faxstream/pack", "--out", dir, "--tools", tools}, args...)...)
	cmd.Dir = ".."
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
}

// packaged is the one file of the packages whose name matches.
func packaged(t *testing.T, pattern string) string {
	t.Helper()
	dir := packages(t)
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(found) != 1 {
		t.Fatalf("%s has %q for %s: %v", dir, found, pattern, err)
	}
	return found[0]
}

// TestPackagesAreReproducible makes everything once more, in other folders, with a key: whoever builds the commit has the bytes that were
// signed.
func TestPackagesAreReproducible(t *testing.T) {
	first := readAll(t, packages(t))
	key := filepath.Join(t.TempDir(), "release.key")
	if out, err := exec.Command(faxstream(), "keys", key).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	signed := filepath.Join(t.TempDir(), "signed")
	pack(t, signed, "--key", key)
	second := readAll(t, signed)
	kinds := map[string]int{}
	for name, data := range first {
		kinds[filepath.Ext(name)]++
		if name != "SHA256SUMS" && !bytes.Equal(data, second[name]) {
			t.Errorf("%s of two builds differ: SHA-256 %x and %x", name, sha256.Sum256(data), sha256.Sum256(second[name]))
		}
	}
	if len(first) < 7 || kinds[".deb"] != 1 || kinds[".tar"] != 1 || kinds[".tgz"] != 2 || kinds[".json"] != 1 {
		t.Errorf("the packages are %v", kinds)
	}
	checkSums(t, signed)
	checkProvenance(t, signed, second)
}

func readAll(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if all[f.Name()], err = os.ReadFile(filepath.Join(dir, f.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// checkSums does what deploy/docs/install.md tells people to do.
func checkSums(t *testing.T, dir string) {
	t.Helper()
	for _, b := range readPage(t, "docs/install.md").of(example) {
		if !strings.Contains(b, "openssl pkeyutl -verify") {
			continue
		}
		verify := exec.Command("sh", "-ec", b)
		verify.Dir = dir
		if out, err := verify.CombinedOutput(); err != nil {
			t.Errorf("a release is refused: %v\n%s", err, out)
		}
		sums := filepath.Join(dir, "SHA256SUMS")
		text, err := os.ReadFile(sums)
		if err != nil {
			t.Fatal(err)
		}
		write(t, sums, strings.ToUpper(string(text)))
		forged := exec.Command("sh", "-ec", b)
		forged.Dir = dir
		if out, err := forged.CombinedOutput(); err == nil {
			t.Errorf("a changed list of sums is accepted\n%s", out)
		}
		write(t, sums, string(text))
		return
	}
	t.Error("docs/install.md does not say how the signature is checked")
}

// checkProvenance reads the statement as a verifier of in-toto does, and compares it with the files.
func checkProvenance(t *testing.T, dir string, files map[string][]byte) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "*.intoto.jsonl"))
	if err != nil || len(found) != 1 {
		t.Fatalf("%v, %v", found, err)
	}
	var envelope struct {
		PayloadType string
		Payload     []byte
		Signatures  []struct{ KeyID, Sig string }
	}
	var statement struct {
		Type          string `json:"_type"`
		PredicateType string
		Subject       []struct {
			Name   string
			Digest map[string]string
		}
		Predicate struct {
			BuildDefinition struct {
				ResolvedDependencies []struct {
					URI    string
					Digest map[string]string
				}
			}
		}
	}
	if err := json.Unmarshal(files[filepath.Base(found[0])], &envelope); err != nil {
		t.Fatal(err)
	}
	keys, err := sign.ParsePublicKeys(files["release.pub"])
	if err != nil || len(envelope.Signatures) != 1 {
		t.Fatalf("%v, %v", envelope.Signatures, err)
	}
	signature, err := base64.StdEncoding.DecodeString(envelope.Signatures[0].Sig)
	kind, payload := envelope.PayloadType, envelope.Payload
	signedText := fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(kind), kind, len(payload), payload)
	if err != nil || !ed25519.Verify(keys[0], signedText, signature) {
		t.Errorf("the signature of the provenance is wrong: %v", err)
	}
	if err := json.Unmarshal(envelope.Payload, &statement); err != nil {
		t.Fatal(err)
	}
	head, err := exec.Command("git", "rev-parse", "HEAD").Output()
	if err != nil {
		t.Fatal(err)
	}
	sources := statement.Predicate.BuildDefinition.ResolvedDependencies[0]
	if statement.Type != "https://in-toto.io/Statement/v1" || statement.PredicateType != "https://slsa.dev/provenance/v1" ||
		sources.Digest["gitCommit"] != strings.TrimSpace(string(head)) {
		t.Errorf("the provenance is %s of %s, about %v", statement.Type, statement.PredicateType, sources)
	}
	for _, s := range statement.Subject {
		if want := fmt.Sprintf("%x", sha256.Sum256(files[s.Name])); s.Digest["sha256"] != want {
			t.Errorf("the provenance gives %s the SHA-256 %s, it is %s", s.Name, s.Digest["sha256"], want)
		}
	}
	if len(statement.Subject) != len(files)-4 {
		t.Errorf("the provenance is about %d files: want all of %d but itself, the sums, their signature and the public key",
			len(statement.Subject), len(files))
	}
}

// TestPackageListsItsModules: the SBOM has every module that Go linked, with its version, and the standard library.
func TestPackageListsItsModules(t *testing.T) {
	binary := packaged(t, "faxstream-*-linux-*[0-9]")
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(binary + ".cdx.json")
	if err != nil {
		t.Fatal(err)
	}
	var bom struct {
		BOMFormat, SpecVersion string
		Components             []struct{ Name, Version string }
	}
	if err := json.Unmarshal(text, &bom); err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for _, m := range info.Deps {
		want = append(want, m.Path+" "+m.Version)
	}
	want = append(want, "std "+info.GoVersion)
	for _, c := range bom.Components {
		got = append(got, c.Name+" "+c.Version)
	}
	slices.Sort(want)
	slices.Sort(got)
	if bom.BOMFormat != "CycloneDX" || bom.SpecVersion < "1.5" || !slices.Equal(got, want) {
		t.Errorf("%s %s has %d components, want %d:\n%q\n%q", bom.BOMFormat, bom.SpecVersion, len(got), len(want), got, want)
	}
	for _, c := range info.Deps {
		if strings.Contains(c.Path, "go-containerregistry") || strings.Contains(c.Path, "x509roots") {
			t.Errorf("the program has %s, which only its packages need", c.Path)
		}
	}
}
