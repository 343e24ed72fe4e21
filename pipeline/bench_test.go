package pipeline

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// BenchmarkAssemblyPeers makes documents of 10 and 1,000 pages of Group 4 next to tiff2pdf and img2pdf, which make the PDF
// alone, in turns in one run. Ours is all that is done for a revision, in an archive of plain files: plan, TIFF, PDF, index
// and manifest, each original read and its hash compared, each file synced. Times are the medians of the rounds; size is
// the PDF's; pdf is what our PDF takes alone.
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
	out := filepath.Join(b.TempDir(), "out.pdf")
	peers := map[string][]string{"tiff2pdf": {"-o", out, in}, "img2pdf": {"-o", out, in}}
	took := map[string][]time.Duration{}
	size := map[string]int64{"faxstream": first.PDF.Size}
	idle := idleMemory(b)
	grown := 0
	for b.Loop() {
		for range rounds {
			start := time.Now()
			wb.bench(pages, len(took["faxstream"])+1)
			took["faxstream"] = append(took["faxstream"], time.Since(start))
			grown = max(grown, statusBytes(b, "VmHWM")-idle)
			for name, args := range peers {
				path, err := exec.LookPath(name)
				if err != nil {
					b.Logf("%s is missing: apt-get install libtiff-tools img2pdf", name)
					continue
				}
				start := time.Now()
				if msg, err := exec.Command(path, args...).CombinedOutput(); err != nil {
					b.Fatalf("%s: %v\n%s", name, err, msg)
				}
				took[name] = append(took[name], time.Since(start))
				info, err := os.Stat(out)
				if err != nil {
					b.Fatal(err)
				}
				size[name] = info.Size()
			}
		}
	}
	median := func(name string) float64 {
		slices.Sort(took[name])
		return took[name][len(took[name])/2].Seconds()
	}
	b.ReportMetric(median("faxstream")*1000, "ms")
	b.ReportMetric(float64(grown)/(1<<20), "MiB-more")
	for name := range peers {
		if len(took[name]) > 0 {
			b.ReportMetric(median(name)/median("faxstream"), name+"-time/ours")
			b.ReportMetric(float64(size[name])/float64(size["faxstream"]), name+"-size/ours")
		}
	}
	b.ReportMetric(0, "ns/op")
}

// bench assembles a fax of so many pages under a session of its own.
func (wb *workbench) bench(pages, round int) Manifest {
	wb.t.Helper()
	id := fmt.Sprintf("bench-%d-%d", pages, round)
	data := testdata(wb.t, "a4-fine-g4.tiff")
	wb.repeated(id, pages, data)
	return wb.assemble(wb.order(id, nil))
}
