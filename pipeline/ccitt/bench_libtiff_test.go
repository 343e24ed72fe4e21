//go:build linux

package ccitt_test

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"

	xccitt "golang.org/x/image/ccitt"
	"golang.org/x/sys/unix"

	"github.com/faxstream/faxstream/pipeline/ccitt"
)

// BenchmarkPeers: our time for a page of 1728 x 2200, in memory and on one
// thread, beside libtiff's and golang.org/x/image's. A line a page, coding and
// direction: minima of rounds in which all of them took turns, in microseconds of
// processor time, so that other work on the machine counts little, and how many
// times as long as ours theirs took (x-libtiff, x-x/image); for encoding also how
// many times as many bytes as libtiff we wrote. All decode the strip that libtiff
// wrote.
func BenchmarkPeers(b *testing.B) {
	timer := buildLibtiffTimer(b)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	type line struct {
		name string
		comparison
	}
	var lines []line
	for _, p := range testPages() {
		for i, c := range benchCodings {
			lines = append(lines, line{p.name + "/" + c.name, comparePeers(b, timer, p, i)})
		}
	}
	for _, l := range lines {
		b.Run("decode/"+l.name, func(b *testing.B) {
			b.ReportMetric(l.ours.decode, "us")
			b.ReportMetric(l.libtiff.decode, "us-libtiff")
			b.ReportMetric(l.libtiff.decode/l.ours.decode, "x-libtiff")
			if !math.IsInf(l.ximage, 1) {
				b.ReportMetric(l.ximage/l.ours.decode, "x-x/image")
				b.ReportMetric(l.ximage, "x/image-us")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
	for _, l := range lines {
		b.Run("encode/"+l.name, func(b *testing.B) {
			b.ReportMetric(l.ours.encode, "us")
			b.ReportMetric(l.libtiff.encode, "us-libtiff")
			b.ReportMetric(l.libtiff.encode/l.ours.encode, "x-libtiff")
			b.ReportMetric(float64(l.ours.size)/float64(l.libtiff.size), "x-libtiff-bytes")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// buildLibtiffTimer compiles testdata/libtifftimer.c; without a compiler or
// libtiff's headers it skips the benchmark.
func buildLibtiffTimer(b *testing.B) string {
	b.Helper()
	cc, err := exec.LookPath("cc")
	if err != nil {
		b.Skip("no cc: needs the Debian packages gcc, libc6-dev and libtiff-dev")
	}
	if out, err := exec.Command(cc, "-E", "-include", "tiffio.h", "-x", "c", os.DevNull).CombinedOutput(); err != nil {
		b.Skipf("no tiffio.h: needs the Debian package libtiff-dev: %v\n%s", err, out)
	}
	timer := filepath.Join(b.TempDir(), "libtifftimer")
	source := filepath.Join("..", "..", "testdata", "libtifftimer.c")
	if out, err := exec.Command(cc, "-O2", "-o", timer, source, "-ltiff").CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	return timer
}

// A timing is the shortest times of a codec, in microseconds, and the bytes that it wrote.
type timing struct {
	decode, encode float64
	size           int
}

type comparison struct {
	libtiff, ours timing
	ximage        float64 // to decode, in microseconds; infinite where it cannot
}

const peerRuns = 2 // of each codec in a round

// peerRounds are fewer with -short, which only shows that the benchmark works.
func peerRounds() int {
	if testing.Short() {
		return 1
	}
	return 12
}

// comparePeers times coding i of benchCodings on page p.
func comparePeers(b *testing.B, timer string, p testPage, i int) comparison {
	b.Helper()
	c := benchCodings[i]
	dir := b.TempDir()
	pixFile, stripFile := filepath.Join(dir, "pix"), filepath.Join(dir, "strip")
	if err := os.WriteFile(pixFile, p.pix, 0o600); err != nil {
		b.Fatal(err)
	}
	never := math.Inf(1)
	result := comparison{libtiff: timing{never, never, 0}, ours: timing{never, never, 0}, ximage: never}
	var d ccitt.Decoder
	var e ccitt.Encoder
	rows, coded := make([]byte, 0, len(p.pix)+8), make([]byte, 0, 9*len(p.pix))
	o := ccitt.Options{Coding: c.coding, Width: pageWidth, Rows: pageHeight}
	for range peerRounds() {
		libtiff := runLibtiffTimer(b, timer, pixFile, c.name, stripFile)
		result.libtiff.decode = min(result.libtiff.decode, libtiff.decode)
		result.libtiff.encode = min(result.libtiff.encode, libtiff.encode)
		result.libtiff.size = libtiff.size
		strip, err := os.ReadFile(stripFile)
		if err != nil {
			b.Fatal(err)
		}
		result.ours.decode = min(result.ours.decode, shortest(peerRuns, func() { rows, _, err = d.Decode(rows[:0], strip, o) }))
		if err != nil || !bytes.Equal(rows, p.pix) {
			b.Fatalf("%s %s: we decode libtiff's strip otherwise: %v", p.name, c.name, err)
		}
		result.ours.encode = min(result.ours.encode, shortest(peerRuns, func() { coded = c.append(&e, coded[:0], p.pix, pageHeight) }))
		result.ours.size = len(coded)
		if rows, _, err = d.Decode(rows[:0], coded, o); err != nil || !bytes.Equal(rows, p.pix) {
			b.Fatalf("%s %s: decode(encode(x)) is not x: %v", p.name, c.name, err)
		}
		if c.coding == ccitt.MR {
			continue // golang.org/x/image reads no two-dimensional Group 3
		}
		result.ximage = min(result.ximage, shortest(peerRuns, func() { err = decodeXImage(rows, strip, c.coding) }))
		if err != nil || !bytes.Equal(rows, p.pix) {
			b.Fatalf("%s %s: golang.org/x/image decodes libtiff's strip otherwise: %v", p.name, c.name, err)
		}
	}
	return result
}

// runLibtiffTimer runs one round of libtiff, which leaves the strip in a file.
func runLibtiffTimer(b *testing.B, timer, pixFile, coding, stripFile string) timing {
	b.Helper()
	cmd := exec.Command(timer, pixFile, strconv.Itoa(pageWidth), strconv.Itoa(pageHeight), coding, strconv.Itoa(peerRuns), stripFile)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		b.Fatalf("libtifftimer: %v", err)
	}
	var t timing
	var median float64
	if _, err := fmt.Sscan(string(out), &t.decode, &median, &t.encode, &median, &t.size); err != nil {
		b.Fatalf("libtifftimer printed %q: %v", out, err)
	}
	return t
}

// shortest returns the processor time of the fastest of n calls, in microseconds.
func shortest(n int, f func()) float64 {
	best := math.Inf(1)
	for range n {
		start := threadTime()
		f()
		best = min(best, threadTime()-start)
	}
	return best
}

// threadTime is the processor time that this thread has used, in microseconds.
func threadTime() float64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		panic(err)
	}
	return float64(t.Nano()) / 1e3
}

func decodeXImage(dst, src []byte, coding ccitt.Coding) error {
	format := xccitt.Group4
	if coding == ccitt.MH {
		format = xccitt.Group3
	}
	r := xccitt.NewReader(bytes.NewReader(src), xccitt.MSB, format, pageWidth, pageHeight, &xccitt.Options{Invert: true})
	_, err := io.ReadFull(r, dst)
	return err
}
