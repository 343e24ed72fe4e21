package recovery

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/pipelinetest"
)

// counted counts the lists that are asked for.
type counted struct {
	pipelinetest.Vault
	lists int
}

func (c *counted) List(ctx context.Context, prefix, after string) iter.Seq2[string, error] {
	c.lists++
	return c.Vault.List(ctx, prefix, after)
}

// before lists what the index has before a fax, as "month day session".
func before(t *testing.T, a archive.Reader, at time.Time, id string, since time.Time, most int) (got []string) {
	t.Helper()
	err := Catalog{a}.Before(t.Context(), at, id, since, func(at time.Time, id string) bool {
		got = append(got, at.Format("2006-01-02 ")+id)
		return len(got) < most
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// The index is read backwards over months and years, from any fax on, and quiet years cost little.
func TestTheIndexIsReadBackwards(t *testing.T) {
	a := &counted{Vault: pipelinetest.Vault{"index/README": nil, "index/2019/99/99/000000-x": nil}}
	add := func(day string, ids ...string) {
		for _, id := range ids {
			at, err := time.Parse(time.DateTime, day)
			if err != nil {
				t.Fatal(err)
			}
			a.Vault[archive.IndexKey(at, id)] = []byte(archive.IndexText)
		}
	}
	add("2019-12-31 23:59:59", "a")
	add("2020-01-01 00:00:00", "b", "c-with-dashes")
	add("2020-02-29 12:00:00", "d")
	add("2026-01-31 08:00:00", "e")
	add("2026-01-31 09:00:00", "f")
	add("2026-02-01 00:00:00", "g")
	all := []string{
		"2026-02-01 g", "2026-01-31 f", "2026-01-31 e", "2020-02-29 d", "2020-01-01 c-with-dashes", "2020-01-01 b",
		"2019-12-31 a",
	}
	now := time.Date(2026, 3, 31, 23, 0, 0, 0, time.UTC)
	if got := before(t, a, now, "~", time.Time{}, 100); !slices.Equal(got, all) {
		t.Errorf("%q", got)
	}
	if a.lists > 80+3*31 {
		t.Errorf("%d requests for 75 months of which 5 have faxes", a.lists)
	}
	for i := range all { // from each fax on
		day, id, _ := strings.Cut(all[i], " ")
		at := now
		for key := range a.Vault {
			if t, s, ok := archive.ParseIndexKey(key); ok && s == id && t.Format(time.DateOnly) == day {
				at = t
			}
		}
		if got := before(t, a, at, id, time.Time{}, 100); !slices.Equal(got, all[i+1:]) {
			t.Errorf("after %s: %q", all[i], got)
		}
	}
	if got := before(t, a, now, "~", time.Date(2026, 1, 31, 9, 0, 0, 0, time.UTC), 100); !slices.Equal(got, all[:2]) {
		t.Errorf("since a time: %q", got)
	}
	if got := before(t, a, now, "~", time.Time{}, 2); !slices.Equal(got, all[:2]) {
		t.Errorf("no more than wanted: %q", got)
	}
	if got := before(t, &counted{Vault: pipelinetest.Vault{}}, now, "~", time.Time{}, 2); got != nil {
		t.Errorf("an empty archive: %q", got)
	}
}

func TestSessionsThatBeginWithSomeLetters(t *testing.T) {
	v := pipelinetest.Vault{"faxes/README": nil, "faxesx/abc": nil}
	for _, id := range []string{"abc", "abc-1", "abc-2", "abd", "ABC"} {
		for _, name := range []string{"pages/0001.x.tiff", "r1/plan.json"} {
			v["faxes/"+id+"/"+name] = nil
		}
	}
	for begin, want := range map[string]string{
		"abc": "[abc]", "abc-": "[abc-1 abc-2]", "ab": "[abc-1 abc-2]", "abd": "[abd]", "x": "[]", "README": "[]",
	} {
		if got, err := (Catalog{v}).Sessions(t.Context(), begin, 2); err != nil || fmt.Sprint(got) != want {
			t.Errorf("%s: %q, %v; want %s", begin, got, err, want)
		}
	}
}

func TestAFaxWithoutDocumentIsNotInTheCatalog(t *testing.T) {
	v := pipelinetest.Vault{"faxes/spoilt/r1/plan.json": []byte("{"), "faxes/spoilt/r1/manifest.json": []byte("{")}
	if _, _, err := (Catalog{v}).Fax(t.Context(), "none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("none: %v", err)
	}
	if _, _, err := (Catalog{v}).Fax(t.Context(), "spoilt"); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("a damaged fax: %v", err)
	}
}
