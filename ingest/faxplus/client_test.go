package faxplus_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/faxstream/faxstream/ingest/faxplus"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/pipeline/session"
)

const token = "pat-0123456789abcdef"

// page is what passes for a TIFF here: the client looks at four bytes.
func page(text string) []byte { return []byte("II*\x00" + text) }

// provider is a simulator that is listening, and a client of it that does not wait long.
func provider(t *testing.T, change func(*faxplus.Config)) (*faxplustest.Server, *faxplus.Client, *httptest.Server) {
	t.Helper()
	sim := faxplustest.New(faxplustest.Config{Token: token})
	srv := httptest.NewServer(sim)
	t.Cleanup(srv.Close)
	return sim, client(t, srv.URL, change), srv
}

func client(t *testing.T, baseURL string, change func(*faxplus.Config)) *faxplus.Client {
	t.Helper()
	cfg := faxplus.Config{
		BaseURL: baseURL, Token: func() (string, error) { return token + "\n", nil },
		PagePath: faxplustest.PagePath, RetryWaitMin: time.Millisecond, RetryWaitMax: 5 * time.Millisecond,
	}
	if change != nil {
		change(&cfg)
	}
	c, err := faxplus.NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// wantError checks the class of err, and that it gives away no token.
func wantError(t *testing.T, err error, want session.Reason) *faxplus.Error {
	t.Helper()
	var e *faxplus.Error
	if !errors.As(err, &e) || e.Reason != want || e.FetchReason() != want {
		t.Fatalf("got %v, want reason %s", err, want)
	}
	if strings.Contains(err.Error(), token) {
		t.Fatalf("the token stands in %q", err)
	}
	return e
}

// fetchedPage fetches a page into memory. The bytes are also there with an error.
func fetchedPage(c *faxplus.Client, ctx context.Context, sess string, n int) ([]byte, error) {
	var b bytes.Buffer
	err := c.Page(ctx, sess, n, &b)
	return b.Bytes(), err
}

// fetchedFile does the same with a whole file.
func fetchedFile(c *faxplus.Client, ctx context.Context, id string) ([]byte, error) {
	var b bytes.Buffer
	err := c.File(ctx, id, &b)
	return b.Bytes(), err
}

func TestPagesAndFilesComeAsServed(t *testing.T) {
	sim, c, _ := provider(t, nil)
	fax := faxplustest.Fax{
		Session: "s1", Pages: [][]byte{page("one"), append([]byte("MM\x00+"), make([]byte, 1<<20)...)}, Whole: page("whole"),
	}
	sim.Add(fax)
	for i, want := range fax.Pages {
		if got, err := fetchedPage(c, t.Context(), "s1", i+1); err != nil || !bytes.Equal(got, want) {
			t.Errorf("page %d: %d bytes, %v", i+1, len(got), err)
		}
	}
	for _, id := range []string{"s1", fax.ListedID()} {
		if got, err := fetchedFile(c, t.Context(), id); err != nil || !bytes.Equal(got, fax.Whole) {
			t.Errorf("whole file of %s: %q, %v", id, got, err)
		}
	}
	sim.Script("s1", 1, func(int) faxplustest.Answer { return faxplustest.Answer{ContentLength: -1} })
	if got, err := fetchedPage(c, t.Context(), "s1", 1); err != nil || !bytes.Equal(got, fax.Pages[0]) {
		t.Errorf("chunked: %q, %v", got, err)
	}
}

func TestEveryFailureHasItsReasonAndItsTries(t *testing.T) {
	html := []byte("<!DOCTYPE html><html>")
	pdf := []byte("%PDF-1.7 and so on")
	cases := map[string]struct {
		answer faxplustest.Answer
		want   session.Reason
		tries  int
		body   []byte // kept in the error
	}{
		"404": {faxplustest.Answer{Status: 404}, session.ReasonNotYet, 1, nil},
		"409": {faxplustest.Answer{Status: 409}, session.ReasonNotYet, 1, nil},
		"425": {faxplustest.Answer{Status: 425}, session.ReasonNotYet, 1, nil},
		"429": {faxplustest.Answer{Status: 429}, session.ReasonNotYet, 1, nil},
		"202": {faxplustest.Answer{Status: 202}, session.ReasonNotYet, 1, nil},
		"500": {faxplustest.Answer{Status: 500}, session.ReasonUnavailable, 3, nil},
		"501": {faxplustest.Answer{Status: 501}, session.ReasonUnavailable, 3, nil},
		"503": {faxplustest.Answer{Status: 503}, session.ReasonUnavailable, 3, nil},
		"408": {faxplustest.Answer{Status: 408}, session.ReasonUnavailable, 1, nil},
		"401": {
			faxplustest.Answer{Status: 401, Body: []byte(`{"error":"e","description":"no ` + token + `"}`)}, session.ReasonUnauthorized, 1, nil,
		},
		"403":                   {faxplustest.Answer{Status: 403}, session.ReasonUnauthorized, 1, nil},
		"400":                   {faxplustest.Answer{Status: 400}, session.ReasonRefused, 1, nil},
		"410":                   {faxplustest.Answer{Status: 410}, session.ReasonRefused, 1, nil},
		"redirect to nowhere":   {faxplustest.Answer{Status: 302}, session.ReasonRefused, 1, nil},
		"empty":                 {faxplustest.Answer{Body: []byte{}}, session.ReasonEmpty, 1, []byte{}},
		"empty, chunked":        {faxplustest.Answer{Body: []byte{}, ContentLength: -1}, session.ReasonEmpty, 1, []byte{}},
		"204":                   {faxplustest.Answer{Status: 204}, session.ReasonEmpty, 1, []byte{}},
		"HTML":                  {faxplustest.Answer{Body: html}, session.ReasonWrongType, 1, html},
		"PDF":                   {faxplustest.Answer{Body: pdf}, session.ReasonWrongType, 1, pdf},
		"JSON":                  {faxplustest.Answer{Body: []byte(`{}`)}, session.ReasonWrongType, 1, []byte(`{}`)},
		"HTML, cut":             {faxplustest.Answer{Body: html, CutAt: 10}, session.ReasonWrongType, 1, html[:10]},
		"HTML, cut and chunked": {faxplustest.Answer{Body: html, ContentLength: -1, CutAt: 10}, session.ReasonWrongType, 1, html[:10]},
		"HTML, four bytes":      {faxplustest.Answer{Body: html, ContentLength: 999, CutAt: 4}, session.ReasonWrongType, 1, html[:4]},
		"three bytes, cut":      {faxplustest.Answer{Body: html, CutAt: 3}, session.ReasonTruncated, 3, html[:3]},
		"HTML, too large":       {faxplustest.Answer{Body: bytes.Repeat(html, 100), ContentLength: -1}, session.ReasonTooLarge, 1, nil},
		"two bytes":             {faxplustest.Answer{Body: []byte("II")}, session.ReasonWrongType, 1, []byte("II")},
		"cut in half":           {faxplustest.Answer{Body: page("0123456789"), CutAt: 7}, session.ReasonTruncated, 3, page("012")},
		"cut, chunked": {
			faxplustest.Answer{Body: page("0123456789"), ContentLength: -1, CutAt: 7}, session.ReasonTruncated, 3, page("012"),
		},
		"shorter than it says":    {faxplustest.Answer{Body: page("x"), ContentLength: 999}, session.ReasonTruncated, 3, page("x")},
		"nothing of what it says": {faxplustest.Answer{Body: []byte{}, ContentLength: 999}, session.ReasonTruncated, 3, []byte{}},
		"too large":               {faxplustest.Answer{Body: page(strings.Repeat("x", 997))}, session.ReasonTooLarge, 1, nil},
		"too large, chunked":      {faxplustest.Answer{Body: page(strings.Repeat("x", 997)), ContentLength: -1}, session.ReasonTooLarge, 1, nil},
		"too large by its word":   {faxplustest.Answer{Body: page("x"), ContentLength: 1 << 50}, session.ReasonTooLarge, 1, nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sim, client, _ := provider(t, func(cfg *faxplus.Config) { cfg.MaxPageBytes = 1000 })
			sim.Script("s1", 1, func(int) faxplustest.Answer { return c.answer })
			got, err := fetchedPage(client, t.Context(), "s1", 1)
			e := wantError(t, err, c.want)
			if sim.Tries("s1", 1) != c.tries {
				t.Errorf("%d tries, want %d: %v", sim.Tries("s1", 1), c.tries, err)
			}
			if e.FetchKept() != (c.body != nil) || e.FetchKept() && !bytes.Equal(got, c.body) {
				t.Errorf("kept %t, %q, want %q", e.FetchKept(), got, c.body)
			}
			if c.answer.Status != 0 && e.Status != c.answer.Status {
				t.Errorf("status %d, want %d", e.Status, c.answer.Status)
			}
		})
	}
}

func TestLimitItselfIsNotTooLarge(t *testing.T) {
	sim, c, _ := provider(t, func(cfg *faxplus.Config) { cfg.MaxPageBytes, cfg.MaxFileBytes = 1000, 10 })
	sim.Add(faxplustest.Fax{Session: "s1", Pages: [][]byte{page(strings.Repeat("x", 996))}, Whole: page("123456")})
	for _, length := range []int64{0, -1} {
		sim.Script("s1", 1, func(int) faxplustest.Answer { return faxplustest.Answer{ContentLength: length} })
		if got, err := fetchedPage(c, t.Context(), "s1", 1); err != nil || len(got) != 1000 {
			t.Errorf("%d bytes, %v", len(got), err)
		}
	}
	if _, err := fetchedFile(c, t.Context(), "s1"); err != nil {
		t.Error(err)
	}
	sim.Add(faxplustest.Fax{Session: "s1", Whole: page("1234567")})
	_, err := fetchedFile(c, t.Context(), "s1")
	wantError(t, err, session.ReasonTooLarge)
}

func TestSecondTrySucceedsWithinTheCall(t *testing.T) {
	sim, c, _ := provider(t, nil)
	sim.Add(faxplustest.Fax{Session: "s1", Pages: [][]byte{page("one")}})
	sim.Script("s1", 1, func(try int) faxplustest.Answer {
		return []faxplustest.Answer{{Status: 502}, {CutAt: 5}, {}}[try-1]
	})
	if got, err := fetchedPage(c, t.Context(), "s1", 1); err != nil || !bytes.Equal(got, page("one")) || sim.Tries("s1", 1) != 3 {
		t.Errorf("%q after %d tries, %v", got, sim.Tries("s1", 1), err)
	}
}

func TestRetryAfterIsHonoured(t *testing.T) {
	cases := map[string]struct {
		header string
		least  time.Duration
		tries  int
	}{
		"longer than a call": {"120", 120 * time.Second, 1},
		"absurd":             {"99999999999999", 24 * time.Hour, 1},
		"a date":             {time.Now().Add(time.Hour).UTC().Format(http.TimeFormat), 50 * time.Minute, 1},
		"a date long past":   {"Mon, 02 Jan 2006 15:04:05 GMT", 0, 3},
		"negative":           {"-5", 0, 3},
		"no number":          {"soon", 0, 3},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			sim, client, _ := provider(t, nil)
			sim.Script("s1", 1, func(int) faxplustest.Answer {
				return faxplustest.Answer{Status: 503, Header: map[string]string{"Retry-After": c.header}}
			})
			_, err := fetchedPage(client, t.Context(), "s1", 1)
			e := wantError(t, err, session.ReasonUnavailable)
			if e.FetchRetryAfter() < c.least || c.least == 0 && e.FetchRetryAfter() != 0 || sim.Tries("s1", 1) != c.tries {
				t.Errorf("RetryAfter %v after %d tries; want at least %v after %d", e.FetchRetryAfter(), sim.Tries("s1", 1), c.least, c.tries)
			}
		})
	}
}

func TestNoOtherHostSeesTheToken(t *testing.T) {
	var asked atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		_, _ = w.Write(page("foreign"))
	}))
	defer elsewhere.Close()
	sim, c, srv := provider(t, nil)
	sim.Add(faxplustest.Fax{Session: "s1", Pages: [][]byte{page("one"), page("two")}})
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(srv.URL, "http://"))
	for name, location := range map[string]string{
		"another port": elsewhere.URL + "/x", "another name of the host": "http://localhost:" + port + "/x",
		"another scheme": "https" + strings.TrimPrefix(srv.URL, "http") + "/x",
	} {
		sim.Script("s1", 1, func(int) faxplustest.Answer {
			return faxplustest.Answer{Status: 307, Header: map[string]string{"Location": location}}
		})
		_, err := fetchedPage(c, t.Context(), "s1", 1)
		if e := wantError(t, err, session.ReasonRefused); e.Status != 307 || asked.Load() != 0 {
			t.Errorf("%s: status %d, %d requests elsewhere", name, e.Status, asked.Load())
		}
	}
	sim.Script("s1", 1, func(int) faxplustest.Answer {
		return faxplustest.Answer{Status: 307, Header: map[string]string{"Location": "/accounts/self/files/s1/pages/2"}}
	})
	if got, err := fetchedPage(c, t.Context(), "s1", 1); err != nil || !bytes.Equal(got, page("two")) {
		t.Errorf("redirect within the host: %q, %v", got, err)
	}
	sim.Script("s1", 1, func(int) faxplustest.Answer {
		return faxplustest.Answer{Status: 307, Header: map[string]string{"Location": "/accounts/self/files/s1/pages/1"}}
	})
	_, err := fetchedPage(c, t.Context(), "s1", 1)
	wantError(t, err, session.ReasonRefused) // it points at itself
}

// each is a RoundTripper that is a function.
type each func(*http.Request) (*http.Response, error)

func (f each) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestNoAnswerIsUnavailable(t *testing.T) {
	var tries atomic.Int32
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		timeout time.Duration // of a try; 0: the usual one
		tries   int32
	}{
		"connection closed": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 0, 3},
		"no header in time": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, 100 * time.Millisecond, 1},
		"no body in time": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "100")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}, 100 * time.Millisecond, 1},
	} {
		t.Run(name, func(t *testing.T) {
			tries.Store(0)
			srv := httptest.NewServer(c.handler)
			defer srv.Close()
			client := client(t, srv.URL, func(cfg *faxplus.Config) {
				cfg.Timeout = c.timeout
				cfg.Wrap = func(next http.RoundTripper) http.RoundTripper {
					return each(func(r *http.Request) (*http.Response, error) { tries.Add(1); return next.RoundTrip(r) })
				}
			})
			_, err := fetchedPage(client, t.Context(), "s1", 1)
			wantError(t, err, session.ReasonUnavailable)
			if tries.Load() != c.tries {
				t.Errorf("%d tries, want %d", tries.Load(), c.tries)
			}
		})
	}
	srv := httptest.NewServer(nil)
	srv.Close()
	_, err := fetchedPage(client(t, srv.URL, nil), t.Context(), "s1", 1)
	wantError(t, err, session.ReasonUnavailable)
}

func TestCancelledCallEndsAtOnce(t *testing.T) {
	sim, c, _ := provider(t, func(cfg *faxplus.Config) { cfg.RetryWaitMin, cfg.RetryWaitMax = time.Hour, time.Hour })
	ctx, cancel := context.WithCancel(t.Context())
	sim.Script("s1", 1, func(int) faxplustest.Answer {
		cancel()
		return faxplustest.Answer{Status: 503}
	})
	_, err := fetchedPage(c, ctx, "s1", 1)
	if !errors.Is(err, context.Canceled) || sim.Tries("s1", 1) != 1 {
		t.Errorf("got %v after %d tries", err, sim.Tries("s1", 1))
	}
}

func TestFailedCallsLeaveConnectionsOpen(t *testing.T) {
	sim := faxplustest.New(faxplustest.Config{})
	sim.Add(faxplustest.Fax{Session: "s1", Pages: [][]byte{page("one")}})
	var opened atomic.Int32
	srv := httptest.NewUnstartedServer(sim)
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			opened.Add(1)
		}
	}
	srv.Start()
	defer srv.Close()
	c := client(t, srv.URL, nil)
	for range 5 {
		if _, err := fetchedPage(c, t.Context(), "s1", 1); err != nil {
			t.Fatal(err)
		}
		_, err := fetchedPage(c, t.Context(), "s1", 2)
		wantError(t, err, session.ReasonNotYet)
	}
	if opened.Load() != 1 {
		t.Errorf("%d connections were opened", opened.Load())
	}
}

// A whole file may take longer than a page.
func TestAWholeFileHasATimeoutOfItsOwn(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer srv.Close()
	c := client(t, srv.URL, func(cfg *faxplus.Config) { cfg.Timeout, cfg.FileTimeout = time.Millisecond, time.Hour })
	_, err := fetchedPage(c, t.Context(), "s1", 1)
	wantError(t, err, session.ReasonUnavailable)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := fetchedFile(c, ctx, "s1"); ctx.Err() == nil {
		t.Errorf("the file was given up before the caller gave up: %v", err)
	}
}

func TestPathsAreEscaped(t *testing.T) {
	var mu sync.Mutex
	var asked []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, r.RequestURI)
		_, _ = w.Write(page(""))
	}))
	defer srv.Close()
	c := client(t, srv.URL+"/v3/", func(cfg *faxplus.Config) {
		cfg.User, cfg.PagePath = "a/b c?&", "/x/{user_id}/{fax_id}?page={page}&user={user_id}"
	})
	if _, err := fetchedPage(c, t.Context(), "s-1_", 7); err != nil {
		t.Error(err)
	}
	if _, err := fetchedFile(c, t.Context(), "s-1_"); err != nil {
		t.Error(err)
	}
	want := []string{"/v3/x/a%2Fb%20c%3F%26/s-1_?page=7&user=a%2Fb%20c%3F%26", "/v3/accounts/a%2Fb%20c%3F%26/files/s-1_?format=tiff"}
	if fmt.Sprint(asked) != fmt.Sprint(want) {
		t.Errorf("got  %q\nwant %q", asked, want)
	}
	for _, id := range []string{"../../x", "", "..", "a/b"} {
		_, err := fetchedPage(c, t.Context(), id, 1)
		wantError(t, err, session.ReasonBadRequest)
		_, err = fetchedFile(c, t.Context(), id)
		wantError(t, err, session.ReasonBadRequest)
	}
	if len(asked) != 2 {
		t.Errorf("asked for %q", asked)
	}
}

func TestWithoutPagePathNoPageIsAskedFor(t *testing.T) {
	sim, c, _ := provider(t, func(cfg *faxplus.Config) { cfg.PagePath = "" })
	_, err := fetchedPage(c, t.Context(), "s1", 1)
	wantError(t, err, session.ReasonNoPagePath)
	if sim.Tries("s1", 1) != 0 {
		t.Error("it was asked for")
	}
}

func TestUnusableTokenIsUnauthorized(t *testing.T) {
	for name, give := range map[string]func() (string, error){
		"unreadable": func() (string, error) { return "", errors.New("no such file") },
		"empty":      func() (string, error) { return " \n", nil },
		"two lines":  func() (string, error) { return token + "\n" + token, nil },
	} {
		sim, c, _ := provider(t, func(cfg *faxplus.Config) { cfg.Token = give })
		_, err := fetchedPage(c, t.Context(), "s1", 1)
		wantError(t, err, session.ReasonUnauthorized)
		if sim.Tries("s1", 1) != 0 {
			t.Errorf("%s: asked without it", name)
		}
	}
	sim, c, _ := provider(t, func(cfg *faxplus.Config) { cfg.Token = nil })
	_, err := fetchedPage(c, t.Context(), "s1", 1)
	wantError(t, err, session.ReasonUnauthorized)
	if sim.Tries("s1", 1) != 1 {
		t.Error("without a token it was not asked once")
	}
}

func TestBadConfigIsRefused(t *testing.T) {
	for name, cfg := range map[string]faxplus.Config{
		"no scheme":        {BaseURL: "restapi.fax.plus"},
		"query":            {BaseURL: "http://h/?a=b"},
		"user in the URL":  {BaseURL: "http://u:p@h"},
		"relative path":    {PagePath: "accounts/{fax_id}/{page}"},
		"no page":          {PagePath: "/{fax_id}"},
		"unknown part":     {PagePath: "/{fax_id}/{page}/{uid}"},
		"waits wrong":      {RetryWaitMin: time.Minute},
		"negative limit":   {MaxPageBytes: -1},
		"user a directory": {User: ".."},
	} {
		if _, err := faxplus.NewClient(cfg); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// Start errors go to terminals and journals.
func TestBaseURLIsNotShownWithItsPassword(t *testing.T) {
	for _, base := range []string{
		"http://u:S3CR%ZZET@h", "http://u:S3CR ET@h", "http://u:S3CRET@h", "http://S3CRET@h", "u:S3CRET@h", "http://h?token=S3CRET", "S3CRET",
	} {
		_, err := faxplus.NewClient(faxplus.Config{BaseURL: base})
		if err == nil || strings.Contains(err.Error(), "S3CR") {
			t.Errorf("%s: %v", base, err)
		}
	}
}

func TestHooksAreAddedListedAndRemoved(t *testing.T) {
	_, c, _ := provider(t, nil)
	ctx := t.Context()
	const target = "https://fax.example/v1/faxplus/0123456789abcdef"
	for _, event := range faxplus.EventNames() {
		if id, err := c.AddHook(ctx, target, event); err != nil || id == "" {
			t.Fatalf("%s: %q, %v", event, id, err)
		}
	}
	hooks, err := c.Hooks(ctx)
	if err != nil || len(hooks) != 3 || hooks[0].Event != faxplus.EventPageReceived || hooks[0].Target != target {
		t.Fatalf("%+v, %v", hooks, err)
	}
	if err := c.RemoveHook(ctx, hooks[1].ID); err != nil {
		t.Fatal(err)
	}
	if hooks, err = c.Hooks(ctx); err != nil || len(hooks) != 2 {
		t.Errorf("%+v, %v", hooks, err)
	}
	if e := wantError(t, c.RemoveHook(ctx, "nothing/../hooks"), session.ReasonNotYet); e.Status != 404 {
		t.Error(e)
	}
	_, err = c.AddHook(ctx, target, "fax_eaten")
	wantError(t, err, session.ReasonRefused)
}

func TestRegistrationIsNeverSentTwiceNorItsSecretShown(t *testing.T) {
	var tries atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		tries.Add(1)
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte(`{"error":"unavailable","description":"cannot reach https://fax.example/v1/faxplus/0123456789abcdef"}`))
	}))
	defer srv.Close()
	_, err := client(t, srv.URL, nil).AddHook(t.Context(), "https://fax.example/v1/faxplus/0123456789abcdef", faxplus.EventSent)
	wantError(t, err, session.ReasonUnavailable)
	if tries.Load() != 1 || strings.Contains(err.Error(), "0123456789abcdef") {
		t.Errorf("%d tries: %v", tries.Load(), err)
	}
}
