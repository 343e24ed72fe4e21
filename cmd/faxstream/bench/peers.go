package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// Some rows are Go benchmarks of the packages, which compare with other people's programs. Each build brings its own.

// benchmark runs a benchmark of a build once, and returns its figures by the names of sub-benchmark and unit.
func (b *bench) benchmark(ctx context.Context, of build, name string) (map[string]figures, error) {
	dir, err := benchmarkDir(of.source, name)
	if err != nil {
		return nil, err
	}
	test := filepath.Join(b.dir, name+"-"+of.name+".test")
	if _, err := os.Stat(test); err != nil {
		if _, err := output(ctx, dir, "go", "test", "-c", "-vet=off", "-o", test, "."); err != nil {
			return nil, err
		}
	}
	cmd := exec.CommandContext(ctx, test, "-test.run=^$", "-test.bench=^"+name+"$", "-test.benchtime=1x", "-test.timeout=30m")
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", cmd, err, tail(string(out)))
	}
	return parseBenchmarks(string(out), name)
}

// benchmarkDir finds the package of a benchmark: builds have it in different places.
func benchmarkDir(source, name string) (dir string, err error) {
	declared := regexp.MustCompile(`(?m)^func ` + name + `\(b \*testing\.B\)`)
	err = filepath.WalkDir(filepath.Join(source, "pipeline"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		if err == nil && declared.Match(text) {
			dir = filepath.Dir(path)
			return fs.SkipAll
		}
		return err
	})
	if err == nil && dir == "" {
		err = fmt.Errorf("%s has no %s", source, name)
	}
	return dir, err
}

// parseBenchmarks reads lines such as "BenchmarkPeers/decode/text/G4 1 213.0 us 1.8 x-libtiff".
func parseBenchmarks(out, name string) (map[string]figures, error) {
	all := map[string]figures{}
	cores := regexp.MustCompile(`-\d+$`)
	for line := range strings.Lines(out) {
		fields := strings.Fields(line)
		if len(fields) < 4 || !strings.HasPrefix(fields[0], name+"/") {
			continue
		}
		f := figures{}
		for i := 2; i+1 < len(fields); i += 2 {
			v, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				return nil, fmt.Errorf("benchmark line %q: %w", line, err)
			}
			f[fields[i+1]] = v
		}
		all[cores.ReplaceAllString(strings.TrimPrefix(fields[0], name+"/"), "")] = f
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s printed no figures:\n%s", name, tail(out))
	}
	return all, nil
}

// measureAssembly compares all that is done for a document with tiff2pdf.
func measureAssembly(ctx context.Context, b *bench, of build) (figures, error) {
	got, err := b.benchmark(ctx, of, "BenchmarkAssemblyPeers")
	if err != nil {
		return nil, err
	}
	return figures{"10": got["pages=10"]["assembly/tiff2pdf"], "1000": got["pages=1000"]["assembly/tiff2pdf"]}, nil
}

// The codings and pages of BenchmarkPeers in pipeline/ccitt.
func codecBenchmarks() (names []string) {
	for _, page := range []string{"text", "halftone", "dithered"} {
		for _, coding := range []string{"g4", "g3-1d", "g3-2d"} {
			names = append(names, page+"/"+coding)
		}
	}
	return names
}

func codecLines() []line {
	lines := []line{{"text/g4", "decode text/g4: libtiff's time / ours", "at least 2.5"}}
	for _, name := range codecBenchmarks() {
		lines = append(lines, line{"decode/" + name, "decode " + name + ", us of processor", "at most 1 x"})
	}
	for _, name := range codecBenchmarks() {
		lines = append(lines, line{"encode/" + name, "encode " + name + ", us of processor", ""})
	}
	return lines
}

// measureCodec compares codings with libtiff's, in memory on one thread.
func measureCodec(ctx context.Context, b *bench, of build) (figures, error) {
	got, err := b.benchmark(ctx, of, "BenchmarkPeers")
	if err != nil {
		return nil, err
	}
	f := figures{"text/g4": got["decode/text/g4"]["x-libtiff"]}
	for _, way := range []string{"decode/", "encode/"} {
		for _, name := range codecBenchmarks() {
			if us, ok := got[way+name]["us"]; ok {
				f[way+name] = us
			}
		}
	}
	return f, nil
}
