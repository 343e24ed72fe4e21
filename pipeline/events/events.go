// Package events is the contract with subscribers: the events that faxstream publishes for others, with their subjects and the JSON Schemas
// of their payloads. Begin with Names and Schema; AsyncAPI describes all of them in one document.
//
// The contract has a version, which is the second token of every subject: v1. Within it an event may get new fields, and there may be new
// events; a field does not go away, and does not change its meaning or its type; a field whose schema lists its values gets no others. So
// the schemas allow fields that they do not name, and a subscriber must ignore them. What breaks that rule gets subjects of its own,
// fax.v2, and v1 goes on beside it for a release at least.
package events

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
)

// contractText has the events, and what they share.
//
//go:embed events.json
var contractText []byte

type contract struct {
	Events     []event                    `json:"events"`
	Parameters map[string]string          `json:"parameters"` // of subjects: what the tokens in braces are
	Headers    json.RawMessage            `json:"headers"`    // the schema of CloudEvents headers
	Defs       map[string]json.RawMessage `json:"defs"`       // schemas that payloads refer to
}

type event struct {
	Name        string          `json:"name"`   // without the version
	Stream      string          `json:"stream"` // of JetStream
	Subject     string          `json:"subject"`
	Title       string          `json:"title"`
	Description string          `json:"description"`
	Payload     json.RawMessage `json:"payload"` // its schema
}

// ours is the contract. The text is part of this program, and a test reads it: it is valid.
var ours = func() (c contract) {
	if err := json.Unmarshal(contractText, &c); err != nil {
		panic("events.json: " + err.Error())
	}
	return c
}()

// Names are the events that Schema knows, such as page.archived.
func Names() []string {
	names := make([]string, len(ours.Events))
	for i, e := range ours.Events {
		names[i] = e.Name
	}
	return names
}

// schema is a JSON Schema (Draft 2020-12), with its keywords in the order in which people read them.
type schema struct {
	Schema      string                     `json:"$schema"`
	ID          string                     `json:"$id"`
	Title       string                     `json:"title"`
	Description string                     `json:"description"`
	Type        json.RawMessage            `json:"type,omitempty"`
	Required    json.RawMessage            `json:"required,omitempty"`
	Properties  json.RawMessage            `json:"properties,omitempty"`
	Defs        map[string]json.RawMessage `json:"$defs,omitempty"`
}

// Schema returns the JSON Schema (Draft 2020-12) of the payload of an event. An unknown name is an error.
func Schema(name string) ([]byte, error) {
	i := slices.IndexFunc(ours.Events, func(e event) bool { return e.Name == name })
	if i < 0 {
		return nil, fmt.Errorf("unknown event %q: want one of %q", name, Names())
	}
	e := ours.Events[i]
	s := schema{
		Schema: "https://json-schema.org/draft/2020-12/schema",
		ID:     "https://github.com/faxstream/faxstream/pipeline/events/" + e.Name + ".json",
	}
	payload := e.Payload
	if def := onlyRef.FindSubmatch(payload); def != nil { // what it refers to becomes the schema
		payload = ours.Defs[string(def[1])]
	}
	if err := json.Unmarshal(payload, &s); err != nil {
		return nil, fmt.Errorf("schema of %s: %w", name, err)
	}
	s.Title, s.Description, s.Defs = e.Title, e.Description+" Subject: "+e.Subject+", in the stream "+e.Stream+".", needed(payload)
	return text(s)
}

var (
	refs    = regexp.MustCompile(`"\$ref": *"#/\$defs/([a-z0-9_]+)"`)
	onlyRef = regexp.MustCompile(`^\{\s*` + refs.String() + `\s*\}$`)
)

// needed returns the definitions that schemas refer to, and those that these refer to.
func needed(schemas ...json.RawMessage) map[string]json.RawMessage {
	defs := map[string]json.RawMessage{}
	for len(schemas) > 0 {
		s := schemas[0]
		schemas = schemas[1:]
		for _, found := range refs.FindAllSubmatch(s, -1) {
			name := string(found[1])
			if _, ok := defs[name]; !ok {
				defs[name] = ours.Defs[name]
				schemas = append(schemas, ours.Defs[name])
			}
		}
	}
	return defs
}

// text is JSON for people.
func text(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("write the contract of events: %w", err)
	}
	return b.Bytes(), nil
}
