package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

type watchCmd struct {
	client
	JSON bool `help:"Print one JSON object a line: type, time and data as published."`
}

func (c watchCmd) Run(ctx context.Context, e env) error {
	return c.events(ctx, func() { fmt.Fprintln(e.stderr, "watching", c.Server) }, func(line []byte) error {
		if c.JSON {
			_, err := fmt.Fprintf(e.stdout, "%s\n", line)
			return err
		}
		var v struct {
			Type string    `json:"type"`
			Time time.Time `json:"time"`
			Data struct {
				Session  string `json:"session"`
				Page     int    `json:"page"`
				Revision int    `json:"revision"`
				Status   string `json:"status"`
				Reason   string `json:"reason"`
			} `json:"data"`
		}
		if err := json.Unmarshal(line, &v); err != nil {
			return fmt.Errorf("event of %s: %w", c.Server, err)
		}
		text := v.Time.Local().Format(time.TimeOnly) + " " + v.Type + " " + v.Data.Session
		if v.Data.Page > 0 {
			text += fmt.Sprintf(" page %d", v.Data.Page)
		}
		if v.Data.Revision > 0 {
			text += fmt.Sprintf(" revision %d", v.Data.Revision)
		}
		for _, s := range []string{v.Data.Status, v.Data.Reason} {
			if s != "" {
				text += " " + s
			}
		}
		_, err := fmt.Fprintln(e.stdout, text)
		return err
	})
}
