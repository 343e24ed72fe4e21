package tesseract

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/image/draw"
	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/f64"
	"golang.org/x/image/math/fixed"

	"github.com/faxstream/faxstream/pipeline/ccitt"
	"github.com/faxstream/faxstream/pipeline/raster"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// truth is what stands on the pages of BenchmarkCharacterErrors.
var truth = strings.Split(`The patient takes one tablet of metformin 500 mg twice a day
with meals, and two puffs of salbutamol when it is needed.
Please confirm order 4711 of 23 November 2026 by return fax.
Amounts due under this section are payable net 30 in dollars.
Neither party is liable for delay caused by events outside its
control, as long as it gives notice within five business days.
Plaintiff respectfully moves this Court to extend the time to
respond to the discovery requests served on October 30, 2026.
License 0123456, claim 88-1207-4415, group 0042, copay 15.00.
Blood pressure 128/82, weight 68 kg, allergies: penicillin.`, "\n")

// fine is how many pixels of the drawing are one of a page of superfine resolution, across and down.
const fine = 2

// noisy draws the lines in a size in points, 0.6 degrees askew, as a fax of so many rows an inch shows them: blurred, with grain and
// specks.
func noisy(b *testing.B, points, rows int) *raster.Page {
	b.Helper()
	const xres, yres, inches = 204, 391, 3
	whole, err := opentype.Parse(goregular.TTF)
	if err != nil {
		b.Fatal(err)
	}
	face, err := opentype.NewFace(whole, &opentype.FaceOptions{Size: float64(points), DPI: fine * yres, Hinting: font.HintingNone})
	if err != nil {
		b.Fatal(err)
	}
	height := inches * fine * yres
	width := 1728 * fine * yres / xres // square pixels
	sheet := image.NewGray(image.Rect(0, 0, width, height))
	draw.Draw(sheet, sheet.Bounds(), image.White, image.Point{}, draw.Src)
	d := font.Drawer{Dst: sheet, Src: image.Black, Face: face}
	line := float64(points) * 1.4 / 72 * fine * yres
	for i, text := range truth {
		d.Dot = fixed.P(fine*yres*3/4, int(line*float64(i+2)))
		d.DrawString(text)
	}
	skewed := image.NewGray(image.Rect(0, 0, 1728, inches*rows))
	draw.Draw(skewed, skewed.Bounds(), image.White, image.Point{}, draw.Src)
	sx, sy := 1728/float64(width), float64(rows)/(fine*yres)
	sin, cos := math.Sincos(0.6 * math.Pi / 180)
	draw.BiLinear.Transform(skewed, f64.Aff3{sx * cos, -sx * sin, 0, sy * sin, sy * cos, 0}, sheet, sheet.Bounds(), draw.Over, nil)
	p := &raster.Page{Width: 1728, Height: skewed.Rect.Dy(), Stride: 1728 / 8, XRes: xres, YRes: float64(rows)}
	p.Pix = make([]byte, p.Stride*p.Height)
	r := rand.New(rand.NewPCG(uint64(points), uint64(rows)))
	for y := range p.Height {
		for x := range p.Width {
			gray := float64(skewed.At(x, y).(color.Gray).Y) + 30*r.NormFloat64()
			if gray < 128 || r.IntN(2000) == 0 {
				p.Pix[y*p.Stride+x/8] |= 0x80 >> (x % 8)
			}
		}
	}
	return p
}

// errorsPer is the edit distance of what was read to what stands on the page, for each hundred of its characters. White space counts once.
func errorsPer(table []byte) float64 {
	var words []string
	for line := range strings.Lines(string(table)) {
		if cells := strings.Split(strings.TrimRight(line, "\n"), "\t"); len(cells) == 12 && cells[0] == "5" {
			words = append(words, cells[11])
		}
	}
	want, got := []rune(strings.Join(strings.Fields(strings.Join(truth, " ")), " ")), []rune(strings.Join(words, " "))
	row := make([]int, len(got)+1)
	for j := range row {
		row[j] = j
	}
	for i, c := range want {
		diagonal := row[0]
		row[0] = i + 1
		for j, k := range got {
			cost := diagonal
			if c != k {
				cost++
			}
			diagonal, row[j+1] = row[j+1], min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return 100 * float64(row[len(got)]) / float64(len(want))
}

// BenchmarkCharacterErrors says how many of a hundred characters Tesseract reads wrongly on noisy pages: on the fax as it came, a TIFF with
// the resolution in its tags, and on our PNG. ours-% is the share of the time for the PNG that is not Tesseract's.
func BenchmarkCharacterErrors(b *testing.B) {
	p, err := Find(b.Context(), "tesseract", []string{"eng"})
	if err != nil {
		b.Skip(err)
	}
	p.Timeout, p.Memory = 2*time.Minute, 2e9
	for _, rows := range []int{98, 196, 391} {
		for _, points := range []int{8, 10, 12} {
			if testing.Short() && (rows != 98 || points != 12) {
				continue
			}
			b.Run(fmt.Sprintf("204x%d/%dpt", rows, points), func(b *testing.B) {
				page := noisy(b, points, rows)
				var file bytes.Buffer
				w := tiff.NewWriter(&file)
				strip := tiff.G4Strip(ccitt.AppendG4(nil, page.Pix, page.Width, page.Height, page.Stride))
				meta := tiff.PageMeta{Width: page.Width, Height: page.Height, XRes: page.XRes, YRes: page.YRes, Page: 1, Pages: 1}
				if _, err := w.AddPage(meta, strip); err != nil {
					b.Fatal(err)
				}
				if err := w.Close(); err != nil {
					b.Fatal(err)
				}
				raw, err := p.read(b.Context(), file.Bytes(), b.TempDir())
				if err != nil {
					b.Fatal(err)
				}
				var ours, all time.Duration
				var read []byte
				for b.Loop() {
					began := time.Now()
					var png bytes.Buffer
					if err := page.WritePNG(&png); err != nil {
						b.Fatal(err)
					}
					ours += time.Since(began)
					if read, err = p.read(b.Context(), png.Bytes(), b.TempDir()); err != nil {
						b.Fatal(err)
					}
					all += time.Since(began)
				}
				b.ReportMetric(errorsPer(raw), "tiff-errors-%")
				b.ReportMetric(errorsPer(read), "png-errors-%")
				b.ReportMetric(100*ours.Seconds()/all.Seconds(), "ours-%")
				b.ReportMetric(float64(b.N)/all.Minutes(), "pages/min")
				if dir := os.Getenv("OCR_PAGES"); dir != "" { // to look at
					if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d-%d.tiff", rows, points)), file.Bytes(), 0o600); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
