package search

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// benchPages is the size of the index of BenchmarkFind; SEARCH_PAGES has another one, such as 1000000.
func benchPages(b *testing.B) int {
	b.Helper()
	pages := "20000"
	if testing.Short() {
		pages = "1000"
	}
	n, err := strconv.Atoi(cmp.Or(os.Getenv("SEARCH_PAGES"), pages))
	if err != nil {
		b.Fatal(err)
	}
	return n
}

// author writes pages of 350 words whose frequencies are those of a language (Zipf), and a number of its own on each.
type author struct {
	r     *rand.Rand
	zipf  *rand.Zipf
	vocab []string
	pages int
}

func newAuthor() *author {
	r := rand.New(rand.NewPCG(1, 2))
	a := &author{r: r, zipf: rand.NewZipf(r, 1.1, 3, 49_999)}
	for range 50_000 {
		var b strings.Builder
		for range 1 + r.IntN(4) {
			b.WriteString(string("bcdfghklmnprstvz"[r.IntN(16)]) + string("aeiou"[r.IntN(5)]))
		}
		a.vocab = append(a.vocab, b.String()+string("nrst"[r.IntN(4)]))
	}
	return a
}

// long is a word of more than four letters.
func (a *author) long() string {
	for {
		if w := a.vocab[a.zipf.Uint64()]; len(w) > 4 {
			return w
		}
	}
}

func (a *author) page() Text {
	var b strings.Builder
	for range 350 {
		b.WriteString(a.vocab[a.zipf.Uint64()])
		b.WriteByte(' ')
	}
	a.pages++
	fmt.Fprintf(&b, "order %d", 4_000_000+a.pages)
	return Text{Body: b.String()}
}

// library writes faxes of 10 pages, 20 faxes a transaction, from 200 numbers to 50.
func (a *author) library(b *testing.B, x *Index, pages int) {
	b.Helper()
	var batch []Fax
	for n := 0; n < pages; n += 10 {
		f := Fax{
			Session: fmt.Sprintf("session-%08d", n), Manifest: "m", Revision: 1, Direction: "incoming", Status: "complete", Pages: 10,
			From: fmt.Sprintf("+1 334-304-%04d", a.r.IntN(200)), To: fmt.Sprintf("+1 555-010-%04d", a.r.IntN(50)),
			Start: noon.Add(time.Duration(n) * time.Second), Texts: map[int]Text{},
		}
		for page := range min(10, pages-n) {
			f.Texts[page+1] = a.page()
		}
		if batch = append(batch, f); len(batch) == 20 || n+10 >= pages {
			if err := x.Write(b.Context(), Update{Faxes: batch}); err != nil {
				b.Fatal(err)
			}
			batch = batch[:0]
		}
	}
}

// BenchmarkBuild says how many pages a second the index takes, and how many bytes it needs for a page.
func BenchmarkBuild(b *testing.B) {
	dir := b.TempDir()
	x := opened(b, dir)
	a := newAuthor()
	b.ResetTimer()
	a.library(b, x, b.N)
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "pages/s")
	b.ReportMetric(float64(sizeOf(b, dir))/float64(b.N), "B/page")
}

func sizeOf(b *testing.B, dir string) (size int64) {
	b.Helper()
	files, err := filepath.Glob(filepath.Join(dir, file+"*"))
	if err != nil {
		b.Fatal(err)
	}
	for _, path := range files {
		info, err := os.Stat(path)
		if err != nil {
			b.Fatal(err)
		}
		size += info.Size()
	}
	return size
}

// BenchmarkFind says how long queries take, in milliseconds: one rare word, a frequent and a rare one, two frequent ones, a phrase, the
// beginning of a word, and a frequent word with filters.
func BenchmarkFind(b *testing.B) {
	pages := benchPages(b)
	x := opened(b, b.TempDir())
	a := newAuthor()
	a.library(b, x, pages)
	for name, query := range map[string]func() Query{
		"rare":     func() Query { return Query{Text: fmt.Sprint("order ", 4_000_001+a.r.IntN(pages))} },
		"frequent": func() Query { return Query{Text: a.vocab[a.r.IntN(10)] + " " + a.vocab[a.r.IntN(20)]} },
		"any":      func() Query { return Query{Text: a.vocab[a.zipf.Uint64()] + " " + a.vocab[a.zipf.Uint64()]} },
		"phrase": func() Query {
			return Query{Text: `"` + a.vocab[a.zipf.Uint64()] + " " + a.vocab[a.zipf.Uint64()] + `"`}
		},
		"begin": func() Query { return Query{Text: a.long()[:4] + "* order"} },
		"filtered": func() Query {
			return Query{Text: a.vocab[a.r.IntN(10)], To: fmt.Sprintf("555-010-%04d", a.r.IntN(50)), Status: "complete"}
		},
	} {
		b.Run(name, func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				q := query()
				q.Limit = 20
				began := time.Now()
				if _, _, err := x.Find(b.Context(), q); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			b.ReportMetric(took[len(took)/2].Seconds()*1000, "p50-ms")
			b.ReportMetric(took[len(took)*99/100].Seconds()*1000, "p99-ms")
		})
	}
}
