package events_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/faxstream/faxstream/pipeline/events"
)

// parse reads a document on standard input with the official parser, and prints each error and warning, and then the names of all
// messages. It says besides that there is a 3.1: readers of 3.0 are more.
const parse = `
import { createRequire } from "node:module";
const { Parser } = createRequire(process.argv[1] + "/")("@asyncapi/parser");
let text = "";
for await (const part of process.stdin) text += part;
const { document, diagnostics } = await new Parser().parse(text);
for (const d of diagnostics) if (d.severity < 2) console.log(d.severity, d.code, d.path.join("/"), d.message);
if (document) console.log(document.version(), document.allMessages().all().map((m) => m.id()).sort().join(" "));
`

// The official parser finds no fault, and finds every event.
func TestAsyncAPIIsValid(t *testing.T) {
	text, err := events.AsyncAPI()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "asyncapi.json", text)
	if testing.Short() {
		t.Skip("the parser is a program of its own, in which the race detector sees nothing: runs without -short")
	}
	modules := filepath.Join(os.Getenv("FAXSTREAM_TOOLS"), "asyncapi", "node_modules")
	if _, err := os.Stat(filepath.Join(modules, "@asyncapi", "parser")); err != nil {
		const help = "the AsyncAPI parser is missing: make tools, and FAXSTREAM_TOOLS=$PWD/.tools/bin"
		if os.Getenv("CI") == "true" {
			t.Fatal(help)
		}
		t.Skip(help)
	}
	cmd := exec.Command("node", "--input-type=module", "-e", parse, modules)
	cmd.Stdin = bytes.NewReader(text)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("node: %v\n%s", err, out)
	}
	const want = "3.0.0 doc.assembled doc.derived doc.searchable doc.verified page.amended page.archived page.failed text.recognised"
	if strings.TrimSpace(string(out)) != want {
		t.Errorf("the parser says\n%swant\n%s", out, want)
	}
}
