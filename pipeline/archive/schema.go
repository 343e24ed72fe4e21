package archive

import (
	"embed"
	"fmt"
	"slices"
)

//go:embed schema/*.json
var schemas embed.FS

// SchemaNames are the kinds of JSON objects in the archive that have a schema.
var SchemaNames = []string{"plan", "manifest", "sidecar", "report"}

// Schema is the JSON Schema (Draft 2020-12) of one kind of archived object.
func Schema(name string) ([]byte, error) {
	if !slices.Contains(SchemaNames, name) {
		return nil, fmt.Errorf("no schema is named %q: want one of %q", name, SchemaNames)
	}
	return schemas.ReadFile("schema/" + name + ".json")
}
