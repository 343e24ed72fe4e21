package events

import (
	"bytes"
	"encoding/json"
	"regexp"
)

// The parts of an AsyncAPI 3.0.0 document that describe events.
type (
	asyncAPI struct {
		AsyncAPI    string               `json:"asyncapi"`
		Info        info                 `json:"info"`
		ContentType string               `json:"defaultContentType"`
		Channels    map[string]channel   `json:"channels"`
		Operations  map[string]operation `json:"operations"`
		Components  components           `json:"components"`
	}
	info struct {
		Title       string `json:"title"`
		Version     string `json:"version"` // of the contract
		Description string `json:"description"`
	}
	channel struct {
		Address     string               `json:"address"`
		Title       string               `json:"title"`
		Description string               `json:"description"`
		Parameters  map[string]parameter `json:"parameters"`
		Messages    map[string]ref       `json:"messages"`
	}
	parameter struct {
		Description string `json:"description"`
	}
	operation struct {
		Action   string `json:"action"`
		Channel  ref    `json:"channel"`
		Title    string `json:"title"`
		Messages []ref  `json:"messages"`
	}
	components struct {
		Messages map[string]message         `json:"messages"`
		Schemas  map[string]json.RawMessage `json:"schemas"`
	}
	message struct {
		Name        string          `json:"name"`
		Title       string          `json:"title"`
		ContentType string          `json:"contentType"`
		Headers     ref             `json:"headers"`
		Payload     json.RawMessage `json:"payload"`
	}
	ref struct {
		Ref string `json:"$ref"`
	}
)

const description = "Events that faxstream publishes while a fax comes in. Each is delivered at least once, with the same ce-id every " +
	"time; the order of the events of a fax is not promised. Within v1 an event may get new fields, and there may be new events: ignore " +
	"what you do not know. Read events with a durable pull consumer on the JetStream stream that the channel names, and acknowledge an " +
	"event when your own result is stored."

var parameters = regexp.MustCompile(`\{([a-z]+)\}`)

// AsyncAPI returns the document (AsyncAPI 3.0.0, as JSON) of all events: channels are subjects, and faxstream sends.
func AsyncAPI() ([]byte, error) {
	doc := asyncAPI{
		AsyncAPI: "3.0.0", ContentType: "application/json",
		Info:     info{Title: "faxstream events", Version: "1", Description: description},
		Channels: map[string]channel{}, Operations: map[string]operation{},
		Components: components{Messages: map[string]message{}, Schemas: map[string]json.RawMessage{"headers": ours.Headers}},
	}
	for _, e := range ours.Events {
		doc.Channels[e.Name] = channel{
			Address: e.Subject, Title: e.Title, Description: e.Description + " It is in the stream " + e.Stream + ".",
			Parameters: parametersOf(e.Subject), Messages: map[string]ref{e.Name: {"#/components/messages/" + e.Name}},
		}
		doc.Operations["send-"+e.Name] = operation{
			Action: "send", Channel: ref{"#/channels/" + e.Name}, Title: e.Title,
			Messages: []ref{{"#/channels/" + e.Name + "/messages/" + e.Name}},
		}
		doc.Components.Messages[e.Name] = message{
			Name: e.Name, Title: e.Title, ContentType: "application/json", Headers: ref{"#/components/schemas/headers"},
			Payload: placed(e.Payload),
		}
	}
	for name, def := range ours.Defs {
		doc.Components.Schemas[name] = placed(def)
	}
	return text(doc)
}

func parametersOf(subject string) map[string]parameter {
	p := map[string]parameter{}
	for _, found := range parameters.FindAllStringSubmatch(subject, -1) {
		p[found[1]] = parameter{ours.Parameters[found[1]]}
	}
	return p
}

// placed is a schema whose references are those of this document.
func placed(s json.RawMessage) json.RawMessage {
	return bytes.ReplaceAll(s, []byte("#/$defs/"), []byte("#/components/schemas/"))
}
