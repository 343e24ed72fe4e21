package main

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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

// rooms are the packages of the pipeline by floor: each imports only rooms of lower floors, the vocabulary, and what its row allows.
var rooms = []struct {
	floor   int
	dir     string
	allowed []string // packages of ours beside the rooms of lower floors
	what    string   // what belongs there, for whoever has put code in the wrong room
}{
	{0, "pipeline/session", nil, "the ledger and the vocabulary of facts"},
	{0, "pipeline/ccitt", nil, "T.4 and T.6"},
	{0, "pipeline/jbig", nil, "T.82 and T.85"},
	{0, "pipeline/raster", nil, "packed 1-bit pages: geometry, quality, PNG"},
	{0, "pipeline/pdf", nil, "the PDF/A writer"},
	{0, "pipeline/sign", nil, "keys and signatures"},
	{0, "pipeline/text", nil, "what OCR engines write, as words"},
	{0, "pipeline/trace", nil, "spans of the work on a fax"},
	{1, "pipeline/bus", nil, "JetStream: streams, subjects, publish, consume"},
	{1, "pipeline/tiff", nil, "the TIFF container"},
	{1, "pipeline/stage", nil, "names of stages"},
	{1, "pipeline/search", nil, "the index of texts, numbers and dates"},
	{1, "pipeline/events", nil, "the contract with subscribers: schemas of events"},
	{1, "pipeline/archive", nil, "keys and JSON objects of the archive"},
	{2, "pipeline/intake", nil, "bytes to a published page"},
	{2, "pipeline/desk", nil, "what people say about a fax"},
	{2, "pipeline/subscribers", nil, "events that services claim and settle over HTTP"},
	{2, "pipeline/ocr", nil, "what OCR engines recognise: taken, archived, published"},
	{2, "pipeline/hold", nil, "holds, releases, purges and their log"},
	{2, "pipeline/spool", nil, "what webhooks bring while NATS servers are away"},
	{2, "pipeline/seal", nil, "the audit's daily chain"},
	{2, "pipeline/letters", nil, "dead letters and what people order about them"},
	{3, "pipeline/fetch", nil, "provider to intake: retries, gate, comparison"},
	{3, "pipeline/document", nil, "plan to TIFF and PDF"},
	{3, "pipeline/indexing", nil, "archive and events to the search index"},
	{3, "pipeline/recovery", nil, "archive to ledger"},
	{4, "pipeline/collect", nil, "facts to ledger"},
	{4, "pipeline/verify", nil, "proof from the archive alone"},
	{4, "pipeline/replay", nil, "archived originals decoded again"},
	{5, "pipeline", nil, "the doorway: it wires the rooms"},
	{5, "pipeline/matrix", nil, "tests with other people's writers and readers"},
	{5, "pipeline/pipelinetest", []string{"storage", "storage/local"}, "what tests of several rooms share"},
}

// vocabulary is what every package of the product may import.
const vocabulary = "pipeline/session"

type outsideRule struct {
	dir     string
	allowed []string
	why     string
}

// outside are the packages that are not rooms of the pipeline, with all that they may import beside what lies in them.
var outside = []outsideRule{
	{"ingest", []string{vocabulary}, "ingest knows of the pipeline only the vocabulary of facts"},
	{"storage", nil, "stores know nothing of faxes"},
	{"storage/local", []string{"storage"}, "stores do not know each other"},
	{"storage/s3", []string{"storage"}, "stores do not know each other"},
	{"cmd/faxstream/api", []string{vocabulary}, "the types of the HTTP API are for server and client: they need no more than the vocabulary"},
	{"cmd/faxstream/flags", []string{vocabulary}, "what people write knows nothing of what is done with it"},
	{"cmd/faxstream/calm", nil, "a calm log is for every log"},
	{"cmd/faxstream/health", nil, "the last hour knows numbers and their names"},
	{"cmd/faxstream/pack", []string{"pipeline/sign"}, "packages have the program in them, and need nothing of it but signatures"},
	{
		"cmd/faxstream/bench",
		[]string{
			"cmd/faxstream/api", "cmd/faxstream/client", "ingest", "ingest/faxplus", "ingest/faxplus/faxplustest", "pipeline/ccitt",
			"pipeline/jbig", "pipeline/raster", "pipeline/tiff", vocabulary,
		},
		"the driver measures other processes: it runs no pipeline",
	},
	{"cmd/faxstream/words", nil, "words know no page"},
	{"cmd/faxstream/layout", []string{"cmd/faxstream/words"}, "the frame of every HTML page knows no page"},
	{
		"cmd/faxstream/access",
		[]string{"cmd/faxstream/api", "cmd/faxstream/layout", "cmd/faxstream/words", vocabulary},
		"who gets in depends on tokens and links, not on faxes",
	},
	{
		"cmd/faxstream/client",
		[]string{"cmd/faxstream/api", "ingest", "ingest/faxplus", vocabulary},
		"the client knows the API and the reconciler's report, not the server",
	},
	{
		"cmd/faxstream/dashboard",
		[]string{
			"cmd/faxstream/access", "cmd/faxstream/api", "cmd/faxstream/flags", "cmd/faxstream/health", "cmd/faxstream/layout",
			"cmd/faxstream/words", "pipeline/bus", "pipeline/search", "pipeline/subscribers", "pipeline/trace", vocabulary,
		},
		"the dashboard reads, it does not run the pipeline",
	},
	{
		"cmd/faxstream/faxgen",
		[]string{
			"ingest/faxplus", "ingest/faxplus/faxplustest", "pipeline/ccitt", "pipeline/jbig", "pipeline/raster", "pipeline/tiff", vocabulary,
		},
		"the generator makes faxes for the simulator: TIFF files and what is said of them",
	},
	{
		"cmd/faxstream/tesseract",
		[]string{"cmd/faxstream/api", "cmd/faxstream/client", "ingest", "ingest/faxplus", vocabulary},
		"the OCR worker uses what every OCR service can use: the API",
	},
	{
		"cmd/faxstream/tifftool",
		[]string{"pipeline/ccitt", "pipeline/jbig", "pipeline/raster", "pipeline/tiff"},
		"TIFF tools know files, not faxes",
	},
	{
		"cmd/faxstream/watch",
		[]string{"cmd/faxstream/api", "cmd/faxstream/client", "ingest", "ingest/faxplus", vocabulary},
		"the live view knows what every client knows: the API",
	},
}

// floorOf is a room's floor; -1: it is none.
func floorOf(dir string) int {
	for _, r := range rooms {
		if r.dir == dir {
			return r.floor
		}
	}
	return -1
}

func TestRoomsImportOnlyLowerFloors(t *testing.T) {
	packages := goList(t, module+"/...")
	for _, r := range rooms {
		p, ok := packages[module+"/"+r.dir]
		if !ok {
			t.Errorf("there is no package %s: the row about it says nothing", r.dir)
		}
		for _, imported := range p.Imports {
			dir, ours := strings.CutPrefix(imported, module+"/")
			if !ours || dir == vocabulary || slices.Contains(r.allowed, dir) || floorOf(dir) >= 0 && floorOf(dir) < r.floor {
				continue
			}
			t.Errorf("%s (floor %d: %s) imports %s (floor %d). Code that needs both belongs in a room of a higher floor; "+
				"or declare in %s the interface that it needs, and let pipeline.Start plug it in", r.dir, r.floor, r.what, dir, floorOf(dir), r.dir)
		}
	}
	for path := range packages {
		dir, ours := strings.CutPrefix(path, module+"/")
		if ours && below(path, "pipeline") && floorOf(dir) < 0 {
			t.Errorf("no row says on which floor %s is: add it to the table, and to pipeline/doc.go", dir)
		}
	}
}

func TestImportDirections(t *testing.T) {
	packages := goList(t, module+"/...")
	for _, rule := range outside {
		found := false
		for path, p := range packages {
			if !below(path, rule.dir) {
				continue
			}
			found = true
			for _, dep := range p.Deps {
				ok := !below(dep, "") || below(dep, rule.dir) ||
					slices.ContainsFunc(rule.allowed, func(dir string) bool { return dep == module+"/"+dir })
				if !ok {
					t.Errorf("%s needs %s: %s", path, dep, rule.why)
				}
			}
		}
		if !found {
			t.Errorf("no package in %s: the rule about it says nothing", rule.dir)
		}
	}
	for path := range packages {
		// deploy has tests only; commands, app and doctor wire everything; rooms have a test of their own.
		free := !below(path, "") || path == module+"/cmd/faxstream" || below(path, "cmd/faxstream/app") || below(path, "cmd/faxstream/doctor") ||
			below(path, "deploy") || below(path, "pipeline")
		ruled := slices.ContainsFunc(outside, func(r outsideRule) bool { return below(path, r.dir) })
		if !free && !ruled {
			t.Errorf("no row says what %s may import: add it to the table", path)
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
		if path == "testing" || below(path, "storage/storagetest") || below(path, "pipeline/pipelinetest") {
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
		"go.opentelemetry.io/otel",
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

// TestSequentialPackagesHaveNothingConcurrent reads the packages that the Makefile runs without the race detector: they start no goroutine
// and share nothing between those of others.
func TestSequentialPackagesHaveNothingConcurrent(t *testing.T) {
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	list := regexp.MustCompile(`(?s)\nSEQUENTIAL := \$\(addprefix \./,(.*?)\)`).FindSubmatch(makefile)
	if list == nil {
		t.Fatal("the Makefile has no list SEQUENTIAL of packages")
	}
	for _, dir := range strings.Fields(strings.ReplaceAll(string(list[1]), "\\", " ")) {
		tests, err := filepath.Glob(filepath.Join("../..", dir, "*_test.go"))
		if err != nil || len(tests) == 0 {
			t.Errorf("%s of SEQUENTIAL in the Makefile has no tests (%v): take it off the list", dir, err)
		}
		files, err := filepath.Glob(filepath.Join("../..", dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			if what := concurrency(t, name); what != "" {
				t.Errorf("%s has %s: take %s off the list SEQUENTIAL in the Makefile", name, what, dir)
			}
		}
	}
}

// concurrency names something in a file that needs the race detector; "" is nothing.
func concurrency(t *testing.T, name string) (what string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range file.Imports {
		if path := strings.Trim(spec.Path.Value, `"`); path == "sync" || path == "sync/atomic" || strings.HasPrefix(path, "golang.org/x/sync/") {
			what = "the import " + path
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if _, is := n.(*ast.GoStmt); is {
			what = "a go statement"
		}
		return true
	})
	return what
}
