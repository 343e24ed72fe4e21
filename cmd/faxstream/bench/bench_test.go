package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestMeasuresTwoBuilds drives the committed build and that of the working tree through a little of some rows: no threshold, but every
// line has a figure of both, and what was measured is said.
func TestMeasuresTwoBuilds(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds and runs the program itself, in which the race detector sees nothing: runs without -short")
	}
	if err := exec.Command("git", "rev-parse", "HEAD").Run(); err != nil {
		t.Skip("this is no checkout of git, from which BASE is built")
	}
	t.Setenv("TMPDIR", t.TempDir())
	var table, progress bytes.Buffer
	args := []string{"--base=HEAD", "--rows=embedded,webhooks,memory", "--rounds=1", "--size=1"}
	if err := run(t.Context(), args, &table, &progress); err != nil {
		t.Fatalf("%v\n%s", err, progress.String())
	}
	const number = `[0-9.]+`
	for _, r := range rows() {
		for _, l := range r.lines {
			figures := regexp.MustCompile(`(?m)^\| ` + regexp.QuoteMeta(l.what) + ` +\| ` + number + ` +\| ` + number + ` +\| ` + number + ` +\| `)
			measured := r.name == "embedded" || r.name == "webhooks" || r.name == "memory"
			if figures.MatchString(table.String()) != measured {
				t.Errorf("row %s: the table has figures of %q: %v, want %v\n%s", r.name, l.what, !measured, measured, table.String())
			}
		}
	}
	for _, said := range []string{"base is ", "now is ", " cores, Linux ", "go1."} {
		if !strings.Contains(table.String(), said) {
			t.Errorf("the table does not say %q\n%s", said, table.String())
		}
	}
	if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// A slow round changes no ratio, because both builds were measured in it.
func TestRatiosAreThoseOfOneRound(t *testing.T) {
	l := line{"cpu", "processor, ms/page", "0.5 x"}
	var table table
	for _, slowness := range []float64{1, 10, 2} {
		table.add(row{lines: []line{l}}, build{name: baseName}, figures{"cpu": 20 * slowness})
		table.add(row{lines: []line{l}}, build{name: nowName}, figures{"cpu": 5 * slowness})
	}
	var out bytes.Buffer
	if err := table.print(&out); err != nil {
		t.Fatal(err)
	}
	const want = "| processor, ms/page | 40.0 (20.0..200) | 10.0 (5.00..50.0) | 0.250 (0.250..0.250) | 0.5 x    |\n"
	if !strings.HasSuffix(out.String(), want) {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}

func TestSyncsBelongToWhatTheyAreFor(t *testing.T) {
	log := filepath.Join(t.TempDir(), "strace")
	const ofStart = "1 fsync(3</d/nats/jetstream/G/streams/FAX_IN/msgs/1.blk>) = 0\n"
	const rest = `12 fsync(9</d/nats/jetstream/G/streams/FAX_IN/msgs/1.blk>) = 0
12 openat(AT_FDCWD</x>, "/d/nats/jetstream/G/streams/FAX_IN/obs/page/o.dat.tmp", O_RDWR|O_CREAT|O_SYNC, 0600) = 9</d/o.dat.tmp>
12 openat(AT_FDCWD</x>, "/d/archive/faxes/a.tiff", O_RDONLY|O_CLOEXEC) = 9</d/archive/faxes/a.tiff>
13 fdatasync(9</d/archive/faxes/#123 (deleted)>) = 0
13 fsync(9</d/archive/faxes> <unfinished ...>
13 syncfs(10</d/archive/tmp>) = 0
`
	if err := os.WriteFile(log, []byte(ofStart+rest), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := countSyncs([]string{log}, []int64{int64(len(ofStart))}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if got["syncs/streams"] != 1 || got["syncs/consumers"] != 1 || got["syncs/archive"] != 3 || got["syncs/other"] != 0 {
		t.Errorf("counted %v", got)
	}
}

func TestSamplesBelongToOneShare(t *testing.T) {
	const module = "github.com/faxstream/faxstream/"
	samples := strings.Join([]string{
		"  1 crypto/sha256.block\n  2 " + module + "storage/local.(*Store).Create\n",
		"  1 " + module + "pipeline/ccitt.(*Decoder).row\n  2 " + module + "pipeline/fetch.(*Worker).judge\n",
		"  1 " + module + "pipeline/raster.(*Page).Quality\n",
		"  1 do_syscall_64\n  2 " + module + "pipeline.(*assembler).write\n",
		"  1 runtime.futex\n  2 runtime.mcall\n",
	}, "\n")
	got, err := countStacks(strings.NewReader(samples))
	if err != nil {
		t.Fatal(err)
	}
	for _, share := range []string{"archive", "comparison with the whole file", "quality", "documents", "scheduling"} {
		if got[share] != 1 {
			t.Errorf("%s has %g samples, want 1: %v", share, got[share], got)
		}
	}
}

// What stands around the figures of a page stays.
func TestThePageGetsItsFigures(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cost.md")
	if err := os.WriteFile(path, []byte("before\n"+beginFigures+"old\n"+endFigures+"after\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var table table
	for _, r := range rows() {
		if r.name == "cost" {
			table.add(r, build{name: nowName}, figures{"embedded/cpu": 4.25, "length/20": 4.5})
		}
	}
	b := &bench{dir: t.TempDir(), builds: []build{{name: nowName, commit: "1234567"}}}
	if err := b.writePage(path, &table); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"before\n" + beginFigures, endFigures + "after\n", "| 4.25 ", "| 4.50 ", "1234567"} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page has no %q:\n%s", want, page)
		}
	}
	if strings.Contains(string(page), "old") {
		t.Error("the page still has its old figures")
	}
}

func TestBenchmarksAreRead(t *testing.T) {
	got, err := parseBenchmarks("cpu: X\nBenchmarkPeers/decode/text/g4-16 \t 1\t 213.5 us\t 1.8 x-libtiff\nPASS\n", "BenchmarkPeers")
	if err != nil || got["decode/text/g4"]["us"] != 213.5 || got["decode/text/g4"]["x-libtiff"] != 1.8 {
		t.Errorf("read %v, %v", got, err)
	}
	if _, err := parseBenchmarks("--- SKIP: BenchmarkPeers\nPASS\n", "BenchmarkPeers"); err == nil {
		t.Error("a benchmark that was skipped is no error")
	}
}
