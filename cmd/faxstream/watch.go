package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/cmd/faxstream/client"
	"github.com/faxstream/faxstream/pipeline/session"
)

type watchCmd struct {
	apiClient
	JSON bool `help:"Print one JSON object a line: type, time and data as published."`
}

func (c watchCmd) Run(ctx context.Context, e env) error {
	return c.api.Events(ctx, func() { fmt.Fprintln(e.stderr, "watching", c.Server) }, func(line []byte) error {
		text := string(line)
		if !c.JSON {
			var err error
			if text, err = eventText(line); err != nil {
				return fmt.Errorf("event of %s: %w", c.Server, err)
			}
		}
		_, err := fmt.Fprintln(e.stdout, text)
		return err
	})
}

// eventText is an event as a line for people; its time is UTC.
func eventText(line []byte) (string, error) {
	var v api.Event
	var data struct {
		Session  string `json:"session"`
		Page     int    `json:"page"`
		Revision int    `json:"revision"`
		Status   string `json:"status"`
		Reason   string `json:"reason"`

		Differences map[string]session.Ranges `json:"differences"` // of doc.verified
	}
	err := json.Unmarshal(line, &v)
	if err == nil {
		err = json.Unmarshal(v.Data, &data)
	}
	if err != nil {
		return "", err
	}
	text := v.Time.UTC().Format(time.TimeOnly) + " UTC " + v.Type + " " + data.Session
	if data.Page > 0 {
		text += fmt.Sprintf(" page %d", data.Page)
	}
	if data.Revision > 0 {
		text += fmt.Sprintf(" revision %d", data.Revision)
	}
	for _, s := range []string{data.Status, data.Reason} {
		if s != "" {
			text += " " + s
		}
	}
	for _, name := range slices.Sorted(maps.Keys(data.Differences)) {
		text += " " + api.DifferText(data.Differences[name]) + " (" + name + ")"
	}
	return client.OneLine(text), nil
}
