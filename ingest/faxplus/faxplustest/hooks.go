package faxplustest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
)

type hook struct {
	ID     string `json:"id"`
	Target string `json:"target"`
	Event  string `json:"event"`
}

func knownEvent(name string) bool {
	return name == "fax_sent" || name == "fax_received" || name == "fax_page_received"
}

func (s *Server) listHooks(w http.ResponseWriter, r *http.Request) {
	if !s.admit(w, r) {
		return
	}
	event := r.URL.Query().Get("event")
	if !knownEvent(event) {
		problem(w, http.StatusBadRequest, "bad_request", "event is required: fax_sent, fax_received or fax_page_received")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []hook{}
	for _, h := range s.hooks {
		if h.Event == event {
			list = append(list, h)
		}
	}
	respond(w, map[string]any{"data": list})
}

func (s *Server) addHook(w http.ResponseWriter, r *http.Request) {
	if !s.admit(w, r) {
		return
	}
	var h hook
	raw, err := io.ReadAll(io.LimitReader(r.Body, 64<<10))
	if err == nil {
		err = json.Unmarshal(raw, &h)
	}
	target, errURL := url.Parse(h.Target)
	if err != nil || errURL != nil || target.Host == "" || !knownEvent(h.Event) {
		problem(w, http.StatusBadRequest, "bad_request", "target must be a URL, and event one of fax_sent, fax_received and fax_page_received")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hookSeq++
	h.ID = fmt.Sprintf("hook%04d", s.hookSeq)
	s.hooks = append(s.hooks, h)
	respond(w, map[string]string{"id": h.ID})
}

func (s *Server) removeHook(w http.ResponseWriter, r *http.Request) {
	if !s.admit(w, r) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.hooks, func(h hook) bool { return h.ID == r.PathValue("id") })
	if i < 0 {
		problem(w, http.StatusNotFound, "not_found", "no such webhook")
		return
	}
	s.hooks = slices.Delete(s.hooks, i, i+1)
	w.WriteHeader(http.StatusNoContent)
}
