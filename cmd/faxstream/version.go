package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
)

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
