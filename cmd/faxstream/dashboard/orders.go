package dashboard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/access"
	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/pipeline/session"
)

// maxOrder bounds the body of an order, bytes.
const maxOrder = 16 << 10

// maxWhy bounds a reason, bytes: FAX_AUDIT and the archive keep it for years.
const maxWhy = 2000

func readOrder(w http.ResponseWriter, r *http.Request) (o api.Order, err error) {
	err = readOrderInto(w, r, &o, &o)
	return o, err
}

// readOrderInto is readOrder for an order with more fields: it reads into, and o is the api.Order in it.
func readOrderInto(w http.ResponseWriter, r *http.Request, into any, o *api.Order) error {
	if err := readJSON(w, r, maxOrder, into); err != nil {
		return err
	}
	return checkOrder(r, o)
}

// readJSON reads a body of at most `most` bytes.
func readJSON(w http.ResponseWriter, r *http.Request, most int64, into any) error {
	if t, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); strings.TrimSpace(t) != "application/json" {
		return api.BadRequest("want a JSON object with Content-Type application/json")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	if err == nil {
		err = json.Unmarshal(body, into)
	}
	if err != nil {
		return api.BadRequest("want a JSON object of at most %d bytes: %v", most, err)
	}
	return nil
}

// checkOrder says who gives an order, and bounds what is said.
func checkOrder(r *http.Request, o *api.Order) error {
	if t, ok := access.Caller(r); ok {
		o.By = t.Name
	}
	if o.By = stated(o.By); o.By == "" {
		return api.BadRequest("by: give the name of the person who asks")
	}
	if o.Why = strings.TrimSpace(o.Why); len(o.Why) > maxWhy {
		return api.BadRequest("why: %d bytes, want at most %d", len(o.Why), maxWhy)
	}
	return nil
}

// reconcile compares the provider's lists with the faxes that are here, once. It answers when that is done, which may take minutes.
func (s *server) reconcile(w http.ResponseWriter, r *http.Request) {
	var o api.ReconcileOrder
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxOrder)).Decode(&o)
	if err != nil || o.Since.IsZero() || !o.Since.Before(time.Now()) {
		api.WriteError(w, api.BadRequest(`want a JSON object {"since":"2026-11-24T12:00:00Z","dry_run":false}, since in the past`))
		return
	}
	if err := http.NewResponseController(w).SetWriteDeadline(time.Time{}); err != nil {
		s.fail(w, r, fmt.Errorf("reconcile: %w", err))
		return
	}
	api.Write(w, http.StatusOK, s.Reconcile(r.Context(), o.Since, o.DryRun))
}

// reconcileForm is reconcile for a form, with a day. The page that answers has the report.
func (s *server) reconcileForm(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxOrder)
	since, err := time.Parse(time.DateOnly, r.PostFormValue("since"))
	if err != nil || !since.Before(time.Now()) {
		s.problem(w, r, api.BadRequest("since %q: want a day in the past, such as 2026-11-24", r.PostFormValue("since")))
		return
	}
	if err := http.NewResponseController(w).SetWriteDeadline(time.Time{}); err != nil {
		s.problem(w, r, err)
		return
	}
	report, err := json.MarshalIndent(s.Reconcile(r.Context(), since, r.PostFormValue("dry") == "yes"), "", "  ")
	if err != nil {
		s.problem(w, r, err)
		return
	}
	s.render(w, r, http.StatusOK, "reconcile.html", string(report))
}

// Verdict is what a verification of a fax found.
type Verdict struct {
	Objects   int // read
	Revisions int // with a manifest
	Pages     int // of the newest revision
	Remade    int // revisions whose documents were made again with the same bytes
	Signed    int // revisions with a signature, which is not checked: this needs public keys that are not on the server
	Faults    []Fault
}

// Fault is one fault of a fax in the archive.
type Fault struct {
	Object   string // its key
	Page     int    // 0: it is not of one page
	What, Do string // sentences
}

const (
	// maxProofs bounds the faxes that are verified at the same time: each reads all its objects and makes its documents again.
	maxProofs = 1
	// verifyWithin bounds a verification: a fax of a thousand pages takes about a minute.
	verifyWithin = 10 * time.Minute
)

// verifyForm verifies the fax in the path, and shows what was found. It stops when the reader goes away.
func (s *server) verifyForm(w http.ResponseWriter, r *http.Request) {
	v := struct {
		Session  string
		At       time.Time // when it was found
		By       string    // who asked; empty without a login
		Document *session.DocAssembled
		Verdict
	}{Session: r.PathValue("session"), By: userOf(r)}
	err := http.NewResponseController(w).SetWriteDeadline(time.Time{})
	if err == nil {
		v.Document, v.Verdict, err = s.verified(w, r)
	}
	v.At = time.Now()
	if err != nil {
		s.problem(w, r, err)
		return
	}
	s.render(w, r, http.StatusOK, "verify.html", v)
}

// verified is the verdict about the fax in the path, and its document. It is recorded, because it names objects of the fax.
func (s *server) verified(w http.ResponseWriter, r *http.Request) (d *session.DocAssembled, v Verdict, err error) {
	st, err := s.find(r)
	switch {
	case err != nil:
		return nil, v, err
	case s.Verify == nil:
		return nil, v, api.NotFound("this server verifies no faxes: run faxstream verify %s", st.Session)
	case st.Document == nil:
		return nil, v, api.NotFound("session %s has no document yet: it is %s", st.Session, st.Status())
	}
	select {
	case s.proofs <- struct{}{}:
		defer func() { <-s.proofs }()
	default:
		w.Header().Set("Retry-After", "60")
		return nil, v, api.Unavailable("another fax is being verified: try again in a minute")
	}
	if err := s.record(r, session.Access{Kind: session.AccessVerify, Session: st.Session}); err != nil {
		return nil, v, err
	}
	ctx, stop := context.WithTimeout(r.Context(), verifyWithin)
	defer stop()
	v, err = s.Verify(ctx, st.Session)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, v, api.NotFound("the archive has no objects of session %s", st.Session)
	case err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded):
		return nil, v, api.Unavailable("session %s was not verified within %s: run faxstream verify %s, which has no limit of time",
			st.Session, verifyWithin, st.Session)
	}
	return st.Document, v, err
}

// replay stores the order to make the document of a fax again from the archive.
func (s *server) replay(w http.ResponseWriter, r *http.Request) {
	var o api.ReplayOrder
	err := readOrderInto(w, r, &o, &o.Order)
	var id string
	if err == nil {
		id, err = s.orderReplay(r, o)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	api.Write(w, http.StatusOK, api.ReplayAnswer{Session: id, Stage: o.Stage})
}

// orderReplay stores the order for the fax in the path.
func (s *server) orderReplay(r *http.Request, o api.ReplayOrder) (id string, err error) {
	if !slices.Contains([]string{session.ReplayDecode, session.ReplayAssemble, session.ReplayFetch}, o.Stage) {
		return "", api.BadRequest("stage %q: want %s, %s or %s", o.Stage, session.ReplayDecode, session.ReplayAssemble, session.ReplayFetch)
	}
	st, err := s.find(r)
	if err != nil {
		return "", err
	}
	if st.Document == nil {
		return "", api.NotFound("session %s has no document yet: it is %s", st.Session, st.Status())
	}
	act := session.Action{Kind: session.ActionReplayed, By: o.By, Why: o.Why, Session: st.Session, Stage: o.Stage}
	if _, err := s.Letters.Act(r.Context(), act); err != nil {
		return "", err
	}
	s.Log.Info("replay ordered", "session", st.Session, "stage", o.Stage, "by", o.By)
	return st.Session, nil
}

// form is the handler of a form in a page: order does what it asks for, and names the page that is shown then. An error is a page too.
func (s *server) form(order func(r *http.Request, o api.Order) (next string, err error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxOrder)
		o := api.Order{By: r.PostFormValue("by"), Why: r.PostFormValue("why")}
		next, err := "", checkOrder(r, &o)
		if err == nil {
			next, err = order(r, o)
		}
		if err != nil {
			s.problem(w, r, err)
			return
		}
		http.Redirect(w, r, next, http.StatusSeeOther)
	}
}

// faxOf is the page of the fax in the path. The order about it has checked the session.
func faxOf(r *http.Request) string { return "/fax/" + r.PathValue("session") }

func (s *server) replayForm(r *http.Request, o api.Order) (next string, err error) {
	stage := r.PostFormValue("stage")
	_, err = s.orderReplay(r, api.ReplayOrder{Order: o, Stage: stage})
	return ordered(faxOf(r), stage), err
}

// ordered is a page that says what a form has ordered, in the words of orderedText.
func ordered(page, what string) string { return page + "?ordered=" + what }

// orderedText is what a page says of the form that led to it; empty: it says nothing.
func orderedText(r *http.Request) string {
	return map[string]string{
		session.ActionRetried:  "It is tried again. What comes appears here. If it fails again, there is a new dead letter.",
		session.ActionDropped:  "It is dropped: the dead letter is removed, and the audit has the reason.",
		session.ReplayFetch:    "The missing pages are fetched again. What comes appears here. If it fails, there is a dead letter.",
		session.ReplayDecode:   "The originals are decoded again. If a page comes out different, there is a new revision.",
		session.ReplayAssemble: "A new revision is being made.",
	}[r.FormValue("ordered")]
}

// holdForm is orderHold for a form; a purge needs the box of the form.
func (s *server) holdForm(kind string) http.HandlerFunc {
	return s.form(func(r *http.Request, o api.Order) (next string, err error) {
		if kind == session.ActionPurged && r.PostFormValue("sure") != "yes" {
			return "", api.BadRequest("tick the box to confirm that the fax is deleted for good")
		}
		done, err := s.holdOrder(r, kind, o)
		switch {
		case err != nil:
			return "", err
		case !done.Done:
			return "", api.Unavailable("the order is stored, but not carried out yet: look at /readyz and at the dead letters")
		case kind == session.ActionPurged:
			return "/", nil
		}
		return faxOf(r), nil
	})
}
