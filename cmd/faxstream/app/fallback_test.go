package app

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/pipeline/session"
)

// What a provider may do to a fax of three pages, and what becomes of it.
func TestFallbacks(t *testing.T) {
	t.Parallel()
	whole := apptest.Fixture(t, "three-pages-fine-g4")
	pages := apptest.Split(t, whole)
	lonely := pages[0]
	all := []int{1, 2, 3}
	type fax struct {
		announced []int
		pages     map[int]func(int) faxplustest.Answer // by page; 0: the whole file
		count     int                                  // of the close
		change    func(f *faxplustest.Fax)
		status    string
		missing   map[int]session.Reason
		sources   string // of pages 1 to 3: f fetched, w whole file, - missing
	}
	ok := apptest.AnswerWith(whole)
	for name, c := range map[string]fax{
		"every page by itself": {
			announced: all, count: 3, status: session.StatusComplete, sources: "fff",
		},
		"a page whose webhook was lost": {
			announced: []int{1, 3}, count: 3, pages: map[int]func(int) faxplustest.Answer{0: ok}, status: session.StatusComplete, sources: "fwf",
		},
		"a page that never comes": {
			announced: all, count: 3, pages: map[int]func(int) faxplustest.Answer{0: ok, 2: apptest.AnswerWith(nil)},
			status: session.StatusRecovered, sources: "fwf",
		},
		"a page that is late, and no whole file": {
			announced: all, count: 3,
			pages: map[int]func(int) faxplustest.Answer{
				0: apptest.AnswerStatus(500, nil), 2: apptest.AnswerWith(nil, pages[1]), // a second try is always made
			},
			status: session.StatusComplete, sources: "fff",
		},
		"only the close": {
			count: 3, pages: map[int]func(int) faxplustest.Answer{0: ok}, status: session.StatusComplete, sources: "www",
		},
		"only the close, of one page": {
			count: 1, pages: map[int]func(int) faxplustest.Answer{0: apptest.AnswerWith(lonely)}, status: session.StatusComplete, sources: "w",
		},
		"only the close, without a count": {
			count: 0, pages: map[int]func(int) faxplustest.Answer{0: ok}, status: session.StatusComplete, sources: "www",
		},
		"a close without a count, and a lost webhook": {
			announced: []int{1}, count: 0, pages: map[int]func(int) faxplustest.Answer{0: ok}, status: session.StatusComplete, sources: "fww",
		},
		"a sent fax": {
			count: 3, change: func(f *faxplustest.Fax) { f.Direction = session.Outgoing },
			pages: map[int]func(int) faxplustest.Answer{0: ok}, status: session.StatusComplete, sources: "www",
		},
		"an endpoint that ignores the page's number": {
			announced: all, count: 3, pages: map[int]func(int) faxplustest.Answer{0: ok, 1: ok, 2: ok, 3: ok}, status: session.StatusRecovered,
			sources: "www",
		},
		"no page and no file": {
			announced: all, count: 3,
			pages: map[int]func(int) faxplustest.Answer{
				0: apptest.AnswerWith(nil), 1: apptest.AnswerWith(nil), 2: apptest.AnswerWith(nil), 3: apptest.AnswerWith(nil),
			},
			status: session.StatusPartial, sources: "---",
			missing: map[int]session.Reason{1: session.ReasonNotYet, 2: session.ReasonNotYet, 3: session.ReasonNotYet},
		},
		"a file that fails for this fax alone": {
			announced: all, count: 3,
			pages:  map[int]func(int) faxplustest.Answer{0: apptest.AnswerStatus(403, nil), 2: apptest.AnswerStatus(500, nil)},
			status: session.StatusPartial, sources: "f-f", missing: map[int]session.Reason{2: session.ReasonUnavailable},
		},
		"a file cut in transit, then whole": {
			count: 3, pages: map[int]func(int) faxplustest.Answer{0: apptest.AnswerWith(whole[:len(whole)/2], whole)},
			status: session.StatusComplete, sources: "www",
		},
		"a file that is not finished at first": {
			count: 3, pages: map[int]func(int) faxplustest.Answer{0: apptest.AnswerWith(lonely, whole)}, status: session.StatusComplete,
			sources: "www",
		},
		"a file that has fewer pages than the close says": {
			count: 3, pages: map[int]func(int) faxplustest.Answer{0: apptest.AnswerWith(lonely)}, status: session.StatusPartial, sources: "w--",
			missing: map[int]session.Reason{2: session.ReasonNotInFile, 3: session.ReasonNotInFile},
		},
		"a provider that asks to wait long": {
			count: 3, pages: map[int]func(int) faxplustest.Answer{0: func(try int) faxplustest.Answer {
				if try == 1 {
					return faxplustest.Answer{Status: http.StatusTooManyRequests, Header: map[string]string{"Retry-After": "900"}}
				}
				return faxplustest.Answer{Body: whole}
			}}, status: session.StatusComplete, sources: "www",
		},
		"half a page, the same half twice": {
			announced: all, count: 3, pages: map[int]func(int) faxplustest.Answer{0: ok, 2: apptest.AnswerWith(pages[1][:len(pages[1])/2])},
			status: session.StatusRecovered, sources: "fwf",
		},
		"a call that dropped": {
			announced: []int{1, 2}, count: 2, change: func(f *faxplustest.Fax) { f.Status = "partially_received" }, status: session.StatusPartial,
			sources: "ff",
		},
		"a start in the year 0": {
			announced: all, count: 3, change: func(f *faxplustest.Fax) { f.StartTime = time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC) },
			status: session.StatusComplete, sources: "fff",
		},
		"a page without a plausible resolution beside a missing one": {
			announced: []int{1, 2}, count: 2,
			pages: map[int]func(int) faxplustest.Answer{
				0: apptest.AnswerWith(nil), 1: apptest.AnswerWith(apptest.Tiny(t)), 2: apptest.AnswerWith(nil),
			},
			status: session.StatusPartial, sources: "f-", missing: map[int]session.Reason{2: session.ReasonNotYet},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			// Only a page that nobody announced makes the grace run out: pages that were announced come before, also on a slow machine.
			policy, unannounced := apptest.ImpatientPolicy(), c.count == 0 || len(c.announced) < c.count
			if policy.Grace = apptest.Patience; unannounced {
				policy.Grace = 200 * time.Millisecond
			}
			r.Start(t, r.Bus, r.Store, policy, apptest.ImpatientRetry())
			f := faxplustest.Fax{Session: "fax", Streamed: true, Pages: pages, PageCount: &c.count}
			if c.change != nil {
				c.change(&f)
			}
			r.Sim.Add(f)
			for page, answer := range c.pages {
				r.Sim.Script(f.Session, page, answer)
			}
			for _, page := range c.announced {
				r.Record(t, faxplustest.PageEvent(f, page, "http://x"))
			}
			if unannounced && len(c.announced) > 0 {
				r.Await(t, f.Session, func(s session.State) bool { return s.Usable.Len() == len(c.announced) })
			}
			r.Record(t, faxplustest.ClosedEvent(f, "http://x"))
			s := r.Await(t, f.Session, func(s session.State) bool { return s.Document != nil })
			if s.Status() != c.status || s.Revision() != 1 {
				t.Errorf("the fax is %s (%s), revision %d; want %s, revision 1", s.Status(), s.Document.Reason, s.Revision(), c.status)
			}
			var sources strings.Builder
			missing := map[int]session.Reason{}
			for page := range s.Expected().All() {
				status, source, reason := s.PageStatus(page)
				sources.WriteString(map[string]string{session.SourceFetch: "f", session.SourceWholeFile: "w", "": "-"}[source])
				if status == session.PageStatusMissing {
					missing[page] = reason
				}
			}
			if sources.String() != c.sources {
				t.Errorf("pages come from %s, want %s", &sources, c.sources)
			}
			if !maps.Equal(missing, c.missing) {
				t.Errorf("missing are %v, want %v", missing, c.missing)
			}
			checkCutPages(t, r, s, pages)
		})
	}
}

// checkCutPages wants every archived page of the three-page fax to be that page.
func checkCutPages(t *testing.T, r *rig, s session.State, pages [][]byte) {
	t.Helper()
	if s.Expected().Max() != len(pages) {
		return // another file was served
	}
	facts, err := r.Bus.PageFacts(t.Context(), s.Session, s.Usable)
	if err != nil {
		t.Fatal(err)
	}
	for page, f := range facts {
		if got := fmt.Sprintf("%dx%d %.16s", f.Width, f.Height, f.RasterSHA256); got != apptest.PixelsOf(t, pages[page-1]) {
			t.Errorf("page %d is %s, want %s", page, got, apptest.PixelsOf(t, pages[page-1]))
		}
	}
}

// A dead token makes no page missing: everything waits, and goes on when the token works again.
func TestADeadTokenIsWaitedFor(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Dead.Store(true)
	r.Start(t, r.Bus, r.Store, apptest.ImpatientPolicy(), apptest.ImpatientRetry())
	f := apptest.Generated(t, 21, 1)[0]
	r.Sim.Add(f)
	for _, body := range apptest.Bodies(f, "http://x") {
		r.Record(t, body)
	}
	// The deadlines of pages and whole file are over, and the session waits on: for its pages, or for the whole file if that was ordered
	// before anybody knew about the token.
	apptest.Await(t, "a fax that waits after every deadline", func() bool {
		s, _, err := r.Bus.Load(t.Context(), f.Session)
		if err != nil {
			t.Fatal(err)
		}
		return s.Close != nil && (s.WholeOpen || !s.GraceAt.IsZero()) &&
			time.Since(s.LastSeen) > apptest.ImpatientPolicy().Grace+apptest.ImpatientPolicy().WholeFor+time.Second
	})
	s, _, err := r.Bus.Load(t.Context(), f.Session)
	if err != nil || s.Document != nil || len(s.Failed) > 0 {
		t.Fatalf("with a dead token there is a document or a failed page: %+v, %v, %v", s.Document, s.Failed, err)
	}
	if why := r.Stopped(); why == nil || !strings.Contains(why.Error(), "not valid") {
		t.Errorf("fetching is said to be stopped because of %v", why)
	}
	// Beside the first answers only probes are made, one in ten seconds.
	if n := r.Asked.Load(); n > int64(4*len(f.Pages)+10) {
		t.Errorf("the provider was asked %d times while its token was dead", n)
	}
	r.Dead.Store(false)
	s = r.Await(t, f.Session, func(s session.State) bool { return s.Document != nil && s.Document.Missing == 0 })
	if why := r.Stopped(); why != nil {
		t.Errorf("fetching goes on, but is said to be stopped: %v", why)
	}
	if st := s.Status(); st != session.StatusComplete && st != session.StatusRecovered {
		t.Errorf("the fax is %s", st)
	}
}

// A path on which no page is ever found is suspected after twenty faxes, until a page comes.
func TestAWrongPagePathIsDoubted(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Start(t, r.Bus, r.Store, apptest.ImpatientPolicy(), apptest.ImpatientRetry())
	f := apptest.Generated(t, 22, 1)[0]
	for i := range 20 {
		g := f
		g.Session = fmt.Sprintf("nowhere-%d", i) // the simulator has no such pages
		r.Record(t, faxplustest.PageEvent(g, 1, "http://x"))
	}
	apptest.Await(t, "a doubt about the path of pages", func() bool { return r.Doubted() != nil })
	if !strings.Contains(r.Doubted().Error(), "--faxplus-page-path") {
		t.Errorf("the doubt does not say what to look at: %v", r.Doubted())
	}
	r.Sim.Add(f)
	r.Record(t, faxplustest.PageEvent(f, 1, "http://x"))
	apptest.Await(t, "the end of the doubt", func() bool { return r.Doubted() == nil })
}

// An original that is gone from the archive costs its page, not the fax.
func TestALostOriginalCostsItsPage(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Start(t, r.Bus, r.Store, apptest.ImpatientPolicy(), apptest.ImpatientRetry())
	f := faxplustest.Fax{Session: "fax", Streamed: true, Pages: apptest.Split(t, apptest.Fixture(t, "three-pages-fine-g4"))}
	r.Sim.Add(f)
	for page := range f.Pages {
		r.Record(t, faxplustest.PageEvent(f, page+1, "http://x"))
	}
	r.Await(t, f.Session, func(s session.State) bool { return s.Usable.Len() == 3 })
	originals, err := filepath.Glob(filepath.Join(r.Dir, "archive", "faxes", "fax", "pages", "0002.*.tiff"))
	if err != nil || len(originals) != 1 {
		t.Fatal(originals, err)
	}
	if err := os.Remove(originals[0]); err != nil {
		t.Fatal(err)
	}
	r.Record(t, faxplustest.ClosedEvent(f, "http://x"))
	s := r.Await(t, f.Session, func(s session.State) bool { return s.Document != nil })
	if status, _, reason := s.PageStatus(2); s.Status() != session.StatusPartial || status != session.PageStatusMissing ||
		reason != session.ReasonLost {
		t.Errorf("the fax is %s, page 2 is %s (%s); want partial, missing (lost)", s.Status(), status, reason)
	}
	if s.Usable.Len() != 2 {
		t.Errorf("usable are %v", s.Usable)
	}
}
