package pipeline

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/faxstream/faxstream/pipeline/pdf"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// BenchmarkAssemblyPeers makes documents of Group 4 pages next to tiff2pdf and img2pdf, in turns in one run; times are the
// medians of the rounds. `pdf` is the others' job, from a TIFF in a file to a PDF in a file. `assembly` is all that is done for
// a revision in an archive of plain files: each original is read and its hash compared, TIFF and PDF are written and hashed,
// and both are stored, with plan, index and manifest, each synced to disk. `synced` is what the disk takes to write and sync
// the bytes of both documents, in one file.
func BenchmarkAssemblyPeers(b *testing.B) {
	for _, pages := range []int{10, 1000} {
		b.Run(fmt.Sprintf("pages=%d", pages), func(b *testing.B) { benchmarkAssembly(b, pages) })
	}
}

func benchmarkAssembly(b *testing.B, pages int) {
	const rounds = 5
	wb := newWorkbench(b, localArchive(b))
	first := wb.bench(pages, 0)
	in, _ := wb.saved(first) // what the others begin with
	dir := b.TempDir()
	out := filepath.Join(dir, "out.pdf")
	command := func(name string) func() {
		return func() {
			if msg, err := exec.Command(name, "-o", out, in).CombinedOutput(); err != nil {
				b.Fatalf("%s: %v\n%s(apt-get install libtiff-tools img2pdf)", name, err, msg)
			}
		}
	}
	idle := idleMemory(b)
	wb.bench(pages, 1)
	grown, round := statusBytes(b, "VmHWM")-idle, 1
	jobs := []struct {
		name string
		do   func()
	}{
		{"pdf", func() { copyToPDF(b, in, out, first.Pages) }},
		{"assembly", func() {
			round++
			wb.bench(pages, round)
		}},
		{"synced", func() { writeSynced(b, filepath.Join(dir, "synced"), first.TIFF.Size+first.PDF.Size) }},
		{"tiff2pdf", command("tiff2pdf")},
		{"img2pdf", command("img2pdf")},
	}
	took := map[string][]time.Duration{}
	size := map[string]float64{}
	for b.Loop() {
		for range rounds {
			for _, job := range jobs {
				start := time.Now()
				job.do()
				took[job.name] = append(took[job.name], time.Since(start))
				if info, err := os.Stat(out); err == nil {
					size[job.name] = float64(info.Size())
				}
			}
		}
	}
	median := func(name string) float64 {
		slices.Sort(took[name])
		return took[name][len(took[name])/2].Seconds()
	}
	for _, job := range jobs {
		b.ReportMetric(median(job.name)*1000, job.name+"-ms")
	}
	for _, peer := range []string{"tiff2pdf", "img2pdf"} {
		b.ReportMetric(median("pdf")/median(peer), "pdf/"+peer)
		b.ReportMetric(median("assembly")/median(peer), "assembly/"+peer)
		b.ReportMetric(float64(first.PDF.Size)/size[peer], "size/"+peer)
	}
	b.ReportMetric(float64(grown)/(1<<20), "MiB-more")
	b.ReportMetric(0, "ns/op")
}

// copyToPDF makes a PDF of a TIFF's Group 4 strips.
func copyToPDF(b *testing.B, in, out string, pages []ManifestPage) {
	b.Helper()
	data := mapped(b, in) // as libtiff does it
	defer func() {
		if err := syscall.Munmap(data); err != nil {
			b.Error(err)
		}
	}()
	file, err := tiff.Parse(data, tiff.Limits{})
	if err != nil {
		b.Fatal(err)
	}
	f, err := os.Create(out)
	if err != nil {
		b.Fatal(err)
	}
	w := pdf.NewWriter(f, pdf.Meta{Title: "bench"})
	for i := range pages {
		page, err := file.Page(i)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := w.AddImage(pdf.ImagePage{
			Width: page.Width, Height: page.Height, XRes: page.XRes, YRes: page.YRes, Strip: page.Strip(pages[i].StripSize),
		}); err != nil {
			b.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), f.Close()); err != nil {
		b.Fatal(err)
	}
}

func mapped(b *testing.B, name string) []byte {
	b.Helper()
	f, err := os.Open(name)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		b.Fatal(err)
	}
	data, err := syscall.Mmap(int(f.Fd()), 0, int(info.Size()), syscall.PROT_READ, syscall.MAP_PRIVATE)
	if err != nil {
		b.Fatal(err)
	}
	return data
}

// writeSynced writes n bytes in pieces, and waits for the disk.
func writeSynced(b *testing.B, name string, n int64) {
	b.Helper()
	f, err := os.Create(name)
	if err != nil {
		b.Fatal(err)
	}
	piece := make([]byte, 256<<10)
	for ; n > 0; n -= int64(len(piece)) {
		if _, err := f.Write(piece[:min(n, int64(len(piece)))]); err != nil {
			b.Fatal(err)
		}
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		b.Fatal(err)
	}
}

// bench assembles a fax of so many pages under a session of its own.
func (wb *workbench) bench(pages, round int) Manifest {
	wb.t.Helper()
	id := fmt.Sprintf("bench-%d-%d", pages, round)
	wb.repeated(id, pages, testdata(wb.t, "a4-fine-g4.tiff"))
	return wb.assemble(wb.order(id, nil))
}
