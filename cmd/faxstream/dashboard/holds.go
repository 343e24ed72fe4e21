package dashboard

import (
	"context"
	"errors"
	"io/fs"
	"iter"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/pipeline/session"
)

// Holds knows which faxes may not be purged, and why.
type Holds interface {
	// Log is a fax's holds, releases and its purge, oldest first.
	Log(ctx context.Context, id string) ([]session.KeepEntry, error)
	// Purgeable is nil when a fax may be purged at a time; the text of a session.ErrKept says why not.
	Purgeable(ctx context.Context, id string, now time.Time) error
	// Until is when a fax's retention ends; zero: it has none. fs.ErrNotExist: it has no objects; session.ErrKept: the store itself holds one.
	Until(ctx context.Context, id string) (time.Time, error)
	// Holds yields the newest entry of every fax under legal hold.
	Holds(ctx context.Context) iter.Seq2[session.KeepEntry, error]
}

// holdStatus says what keeps a fax from being purged. It looks at every object, so it takes a moment.
func (s *server) holdStatus(w http.ResponseWriter, r *http.Request) {
	k, err := s.holdStatusOf(r)
	if err == nil && !k.Purged {
		k.Retained, err = s.Holds.Until(r.Context(), k.Session)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, session.ErrKept) {
			err = nil // no page has arrived yet; or a hold, which the log shows if it is ours
		}
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	api.Write(w, http.StatusOK, k)
}

// holdStatusOf reads the log of the fax in the path. The fax exists, or it was purged.
func (s *server) holdStatusOf(r *http.Request) (k api.HoldStatus, err error) {
	id := r.PathValue("session") // valid, see resolved
	if limited(r) {              // the log does not say whose fax it is
		if _, err := s.find(r); err != nil {
			return k, err
		}
	}
	k = api.HoldStatus{Session: id, Log: []session.KeepEntry{}}
	log, err := s.Holds.Log(r.Context(), id)
	if err != nil {
		return k, err
	}
	if len(log) == 0 {
		_, err = s.find(r)
		return k, err
	}
	last := log[len(log)-1].Kind
	k.Log, k.Held, k.Purged = log, last == session.ActionHeld, last == session.ActionPurged
	return k, nil
}

// listHolds lists the faxes under legal hold.
func (s *server) listHolds(w http.ResponseWriter, r *http.Request) {
	held := []session.KeepEntry{}
	for e, err := range s.Holds.Holds(r.Context()) {
		if err != nil {
			s.fail(w, r, err)
			return
		}
		held = append(held, e)
	}
	api.Write(w, http.StatusOK, api.HoldList{Holds: held})
}

const (
	orderPatience = 30 * time.Second       // how long an answer waits for its order
	orderLook     = 100 * time.Millisecond // how often it looks
)

// await waits until an order is done, for orderPatience at most, and reports whether it is.
func await(ctx context.Context, done func(ctx context.Context) bool) bool {
	ctx, cancel := context.WithTimeout(ctx, orderPatience)
	defer cancel()
	for !done(ctx) {
		if !pause(ctx, time.After(orderLook)) {
			return false
		}
	}
	return true
}

// carriedOut reports whether an order is carried out; k is the status before it. It looks for the order only among the entries that are
// new in the log, because the names of orders begin again when FAX_AUDIT is lost. The log of a purged fax gets no new entry: there the
// order is carried out when no object is left.
func (s *server) carriedOut(ctx context.Context, k api.HoldStatus, asked string) bool {
	if k.Purged {
		_, err := s.Holds.Until(ctx, k.Session)
		return errors.Is(err, fs.ErrNotExist)
	}
	log, err := s.Holds.Log(ctx, k.Session)
	return err == nil && len(log) > len(k.Log) &&
		slices.ContainsFunc(log[len(k.Log):], func(e session.KeepEntry) bool { return e.Asked == asked })
}

// orderHold stores the order to hold, release or purge a fax, and waits a while until it is carried out. It refuses an order that could not
// be carried out.
func (s *server) orderHold(kind string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		o, err := readOrder(w, r)
		var done api.HoldAnswer
		if err == nil {
			done, err = s.holdOrder(r, kind, o)
		}
		if err != nil {
			s.fail(w, r, err)
			return
		}
		api.Write(w, http.StatusOK, done)
	}
}

// holdOrder stores the order for the fax in the path and waits for it.
func (s *server) holdOrder(r *http.Request, kind string, o api.Order) (done api.HoldAnswer, err error) {
	if err := checkReason(kind, o.Why); err != nil {
		return done, err
	}
	k, err := s.holdStatusOf(r)
	if err == nil {
		err = s.allowed(r, kind, k)
	}
	if err != nil {
		return done, err
	}
	sequence, err := s.Letters.Act(r.Context(), session.Action{Kind: kind, By: o.By, Why: o.Why, Session: k.Session})
	if err != nil {
		return done, err
	}
	s.Log.Info("ordered", "action", kind, "session", k.Session, "by", o.By)
	done = api.HoldAnswer{Session: k.Session, Action: kind, Asked: "a" + strconv.FormatUint(sequence, 10)}
	done.Done = await(r.Context(), func(ctx context.Context) bool { return s.carriedOut(ctx, k, done.Asked) })
	return done, nil
}

// checkReason refuses an order to hold, release or purge without a reason.
func checkReason(kind, why string) error {
	if strings.TrimSpace(why) == "" {
		return api.BadRequest("why: give a reason; without one no fax is %s", kind)
	}
	return nil
}

// allowed refuses an order that could not be carried out. A purged fax can be purged again while the archive has objects of it: the first
// purge may have stopped half-way.
func (s *server) allowed(r *http.Request, kind string, k api.HoldStatus) error {
	if k.Purged {
		_, err := s.Holds.Until(r.Context(), k.Session)
		switch {
		case kind != session.ActionPurged, errors.Is(err, fs.ErrNotExist):
			return errPurged(k.Log[len(k.Log)-1])
		case errors.Is(err, session.ErrKept):
			return api.Errorf(http.StatusConflict, "kept", "%v", err)
		}
		return err
	}
	switch kind {
	case session.ActionReleased:
		if !k.Held {
			return api.Errorf(http.StatusConflict, "not_held", "session %s is not under legal hold", k.Session)
		}
	case session.ActionPurged:
		if st, _, err := s.Ledgers.Load(r.Context(), k.Session); err != nil && !errors.Is(err, fs.ErrInvalid) {
			return err
		} else if st.Status() == session.StatusReceiving && !st.Opened.IsZero() && st.Close == nil && !st.GivenUp {
			// Without the provider's id of the fax the reconciler would take it in again as a new fax.
			return api.Errorf(http.StatusConflict, "receiving", "session %s: the fax is not over yet: purge it when it is", k.Session)
		}
		err := s.Holds.Purgeable(r.Context(), k.Session, time.Now())
		if errors.Is(err, session.ErrKept) {
			err = api.Errorf(http.StatusConflict, "kept", "%v", err)
		}
		return err
	}
	return nil
}

func errPurged(e session.KeepEntry) error {
	return api.Errorf(http.StatusGone, "purged", "%v", e)
}

// notPurged gives the error of a purged fax if the fax was purged, and else missing.
func (s *server) notPurged(r *http.Request, id string, missing error) error {
	if s.Holds == nil {
		return missing
	}
	log, err := s.Holds.Log(r.Context(), id)
	switch {
	case err != nil:
		return err
	case len(log) > 0 && log[len(log)-1].Kind == session.ActionPurged:
		return errPurged(log[len(log)-1])
	}
	return missing
}
