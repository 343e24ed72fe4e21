package faxplus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/faxstream/faxstream/pipeline/session"
)

// maxAnswer limits the JSON answers of the REST API, bytes.
const maxAnswer = 1 << 20

// Hook is a webhook that is registered at Fax.Plus.
type Hook struct {
	ID     string `json:"id"`
	Target string `json:"target"` // our URL with the secret: do not log it
	Event  string `json:"event"`  // one of EventNames
}

// Hooks lists the webhooks of the account, event by event in the order of EventNames (the API lists one event at a
// time). Its error is an *Error.
func (c *Client) Hooks(ctx context.Context) ([]Hook, error) {
	var all []Hook
	for _, event := range EventNames() {
		op := "list of webhooks for " + event
		body, err := c.do(ctx, call{
			op: op, method: http.MethodGet, path: "/hooks?event=" + url.QueryEscape(event),
			accept: "application/json", limit: maxAnswer, client: c.retry,
		})
		if err != nil {
			return nil, err
		}
		var list struct {
			Data []Hook `json:"data"`
		}
		if err := json.Unmarshal(body, &list); err != nil {
			return nil, &Error{Op: op, Reason: session.ReasonWrongType, Status: http.StatusOK, Err: fmt.Errorf("not the documented JSON: %w", err)}
		}
		for _, h := range list.Data {
			if h.Event == "" {
				h.Event = event
			}
			if h.Event == event { // if the server ignores ?event=, every hook comes three times
				all = append(all, h)
			}
		}
	}
	return all, nil
}

// AddHook registers target for one event and returns the new webhook's id. It does not retry, because a second request
// registers a second webhook. Its error is an *Error; after one without Status, list the hooks before a new call.
func (c *Client) AddHook(ctx context.Context, target, event string) (string, error) {
	op := "registration of a webhook for " + event
	request, err := json.Marshal(map[string]string{"target": target, "event": event})
	if err != nil {
		return "", &Error{Op: op, Reason: session.ReasonInternal, Err: err}
	}
	body, err := c.do(ctx, call{
		op: op, method: http.MethodPost, path: "/hooks", body: request,
		accept: "application/json", limit: maxAnswer, client: c.once,
		hide: []string{target, target[strings.LastIndexByte(target, '/')+1:]},
	})
	if err != nil {
		return "", err
	}
	var answer struct {
		ID string `json:"id"`
	}
	if json.Unmarshal(body, &answer) != nil || answer.ID == "" {
		return "", &Error{Op: op, Reason: session.ReasonWrongType, Status: http.StatusOK, Err: errors.New("the answer has no id")}
	}
	return answer.ID, nil
}

// RemoveHook removes a webhook. It does not retry. Its error is an *Error, with Status 404 if the id is not registered.
func (c *Client) RemoveHook(ctx context.Context, id string) error {
	if id == "" || id == "." || id == ".." {
		return &Error{Op: "removal of a webhook", Reason: session.ReasonBadRequest, Err: fmt.Errorf("%q is not a webhook id", id)}
	}
	_, err := c.do(ctx, call{
		op: fmt.Sprintf("removal of webhook %.64q", id), method: http.MethodDelete, path: "/hooks/" + escape(id),
		accept: "application/json", limit: maxAnswer, client: c.once,
	})
	return err
}
