package watch

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/cmd/faxstream/client"
	"github.com/faxstream/faxstream/pipeline/session"
)

// event is what people want to know of one.
type event struct {
	at      time.Time // UTC
	kind    string    // as it was published: fax.v1.page.archived
	session string
	rest    []string // page, revision, status, reason, differences
}

// parseEvent reads the JSON of an api.Event.
func parseEvent(line []byte) (e event, err error) {
	var v api.Event
	var data struct {
		Session  string `json:"session"`
		Page     int    `json:"page"`
		Revision int    `json:"revision"`
		Status   string `json:"status"`
		Reason   string `json:"reason"`

		Differences map[string]session.Ranges `json:"differences"` // of doc.verified
	}
	if err = json.Unmarshal(line, &v); err == nil {
		err = json.Unmarshal(v.Data, &data)
	}
	if err != nil {
		return e, err
	}
	e = event{at: v.Time.UTC(), kind: v.Type, session: data.Session}
	if data.Page > 0 {
		e.rest = append(e.rest, fmt.Sprintf("page %d", data.Page))
	}
	if data.Revision > 0 {
		e.rest = append(e.rest, fmt.Sprintf("revision %d", data.Revision))
	}
	for _, s := range []string{data.Status, data.Reason} {
		if s != "" {
			e.rest = append(e.rest, s)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(data.Differences)) {
		e.rest = append(e.rest, api.DifferText(data.Differences[name])+" ("+name+")")
	}
	return e, nil
}

// EventText is the JSON of an api.Event as a line for people; its time is UTC.
func EventText(line []byte) (string, error) {
	e, err := parseEvent(line)
	if err != nil {
		return "", err
	}
	words := append([]string{e.at.Format(time.TimeOnly), "UTC", e.kind, e.session}, e.rest...)
	return client.OneLine(strings.Join(words, " ")), nil
}

// short is the event for a screen, which may be narrow: what happened comes before the session.
func (e event) short() string {
	words := append([]string{strings.TrimPrefix(e.kind, "fax.v1.")}, e.rest...)
	if e.session != "" {
		words = append(words, e.session)
	}
	return e.at.Format(time.TimeOnly) + " " + strings.Join(words, " ")
}
