package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
)

// Audit calls give with the entries that a filter chooses, oldest first, until it returns an error.
func (c *Client) Audit(ctx context.Context, f api.AuditFilter, give func(api.AuditLine) error) error {
	query := values(map[string]string{"session": f.Session, "by": f.By}, map[string]time.Time{"since": f.Since, "until": f.Until})
	body, err := c.request(ctx, http.MethodGet, "/audit", query, nil)
	if err != nil {
		return err
	}
	defer body.Close()
	for lines := json.NewDecoder(bufio.NewReader(body)); ; {
		var l api.AuditLine
		err := lines.Decode(&l)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = give(l)
		}
		if err != nil {
			return c.badAnswer(err)
		}
	}
}

// maxEvent bounds one event of the stream, bytes.
const maxEvent = 1 << 20

// Events calls f with the JSON of each event, an api.Event, until ctx ends or the server stops. ready is called when the server listens.
func (c *Client) Events(ctx context.Context, ready func(), f func([]byte) error) error {
	body, err := c.request(ctx, http.MethodGet, "/events", nil, nil)
	if err != nil {
		return err
	}
	defer body.Close()
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, maxEvent)
	for listens := false; lines.Scan(); {
		if !listens && bytes.HasPrefix(lines.Bytes(), []byte(":")) { // later comments only keep the connection
			listens = true
			ready()
		}
		if data, ok := bytes.CutPrefix(lines.Bytes(), []byte("data: ")); ok {
			if err := f(data); err != nil {
				return err
			}
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("event stream of %s: %w", c.server, err)
	}
	return fmt.Errorf("event stream of %s ended: the server stopped", c.server)
}
