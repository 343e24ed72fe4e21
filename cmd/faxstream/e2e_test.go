package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/tiff"
	"github.com/faxstream/faxstream/storage/storagetest"
)

// setting is one way to deploy: flags, environment, and where an independent subscriber connects ("": the embedded server's own listener).
type setting struct {
	name  string
	start func(t testing.TB) (args, env []string, natsURL string)
}

func settings() []setting {
	embedded := []string{"--nats-listen=127.0.0.1:0", "--nats-listen-insecure"}
	return []setting{
		{"embedded", func(testing.TB) ([]string, []string, string) { return embedded, nil, "" }},
		{"S3", func(t testing.TB) ([]string, []string, string) {
			endpoint, access, secret := storagetest.VersityGW(t)
			return append(
					[]string{"--archive=s3://" + storagetest.LockedBucket + "/some/prefix", "--retention=6y", "--s3-endpoint=" + endpoint}, embedded...,
				),
				[]string{"FAXSTREAM_S3_ACCESS_KEY=" + access, "FAXSTREAM_S3_SECRET_KEY=" + secret}, ""
		}},
		{"external NATS", func(t testing.TB) ([]string, []string, string) {
			url := apptest.StartNATS(t).NATSURL()
			return []string{"--nats-url=" + url}, nil, url
		}},
	}
}

// patientGrace keeps a slow machine from taking pages from the whole file, whose webhooks the test sends long after the close.
const patientGrace = "--close-grace=15m"

// Twenty faxes (six with -short) of all sizes at once, every webhook twice and in random order.
func TestFaxesBecomeDocuments(t *testing.T) {
	t.Parallel()
	for _, s := range settings() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			if testing.Short() && s.name != "embedded" {
				t.Skip("one setting is enough for the race detector: the others run without -short")
			}
			sim, flags := newSimulator(t, faxplustest.Config{})
			args, env, natsURL := s.start(t)
			p := serve(t, env, append(append(args, flags...), "--dir="+t.TempDir(), patientGrace)...)
			if natsURL == "" {
				natsURL = p.ready.NATS
			}
			heard := subscribe(t, natsURL)
			faxes := apptest.Generated(t, 7, apptest.Usual(20, 6))
			postShuffled(t, p, sim, faxes, 1)
			var sessions []string
			for _, f := range faxes {
				sessions = append(sessions, f.Session)
			}
			for id, f := range p.awaitDocuments(sessions...) {
				if f.Status != session.StatusComplete || f.Revision != 1 {
					t.Errorf("fax %s is %s (%s), revision %d; want complete, revision 1", id, f.Status, f.Reason, f.Revision)
				}
			}
			for _, f := range faxes {
				checkFax(t, p, f)
			}
			heard.check(t, faxes)
		})
	}
}

// postShuffled posts every webhook of the faxes `times`+1 times, all mixed, from several senders.
func postShuffled(t *testing.T, p *process, sim *faxplustest.Server, faxes []faxplustest.Fax, times int) {
	t.Helper()
	var all [][]byte
	for _, f := range faxes {
		sim.Add(f)
		for range times + 1 {
			all = append(all, apptest.Bodies(f, p.target())...)
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	const senders = 8
	var wg sync.WaitGroup
	for k := range senders {
		wg.Go(func() {
			for i := k; i < len(all); i += senders {
				if status, err := sim.Post(apptest.Context(t), p.target(), all[i]); err != nil || status != 200 {
					t.Errorf("webhook answered %d, %v: %s", status, err, all[i])
				}
			}
		})
	}
	wg.Wait()
}

// checkFax compares what the API gives with what the provider has.
func checkFax(t *testing.T, p *process, f faxplustest.Fax) {
	t.Helper()
	base := p.api("/faxes/" + f.Session)
	detail := p.fax(f.Session)
	if len(detail.Pages) != len(f.Pages) {
		t.Fatalf("fax %s has %d pages, want %d", f.Session, len(detail.Pages), len(f.Pages))
	}
	document, err := tiff.Parse(apptest.Fetch(t, base+"/document.tiff"), tiff.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for i, page := range f.Pages {
		if d := detail.Pages[i]; d.Page != i+1 || d.Status != session.PageStatusArchived || d.Source != session.SourceFetch ||
			d.SHA256 != fmt.Sprintf("%x", sha256.Sum256(page)) || d.Bad != 0 {
			t.Errorf("fax %s: page %d is %+v", f.Session, i+1, d)
		}
		if got := apptest.Fetch(t, fmt.Sprintf("%s/pages/%d.tiff", base, i+1)); !bytes.Equal(got, page) {
			t.Errorf("fax %s: the archived page %d is not what the provider served", f.Session, i+1)
		}
		if got, want := apptest.PixelsOfPage(t, document, i), apptest.PixelsOf(t, page); got != want {
			t.Errorf("fax %s: page %d of document.tiff is not the page that was served", f.Session, i+1)
		}
	}
	var m archive.Manifest
	if err := json.Unmarshal(apptest.Fetch(t, base+"/manifest.json"), &m); err != nil {
		t.Fatal(err)
	}
	if m.Session != f.Session || m.Status != session.StatusComplete || len(m.Pages) != len(f.Pages) || len(m.Facts) != len(f.Pages)+1 {
		t.Errorf("fax %s: manifest says %s, %s, %d pages, %d facts", f.Session, m.Session, m.Status, len(m.Pages), len(m.Facts))
	}
}

// subscriber is an OCR service: a plain NATS client of its own.
type subscriber struct {
	nc        *nats.Conn
	mu        sync.Mutex
	archived  map[string]int // subjects of page.archived
	assembled map[string]int
}

func subscribe(t *testing.T, url string) *subscriber {
	t.Helper()
	nc, err := nats.Connect(url, nats.Timeout(apptest.Patience))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	s := &subscriber{nc: nc, archived: map[string]int{}, assembled: map[string]int{}}
	for subject, seen := range map[string]map[string]int{
		session.TypePageArchived + ".>": s.archived,
		session.TypeDocAssembled + ".>": s.assembled,
	} {
		if _, err := nc.Subscribe(subject, func(m *nats.Msg) {
			s.mu.Lock()
			defer s.mu.Unlock()
			seen[m.Subject]++
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	return s
}

// check wants one page.archived for each page and one doc.assembled for each fax, on the receiving number's subject.
func (s *subscriber) check(t *testing.T, faxes []faxplustest.Fax) {
	t.Helper()
	if err := s.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	wantArchived, wantAssembled := 0, 0
	for _, f := range faxes {
		to := session.NumberToken(f.To)
		for page := range f.Pages {
			wantArchived++
			subject := fmt.Sprintf("fax.v1.page.archived.%s.%s.%d", to, f.Session, page+1)
			await(t, subject, func() bool { return s.count(s.archived, subject) > 0 })
		}
		wantAssembled++
		subject := fmt.Sprintf("fax.v1.doc.assembled.%s.%s.1", to, f.Session)
		await(t, subject, func() bool { return s.count(s.assembled, subject) > 0 })
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, seen := range []map[string]int{s.archived, s.assembled} {
		for subject, n := range seen {
			if n != 1 {
				t.Errorf("%s was published %d times", subject, n)
			}
		}
	}
	if len(s.archived) != wantArchived || len(s.assembled) != wantAssembled {
		t.Errorf("heard %d pages and %d documents, want %d and %d", len(s.archived), len(s.assembled), wantArchived, wantAssembled)
	}
}

func (s *subscriber) count(seen map[string]int, subject string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return seen[subject]
}

// A stop in the middle of work is orderly, and the next start finishes it.
func TestSIGTERMDuringWorkLosesNothing(t *testing.T) {
	t.Parallel()
	sim, flags := newSimulator(t, faxplustest.Config{})
	dir := t.TempDir()
	flags = append(flags, "--dir="+dir, patientGrace)
	faxes := apptest.Generated(t, 3, apptest.Usual(12, 4))
	p := serve(t, nil, flags...)
	var sessions []string
	for _, f := range faxes {
		sim.Add(f)
		sessions = append(sessions, f.Session)
		for _, b := range apptest.Bodies(f, p.target()) {
			if status := apptest.Post(t, p.target(), b); status != 200 {
				t.Fatalf("webhook answered %d", status)
			}
		}
	}
	if code := p.terminate(); code != 0 {
		t.Fatalf("exit code %d after SIGTERM", code)
	}
	p = serve(t, nil, flags...)
	for id, f := range p.awaitDocuments(sessions...) {
		if f.Status != session.StatusComplete || f.Revision != 1 {
			t.Errorf("fax %s is %s, revision %d", id, f.Status, f.Revision)
		}
	}
	for _, f := range faxes {
		checkFax(t, p, f)
	}
}

// A page that cannot be had or read costs that page, says why, and stops nothing.
func TestBadPagesCostOnlyThemselves(t *testing.T) {
	t.Parallel()
	good := apptest.Generated(t, 11, 1)[0]
	page := good.Pages[0]
	html := []byte("<html><body>" + strings.Repeat("not a fax ", 50) + "</body></html>")
	cases := []struct {
		name   string
		body   []byte
		reason session.Reason
	}{
		{"empty", nil, session.ReasonEmpty},
		{"33 MB", bytes.Repeat([]byte{'I'}, 33<<20), session.ReasonTooLarge},
		{"HTML", html, session.ReasonWrongType},
		{"PDF", []byte("%PDF-1.7\n%âãÏÓ\n1 0 obj\n<<>>\nendobj\n"), session.ReasonWrongType},
		{"cut in half", page[:len(page)/2], session.ReasonTruncated},
	}
	sim, flags := newSimulator(t, faxplustest.Config{})
	p := serve(t, nil, append(flags, "--dir="+t.TempDir(), patientGrace, "--whole-for=1s", "--page-deadline=1s")...)
	var sessions []string
	for i, c := range cases {
		f := good
		f.Session = fmt.Sprintf("bad-page-%d", i)
		f.Pages = [][]byte{page, page, page}
		f.Whole = nil
		sim.Add(f)
		sim.Script(f.Session, 2, func(int) faxplustest.Answer {
			if c.body == nil {
				return faxplustest.Answer{Body: []byte{}}
			}
			return faxplustest.Answer{Body: c.body}
		})
		sessions = append(sessions, f.Session)
		for _, b := range apptest.Bodies(f, p.target()) {
			if status := apptest.Post(t, p.target(), b); status != 200 {
				t.Fatalf("webhook answered %d", status)
			}
		}
	}
	hostile := good
	hostile.Session = "../../x"
	if status := apptest.Post(t, p.target(), faxplustest.PageEvent(hostile, 1, p.target())); status != 400 {
		t.Errorf("session ../../x was answered %d, want 400", status)
	}
	neighbour := apptest.Generated(t, 12, 1)[0]
	sim.Add(neighbour)
	for _, b := range apptest.Bodies(neighbour, p.target()) {
		apptest.Post(t, p.target(), b)
	}
	faxes := p.awaitDocuments(append(sessions, neighbour.Session)...)
	checkFax(t, p, neighbour)
	for i, c := range cases {
		f := faxes[sessions[i]]
		d := p.fax(sessions[i])
		if f.Status != session.StatusPartial || f.Reason != session.PartialMissing || len(d.Pages) != 3 {
			t.Errorf("%s: fax is %s (%s) with %d pages, want partial (missing_pages) with 3", c.name, f.Status, f.Reason, len(d.Pages))
			continue
		}
		if d.Pages[0].Status != session.PageStatusArchived || d.Pages[2].Status != session.PageStatusArchived {
			t.Errorf("%s: its neighbours are %+v and %+v", c.name, d.Pages[0], d.Pages[2])
		}
		if d.Pages[1].Status != session.PageStatusMissing || d.Pages[1].Reason != c.reason {
			t.Errorf("%s: page 2 is %s (%s), want missing (%s)", c.name, d.Pages[1].Status, d.Pages[1].Reason, c.reason)
		}
		checkSlipSheet(t, p, sessions[i], string(c.reason))
	}
}

// checkSlipSheet wants a sheet in the PDF that says which page is missing and why.
func checkSlipSheet(t *testing.T, p *process, id, reason string) {
	t.Helper()
	pdftotext := tool(t, "pdftotext", "apt-get install poppler-utils")
	file := filepath.Join(t.TempDir(), "document.pdf")
	get(t, p, file, id, "--as=pdf")
	text, err := exec.Command(pdftotext, "-layout", file, "-").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, words := range []string{"Page 2 is missing", reason} {
		if !bytes.Contains(text, []byte(words)) {
			t.Errorf("the PDF of %s does not say %q:\n%s", id, words, text)
		}
	}
}

// get runs `faxstream get` in this process.
func get(t *testing.T, p *process, file, id string, args ...string) {
	t.Helper()
	var stderr bytes.Buffer
	args = append([]string{"get", id, "--server=" + p.ready.Admin, "-o", file}, args...)
	if code := run(context.Background(), args, func(string) string { return "" }, &stderr, &stderr); code != 0 {
		t.Fatalf("faxstream %s: exit code %d: %s", strings.Join(args, " "), code, &stderr)
	}
}
