package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/ccitt"
	"github.com/faxstream/faxstream/pipeline/raster"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// The close counts two pages and the whole file has three: the third is in the document, which says so, whenever the file is fetched.
func TestThePagesBeyondTheCountAreInTheDocument(t *testing.T) {
	t.Parallel()
	whole := apptest.Fixture(t, "three-pages-fine-g4")
	pages := apptest.Split(t, whole)
	for name, c := range map[string]struct {
		reconcile string
		missing   bool // page 2 cannot be fetched singly
	}{
		"the file is fetched to compare":       {session.ReconcileAll, false},
		"the file is fetched for missing ones": {session.ReconcileMissing, true},
		"the file is fetched for both reasons": {session.ReconcileAll, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			policy := apptest.ImpatientPolicy()
			policy.Reconcile = c.reconcile
			r.Start(t, r.Bus, r.Store, policy, apptest.ImpatientRetry())
			two := 2
			f := faxplustest.Fax{Session: "fax", Streamed: true, Pages: pages[:2], Whole: whole, PageCount: &two}
			r.Sim.Add(f)
			if c.missing {
				r.Sim.Script(f.Session, 2, apptest.AnswerWith(nil))
			}
			for _, b := range apptest.Bodies(f, "http://x") {
				r.Record(t, b)
			}
			s := r.Await(t, f.Session, func(s session.State) bool {
				return s.Document != nil && s.Document.Pages == 3 && s.Ordered == s.Revision()
			})
			if s.Status() != session.StatusRecovered || s.Document.Reason != session.RecoveredBeyond || s.Document.Missing != 0 {
				t.Errorf("the fax is %s (%s), %d pages are missing", s.Status(), s.Document.Reason, s.Document.Missing)
			}
			document := apptest.Parse(t, r.object(t, s.Document.TIFF.Key))
			if document.NumPages() != 3 || apptest.PixelsOfPage(t, document, 2) != apptest.PixelsOf(t, pages[2]) {
				t.Errorf("the document has %d pages, or another page 3", document.NumPages())
			}
			if found := check(t, archived(t, r), "test"); len(kinds(found)) > 0 {
				t.Errorf("faults: %+v", found)
			}
		})
	}
}

// tagged is a page as a file with fields of its own.
func tagged(t *testing.T, p *raster.Page, change func(*tiff.PageMeta)) []byte {
	t.Helper()
	meta := tiff.PageMeta{Width: p.Width, Height: p.Height, XRes: p.XRes, YRes: p.YRes}
	change(&meta)
	return apptest.OnePage(t, meta, tiff.G4Strip(ccitt.AppendG4(nil, p.Pix, p.Width, p.Height, p.Stride)))
}

// What the receiving fax machine says of a page's rows stays with the page, beside our own count. A page that it called bad is compared
// when the whole file is fetched for another page, and a difference is seen.
func TestWhatTheReceiverSaysOfAPageIsKept(t *testing.T) {
	t.Parallel()
	whole := apptest.Fixture(t, "three-pages-fine-g4")
	pages := apptest.Split(t, whole)
	first := apptest.DecodePage(t, apptest.Parse(t, pages[0]), 0)
	clear(first.Pix[first.Stride*1000 : first.Stride*1100]) // rows that the receiver lost, and wrote white
	noisy := tagged(t, first, func(m *tiff.PageMeta) { m.BadFaxLines, m.ConsecutiveBadFaxLines, m.CleanFaxData = 100, 97, 2 })
	r := newRig(t)
	policy := apptest.ImpatientPolicy()
	policy.Reconcile, policy.Grace = session.ReconcileMissing, apptest.Patience
	r.Start(t, r.Bus, r.Store, policy, apptest.ImpatientRetry())
	f := faxplustest.Fax{Session: "fax", Streamed: true, Pages: [][]byte{noisy, pages[1], pages[2]}, Whole: whole}
	r.Sim.Add(f)
	r.Sim.Script(f.Session, 2, apptest.AnswerWith(nil))
	for _, b := range apptest.Bodies(f, "http://x") {
		r.Record(t, b)
	}
	s := r.Await(t, f.Session, func(s session.State) bool {
		return s.Document != nil && s.Usable.Len() == 3 && s.Verification() == session.VerificationDiffers
	})
	if s.Disputed().Text() != "page 1" {
		t.Errorf("%s differs, want page 1", s.Disputed().Text())
	}
	said := func(what string, r *session.Received, bad int) {
		t.Helper()
		if r == nil || r.BadRows != 100 || r.LongestBad != 97 || r.CleanFaxData == nil || *r.CleanFaxData != 2 || !r.Bad() || bad != 0 {
			t.Errorf("the %s has %+v and %d bad rows of ours, want 100 rows of the receiver's and none", what, r, bad)
		}
	}
	facts, err := r.Bus.PageFacts(t.Context(), f.Session, session.Span(1, 2))
	if err != nil || facts[2].Received != nil {
		t.Errorf("page 2: %+v, %v; nobody says anything of its rows", facts[2].Received, err)
	}
	said("fact", facts[1].Received, facts[1].BadRows)
	var m archive.Manifest
	if err := json.Unmarshal(r.object(t, s.Document.Manifest.Key), &m); err != nil {
		t.Fatal(err)
	}
	said("manifest", m.Pages[0].Received, m.Pages[0].BadRows)
	document := filepath.Join(r.Dir, "archive", filepath.FromSlash(s.Document.TIFF.Key))
	text := apptest.Judge(t, "tiffinfo", "libtiff-tools", "-0", document)
	for _, want := range []string{"Bad Fax Lines: 100", "Consecutive Bad Fax Lines: 97", "Fax Data: uncorrected errors (2 = 0x2)"} {
		if !strings.Contains(text, want) {
			t.Errorf("libtiff does not say %q of the document:\n%s", want, text)
		}
	}
}

// A page that is stored turned is upright in the PNG and in the PDF, and document.tiff keeps its rows and says how they are turned.
func TestTurnedPagesAreUprightForPeople(t *testing.T) {
	t.Parallel()
	stored := corner()
	for _, o := range []raster.Orientation{2, 3, 6, 7} {
		t.Run(fmt.Sprintf("orientation %d", o), func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.Start(t, r.Bus, r.Store, apptest.ImpatientPolicy(), apptest.ImpatientRetry())
			page := tagged(t, stored, func(m *tiff.PageMeta) { m.Orientation = o })
			f := faxplustest.Fax{Session: "fax", Streamed: true, Pages: [][]byte{page}, Whole: page}
			r.Sim.Add(f)
			for _, b := range apptest.Bodies(f, "http://x") {
				r.Record(t, b)
			}
			s := r.Await(t, f.Session, func(s session.State) bool { return s.Document != nil })
			facts, err := r.Bus.PageFacts(t.Context(), f.Session, session.Span(1, 1))
			if err != nil || facts[1].Orientation != int(o) {
				t.Fatalf("the fact says orientation %d, %v", facts[1].Orientation, err)
			}
			want := ink(stored.Upright(o))
			if got := inkOfPNG(t, r.object(t, facts[1].PNG.Key)); got != want {
				t.Errorf("the PNG is not upright:\n%s\nwant\n%s", got, want)
			}
			// poppler may round a side of the sheet up by a pixel.
			got := inkOfPDF(t, filepath.Join(r.Dir, "archive", filepath.FromSlash(s.Document.PDF.Key)))
			if _, picture, _ := strings.Cut(got, "\n"); !strings.HasSuffix(want, "\n"+picture) {
				t.Errorf("poppler draws\n%s\nwant\n%s", got, want)
			}
			document := apptest.Parse(t, r.object(t, s.Document.TIFF.Key))
			d := apptest.Decoded(t, document, 0)
			if d.Orientation != o || apptest.Describe(d.Raster) != apptest.Describe(stored) {
				t.Errorf(
					"document.tiff has orientation %d and %s, want %d and %s", d.Orientation, apptest.Describe(d.Raster), o, apptest.Describe(stored),
				)
			}
		})
	}
}

// corner is a page of 1728 x 2200 that is black in one corner, so that every turn of it looks different.
func corner() *raster.Page {
	p := raster.New(1728, 2200)
	p.XRes, p.YRes = 200, 200
	for y := range 1100 {
		for x := range 216 / 8 * (1 + y/275) {
			p.Row(y)[x] = 0xff
		}
	}
	return p
}

// marks is how many marks an image is described by, across and down.
const marks = 16

// ink draws a page as lines of marks: # where the middle of the field is black.
func ink(p *raster.Page) string {
	return drawn(p.Width, p.Height, func(x, y int) bool { return p.Row(y)[x/8]>>(7-x%8)&1 == 1 })
}

func drawn(width, height int, black func(x, y int) bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d x %d\n", width, height)
	for j := range marks {
		for i := range marks {
			if black((2*i+1)*width/(2*marks), (2*j+1)*height/(2*marks)) {
				b.WriteByte('#')
			} else {
				b.WriteByte('.')
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func inkOfPNG(t *testing.T, data []byte) string {
	t.Helper()
	im, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	size := im.Bounds()
	return drawn(size.Dx(), size.Dy(), func(x, y int) bool {
		red, _, _, _ := im.At(size.Min.X+x, size.Min.Y+y).RGBA()
		return red < 0x8000
	})
}

// inkOfPDF is the first page as poppler draws it.
func inkOfPDF(t *testing.T, path string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "page")
	cmd := exec.Command(apptest.Tool(t, "pdftoppm", "apt-get install poppler-utils"), "-png", "-r", "200", "-singlefile", path, out)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", cmd, err, text)
	}
	data, err := os.ReadFile(out + ".png")
	if err != nil {
		t.Fatal(err)
	}
	return inkOfPNG(t, data)
}
