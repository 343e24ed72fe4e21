package api

import (
	"encoding/json"
	"time"
)

// Readiness is the answer of /readyz where the pipeline can work: green, and yellow with warnings. Red is an Error.
type Readiness struct {
	Status   string   `json:"status"`
	Warnings []string `json:"warnings,omitempty"`
}

// Event is one event of the stream GET /events.
type Event struct {
	Type string          `json:"type"`
	Time time.Time       `json:"time"`
	Data json.RawMessage `json:"data"` // as published
}
