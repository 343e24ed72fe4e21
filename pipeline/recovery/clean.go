package recovery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/session"
)

// Saved is what a Cleaner needs of JetStream.
type Saved interface {
	// NextLedger reads the first ledger whose revision is from or a later one, in the order in which they were saved last; ok is false if
	// there is none.
	NextLedger(ctx context.Context, from uint64) (s bus.Stored, ok bool, err error)
	// RemoveLedger removes a ledger, unless it was saved again after revision. It may be repeated.
	RemoveLedger(ctx context.Context, id string, revision uint64) (removed bool, err error)
	// Note returns nil and revision 0 if nobody has written the note.
	Note(ctx context.Context, key string) (data []byte, revision uint64, err error)
	// PutNote writes the note if revision is still the newest; else ok is false.
	PutNote(ctx context.Context, key string, data []byte, revision uint64) (next uint64, ok bool, err error)
}

// Cleaner removes the ledgers of faxes that ended long ago from JetStream: its server keeps the names of all of them in memory, and each
// start of faxstream reads all of them. A ledger leaves only if the archive gives the same fax back (session.State.Unlike), and lists it.
// From then on readers find the fax through Ledgers, and the collector restores the ledger when something new comes: then it is there
// again, until it is old again.
//
// A ledger is removed up to the revision that was judged. If it is saved at the same moment, by any process, it stays; if the collector
// has the removed one in memory, its next save is stale and it loads again. Several processes may clean at once; a note has them take
// turns, unless a run takes longer than the time between two.
//
// A crash leaves ledgers that have left and ledgers that have not: the next run goes on. An older version beside this one finds no ledger
// and restores it from the archive, as it does after a loss; its lists have the fax from there after its next start.
type Cleaner struct {
	Bus     Saved
	Archive archive.Reader
	Policy  session.Policy
	Age     time.Duration // since a ledger was saved last; longer than streams have events, which a restored ledger does not know
	Every   time.Duration // between two runs of all processes; more than 0
	Busy    func() bool   // fresh work waits: the cleaner waits too; nil: never
	Cleaned func(Cleaned) // called after each run; nil: not called
	Log     *slog.Logger
}

// Cleaned is the result of a run.
type Cleaned struct {
	Removed int            // ledgers that left JetStream
	Stay    map[string]int // old ledgers that are unreadable, or of faxes that ended and that the archive does not give back, by what differs
}

const (
	// CleanEvery is the time between two runs in the product.
	CleanEvery = 24 * time.Hour
	// cleanAfter is how long a process that has started does other things first.
	cleanAfter = time.Minute
	// cleanPause is the wait before each ledger that is judged: about six objects of the archive are read for it.
	cleanPause = 50 * time.Millisecond
	// passAtOnce is how many ledgers that need no judgement are read without a pause.
	passAtOnce = 20
	// cleanAgain is the wait after a run that failed, and while fresh work waits.
	cleanAgain = time.Minute
	// cleanTries is how often a run is tried, and how many faxes in a row may fail in a try: then the fault is not in a fax.
	cleanTries = 5
)

// Run cleans until ctx ends.
func (c Cleaner) Run(ctx context.Context) {
	for wait := min(cleanAfter, c.Every); pause(ctx, wait) == nil; {
		var err error
		if wait, err = c.turn(ctx); err != nil {
			return // the time is over
		}
		if wait > 0 {
			continue
		}
		done, err := c.Clean(ctx)
		for tries := 1; err != nil && tries < cleanTries && pause(ctx, cleanAgain) == nil; tries++ {
			c.Log.Warn("the ledgers of old faxes cannot be removed from JetStream: it is tried again in a minute", "err", err)
			removed := done.Removed
			done, err = c.Clean(ctx)
			done.Removed += removed
		}
		if ctx.Err() != nil {
			return
		}
		if wait = c.Every; err != nil {
			c.Log.Warn("the ledgers of old faxes cannot be removed from JetStream: it is tried again in the next run", "err", err)
		}
		c.report(done)
	}
}

func (c Cleaner) report(done Cleaned) {
	if c.Cleaned != nil {
		c.Cleaned(done)
	}
	stay := 0
	for _, n := range done.Stay {
		stay += n
	}
	if done.Removed+stay == 0 {
		return
	}
	c.Log.Info("ledgers of old faxes have left JetStream; those that stay differ from what the archive would give back",
		"left", done.Removed, "stay", stay, "differ", done.Stay)
}

const cleanKey = "cleaner"

// cleaning is the note.
type cleaning struct {
	Began time.Time `json:"began"` // of the newest run
}

// turn takes the next run for this process. It returns how long to wait if another process has it, or if it is not due; 0: this process
// cleans. The error is that of ctx.
func (c Cleaner) turn(ctx context.Context) (time.Duration, error) {
	data, revision, err := c.Bus.Note(ctx, cleanKey)
	var last cleaning
	if err == nil && data != nil {
		err = json.Unmarshal(data, &last)
	}
	if err == nil {
		now := time.Now().UTC()
		if since := now.Sub(last.Began); since >= 0 && since < c.Every {
			return c.Every - since, nil
		}
		if data, err = json.Marshal(cleaning{now}); err == nil {
			var ok bool
			if _, ok, err = c.Bus.PutNote(ctx, cleanKey, data, revision); ok {
				return 0, nil
			}
		}
	}
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	if err != nil {
		c.Log.Warn("whose turn it is to remove old ledgers is unknown; it is asked again", "err", err)
	}
	return min(cleanAgain, c.Every), nil
}

// Clean removes all ledgers that may leave. After an error the next call does the rest.
func (c Cleaner) Clean(ctx context.Context) (done Cleaned, err error) {
	done.Stay = map[string]int{}
	passed, failed := 0, 0
	for from := uint64(1); ; {
		m, ok, err := c.Bus.NextLedger(ctx, from)
		if err != nil || !ok || time.Since(m.Time) < c.Age { // the later ones are younger
			return done, err
		}
		from = m.Sequence + 1
		s, err := session.ParseState(m.Data)
		if err != nil {
			done.Stay["unreadable"]++
			c.Log.Warn("the ledger of an old fax is unreadable, and stays in JetStream", "ledger", m.Subject, "err", err)
			continue
		}
		if !s.Finished() {
			if passed++; passed%passAtOnce == 0 && pause(ctx, cleanPause) != nil {
				return done, context.Cause(ctx)
			}
			continue
		}
		differs, removed, err := c.one(ctx, s, m.Sequence)
		switch {
		case ctx.Err() != nil:
			return done, context.Cause(ctx)
		case err != nil:
			if failed++; failed == cleanTries {
				return done, err
			}
			differs = "not compared, because of an error"
			c.Log.Warn("the ledger of an old fax stays in JetStream until the next run, because of an error", "session", s.Session, "err", err)
		case removed:
			done.Removed++
		}
		if err == nil {
			failed = 0
		}
		if differs != "" {
			done.Stay[differs]++
		}
	}
}

// one removes a ledger if it may leave; differs says why it may not.
func (c Cleaner) one(ctx context.Context, s session.State, revision uint64) (differs string, removed bool, err error) {
	if differs, err = c.judge(ctx, s); err != nil || differs != "" {
		return differs, false, err
	}
	removed, err = c.Bus.RemoveLedger(ctx, s.Session, revision)
	return "", removed, err
}

// judge waits for its turn among other work, and says what the archive would not give back of a fax; empty: its ledger may leave.
func (c Cleaner) judge(ctx context.Context, s session.State) (differs string, err error) {
	if err := pause(ctx, cleanPause); err != nil {
		return "", err
	}
	for c.Busy != nil && c.Busy() {
		if err := pause(ctx, cleanAgain); err != nil {
			return "", err
		}
	}
	r, to, err := look(ctx, c.Archive, s.Session)
	switch {
	case errors.Is(err, archive.ErrPurged):
		return "purged", nil
	case unreadable(err), errors.Is(err, archive.ErrDamagedLog):
		c.Log.Warn("the archive of an old fax is damaged: look at it with faxstream verify; its ledger stays in JetStream",
			"session", s.Session, "err", err)
		return "the archive is damaged", nil
	case err != nil:
		return "", err
	case r == nil || r.doc == nil:
		return "document", nil
	case to != nil && r.plan.Close == nil:
		return "folded", nil
	}
	if listed, err := isListed(ctx, c.Archive, r.plan); err != nil || !listed {
		return "entry in the index", err
	}
	return s.Unlike(r.state, c.Policy)
}

// look reads what the archive knows of a session, and which other session has its fax; both are nil if there is nothing.
func look(ctx context.Context, a archive.Reader, id string) (*recalled, *archive.Redirect, error) {
	keys, err := archive.RevisionKeys(ctx, a, id)
	if err != nil {
		return nil, nil, err
	}
	r, err := recall(ctx, a, id, keys)
	if err != nil {
		return nil, nil, err
	}
	to, err := readRedirect(ctx, a, id, keys)
	return r, to, err
}

// isListed reports whether the index of the archive has the fax of a plan.
func isListed(ctx context.Context, a archive.Reader, p archive.Plan) (bool, error) {
	_, err := archive.Read(ctx, a, archive.IndexKey(p.Indexed, p.Session), archive.MaxSidecar)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// pause waits; the error is that of ctx.
func pause(ctx context.Context, wait time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(wait):
		return nil
	}
}

// Loader reads ledgers.
type Loader interface {
	// Load returns the ledger of a session. If it has none, the ledger is new and its revision 0.
	Load(ctx context.Context, id string) (s session.State, revision uint64, err error)
}

// Ledgers reads ledgers for everybody who does not write them: also those that a Cleaner has removed.
type Ledgers struct {
	Bus     Loader
	Archive archive.Reader
}

// Load returns the ledger of a session from JetStream. If it is not there and the archive has a document of the session, it returns the
// ledger that the collector would restore, with revision 0. If there is neither, the ledger is new.
func (l Ledgers) Load(ctx context.Context, id string) (session.State, uint64, error) {
	s, revision, err := l.Bus.Load(ctx, id)
	if err != nil || revision > 0 {
		return s, revision, err
	}
	old, _, err := Catalog{l.Archive}.Fax(ctx, id)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return s, 0, nil
	case err != nil:
		return s, 0, fmt.Errorf("read the fax from the archive: %w", err)
	}
	return old, 0, nil
}
