package api

import (
	"encoding/json"
	"time"
)

// Readiness is the answer of /readyz where the pipeline can work: green, and yellow with warnings. Red is an Error.
type Readiness struct {
	Status   string   `json:"status"`
	Roles    []string `json:"roles,omitempty"` // of the process; empty: all
	Warnings []string `json:"warnings,omitempty"`
}

// Refusal is an address whose webhooks were refused because of it.
type Refusal struct {
	Address   string    `json:"address"` // empty: it could not be read
	Peer      string    `json:"peer"`    // who was connected: Address itself, or a trusted proxy
	Count     int       `json:"count"`   // requests
	First     time.Time `json:"first"`
	Last      time.Time `json:"last"`
	RightPath bool      `json:"right_path"` // a request had the path and secret of webhooks: no stranger has them
	Advice    string    `json:"advice"`     // a sentence: which flag lets them in
}

// RefusalList is the answer of GET /webhooks/refused, the newest first.
type RefusalList struct {
	Refused []Refusal `json:"refused"`
}

// Event is one event of the stream GET /events.
type Event struct {
	Type string          `json:"type"`
	Time time.Time       `json:"time"`
	Data json.RawMessage `json:"data"` // as published
}
