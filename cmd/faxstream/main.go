// Command faxstream turns fax webhooks into archived pages and documents. Run faxstream --help. The commands
// are the fields of cli in run.go; files have them by subject, with their flags and their Run.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	_ "time/tzdata" // names of time zones, where the system has none

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/events"
)

func main() { os.Exit(program()) }

// program runs until the work is done or a signal comes.
func program() int {
	clearEmpty()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	defer stop()
	return run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
}

// clearEmpty treats a variable that is set to nothing as not set: compose files write FAXSTREAM_X=${X:-}.
func clearEmpty() {
	for _, kv := range os.Environ() {
		if name, value, _ := strings.Cut(kv, "="); value == "" && strings.HasPrefix(name, envPrefix+"_") {
			_ = os.Unsetenv(name) // fails only for a name that cannot be set either
		}
	}
}

type versionCmd struct {
	JSON bool `help:"Print one JSON object."`
}

// version is set by the build (-ldflags "-X main.version=…"); a build without it takes the module's.
var version = ""

func softwareVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

// softwareName is how this program calls itself in manifests and documents.
func softwareName() string { return "faxstream " + softwareVersion() }

func (c versionCmd) Run(e env) error {
	if c.JSON {
		return json.NewEncoder(e.stdout).Encode(map[string]string{"version": softwareVersion(), "go": runtime.Version()})
	}
	_, err := fmt.Fprintf(e.stdout, "faxstream %s %s\n", softwareVersion(), runtime.Version())
	return err
}

// schemaCmd prints what the binary has of schemas.
type schemaCmd struct {
	Name     string `arg:"" optional:"" help:"Event (page.archived, doc.assembled, …) or kind of archived object (plan, manifest, …). Without it: list all names."`
	AsyncAPI bool   `name:"asyncapi" help:"Print the AsyncAPI document of all events."`
}

// Run prints a schema, the names of all, or the AsyncAPI document.
func (c schemaCmd) Run(e env) error {
	text, err := c.text()
	if err == nil {
		_, err = e.stdout.Write(text)
	}
	return err
}

func (c schemaCmd) text() ([]byte, error) {
	names := append(events.Names(), archive.SchemaNames...)
	switch {
	case c.AsyncAPI && c.Name != "":
		return nil, usagef("--asyncapi describes all events: leave out %q", c.Name)
	case c.AsyncAPI:
		return events.AsyncAPI()
	case slices.Contains(events.Names(), c.Name):
		return events.Schema(c.Name)
	case slices.Contains(archive.SchemaNames, c.Name):
		return archive.Schema(c.Name)
	case c.Name != "":
		return nil, usagef("unknown schema %q: want one of %q", c.Name, names)
	}
	var list []byte
	for _, name := range names {
		list = fmt.Appendln(list, name)
	}
	return list, nil
}
