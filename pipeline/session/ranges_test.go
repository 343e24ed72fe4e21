package session

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// set is what Ranges must agree with.
type set map[int]bool

func (s set) sorted() []int { return slices.Sorted(maps.Keys(s)) }

func checkRanges(t *rapid.T, what string, r Ranges, want set) {
	got := slices.Collect(r.All())
	if !slices.Equal(got, want.sorted()) {
		t.Fatalf("%s: pages %v, want %v", what, got, want.sorted())
	}
	if r.Len() != len(want) || len(want) > 0 && r.Max() != want.sorted()[len(want)-1] || len(want) == 0 && r.Max() != 0 {
		t.Fatalf("%s: Len %d Max %d of %v", what, r.Len(), r.Max(), got)
	}
	for i := 1; i < len(r); i++ {
		if r[i].First <= r[i-1].Last+1 {
			t.Fatalf("%s: %v is not sorted, disjoint and apart", what, r)
		}
	}
	for p := range 40 {
		if r.Has(p) != want[p] {
			t.Fatalf("%s: Has(%d) is %t", what, p, r.Has(p))
		}
	}
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var back Ranges
	if err := json.Unmarshal(b, &back); err != nil || !reflect.DeepEqual(back, r) && len(r) > 0 {
		t.Fatalf("%s: %s comes back from JSON as %v, %v", what, b, back, err)
	}
}

// TestRangesAgreeWithAMapOfPages applies the same operations to ranges and to maps; sets that were operands stay as they are.
func TestRangesAgreeWithAMapOfPages(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		page := rapid.IntRange(1, 35)
		sets, models := []Ranges{nil}, []set{{}}
		for range rapid.IntRange(1, 25).Draw(t, "operations") {
			i := rapid.IntRange(0, len(sets)-1).Draw(t, "left")
			j := rapid.IntRange(0, len(sets)-1).Draw(t, "right")
			r, m := sets[i], maps.Clone(models[i])
			op := rapid.SampledFrom([]string{"add", "remove", "union", "minus", "intersect", "span"}).Draw(t, "operation")
			switch op {
			case "add":
				p := page.Draw(t, "page")
				r, m[p] = r.Add(p), true
			case "remove":
				p := page.Draw(t, "page")
				r = r.Remove(p)
				delete(m, p)
			case "union":
				r = r.Union(sets[j])
				maps.Copy(m, models[j])
			case "minus":
				r = r.Minus(sets[j])
				maps.DeleteFunc(m, func(p int, _ bool) bool { return models[j][p] })
			case "intersect":
				r = r.Intersect(sets[j])
				maps.DeleteFunc(m, func(p int, _ bool) bool { return !models[j][p] })
			case "span":
				first, last := page.Draw(t, "first"), page.Draw(t, "last")
				r, m = Span(first, last), set{}
				for p := first; p <= last; p++ {
					m[p] = true
				}
			}
			sets, models = append(sets, r), append(models, m)
			for k := range sets {
				checkRanges(t, op, sets[k], models[k])
			}
		}
	})
}

func TestRangesAllStopsWhenAsked(t *testing.T) {
	for range (Ranges{{1, 3}, {5, 9}}).All() {
		break
	}
}

func TestRangesThatAreNoPageSetAreRefused(t *testing.T) {
	for _, text := range []string{
		`[[0,1]]`, `[[-3,1]]`, `[[2,1]]`, `[[1,10001]]`, `[[1,1000000000]]`, `[[1,2],[3,4]]`, `[[5,6],[1,2]]`, `[[1,4],[2,3]]`,
		`[[]]`, `[[1]]`, `[null]`, `[["1","2"]]`, `[[1.5,2]]`, `{"1":2}`, `"1-2"`,
	} {
		var r Ranges
		if err := json.Unmarshal([]byte(text), &r); err == nil {
			t.Errorf("%s was read as %v", text, r)
		}
	}
}

func TestPageReasonsSurviveJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		reasons := rapid.MapOfN(
			rapid.IntRange(1, 60), rapid.SampledFrom([]Reason{ReasonNotYet, ReasonDamaged, ReasonNotInFile}), 1, 40,
		).Draw(t, "reasons")
		b, err := json.Marshal(PageReasons(reasons))
		if err != nil {
			t.Fatal(err)
		}
		var back PageReasons
		if err := json.Unmarshal(b, &back); err != nil || !maps.Equal(back, reasons) {
			t.Fatalf("%s comes back as %v, %v", b, back, err)
		}
	})
	var p PageReasons
	if err := json.Unmarshal([]byte(`{"damaged":[[1,3]],"empty":[[3,4]]}`), &p); err == nil {
		t.Error("a page with two reasons was read")
	}
}
