package main

import (
	"fmt"
	"slices"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/events"
)

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
