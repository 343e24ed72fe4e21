package dashboard

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/session"
)

// events streams the events of pages, documents and texts as server-sent events, from now on, or from where a reader stopped: the id of the
// last event that it has got comes in the header Last-Event-ID, as browsers send it, or in ?after=. Its first line is a comment that says
// that it listens; other comments keep the connection.
func (s *server) events(w http.ResponseWriter, r *http.Request) {
	var after *bus.Place
	if text := cmp.Or(r.Header.Get("Last-Event-ID"), r.FormValue("after")); text != "" {
		place, err := bus.ParsePlace(text)
		if err != nil {
			s.fail(w, r, api.BadRequest("Last-Event-ID: %v", err))
			return
		}
		after = &place
	}
	select {
	case s.streams <- struct{}{}:
		defer func() { <-s.streams }()
	default:
		s.fail(w, r, api.Unavailable("%d event streams are open, and no more are allowed: close one, or try again later", maxStreams))
		return
	}
	rc := http.NewResponseController(w)
	if err := rc.SetWriteDeadline(time.Time{}); err != nil {
		s.fail(w, r, fmt.Errorf("stream events: %w", err))
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = io.WriteString(w, ": listening\n\n")
	_ = rc.Flush()
	ctx, stop := context.WithCancel(r.Context())
	var one sync.Mutex // held while a part is written
	write := func(part []byte) bool {
		one.Lock()
		defer one.Unlock()
		return send(w, part)
	}
	var beats sync.WaitGroup
	beats.Go(func() {
		defer stop() // the reader is gone
		for pause(ctx, time.After(liveBeat)) && write([]byte(": \n\n")) {
		}
	})
	err := s.Events(ctx, after, func(e bus.Stored, at bus.Place) bool {
		part := s.eventFor(r, e, at)
		return part == nil || write(part)
	})
	stop()
	beats.Wait()
	if err != nil {
		s.Log.Error("event stream ended", "err", err)
	}
}

// eventFor is an event as its reader may see it, as a server-sent event; nil: the reader gets nothing.
func (s *server) eventFor(r *http.Request, e bus.Stored, at bus.Place) []byte {
	if !sees(r, eventNumber(e.Subject)) {
		return nil
	}
	var err error
	if masked(r) {
		e.Data, err = maskEvent(e.Data)
	}
	var line []byte
	if err == nil {
		line, err = json.Marshal(api.Event{Type: bus.EventType(e.Subject), Time: e.Time, Data: e.Data})
	}
	if err != nil {
		s.Log.Error("an event is not JSON", "type", bus.EventType(e.Subject), "err", err) // its subject has the number
		return nil
	}
	return fmt.Appendf(nil, "id: %s\ndata: %s\n\n", at, line)
}

const (
	// timelineLines is how many entries the timeline of a fax has at first.
	timelineLines = 200
	// maxTimeline bounds them when all are asked for: a fax of a thousand pages has a few thousand.
	maxTimeline = 10_000
)

// timelinePage shows what happened to a fax, the oldest first. It has no live changes, because it reads three streams.
func (s *server) timelinePage(w http.ResponseWriter, r *http.Request) {
	st, err := s.find(r)
	v := struct {
		Session   string
		Lines     []timelineLine
		All, More bool // all are asked for; later ones are left out
	}{Session: st.Session, All: r.FormValue("all") == "yes"}
	var facts []bus.Stored
	if err == nil && s.Facts != nil {
		most := timelineLines
		if v.All {
			most = maxTimeline
		}
		facts, v.More, err = s.Facts(r.Context(), st.Session, most)
	}
	if err != nil {
		s.problem(w, r, err)
		return
	}
	for _, f := range facts {
		v.Lines = append(v.Lines, lineOf(f, masked(r)))
	}
	s.render(w, r, http.StatusOK, "timeline.html", v)
}

// timelineLine is an entry of the timeline.
type timelineLine struct {
	Time   time.Time // when it was stored
	Page   int       // 0: it is about the fax
	What   string
	Failed bool // it did not work
}

// lineOf says a fact in words, without details if these may not be shown. One that this version does not know is named by its type.
func lineOf(stored bus.Stored, masked bool) timelineLine {
	l := timelineLine{Time: stored.Time, What: bus.EventType(stored.Subject)}
	fact, err := session.ParseFact(l.What, stored.Data)
	if err != nil {
		return l
	}
	if masked {
		fact = withoutDetail(fact)
	}
	switch f := fact.(type) {
	case session.PageAnnounced:
		l.Page, l.What = f.Page, "announced by the provider"
	case session.PageArchived:
		l.Page, l.What = f.Page, archivedText(f)
	case session.PageAmended:
		l.Page, l.What, l.Failed = f.Page, "came again with another image, which is archived too; the first one counts", true
	case session.PageFailed:
		l.Page, l.What, l.Failed = f.Page, fmt.Sprintf("attempt %d failed (%s): %s", f.Attempt, f.Stage,
			strings.TrimSpace(f.Reason.Words()+" "+f.Detail)), true
		if f.Final {
			l.What += " There is no further attempt in this way."
		}
	default:
		l.What, l.Failed = faxText(fact)
	}
	return l
}

// withoutDetail takes from a failure what may quote the provider, who can write numbers there.
func withoutDetail(fact session.Fact) session.Fact {
	switch f := fact.(type) {
	case session.PageFailed:
		f.Detail = ""
		return f
	case session.DocFailed:
		f.Detail = ""
		return f
	case session.WholeDone:
		f.Detail, f.Attempts = "", slices.Clone(f.Attempts)
		for i := range f.Attempts {
			f.Attempts[i].Detail = ""
		}
		return f
	}
	return fact
}

// archivedText says how a page came.
func archivedText(f session.PageArchived) string {
	text := "archived"
	if f.Source == session.SourceWholeFile {
		text = "archived, cut from the whole file"
	}
	if f.BadRows > 0 {
		text += ", with " + api.Count(f.BadRows, "bad row")
	}
	return text
}

// because is a reason with its details. Its words are about a page.
func because(reason session.Reason, detail string) string {
	return strings.Trim(string(reason)+": "+detail, ": ")
}

// faxText says a fact about a fax, not about one page, in words. failed: it is one of what did not work.
func faxText(fact session.Fact) (text string, failed bool) {
	switch f := fact.(type) {
	case session.Closed:
		return "the provider says that the fax is over: " + f.Status + ", " + api.Count(f.Pages, "page"), false
	case session.RecordAsked:
		return "the provider is asked whether the fax is over", false
	case session.RecordSaid:
		return "the provider says of the fax: " + f.Says, false
	case session.Again:
		return "a person ordered the work again", false
	case session.Kept:
		return f.Kind + " by a person", false
	case session.Desk:
		return "work on it changed by " + f.By, false
	case session.WholeOrdered, session.WholeDone:
		return wholeText(fact)
	default:
		return documentText(fact)
	}
}

// wholeText is faxText of the whole file.
func wholeText(fact session.Fact) (text string, failed bool) {
	switch f := fact.(type) {
	case session.WholeOrdered:
		var why []string
		if f.All {
			why = append(why, "for all pages")
		} else if f.Wanted.Len() > 0 {
			why = append(why, "for "+f.Wanted.Text())
		}
		if f.Compare.Len() > 0 {
			why = append(why, "to compare "+f.Compare.Text())
		}
		return strings.TrimSpace("whole file ordered " + strings.Join(why, " and ")), false
	case session.WholeDone:
		if f.Object != nil {
			return "whole file archived, " + api.Count(f.Pages, "page") + attemptsText(f.Attempts), len(f.Lost) > 0
		}
		return "whole file failed: " + because(f.Reason, f.Detail) + attemptsText(f.Attempts), true
	}
	return fact.Type(), false
}

// attemptsText says how often a fetch failed, and how the last time.
func attemptsText(all []session.Attempt) string {
	if len(all) == 0 {
		return ""
	}
	last := all[len(all)-1]
	return fmt.Sprintf(" (%s failed, the last one: %s)", api.Count(len(all), "attempt"), because(last.Reason, last.Detail))
}

// documentText is faxText of documents.
func documentText(fact session.Fact) (text string, failed bool) {
	switch f := fact.(type) {
	case session.DocReady:
		return fmt.Sprintf("revision %d ordered: %s", f.Revision, f.Status), false
	case session.DocAssembled:
		return fmt.Sprintf("revision %d is ready: %s, %s", f.Revision, f.Status, api.Count(f.Pages, "page")), false
	case session.DocFailed:
		return fmt.Sprintf("revision %d failed: %s", f.Revision, because(f.Reason, f.Detail)), true
	case session.DocVerified:
		if f.Differing.Len() > 0 {
			return "compared with the whole file: " + api.DifferText(f.Differing), true
		}
		return "compared with the whole file: no page differs", false
	case session.DocSearchable:
		return fmt.Sprintf("revision %d has a document with text", f.Revision), false
	case session.DocDerived:
		return fmt.Sprintf("a document of %s of revision %d is ready", f.Derivation.Text(), f.Revision), false
	}
	return fact.Type(), false
}
