package main

import "github.com/faxstream/faxstream/pipeline/archive"

type schemaCmd struct {
	Name string `arg:"" enum:"plan,manifest,sidecar,report" help:"Kind of object: ${enum}."`
}

// Run prints the JSON Schema of one kind of archived object.
func (c schemaCmd) Run(e env) error {
	text, err := archive.Schema(c.Name)
	if err != nil {
		return err
	}
	_, err = e.stdout.Write(text)
	return err
}
