package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// share is a part of the work that a profile tells apart. A sample belongs to the first share that has a function of its stack.
type share struct {
	name string
	of   *regexp.Regexp
}

// shares are those of the cost table.
func shares() []share {
	var all []share
	for _, s := range [][2]string{
		{"comparison with the whole file", `pipeline(/fetch)?\.\(\*[wW]orker\)\.(compare|judge|tryWhole|takeWhole)`},
		{"documents", `pipeline/document\.|pipeline/pdf\.|pipeline\.\(\*(assembler|documents|spool)\)`},
		{"quality", `pipeline/raster\..*([qQ]uality|[mM]easure|[sS]kew|profile)`},
		{"PNG", `pipeline/raster\..*(PNG|png)|compress/(flate|zlib)|klauspost/compress|hash/(crc32|adler32)`},
		{"decoding", `pipeline/(tiff|ccitt|jbig|raster)\.`},
		{"hashing", `crypto/sha256`},
		{"archive", `storage/(local|s3)\.|minio`},
		{"NATS server", `nats-server/v2`},
		{"ledger", `pipeline/(collect|session)\.|pipeline\.\(\*collector\)`},
		{"webhooks", `faxstream/ingest\.|net/http\.\(\*conn\)`},
		{"fetching", `pipeline/fetch\.|ingest/faxplus|net/http\.\(\*(persistConn|Transport)\)`},
		{"NATS client", `nats\.go|pipeline/bus\.`},
		{"garbage collection", `runtime\.(gcBgMarkWorker|bgsweep|bgscavenge|gcStart|gcAssistAlloc)`},
		{"scheduling", `runtime\.(mcall|schedule|findRunnable|mstart|park_m|goexit0|sysmon)`},
	} {
		all = append(all, share{s[0], regexp.MustCompile(s[1])})
	}
	return append(all, share{"everything else", regexp.MustCompile("")})
}

// storeOf tells by its path what a synced file belongs to.
func storeOf(path string) string {
	if m := regexp.MustCompile(`/streams/([^/]+)/(msgs|obs|)`).FindStringSubmatch(path); m != nil {
		if m[2] == "obs" {
			return "consumers"
		}
		return "streams"
	}
	if strings.Contains(path, "/archive") {
		return "archive"
	}
	return "other files"
}

// costSettings are those of the cost rows.
func costSettings() []string { return []string{"embedded", "S3"} }

func costLines() (lines []line) {
	add := func(figure, what string) { lines = append(lines, line{figure, what, ""}) }
	for _, s := range costSettings() {
		for _, sh := range shares() {
			add(s+"/cpu/"+sh.name, s+": processor, ms/page: "+sh.name)
		}
		for _, store := range []string{"streams", "consumers", "archive", "other files"} {
			add(s+"/syncs/"+store, s+": syncs/page: "+store)
		}
		add(s+"/stream-bytes", s+": bytes/page that stay in streams")
		add(s+"/stream-messages", s+": messages/page that stay in streams")
		add(s+"/archive-bytes", s+": bytes/page in the archive")
		add(s+"/objects", s+": objects/page in the archive")
		add(s+"/written", s+": bytes/page that serve writes to disk")
	}
	add("S3/requests", "S3: requests/page to the S3 service")
	for _, pages := range costPages() {
		add(fmt.Sprintf("pages/%d", pages), fmt.Sprintf("embedded: processor, ms/page, faxes of %d pages", pages))
	}
	return lines
}

// costPages are lengths of faxes.
func costPages() []int { return []int{1, 5, 20, 100} }

// measureCost measures what a page costs, by what it is spent on, and by the length of a fax.
func measureCost(ctx context.Context, b *bench, of build) (figures, error) {
	all := figures{}
	for _, name := range costSettings() {
		for _, measure := range []func(context.Context, *bench, build, string) (figures, error){costOfProcessor, costOfSyncs} {
			got, err := measure(ctx, b, of, name)
			if err != nil {
				return nil, err
			}
			for figure, v := range got {
				all[name+"/"+figure] = v
			}
		}
	}
	for _, pages := range costPages() {
		got, err := b.costOfLength(ctx, of, pages)
		if err != nil {
			return nil, err
		}
		all[fmt.Sprintf("pages/%d", pages)] = got
	}
	return all, nil
}

// in is a setting by its name, with tracers for serve and for the NATS server.
func (b *bench) in(ctx context.Context, of build, name string, tracer func(string) []string) (setting, error) {
	if name == "S3" {
		return b.external(ctx, tracer)
	}
	s, err := b.embedded(of)
	s.tracer = tracer("serve")
	return s, err
}

// costOfProcessor profiles serve with perf, and measures what stays.
func costOfProcessor(ctx context.Context, b *bench, of build, name string) (f figures, err error) {
	s, err := b.in(ctx, of, name, untraced)
	if err != nil {
		return nil, err
	}
	r, err := b.start(of, s, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	faxes := b.size.of(30, 1)
	pages := float64(faxes * pagesOfFax)
	profile, err := b.profile(r.pid)
	if err != nil {
		return nil, err
	}
	before, err := r.written()
	if err != nil {
		return nil, err
	}
	got, err := r.process20(ctx, b, faxes)
	if err != nil {
		return nil, errors.Join(err, profile.end())
	}
	after, err := r.written()
	if err != nil {
		return nil, err
	}
	split, err := profile.shares(ctx)
	if err != nil {
		return nil, err
	}
	f = figures{"written": (after - before) / pages}
	for part, of := range split {
		f["cpu/"+part] = of * got["cpu"]
	}
	if r.requests != nil {
		f["requests"] = float64(r.requests.count.Load()) / pages
	}
	return f, r.leftovers(ctx, f, pages)
}

// leftovers measures what stays in streams and archive.
func (r *rig) leftovers(ctx context.Context, f figures, pages float64) error {
	js, err := jetstream.New(r.events.nc)
	if err != nil {
		return err
	}
	var bytes, messages, objects, size float64
	list := js.ListStreams(ctx)
	for info := range list.Info() {
		bytes, messages = bytes+float64(info.State.Bytes), messages+float64(info.State.Msgs)
	}
	if err := list.Err(); err != nil && !errors.Is(err, nats.ErrNoResponders) {
		return err
	}
	err = filepath.WalkDir(r.archive, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a temporary name
		}
		if err == nil {
			objects, size = objects+1, size+float64(info.Size())
		}
		return err
	})
	f["stream-bytes"], f["stream-messages"], f["objects"], f["archive-bytes"] = bytes/pages, messages/pages, objects/pages, size/pages
	return err
}

// profile is a running perf.
type profile struct {
	*process
	perf, file string
}

// profile starts perf on a process: 499 samples of each processor in a second of its work.
func (b *bench) profile(pid int) (*profile, error) {
	perf, err := b.tool("perf")
	if err != nil {
		return nil, err
	}
	p := &profile{perf: perf, file: filepath.Join(b.dir, "perf.data")}
	var out io.Reader
	p.process, out, err = launch(exec.Command(perf, "record", "-q", "-e", "cpu-clock", "-F", "499", "-g", "-o", p.file, "-p", fmt.Sprint(pid)), nil)
	if err != nil {
		return nil, err
	}
	go discard(out)
	return p, poll(10*time.Second, "perf has begun", func() bool {
		_, err := os.Stat(p.file)
		return err == nil
	})
}

// end ends perf, which then writes the rest of its file.
func (p *profile) end() error { return p.process.end(syscall.SIGINT) }

// shares ends the profile, and says which part of the samples each share has.
func (p *profile) shares(ctx context.Context) (parts map[string]float64, err error) {
	if err := p.end(); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.Remove(p.file)) }()
	cmd := exec.CommandContext(ctx, p.perf, "script", "-i", p.file, "-F", "ip,sym")
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	counts, sum := map[string]float64{}, 0.0
	names, stack := shares(), []string{}
	count := func() {
		if len(stack) > 0 {
			counts[shareOf(names, stack)]++
			sum++
		}
		stack = stack[:0]
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if fields := strings.Fields(lines.Text()); len(fields) > 1 {
			stack = append(stack, fields[1])
		} else {
			count()
		}
	}
	count()
	if err := errors.Join(lines.Err(), cmd.Wait()); err != nil {
		return nil, err
	}
	if sum == 0 {
		return nil, errors.New("perf took no samples")
	}
	for name := range counts {
		counts[name] /= sum
	}
	return counts, nil
}

// shareOf is the share of one sample.
func shareOf(all []share, stack []string) string {
	for _, s := range all {
		if slices.ContainsFunc(stack, s.of.MatchString) {
			return s.name
		}
	}
	return ""
}

// costOfSyncs counts waits for the disk with strace. Of an S3 service it does not count them: they are its own affair.
func costOfSyncs(ctx context.Context, b *bench, of build, name string) (f figures, err error) {
	strace, err := b.tool("strace")
	if err != nil {
		return nil, err
	}
	var files []string
	tracer := func(program string) []string {
		files = append(files, filepath.Join(b.dir, "strace-"+program))
		return []string{strace, "-f", "-qq", "--seccomp-bpf", "-y", "-e", "trace=fsync,fdatasync,openat", "-o", files[len(files)-1]}
	}
	s, err := b.in(ctx, of, name, tracer)
	if err != nil {
		return nil, err
	}
	r, err := b.start(of, s, nil)
	if err != nil {
		return nil, err
	}
	faxes := b.size.of(10, 1)
	skip := make([]int64, len(files))
	for i, file := range files { // what the start has synced is not of the pages
		if info, err := os.Stat(file); err == nil {
			skip[i] = info.Size()
		}
	}
	_, err = r.process20(ctx, b, faxes)
	if err := errors.Join(err, r.close()); err != nil {
		return nil, err
	}
	f = figures{"syncs/streams": 0, "syncs/consumers": 0, "syncs/archive": 0, "syncs/other files": 0}
	for i, file := range files {
		all, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(string(all[min(skip[i], int64(len(all))):])) {
			if path := syncedPath(line); path != "" {
				f["syncs/"+storeOf(path)] += 1 / float64(faxes*pagesOfFax)
			}
		}
	}
	return f, nil
}

// syncedPath is the file for which a line of strace waits: an fsync, an fdatasync, or a file opened with O_SYNC, which is written once.
// Empty: the line is none of them.
func syncedPath(line string) string {
	if m := regexp.MustCompile(`(?:fsync|fdatasync)\(\d+<([^>]*)>`).FindStringSubmatch(line); m != nil {
		return m[1]
	}
	if m := regexp.MustCompile(`openat\([^"]*"([^"]*)".*\bO_D?SYNC\b`).FindStringSubmatch(line); m != nil {
		return m[1]
	}
	return ""
}

// costOfLength is the processor time of a page in faxes of so many pages, in ms.
func (b *bench) costOfLength(ctx context.Context, of build, pages int) (ms float64, err error) {
	s, err := b.embedded(of)
	if err != nil {
		return 0, err
	}
	r, err := b.start(of, s, nil)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	f, err := r.run(ctx, b, b.size.of(400, 2*pages)/pages, pages)
	return f["cpu"], err
}
