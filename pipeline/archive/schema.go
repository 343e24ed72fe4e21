package archive

import (
	"embed"
	"fmt"
	"slices"
)

//go:embed schema/*.json
var schemas embed.FS

// SchemaNames are the names that Schema knows: the kinds of JSON objects in the archive.
var SchemaNames = []string{"plan", "manifest", "sidecar", "report", "text", "searchable", "derived"}

// Schema returns the JSON Schema (Draft 2020-12) of one kind of archived object. An unknown name is an error.
func Schema(name string) ([]byte, error) {
	if !slices.Contains(SchemaNames, name) {
		return nil, fmt.Errorf("unknown schema %q: want one of %q", name, SchemaNames)
	}
	return schemas.ReadFile("schema/" + name + ".json")
}
