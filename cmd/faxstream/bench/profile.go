package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"
)

// share is a part of the processor time that a profile tells apart. A sample belongs to the first share that has a function of its stack.
type share struct {
	name string
	of   *regexp.Regexp // names of functions, also of builds in which the pipeline was one package
}

// shares are all shares. What is on top of a stack is often not what costs belong to: a hash in a store is a cost of the store.
func shares() []share {
	var all []share
	for _, s := range [][2]string{
		{"comparison with the whole file", `pipeline(/fetch)?\.\(\*[wW]orker\)\.(compare|judge|tryWhole|takeWhole)`},
		{"documents", `pipeline/(document|pdf)\.|pipeline\.\(\*(assembler|documents|spool)\)`},
		{"quality", `pipeline/raster\..*([qQ]uality|[mM]easure|[sS]kew|[pP]rofile)`},
		{"PNG", `pipeline/raster\..*(PNG|png|[dD]eflate)|compress/(flate|zlib)|klauspost/compress|hash/(crc32|adler32)`},
		{"decoding", `pipeline/(tiff|ccitt|jbig|raster)\.`},
		{"archive", `storage(/local|/s3)?\.|minio`},
		{"NATS server", `nats-server/v2`},
		{"hashing", `crypto/sha256`},
		{"ledger", `pipeline/(collect|session)\.|pipeline\.\(\*collector\)`},
		{"webhooks", `faxstream/ingest\.|net/http\.\(\*conn\)`},
		{"fetching", `pipeline/fetch\.|ingest/faxplus`},
		{"connections to provider and S3", `net/http\.\(\*(persistConn|Transport)\)`},
		{"NATS client", `nats\.go|pipeline/bus\.`},
		{"garbage collection", `^runtime\.(gcBgMarkWorker|bgsweep|bgscavenge|gcStart|gcAssistAlloc)`},
		{"scheduling", `^runtime\.(mcall|schedule|findRunnable|mstart|park_m|goexit0|sysmon)`},
		{"everything else", ``},
	} {
		all = append(all, share{s[0], regexp.MustCompile(s[1])})
	}
	return all
}

// profile is a running perf.
type profile struct {
	*process
	perf, file string
}

// profile starts perf on a process: 499 samples in each second of its work.
func (b *bench) profile(pid int) (*profile, error) {
	perf, err := b.tool("perf")
	if err != nil {
		return nil, err
	}
	p := &profile{perf: perf, file: filepath.Join(b.dir, "perf.data")}
	record := exec.Command(perf, "record", "-q", "-e", "cpu-clock", "-F", "499", "-g", "-o", p.file, "-p", fmt.Sprint(pid))
	var out io.Reader
	if p.process, out, err = launch(record, nil); err != nil {
		return nil, err
	}
	go discard(out)
	err = poll(10*time.Second, "perf has begun", func() bool {
		_, err := os.Stat(p.file)
		return err == nil
	})
	if err != nil {
		err = errors.Join(fmt.Errorf("%w\n%s", err, tail(p.log.String())), p.kill())
	}
	return p, err
}

// end ends perf, which then writes the rest of its file.
func (p *profile) end() error { return p.process.end(syscall.SIGINT) }

// parts says which part of the samples each share has.
func (p *profile) parts(ctx context.Context) (map[string]float64, error) {
	cmd := exec.CommandContext(ctx, p.perf, "script", "-i", p.file, "-F", "ip,sym")
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	counts, err := countStacks(out)
	if err := errors.Join(err, cmd.Wait(), os.Remove(p.file)); err != nil {
		return nil, err
	}
	sum := 0.0
	for _, n := range counts {
		sum += n
	}
	for name := range counts {
		counts[name] /= sum
	}
	return counts, nil
}

// countStacks counts samples by shares. perf script prints a line for each function of a sample, and an empty one after it.
func countStacks(r io.Reader) (map[string]float64, error) {
	counts, all := map[string]float64{}, shares()
	var stack []string
	lines := bufio.NewScanner(r)
	for more := true; more; {
		more = lines.Scan()
		if fields := strings.Fields(lines.Text()); more && len(fields) > 1 {
			stack = append(stack, strings.Join(fields[1:], " "))
			continue
		}
		if len(stack) > 0 {
			counts[shareOf(all, stack)]++
		}
		stack = stack[:0]
	}
	if len(counts) == 0 && lines.Err() == nil {
		return nil, errors.New("perf took no samples")
	}
	return counts, lines.Err()
}

// shareOf is the share of one sample.
func shareOf(all []share, stack []string) string {
	i := slices.IndexFunc(all, func(s share) bool { return slices.ContainsFunc(stack, s.of.MatchString) })
	return all[i].name // the last one has every sample
}
