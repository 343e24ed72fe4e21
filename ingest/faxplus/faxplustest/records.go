package faxplustest

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/faxstream/faxstream/pipeline/session"
)

// faxJSON is the record of a fax, https://restapi.fax.plus/v3, model Fax.
type faxJSON struct {
	ID        string `json:"id"`
	Status    string `json:"status"`
	Direction string `json:"direction"`
	Pages     int    `json:"pages"`
	From      string `json:"from"`
	To        string `json:"to"`
	StartTime string `json:"start_time"`
	File      string `json:"file"`
	FileName  string `json:"file_name"`
	OwnerID   string `json:"owner_id"`
	IsSpam    bool   `json:"is_spam"`
	IsRead    bool   `json:"is_read"`
	Cost      int    `json:"cost"`
}

func (rec record) json() faxJSON {
	f := rec.fax
	j := faxJSON{
		ID: f.ListedID(), Status: f.Status, Direction: f.Direction, Pages: f.pageCount(), From: f.From, To: f.To,
		StartTime: f.stamp(f.StartTime), File: f.FileID, FileName: f.FileName, OwnerID: f.UID, IsSpam: f.Spam, Cost: f.pageCount(),
	}
	if !rec.closed {
		j.Status, j.Pages, j.Cost = "in_progress", rec.ready, 0
	}
	return j
}

func (s *Server) getRecord(w http.ResponseWriter, r *http.Request) {
	if !s.admit(w, r) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch rec := s.faxes[r.PathValue("fax")]; {
	case rec == nil:
		problem(w, http.StatusNotFound, "not_found", "fax not found")
	case rec.fax.has(Foreign):
		problem(w, http.StatusForbidden, "forbidden", "no access to this fax")
	default:
		respond(w, rec.json())
	}
}

// listRecords lists faxes that are over, newest first.
func (s *Server) listRecords(w http.ResponseWriter, r *http.Request) {
	if !s.admit(w, r) {
		return
	}
	q := r.URL.Query()
	after, errAfter := s.bound(q.Get("after"), time.Time{})
	before, errBefore := s.bound(q.Get("before"), time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC))
	limit, errLimit := 50, error(nil)
	if v := q.Get("limit"); v != "" {
		limit, errLimit = strconv.Atoi(v)
	}
	if errAfter != nil || errBefore != nil || errLimit != nil || limit < 1 {
		problem(w, http.StatusBadRequest, "bad_request", "after and before are YYYY-MM-DD HH:mm:ss, limit is a number from 1")
		return
	}
	records := s.closedBetween(q.Get("category"), after, before)
	respond(w, map[string]any{"data": map[string]any{"records": records[:min(limit, len(records))]}})
}

// bound reads a bound of a list, in the zone of the simulator.
func (s *Server) bound(value string, none time.Time) (time.Time, error) {
	if value == "" {
		return none, nil
	}
	t, err := time.ParseInLocation(timeLayout, value, s.cfg.Zone)
	if err != nil {
		return none, fmt.Errorf("time %q: %w", value, err)
	}
	return t, nil
}

func (s *Server) closedBetween(category string, after, before time.Time) []faxJSON {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []*record
	for _, rec := range s.order {
		in := "inbox"
		if rec.fax.Direction == session.Outgoing {
			in = "sent"
		} else if rec.fax.Spam {
			in = "spam"
		}
		start := rec.fax.StartTime
		if rec.closed && !rec.fax.has(Foreign) && (category == "" || category == in) && !start.Before(after) && start.Before(before) {
			found = append(found, rec)
		}
	}
	slices.SortStableFunc(found, func(a, b *record) int { return b.fax.StartTime.Compare(a.fax.StartTime) })
	records := []faxJSON{}
	for _, rec := range found {
		records = append(records, rec.json())
	}
	return records
}
