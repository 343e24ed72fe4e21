package faxplustest_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/faxstream/faxstream/ingest/faxplus"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/pipeline/session"
)

// tiffOf is a TIFF in outline: for each page some rows and an IFD that has nothing but PhotometricInterpretation.
func tiffOf(rows ...string) []byte {
	b := []byte("II*\x00\x00\x00\x00\x00")
	next := 4 // where the offset of the next IFD is to be written
	for _, r := range rows {
		b = append(b, strings.Repeat(r, 40)...)
		b = append(b, make([]byte, len(b)%2)...)
		binary.LittleEndian.PutUint32(b[next:], uint32(len(b)))
		b = binary.LittleEndian.AppendUint16(b, 1)
		b = append(b, 6, 1, 3, 0, 1, 0, 0, 0, 0, 0, 0, 0) // tag 262, SHORT, one value: 0
		next = len(b)
		b = append(b, 0, 0, 0, 0)
	}
	return b
}

// faulty is a fax of so many pages with faults.
func faulty(sess string, pages int, faults ...faxplustest.Fault) faxplustest.Fax {
	f := faxplustest.Fax{Session: sess, Streamed: true, Faults: faults}
	var all []string
	for p := range pages {
		rows := fmt.Sprintf("page %d of %s ", p+1, sess)
		all = append(all, rows)
		f.Pages = append(f.Pages, tiffOf(rows))
	}
	f.Whole = tiffOf(all...)
	return f
}

func TestSameSeedTellsTheSameStory(t *testing.T) {
	mixed := []faxplustest.Fault{
		faxplustest.Duplicate, faxplustest.Reorder, faxplustest.DropPage, faxplustest.NotReady, faxplustest.Burst5xx, faxplustest.Truncated,
	}
	a, b := faulty("a", 8, mixed...), faulty("b", 5, mixed...)
	events1, answers1 := run(t, 7, a, b)
	events2, answers2 := run(t, 7, a, b)
	if events1 != events2 || fmt.Sprint(answers1) != fmt.Sprint(answers2) {
		t.Errorf("one seed, two stories:\n%s\n%s\n%v\n%v", events1, events2, answers1, answers2)
	}
	_, swapped := run(t, 7, b, a)
	if fmt.Sprint(answers1) != fmt.Sprint(swapped) {
		t.Errorf("the order of faxes changed the answers:\n%v\n%v", answers1, swapped)
	}
	events3, answers3 := run(t, 8, a, b)
	if events1 == events3 || fmt.Sprint(answers1) == fmt.Sprint(answers3) {
		t.Errorf("two seeds, one story: %s %v", events1, answers1)
	}
}

// What each fault does to the webhooks of a fax of four pages.
func TestFaultsOfWebhooks(t *testing.T) {
	shuffled := map[string]bool{}
	for seed := range uint64(8) {
		for fault, want := range map[faxplustest.Fault]string{
			"":                             `^p1 p2 p3 p4 closed$`,
			faxplustest.Duplicate:          `^p1 p2 p3 p4 closed( p1| p2| p3| p4| closed)+$`,
			faxplustest.LatePage:           `^(p[1-4] ){3}closed p[1-4]$`,
			faxplustest.DropPage:           `^(p[1-4] ){0,3}closed$`,
			faxplustest.Collision:          `^p1 p2 p3 p4 p1 p2 p3 p4 closed closed$`,
			faxplustest.CloseFirst:         `^closed p1 p2 p3 p4$`,
			faxplustest.DropClose:          `^p1 p2 p3 p4$`,
			faxplustest.PartialThenSuccess: `^p1 p2 p3 p4 closed closed$`,
			faxplustest.SuccessThenPartial: `^p1 p2 p3 p4 closed closed$`,
		} {
			if got, _ := run(t, seed, faulty("s", 4, fault)); !regexp.MustCompile(want).MatchString(got) {
				t.Errorf("seed %d, %q: got %s, want %s", seed, fault, got, want)
			}
		}
		events, _ := run(t, seed, faulty("s", 4, faxplustest.Reorder))
		sorted := strings.Fields(events)
		slices.Sort(sorted)
		if shuffled[events] = true; strings.Join(sorted, " ") != "closed p1 p2 p3 p4" {
			t.Errorf("seed %d: reordered: %s", seed, events)
		}
	}
	if len(shuffled) < 6 {
		t.Errorf("only %d orders: %v", len(shuffled), shuffled)
	}
	f := faulty("s", 3)
	f.Streamed = false
	if got, _ := run(t, 1, f); got != "closed" {
		t.Errorf("not streamed: got %s", got)
	}
	if got, _ := run(t, 1, faulty("s", 1, faxplustest.DropPage, faxplustest.DropClose)); got != "p1" {
		t.Errorf("a fax that nobody ever hears of: %q", got)
	}
}

// What the words that end a fax say.
func TestFaultsOfTheClose(t *testing.T) {
	for fault, want := range map[faxplustest.Fault]string{
		"":                             "success 4",
		faxplustest.PartialThenSuccess: "partially_received 2, success 4",
		faxplustest.SuccessThenPartial: "success 4, partially_received 2",
		faxplustest.CountFewer:         "success 3",
		faxplustest.CountZero:          "success 0",
		faxplustest.CountMore:          "success [56]",
		faxplustest.Collision:          "success 4, success 4",
	} {
		var got, to, files []string
		take := func(e faxplus.Event) {
			if e.Page == 0 {
				got, files = append(got, fmt.Sprintf("%s %d", e.Status, e.Pages)), append(files, e.File)
			}
			if !slices.Contains(to, e.To) {
				to = append(to, e.To)
			}
		}
		hooks := httptest.NewServer(&target{seen: take})
		sim := faxplustest.New(faxplustest.Config{})
		if err := sim.Send(t.Context(), hooks.URL, faulty("s", 4, fault)); err != nil {
			t.Fatal(err)
		}
		sim.Close()
		hooks.Close()
		if !regexp.MustCompile("^" + want + "$").MatchString(strings.Join(got, ", ")) {
			t.Errorf("%q says %q, want %s", fault, got, want)
		}
		if collides := len(to) == 2 && len(files) == 2 && files[0] != files[1]; collides != (fault == faxplustest.Collision) {
			t.Errorf("%q speaks of %d numbers and the files %q", fault, len(to), files)
		}
	}
	sim := faxplustest.New(faxplustest.Config{})
	defer sim.Close()
	hooks := httptest.NewServer(&target{})
	defer hooks.Close()
	if err := sim.Send(t.Context(), hooks.URL, faulty("s", 2, faxplustest.DropClose)); err != nil {
		t.Fatal(err)
	}
	if status, raw := ask(t, sim, "", "/accounts/self/faxes/s"); status != 200 || !bytes.Contains(raw, []byte(`"status":"success"`)) {
		t.Errorf("the record of a fax whose close was dropped: %d %s", status, raw)
	}
}

// look gives what a client sees in some tries for a file that should be want.
func look(t *testing.T, url string, want []byte, tries int) string {
	t.Helper()
	var seen []string
	for range tries {
		resp, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		word := fmt.Sprint(resp.StatusCode)
		switch {
		case resp.StatusCode != 200:
			if after := resp.Header.Get("Retry-After"); after != "" {
				word += "/" + after
			}
		case resp.Header.Get("Content-Type") != "image/tiff":
			word = resp.Header.Get("Content-Type")
		case err != nil:
			word = "broken"
		case bytes.Equal(body, want):
			word = "ok"
		case len(body) < len(want) && bytes.HasPrefix(want, body):
			word = "short"
			if resp.ContentLength < 0 {
				word = "chunked"
			}
		case len(body) == len(want):
			word = "other"
		default:
			word = fmt.Sprintf("%d bytes for %d", len(body), len(want))
		}
		seen = append(seen, word)
	}
	return strings.Join(seen, " ")
}

// What each fault does to the files of a fax of four pages, as a client sees it in eight tries.
func TestFaultsOfFiles(t *testing.T) {
	const ok = `(ok ?)+`
	for fault, want := range map[faxplustest.Fault]struct{ page, whole string }{
		"":                       {ok, ok},
		faxplustest.NotReady:     {`(404 ){1,3}` + ok, ok},
		faxplustest.GonePage:     {`(404 ?){8}`, ok},
		faxplustest.Unauthorized: {`(401 ){1,3}` + ok, `(401 ){1,3}` + ok},
		faxplustest.Foreign:      {`(403 ?){8}`, `(403 ?){8}`},
		faxplustest.Busy:         {`(429/1 ){1,3}` + ok, `(429/1 ){1,3}` + ok},
		faxplustest.Burst5xx:     {`(50[0234] ){2,6}` + ok, `(50[0234] ){2,6}` + ok},
		faxplustest.Truncated:    {`(broken ){1,3}` + ok, `(broken ){1,3}` + ok},
		faxplustest.WrongLength:  {`((broken|short) ){1,3}` + ok, `((broken|short) ){1,3}` + ok},
		faxplustest.WrongType:    {`(text/html ){1,3}` + ok, `(text/html ){1,3}` + ok},
		faxplustest.HalfChunked:  {`chunked ` + ok + `|(chunked ?){8}`, `chunked ` + ok},
		faxplustest.Corrupted:    {`(other ?){8}`, ok},
		faxplustest.TwoAnswers:   {`(ok other ?){4}|(other ok ?){4}`, ok},
		faxplustest.WholeDiffers: {ok, `(other ?){8}`},
		faxplustest.WholeMissing: {ok, `(404 ?){8}`},
	} {
		t.Run("fault "+string(fault), func(t *testing.T) {
			t.Parallel()
			page, whole, clean := regexp.MustCompile(`^(`+want.page+`)$`), regexp.MustCompile(`^(`+want.whole+`)$`), regexp.MustCompile(`^`+ok+`$`)
			for seed := range uint64(5) {
				sim := faxplustest.New(faxplustest.Config{Seed: seed})
				srv := httptest.NewServer(sim)
				f := faulty("s", 4, fault)
				sim.Add(f)
				hit := 0
				for p, file := range f.Pages {
					got := look(t, fmt.Sprintf("%s/accounts/self/files/s/pages/%d", srv.URL, p+1), file, 8)
					if page.MatchString(got) {
						hit++
					} else if !clean.MatchString(got) {
						t.Errorf("seed %d: page %d is %s", seed, p+1, got)
					}
				}
				if hit == 0 {
					t.Errorf("seed %d: no page is hit", seed)
				}
				if got := look(t, srv.URL+"/accounts/self/files/s?format=tiff", f.Whole, 8); !whole.MatchString(got) {
					t.Errorf("seed %d: the whole file is %s", seed, got)
				}
				srv.Close()
			}
		})
	}
}

func TestAForeignFaxIsNowhere(t *testing.T) {
	sim := faxplustest.New(faxplustest.Config{})
	f, ours := faulty("s", 1, faxplustest.Foreign), faulty("ours", 1)
	sim.Add(f)
	sim.Add(ours)
	for path, want := range map[string]int{
		"/accounts/self/faxes/s": 403, "/accounts/self/files/s/pages/1": 403, "/accounts/self/files/s/pages/9": 403,
		"/accounts/self/files/ours/pages/1": 200,
	} {
		if got, _ := ask(t, sim, "", path); got != want {
			t.Errorf("%s: %d, want %d", path, got, want)
		}
	}
	if _, raw := ask(t, sim, "", "/accounts/self/faxes"); bytes.Contains(raw, []byte(f.ListedID())) ||
		!bytes.Contains(raw, []byte(ours.ListedID())) {
		t.Errorf("the list has %s", raw)
	}
}

// A dead token is everybody's, and passes; a slow body takes its time. The clock is the test's own.
func TestFaultsThatLastAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := faxplustest.New(faxplustest.Config{While: time.Minute})
		sim.Add(faulty("other", 1))
		sim.Add(faulty("s", 1, faxplustest.DeadToken))
		for range 2 {
			for _, path := range []string{
				"/accounts/self/files/s/pages/1", "/accounts/self/files/other/pages/1", "/accounts/self/files/s?format=tiff", "/accounts/self/faxes",
				"/accounts/self/faxes/s", "/hooks?event=fax_sent",
			} {
				if got, _ := ask(t, sim, "", path); got != 401 {
					t.Errorf("%s with a dead token: %d", path, got)
				}
			}
			time.Sleep(29 * time.Second)
		}
		time.Sleep(2 * time.Second)
		if got, _ := ask(t, sim, "", "/accounts/self/files/s/pages/1"); got != 200 {
			t.Errorf("after a minute: %d", got)
		}
		slow := faulty("slow", 1, faxplustest.Slow)
		sim.Add(slow)
		began := time.Now()
		status, raw := ask(t, sim, "", "/accounts/self/files/slow/pages/1")
		if took := time.Since(began); status != 200 || took != 30*time.Second || !bytes.Equal(raw, slow.Pages[0]) {
			t.Errorf("slow: %d after %s, %d bytes", status, took, len(raw))
		}
	})
}

// A late webhook comes when it is due and not before, for days if need be; its page could be fetched all the time.
func TestLatePageComesAfterAWhile(t *testing.T) {
	const days = 3 * 24 * time.Hour
	sim := faxplustest.New(faxplustest.Config{While: days})
	defer sim.Close()
	taken := make(chan faxplus.Event, 2)
	hooks := httptest.NewServer(&target{seen: func(e faxplus.Event) { taken <- e }})
	defer hooks.Close()
	sent := make(chan error, 1)
	go func() { sent <- sim.Send(t.Context(), hooks.URL, faulty("s", 1, faxplustest.LatePage)) }()
	if e := <-taken; e.Page != 0 {
		t.Errorf("the first word is of page %d", e.Page)
	}
	if got, _ := ask(t, sim, "", "/accounts/self/files/s/pages/1"); got != 200 {
		t.Errorf("the page: %d", got)
	}
	select {
	case err := <-sent:
		t.Errorf("sent before the time: %v", err)
	case e := <-taken:
		t.Errorf("page %d came before its time", e.Page)
	default:
	}
}

func TestChaosIsDrawnForEachFaxAlone(t *testing.T) {
	seen := map[faxplustest.Fault]int{}
	sizes := map[int]int{}
	for i := range 2000 {
		id := fmt.Sprint("fax-", i)
		faults := faxplustest.Chaos(3, id)
		if !slices.Equal(faults, faxplustest.Chaos(3, id)) {
			t.Fatalf("fax %s has %v, and then others", id, faults)
		}
		sizes[len(faults)]++
		for _, f := range faults {
			seen[f]++
		}
	}
	if len(sizes) != 3 || sizes[0] != 0 || sizes[1] < 500 || sizes[2] < 500 || sizes[3] < 500 {
		t.Errorf("sizes of mixtures: %v", sizes)
	}
	for _, f := range faxplustest.AllFaults() {
		if seen[f] < 30 {
			t.Errorf("fault %q hit %d of 2000 faxes", f, seen[f])
		}
	}
	if slices.Equal(faxplustest.Chaos(3, "a"), faxplustest.Chaos(4, "a")) &&
		slices.Equal(faxplustest.Chaos(3, "b"), faxplustest.Chaos(4, "b")) {
		t.Error("two seeds, one chaos")
	}
}

func TestTruth(t *testing.T) {
	type faults = []faxplustest.Fault
	whole := "complete recovered"
	for _, c := range []struct {
		faults  faults
		pages   int
		usable  string
		missing string
		status  string
	}{
		{nil, 3, "1 2 3", "", "complete"},
		{faults{faxplustest.Reorder}, 3, "1 2 3", "", whole},
		{faults{faxplustest.DropPage}, 3, "1 2 3", "", whole},
		{faults{faxplustest.GonePage}, 1, "1", "", whole},
		{faults{faxplustest.GonePage, faxplustest.WholeMissing}, 1, "", "1", "partial"},
		{faults{faxplustest.DropPage, faxplustest.WholeMissing}, 1, "", "1", "partial"},
		{faults{faxplustest.DropClose}, 2, "1 2", "", whole},
		{faults{faxplustest.CountMore, faxplustest.WholeMissing}, 1, "1", "2 3", "partial"},
		{faults{faxplustest.CountFewer}, 2, "1 2", "", whole},
		{faults{faxplustest.CountFewer, faxplustest.DropPage}, 1, "1", "", whole},
		{faults{faxplustest.CountZero}, 2, "1 2", "", whole},
		{faults{faxplustest.CountZero, faxplustest.WholeMissing}, 2, "1 2", "", "partial"},
		{faults{faxplustest.Foreign}, 2, "", "1 2", "partial"},
		{faults{faxplustest.Foreign, faxplustest.DropClose}, 2, "", "1 2", "partial"},
		{faults{faxplustest.PartialThenSuccess}, 2, "1 2", "", whole},
		{faults{faxplustest.SuccessThenPartial, faxplustest.WholeMissing}, 2, "1 2", "", whole},
	} {
		truth := faxplustest.New(faxplustest.Config{}).Truth(faulty("s", c.pages, c.faults...))
		usable, missing := []string{}, []string{}
		for p := range 9 {
			if _, ok := truth.Pages[p]; ok {
				usable = append(usable, fmt.Sprint(p))
			}
		}
		for _, p := range truth.Missing {
			missing = append(missing, fmt.Sprint(p))
		}
		if strings.Join(usable, " ") != c.usable || strings.Join(missing, " ") != c.missing || strings.Join(truth.Statuses, " ") != c.status {
			t.Errorf("%v of %d pages: usable %s, missing %s, %v", c.faults, c.pages, usable, missing, truth.Statuses)
		}
	}
	f := faulty("s", 1)
	f.Status = "partially_received"
	if got := faxplustest.New(faxplustest.Config{}).Truth(f).Statuses; !slices.Equal(got, []string{session.StatusPartial}) {
		t.Errorf("a call that dropped: %v", got)
	}
}

func TestTruthOfImages(t *testing.T) {
	for fault, images := range map[faxplustest.Fault]int{
		"": 1, faxplustest.TwoAnswers: 2, faxplustest.WholeDiffers: 2, faxplustest.Corrupted: 0, faxplustest.Busy: 1,
	} {
		f := faulty("s", 1, fault)
		got := faxplustest.New(faxplustest.Config{}).Truth(f).Pages[1]
		if len(got) != images || images > 0 && !bytes.Equal(got[0], f.Pages[0]) || images > 1 && bytes.Equal(got[1], f.Pages[0]) {
			t.Errorf("%q: %d images, want %d", fault, len(got), images)
		}
	}
}

// A file is served under both ids, and its faults are counted together.
func TestListedIDNamesTheSameFile(t *testing.T) {
	sim := faxplustest.New(faxplustest.Config{})
	f := faulty("s", 1, faxplustest.NotReady)
	sim.Add(f)
	var got []int
	for _, id := range []string{"s", f.ListedID(), "s", f.ListedID()} {
		status, _ := ask(t, sim, "", "/accounts/self/files/"+id+"/pages/1")
		got = append(got, status)
	}
	if got[0] != 404 || got[3] != 200 || f.ListedID() == "s" {
		t.Errorf("answers in turn: %v", got)
	}
	var rec struct{ ID string }
	if _, raw := ask(t, sim, "", "/accounts/self/faxes/s"); json.Unmarshal(raw, &rec) != nil || rec.ID != f.ListedID() {
		t.Errorf("the record is of %s", rec.ID)
	}
}
