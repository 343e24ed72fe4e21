package document_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/pdf"
	"github.com/faxstream/faxstream/pipeline/pipelinetest"
	"github.com/faxstream/faxstream/pipeline/tiff"
	"github.com/faxstream/faxstream/storage/local"
)

// BenchmarkAssemblyPeers makes documents of Group 4 pages next to tiff2pdf and img2pdf, in turns in one run; times are the
// medians of the rounds, -cpu-ms the processor time. Ratios are those of the jobs of one round: their median, and for tiff2pdf
// the smallest and largest one too. `pdf` is the others' job, from a TIFF in a file to a PDF in a file.
// `assembly` is all that is done for a revision in an archive of plain files whose pages are there: each original and what
// stands beside it is read and its hash compared, TIFF and PDF are written and hashed, and both are stored, with plan, index
// and manifest, each synced to disk, which the others do not do. `synced` is what the disk takes to write and sync the bytes
// of both documents, in one file. With -short it only shows that it works.
func BenchmarkAssemblyPeers(b *testing.B) {
	lengths, rounds := []int{10, 1000}, 5
	if testing.Short() {
		lengths, rounds = lengths[:1], 1
	}
	for _, pages := range lengths {
		b.Run(fmt.Sprintf("pages=%d", pages), func(b *testing.B) { benchmarkAssembly(b, pages, rounds) })
	}
}

// benchJob is one of the jobs that are compared.
type benchJob struct {
	name   string
	do     func()
	before func() // not measured, as after; nil: neither
	after  func()
	took   []time.Duration
	cpu    []time.Duration
}

func benchmarkAssembly(b *testing.B, pages, rounds int) {
	wb := pipelinetest.NewWorkbench(b, pipelinetest.LocalArchive(b))
	wb.Repeated("first", pages, pipelinetest.Testdata(b, "a4-fine-g4.tiff"))
	idle := idleMemory(b)
	first := wb.Assemble(wb.Order("first", nil))
	grown := statusBytes(b, "VmHWM") - idle
	in, _ := wb.Saved(first) // what the others begin with
	dir := b.TempDir()
	out := filepath.Join(dir, "out.pdf")
	command := func(name string) benchJob {
		return benchJob{name: name, do: func() {
			if msg, err := exec.Command(name, "-o", out, in).CombinedOutput(); err != nil {
				b.Fatalf("%s: %v\n%s(apt-get install libtiff-tools img2pdf)", name, err, msg)
			}
		}}
	}
	both := first.TIFF.Size + first.PDF.Size
	jobs := []benchJob{
		{name: "pdf", do: func() { copyToPDF(b, in, out, first.Pages) }},
		assemblyJob(b, filepath.Join(dir, "archive"), pages),
		{name: "synced", do: func() { writeSynced(b, out, both) }},
		command("tiff2pdf"), command("img2pdf"),
	}
	size := map[string]float64{}
	for b.Loop() {
		for range rounds {
			for i := range jobs {
				// A virtual machine may have given idle memory to its host, and gets it back slowly: every job finds as much as it needs.
				writeSynced(b, out, 2*both)
				remove(b, out)
				jobs[i].run(b)
				if info, err := os.Stat(out); err == nil {
					size[jobs[i].name] = float64(info.Size())
					remove(b, out)
				}
			}
		}
	}
	named := map[string]benchJob{}
	for _, job := range jobs {
		named[job.name] = job
		b.ReportMetric(median(job.took), job.name+"-ms")
		b.ReportMetric(median(job.cpu), job.name+"-cpu-ms")
	}
	for _, peer := range []string{"tiff2pdf", "img2pdf"} {
		for _, ours := range []string{"pdf", "assembly"} {
			all := ratios(named[ours].took, named[peer].took)
			b.ReportMetric(all[len(all)/2], ours+"/"+peer)
			if peer == "tiff2pdf" {
				b.ReportMetric(all[0], ours+"/"+peer+"-min")
				b.ReportMetric(all[len(all)-1], ours+"/"+peer+"-max")
			}
		}
		b.ReportMetric(float64(first.PDF.Size)/size[peer], "size/"+peer)
	}
	b.ReportMetric(float64(grown)/(1<<20), "MiB-more")
	b.ReportMetric(0, "ns/op")
}

func (j *benchJob) run(b *testing.B) {
	b.Helper()
	if j.before != nil {
		j.before()
		defer j.after()
	}
	start, used := time.Now(), processorTime(b)
	j.do()
	j.took, j.cpu = append(j.took, time.Since(start)), append(j.cpu, processorTime(b)-used)
}

// assemblyJob assembles a fax of so many pages, the second of its day, in a new archive, which is removed afterwards.
func assemblyJob(b *testing.B, dir string, pages int) benchJob {
	var store *local.Store
	var wb *pipelinetest.Workbench
	var order []byte
	return benchJob{
		name: "assembly",
		before: func() {
			var err error
			if store, err = local.Open(dir); err != nil {
				b.Fatal(err)
			}
			wb = pipelinetest.NewWorkbench(b, store)
			page := pipelinetest.Testdata(b, "a4-fine-g4.tiff")
			wb.Page("other", 1, page)
			wb.Assemble(wb.Order("other", nil))
			wb.Repeated("bench", pages, page)
			if order, err = json.Marshal(wb.Order("bench", nil)); err != nil {
				b.Fatal(err)
			}
		},
		do: func() {
			if err := wb.Assembler.Consumptions()[0].Handle(b.Context(),
				bus.Delivery{Data: order, Time: pipelinetest.BenchStart, Tries: 1}); err != nil {
				b.Fatal(err)
			}
		},
		after: func() {
			if err := errors.Join(store.Close(), os.RemoveAll(dir)); err != nil {
				b.Fatal(err)
			}
		},
	}
}

// processorTime is what this process has used and those that it has waited for.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var total time.Duration
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var used syscall.Rusage
		if err := syscall.Getrusage(who, &used); err != nil {
			b.Fatal(err)
		}
		total += time.Duration(used.Utime.Nano() + used.Stime.Nano())
	}
	return total
}

// ratios returns that of each round, sorted.
func ratios(ours, theirs []time.Duration) []float64 {
	all := make([]float64, len(ours))
	for i := range all {
		all[i] = ours[i].Seconds() / theirs[i].Seconds()
	}
	slices.Sort(all)
	return all
}

// median is in milliseconds.
func median(d []time.Duration) float64 {
	return slices.Sorted(slices.Values(d))[len(d)/2].Seconds() * 1000
}

func remove(b *testing.B, name string) {
	b.Helper()
	if err := os.Remove(name); err != nil {
		b.Fatal(err)
	}
}

// copyToPDF makes a PDF of a TIFF's Group 4 strips.
func copyToPDF(b *testing.B, in, out string, pages []archive.ManifestPage) {
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
