package search

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/faxstream/faxstream/pipeline/session"
)

// What is listed is what a person would choose by hand, in its order, from every place on, whatever faxes are read together.
func TestListed(t *testing.T) {
	x, rnd := opened(t, t.TempDir()), rand.New(rand.NewPCG(1, 2))
	var all []Fax
	for i := range 3 * listedAtOnce {
		start := noon.Add(time.Duration(i/(1+i%40))*time.Second + time.Duration(rnd.IntN(1000))*time.Millisecond)
		f := fax(fmt.Sprintf("%04x-%d", rnd.IntN(1<<16), i), []string{office, lab, "+1 777"}[rnd.IntN(3)], start)
		if rnd.IntN(3) == 0 {
			f.Direction, f.From = session.Outgoing, office
		}
		if rnd.IntN(4) == 0 {
			f.Status = session.StatusPartial
		}
		all = append(all, f)
	}
	written(t, x, all...)
	slices.SortFunc(all, func(a, b Fax) int {
		if d := b.Start.Unix() - a.Start.Unix(); d != 0 {
			return int(d)
		}
		return map[bool]int{true: -1, false: 1}[a.Session > b.Session]
	})
	end := noon.Add(24 * time.Hour)
	for name, row := range map[string]struct {
		l   Listing
		has func(Fax) bool
	}{
		"all":         {Listing{}, func(Fax) bool { return true }},
		"to a number": {Listing{To: "0015550100000"}, func(f Fax) bool { return f.To == office }},
		"from it":     {Listing{From: office}, func(f Fax) bool { return f.From == office }},
		"a status":    {Listing{Status: session.StatusPartial}, func(f Fax) bool { return f.Status == session.StatusPartial }},
		"received":    {Listing{Direction: session.Incoming}, func(f Fax) bool { return f.Direction == session.Incoming }},
		"sent": {Listing{Direction: session.Outgoing, To: lab}, func(f Fax) bool {
			return f.Direction == session.Outgoing && f.To == lab
		}},
		"nobody's":     {Listing{To: "+1 999"}, func(Fax) bool { return false }},
		"of an office": {Listing{Sees: func(n string) bool { return n == "15550100000" }}, ownedByOffice},
	} {
		for _, at := range []int{0, 1, listedAtOnce + 5, len(all) - 1} {
			var want, got []string
			from, since := Fax{Start: end, Session: "~"}, time.Time{}
			if at > 0 {
				from = all[at]
				since = all[min(at+2*listedAtOnce, len(all)-1)].Start.Truncate(time.Second)
			}
			for i, f := range all {
				if (at == 0 || i > at) && row.has(f) && !f.Start.Truncate(time.Second).Before(since) {
					want = append(want, f.Session)
				}
			}
			err := x.Listed(t.Context(), row.l, from.Start.Truncate(time.Second), from.Session, since, func(at time.Time, id string) bool {
				got = append(got, id)
				return true
			})
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("%s from %d on: %d faxes, want %d (%v)", name, at, len(got), len(want), err)
			}
		}
	}
	n := 0
	err := x.Listed(t.Context(), Listing{}, end, "", time.Time{}, func(time.Time, string) bool { n++; return n < 5 })
	if err != nil || n != 5 {
		t.Errorf("it goes on after a false: %d, %v", n, err)
	}
}

// ownedByOffice reports whether a fax was received or sent by the office.
func ownedByOffice(f Fax) bool {
	if f.Direction == session.Outgoing {
		return f.From == office
	}
	return f.To == office
}
