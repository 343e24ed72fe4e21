package pipeline

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strconv"
	"strings"

	"github.com/faxstream/faxstream/pipeline/session"
)

// restore looks in the archive for a session that has no ledger, before it is taken for new: JetStream may have been lost, or
// have let it go. fresh is what a new session gets.
func (c *collector) restore(ctx context.Context, fresh session.State) (session.State, error) {
	revision, err := newestRevision(ctx, c.archive, fresh.Session)
	if err != nil || revision == 0 {
		return fresh, err
	}
	key := revisionKey(fresh.Session, revision, "manifest.json")
	var m Manifest
	_, data, err := load(ctx, c.archive, key, &m)
	if err != nil {
		return fresh, err
	}
	var plan Plan
	if _, _, err := load(ctx, c.archive, m.Plan.Key, &plan); err != nil {
		return fresh, err
	}
	ready := session.DocReady{
		Session: plan.Session, Direction: plan.Direction, ToToken: plan.ToToken, Revision: plan.Revision, From: plan.From, To: plan.To,
		Status: plan.Status, Reason: plan.Reason, Missing: plan.Missing, Close: plan.Close,
	}
	for _, f := range plan.Pages {
		ready.Pages = ready.Pages.Add(f.Page)
	}
	doc := m.event(object(key, int64(len(data)), sha256.Sum256(data)))
	return session.Restore(ready, doc, plan.Pages, plan.Indexed), nil
}

// newestRevision is the highest revision of a session that has a manifest; 0: none.
func newestRevision(ctx context.Context, a Archive, id string) (int, error) {
	newest := 0
	prefix := "faxes/" + id + "/r"
	for key, err := range a.List(ctx, prefix, "") {
		if err != nil {
			return 0, fmt.Errorf("list %s: %w", prefix, err)
		}
		number, rest, _ := strings.Cut(strings.TrimPrefix(key, prefix), "/")
		if n, err := strconv.Atoi(number); err == nil && rest == "manifest.json" {
			newest = max(newest, n)
		}
	}
	return newest, nil
}
