package dashboard

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/access"
	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/pipeline/search"
	"github.com/faxstream/faxstream/pipeline/session"
)

// catalogue is an index in which every fax is found, also a purged one and one that is unknown: an index may be behind.
type catalogue struct {
	asked    *search.Query
	complete bool
}

func (c catalogue) Complete() bool { return c.complete }

func (c catalogue) Whole() bool { return c.complete }

func (c catalogue) Listed(context.Context, search.Listing, time.Time, string, time.Time, func(time.Time, string) bool) error {
	return errors.New("not asked in these tests")
}

func (c catalogue) Find(_ context.Context, q search.Query) (hits []search.Hit, next string, err error) {
	*c.asked = q
	if q.Text == "" {
		return nil, "", &search.BadQuery{Err: context.Canceled}
	}
	for _, id := range []string{"other", "gone", "mine", "sent", "unknown"} {
		snippet := strings.NewReplacer("[", search.Mark, "]", search.EndMark).Replace("an [order] of <b>[x]")
		hits = append(hits, search.Hit{Session: id, Found: []search.Page{{Page: 0, Snippet: "+1 222"}, {Page: 2, Snippet: snippet}}})
	}
	return hits, "4711", nil
}

// searchDesk is a desk whose index is a catalogue.
func searchDesk(t *testing.T, complete bool) (*listener, *search.Query) {
	t.Helper()
	asked := &search.Query{}
	d := officeDesk(t, func(c *Config) { c.Search = catalogue{asked, complete} })
	return d, asked
}

// What is found is shown as the ledgers say, to those who may see it, and recorded. A purged fax is not shown although the index has it.
func TestSearch(t *testing.T) {
	for reader, want := range map[string][]string{"clerk": {"mine", "sent"}, "boss": {"other", "mine", "sent"}} {
		d, asked := searchDesk(t, true)
		status, body := d.Ask(reader, "GET", "/api/v1/search?q=order&to=334&status=partial&limit=7&cursor=9", "")
		var result api.SearchResult
		if err := json.Unmarshal([]byte(body), &result); err != nil || status != http.StatusOK {
			t.Fatalf("%s: %d %s", reader, status, body)
		}
		var got, recorded []string
		for _, f := range result.Faxes {
			got = append(got, f.Session)
			parts := []api.Part{{Text: "an "}, {Text: "order", Hit: true}, {Text: " of <b>"}, {Text: "x", Hit: true}}
			if len(f.Found) != 2 || f.Found[1].Page != 2 || !slices.Equal(f.Found[1].Snippet, parts) || f.Status == "" {
				t.Errorf("%s: the fax is %+v", reader, f)
			}
		}
		for _, a := range d.recorded {
			if a.Kind == session.AccessSearch {
				recorded = append(recorded, a.Session)
			}
		}
		slices.Sort(recorded)
		sorted := slices.Clone(want)
		slices.Sort(sorted)
		if !slices.Equal(got, want) || !slices.Equal(recorded, sorted) || result.Next != "4711" || result.Incomplete != "" {
			t.Errorf("%s finds %v (want %v), recorded are %v: %s", reader, got, want, recorded, body)
		}
		if asked.To != "334" || asked.Status != session.StatusPartial || asked.Limit != 7 || asked.After != "9" ||
			(asked.Sees == nil) != (reader == "boss") || asked.Sees != nil && (asked.Sees("1222") || !asked.Sees("13343040000")) {
			t.Errorf("%s: asked for %+v", reader, asked)
		}
	}
}

// The page of the dashboard shows the same, and no text of a fax is HTML.
func TestSearchPage(t *testing.T) {
	d, _ := searchDesk(t, false)
	status, body := d.Ask("boss", "GET", "/search?q=order+%22x%22", "")
	for _, want := range []string{
		`<mark>order</mark>`, `of &lt;b&gt;`, `value="order &#34;x&#34;"`, `/search?q=order%20%22x%22&amp;cursor=4711`,
		`/api/v1/faxes/mine/pages/2.png">Page 2`, "is being filled",
	} {
		if status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("status %d, no %s in\n%s", status, want, body)
		}
	}
	if strings.Contains(body, "/fax/gone") {
		t.Error("a purged fax is shown")
	}
	if status, body := d.Ask("boss", "GET", "/search", ""); status != http.StatusOK || strings.Contains(body, "No page") {
		t.Errorf("without a query: %d %s", status, body)
	}
	if status, body := d.Ask("boss", "GET", "/", ""); status != http.StatusOK || !strings.Contains(body, `action="/search"`) {
		t.Errorf("the list has no search: %d %s", status, body)
	}
	status, body = d.Ask("boss", "GET", "/search?q=x&since=yesterday", "")
	if status != http.StatusOK || !strings.Contains(body, "want a time") {
		t.Errorf("a wrong filter: %d %s", status, body)
	}
}

// Each mistake has its sentence. Where an access cannot be recorded, nothing is shown.
func TestSearchThatIsRefused(t *testing.T) {
	d, _ := searchDesk(t, true)
	for path, want := range map[string]string{
		"q=": "q: ", "q=x&limit=0": "want 1 to 100", "q=x&limit=101": "want 1 to 100", "q=x&status=lost": "want receiving",
	} {
		status, body := d.Ask("boss", "GET", "/api/v1/search?"+path, "")
		if status != http.StatusBadRequest || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if status, _ := d.Ask("", "GET", "/api/v1/search?q=x", ""); status != http.StatusUnauthorized {
		t.Errorf("without a login: %d", status)
	}
	d.admit(t, "sender", []access.Scope{access.ScopeText})
	if status, _ := d.Ask("sender", "GET", "/api/v1/search?q=x", ""); status != http.StatusForbidden {
		t.Errorf("without the scope: %d", status)
	}
	d.refuse = context.DeadlineExceeded
	status, body := d.Ask("boss", "GET", "/api/v1/search?q=x", "")
	if status != http.StatusServiceUnavailable || strings.Contains(body, "order") {
		t.Errorf("without a record: %d %s", status, body)
	}
	if status, body := newListener(t, nil).Ask("reader", "GET", "/api/v1/search?q=x", ""); status != http.StatusNotFound ||
		!strings.Contains(body, "--no-search") {
		t.Errorf("without an index: %d %s", status, body)
	}
}
