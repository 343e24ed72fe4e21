package dashboard

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/faxstream/faxstream/cmd/faxstream/access"
	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/pipeline/session"
)

// Desk has what people say about faxes.
type Desk interface {
	// StoreNote archives the text of a note, which an order then names. The error for a purged fax matches fs.ErrNotExist.
	StoreNote(ctx context.Context, id, text string) (session.Object, error)
	// Read returns the work on a fax and the entries that made it, oldest first. The error for a damaged log matches fs.ErrInvalid.
	Read(ctx context.Context, id string) (session.Work, []session.DeskLine, error)
}

// readDesk answers what people say about the fax in the path.
func (s *server) readDesk(w http.ResponseWriter, r *http.Request) {
	d, err := s.deskOf(r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	api.Write(w, http.StatusOK, d)
}

func (s *server) deskOf(r *http.Request) (api.Desk, error) {
	st, err := s.find(r)
	if err != nil {
		return api.Desk{}, err
	}
	work, log, err := s.Desk.Read(r.Context(), st.Session)
	if err != nil {
		return api.Desk{}, deskError(st.Session, err)
	}
	d := api.Desk{Session: st.Session, Work: work, Log: make([]api.DeskLine, len(log))}
	for i, e := range log {
		d.Log[i] = api.DeskLine{
			N: i + 1, By: e.By, At: e.At, Assignee: e.Assignee, Add: e.Add, Remove: e.Remove, Read: e.Read, Done: e.Done, Late: e.Late,
		}
		if e.Note != nil {
			d.Log[i].Note = &e.Text
		}
	}
	return d, nil
}

// deskError says what to do about a damaged log.
func deskError(id string, err error) error {
	if errors.Is(err, fs.ErrInvalid) {
		return api.Errorf(http.StatusBadGateway, "object_gone",
			"the archive's log of assignees, labels and notes of session %s is damaged: run faxstream verify %s", id, id)
	}
	return err
}

// workOn changes what people say about a fax.
func (s *server) workOn(w http.ResponseWriter, r *http.Request) {
	var o api.WorkOrder
	err := readJSON(w, r, maxOrder, &o)
	var done api.WorkAnswer
	if err == nil {
		done, err = s.work(r, o)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	api.Write(w, http.StatusOK, done)
}

// work stores an order for the fax in the path and waits a while until it is carried out. For an order that comes too late the error has
// the status 409.
func (s *server) work(r *http.Request, o api.WorkOrder) (done api.WorkAnswer, err error) {
	who := api.Order{By: o.By}
	if err := checkOrder(r, &who); err != nil {
		return done, err
	}
	st, err := s.find(r)
	switch {
	case err != nil:
		return done, err
	case st.FoldedInto != "":
		return done, api.Errorf(http.StatusConflict, "folded", "session %s is the same fax as %s: work there", st.Session, st.FoldedInto)
	}
	change, err := s.change(r.Context(), st.Session, o)
	if err != nil {
		return done, err
	}
	_, log, err := s.Desk.Read(r.Context(), st.Session)
	if err != nil {
		return done, deskError(st.Session, err)
	}
	if len(log) >= session.MaxChanges {
		return done, api.Errorf(http.StatusConflict, "full", "session %s has %d changes, and a fax may have no more", st.Session, len(log))
	}
	sequence, err := s.Letters.Act(r.Context(), session.Action{
		Kind: session.ActionWorked, By: who.By, Session: st.Session, Work: &change,
	})
	if err != nil {
		return done, err
	}
	done.Session = st.Session
	entry, work, ok := s.awaitEntry(r.Context(), st.Session, len(log), "a"+strconv.FormatUint(sequence, 10))
	if ok && entry.Late != "" {
		return done, api.Errorf(http.StatusConflict, "late", "your change has no effect: %s; look at the fax again", entry.Late)
	}
	if done.Done = ok; may(r, access.ScopeRead) {
		done.Work = work
	}
	return done, nil
}

// change checks an order, and archives its note.
func (s *server) change(ctx context.Context, id string, o api.WorkOrder) (c session.WorkChange, err error) {
	c = session.WorkChange{Assignee: o.Assignee, Add: o.Add, Remove: o.Remove, Read: o.Read, Done: o.Done, Seen: o.Seen}
	if o.Note != nil {
		text := strings.TrimSpace(strings.ToValidUTF8(strings.ReplaceAll(*o.Note, "\r\n", "\n"), ""))
		c.Note = &session.Object{Size: int64(len(text))}
		o.Note = &text
	}
	if err := c.Check(); err != nil {
		return c, api.BadRequest("%v", err)
	}
	if o.Note != nil {
		*c.Note, err = s.Desk.StoreNote(ctx, id, *o.Note)
		if errors.Is(err, fs.ErrNotExist) {
			err = api.Errorf(http.StatusGone, "purged", "session %s was purged", id)
		}
	}
	return c, err
}

// awaitEntry waits until the log has the entry of an order and the ledger follows it, for orderPatience at most. before is how many entries
// the log had: only newer ones are looked at, because the names of orders begin again when FAX_AUDIT is lost.
func (s *server) awaitEntry(ctx context.Context, id string, before int, asked string) (e session.DeskLine, w session.Work, ok bool) {
	ok = await(ctx, func(ctx context.Context) bool {
		st, _, err := s.Ledgers.Load(ctx, id)
		if err != nil || st.Work.N <= before { // only then the log is worth a read
			return false
		}
		work, log, err := s.Desk.Read(ctx, id)
		if err != nil || len(log) < before {
			return false
		}
		i := slices.IndexFunc(log[before:], func(e session.DeskLine) bool { return e.Asked == asked })
		if i < 0 || st.Work.N <= before+i {
			return false
		}
		e, w = log[before+i], work
		return true
	})
	return e, w, ok
}

// maxWorkForm bounds the form, bytes: a note of MaxNote characters of four bytes each, written as %XX, and the rest.
const maxWorkForm = 64 << 10

// workForm is workOn for the form of the fax's page. An order that comes too late shows the page as it is now, and says so. The text of a
// note that is not stored stays on the screen.
func (s *server) workForm(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxWorkForm)
	o, err := parseWorkForm(r, "")
	var done api.WorkAnswer
	if err == nil {
		done, err = s.work(r, o)
	}
	if err == nil && !done.Done {
		err = api.Unavailable("your change is stored, but not carried out yet: look at /readyz, and at this fax again in a while")
	}
	e, ok := errors.AsType[*api.Error](err)
	switch {
	case err == nil:
		http.Redirect(w, r, faxOf(r), http.StatusSeeOther)
	case ok && (e.Status == http.StatusConflict || e.Status == http.StatusBadRequest) && may(r, access.ScopeRead):
		s.showFax(w, r, e.Status, e.Message, r.PostFormValue("note"))
	default:
		s.problem(w, r, err)
	}
}

// parseWorkForm reads a form whose fields begin with a prefix. Each button is one change.
func parseWorkForm(r *http.Request, prefix string) (o api.WorkOrder, err error) {
	if err := r.ParseForm(); err != nil {
		return o, api.BadRequest("the form cannot be read: %v", err)
	}
	o.By = r.PostFormValue("by")
	if seen, err := strconv.Atoi(r.PostFormValue("seen")); err == nil {
		o.Seen = &seen
	}
	words := func(name string) (labels []string) {
		for label := range strings.SplitSeq(r.PostFormValue(prefix+name), ",") {
			if label = strings.TrimSpace(label); label != "" {
				labels = append(labels, label)
			}
		}
		return labels
	}
	switch do := r.PostFormValue("do"); do {
	case "assign":
		name := strings.TrimSpace(r.PostFormValue(prefix + "assignee"))
		if name == "" {
			return o, api.BadRequest("the field for somebody else is empty: write a name into it")
		}
		o.Assignee = &name
	case "nobody":
		o.Assignee = new("")
	case "take":
		who := api.Order{By: o.By}
		if err := checkOrder(r, &who); err != nil {
			return o, err
		}
		o.Assignee = &who.By
	case "label":
		o.Add = words("labels")
	case "unlabel":
		if o.Remove = words("label"); prefix == bulkPrefix {
			o.Remove = words("labels")
		}
	case "note":
		o.Note = new(r.PostFormValue("note"))
	case "done", "reopen":
		o.Done = new(do == "done")
	case "read", "unread":
		o.Read = new(do == "read")
	default:
		return o, errButton(do)
	}
	return o, nil
}

func errButton(do string) error { return api.BadRequest("do %q: the form has no such button", do) }

// may reports whether the caller has a scope; without tokens everybody has all.
func may(r *http.Request, need access.Scope) bool {
	t, ok := access.Caller(r)
	return !ok || slices.Contains(t.Scopes, need)
}
