package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/faxstream/faxstream"

// goPackage is what `go list -json` says of one.
type goPackage struct {
	ImportPath string
	Imports    []string
	Deps       []string // all it needs, directly or not
	CgoFiles   []string
	Standard   bool
}

// goList asks the go command about packages and everything they need, without tests, as the product is built.
func goList(t *testing.T, patterns ...string) map[string]goPackage {
	t.Helper()
	return goListEnv(t, "CGO_ENABLED=0", patterns...)
}

func goListEnv(t *testing.T, env string, patterns ...string) map[string]goPackage {
	t.Helper()
	const fields = "-json=ImportPath,Imports,Deps,CgoFiles,Standard"
	cmd := exec.Command("go", append([]string{"list", "-deps", fields}, patterns...)...)
	cmd.Env = append(os.Environ(), env)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", cmd, err)
	}
	packages := map[string]goPackage{}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages[p.ImportPath] = p
	}
}

// below reports whether path is dir of our module or lies in it; "" is the module.
func below(path, dir string) bool {
	full := strings.TrimSuffix(module+"/"+dir, "/")
	return path == full || strings.HasPrefix(path, full+"/")
}

func TestImportDirections(t *testing.T) {
	rules := []struct {
		from    string
		allowed []string // packages of ours that it may need, beside those in from
		why     string
	}{
		{"ingest", []string{"pipeline/session"}, "ingest knows of the pipeline only the vocabulary of facts"},
		{"pipeline", nil, "the pipeline declares what it needs of ingest and storage, cmd plugs it in"},
		{"storage", nil, "stores know nothing of faxes"},
		{"storage/local", []string{"storage"}, "stores do not know each other"},
		{"storage/s3", []string{"storage"}, "stores do not know each other"},
		{"pipeline/session", nil, "the vocabulary stands alone"},
		{"pipeline/ccitt", nil, "a leaf speaks standard types"},
		{"pipeline/jbig", nil, "a leaf speaks standard types"},
		{"pipeline/pdf", nil, "a leaf speaks standard types"},
		{"pipeline/raster", nil, "a leaf speaks standard types"},
		{"pipeline/tiff", []string{"pipeline/ccitt", "pipeline/jbig", "pipeline/raster"}, "the container needs codec and pages, nothing else"},
		{"pipeline/bus", []string{"pipeline/session"}, "JetStream knows facts, not what is done with them"},
		{"cmd/faxstream/dashboard", []string{"pipeline/bus", "pipeline/session"}, "the dashboard reads, it does not run the pipeline"},
	}
	packages := goList(t, module+"/...")
	for _, rule := range rules {
		found := false
		for path, p := range packages {
			if !below(path, rule.from) {
				continue
			}
			found = true
			for _, dep := range p.Deps {
				ok := !below(dep, "") || below(dep, rule.from) ||
					slices.ContainsFunc(rule.allowed, func(dir string) bool { return dep == module+"/"+dir })
				if !ok {
					t.Errorf("%s needs %s: %s", path, dep, rule.why)
				}
			}
		}
		if !found {
			t.Errorf("no package in %s: the rule about it says nothing", rule.from)
		}
	}
	for path := range packages {
		// deploy has tests only; cmd imports everything.
		free := !below(path, "") || below(path, "cmd") || below(path, "deploy")
		if !free && !below(path, "ingest") && !below(path, "pipeline") && !below(path, "storage") {
			t.Errorf("no rule says what %s may import", path)
		}
	}
}

func TestNobodyImportsCmd(t *testing.T) {
	for path, p := range goList(t, module+"/...") {
		for _, imported := range p.Imports {
			if below(imported, "cmd") && !below(path, "cmd") {
				t.Errorf("%s imports %s", path, imported)
			}
		}
	}
}

// TestTestHelpersStayOutOfTheProduct: the simulator is part of it (demo, simulate), the rest is not.
func TestTestHelpersStayOutOfTheProduct(t *testing.T) {
	for path := range goList(t, module+"/cmd/faxstream") {
		if path == "testing" || below(path, "storage/storagetest") {
			t.Errorf("the binary has %s in it", path)
		}
	}
}

// TestProductHasNoCgo looks also at what a build with cgo would take: there the standard library has some, nobody else.
func TestProductHasNoCgo(t *testing.T) {
	for path, p := range goListEnv(t, "CGO_ENABLED=1", module+"/cmd/faxstream") {
		if !p.Standard && len(p.CgoFiles) > 0 {
			t.Errorf("%s has C in it: the binary is static only where it does without", path)
		}
	}
	for path, p := range goList(t, module+"/cmd/faxstream") {
		if path == "runtime/cgo" || slices.Contains(p.Imports, "C") {
			t.Errorf("%s needs cgo", path)
		}
	}
}

// TestLibrariesAreUsed: what the design builds on is in the binary, not only in go.mod.
func TestLibrariesAreUsed(t *testing.T) {
	packages := goList(t, module+"/cmd/faxstream")
	for _, library := range []string{
		"github.com/nats-io/nats.go/jetstream",
		"github.com/nats-io/nats-server/v2/server",
		"github.com/hashicorp/go-retryablehttp",
		"github.com/minio/minio-go/v7",
		"golang.org/x/image",
		"github.com/alecthomas/kong",
		"github.com/prometheus/client_golang/prometheus",
	} {
		users := 0
		for path, p := range packages {
			if below(path, "") && slices.ContainsFunc(p.Imports, func(i string) bool { return i == library || strings.HasPrefix(i, library+"/") }) {
				users++
			}
		}
		if users == 0 {
			t.Errorf("no package of ours in the binary imports %s", library)
		}
	}
}
