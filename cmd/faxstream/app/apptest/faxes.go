package apptest

import (
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/faxgen"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/pipeline/raster"
)

// Generated makes n faxes with the generator of the demo.
func Generated(t testing.TB, seed uint64, n int) []faxplustest.Fax {
	t.Helper()
	faxes, err := faxgen.Order{Count: n, Seed: seed}.Faxes()
	if err != nil {
		t.Fatal(err)
	}
	return faxes
}

// Bodies are the webhooks of a fax, in order.
func Bodies(f faxplustest.Fax, target string) [][]byte {
	var all [][]byte
	for page := range f.Pages {
		all = append(all, faxplustest.PageEvent(f, page+1, target))
	}
	return append(all, faxplustest.ClosedEvent(f, target))
}

// AnswerWith answers with these files, the last one again and again; nil is a 404.
func AnswerWith(answers ...[]byte) func(try int) faxplustest.Answer {
	return func(try int) faxplustest.Answer {
		body := answers[min(try, len(answers))-1]
		if body == nil {
			return faxplustest.Answer{Status: http.StatusNotFound}
		}
		return faxplustest.Answer{Body: body, ContentLength: -1}
	}
}

// AnswerStatus answers with a status and no file.
func AnswerStatus(code int, header map[string]string) func(int) faxplustest.Answer {
	return func(int) faxplustest.Answer { return faxplustest.Answer{Status: code, Header: header} }
}

// Silent is a fax that was over an hour ago and of which no webhook came.
func Silent(t testing.TB, id string) faxplustest.Fax {
	t.Helper()
	whole := Fixture(t, "three-pages-fine-g4")
	start := time.Now().UTC().Add(-time.Hour).Truncate(time.Second)
	return faxplustest.Fax{Session: id, Pages: Split(t, whole), Whole: whole, Streamed: true, StartTime: start}
}

// SmallFax is a fax of 1 to 5 small pages of noise, no two alike.
func SmallFax(t testing.TB, id string, seed uint64) faxplustest.Fax {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 0))
	f := faxplustest.Fax{Session: id, Streamed: true}
	pages := make([]*raster.Page, 1+rng.IntN(5))
	for i := range pages {
		p := raster.New(200, 100)
		p.XRes, p.YRes = 204, 98
		for n := range p.Pix {
			p.Pix[n] = byte(rng.Uint32())
		}
		pages[i] = p
	}
	f.Pages, f.Whole = Scan(t, pages)
	return f
}
