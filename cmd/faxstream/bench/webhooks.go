package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
)

// measureWebhooks measures answers to webhooks beside the disk's own syncs. The pipeline works on what comes in all the while, but fetches
// nothing: there is no path of single pages.
func measureWebhooks(ctx context.Context, b *bench, of build) (f figures, err error) {
	r, err := b.webhookRig(of, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	direct, err := r.straight(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, direct.close()) }()
	if f, err = r.alone(ctx, b, direct, b.size.of(300, 20)); err != nil {
		return nil, err
	}
	before, err := b.syncRate()
	if err != nil {
		return nil, err
	}
	work := r.announcements(b.size.of(60, 2), 100)
	start := time.Now()
	took, err := r.post(ctx, senders, work)
	if err != nil {
		return nil, err
	}
	f["rate"] = float64(len(work)) / time.Since(start).Seconds()
	after, err := b.syncRate()
	f["per-sync"] = 2 * f["rate"] / (before + after)
	f["p50"], f["p99"] = ms(percentile(took, 50)), ms(percentile(took, 99))
	if err == nil {
		f["straight"], err = direct.rate(ctx, work)
	}
	return f, err
}

func ms(d time.Duration) float64 { return d.Seconds() * 1000 }

// webhookRig is a build that takes in webhooks and fetches nothing.
func (b *bench) webhookRig(of build, tracer []string) (*rig, error) {
	s, err := b.embedded(of)
	if err != nil {
		return nil, err
	}
	s.tracer = tracer
	return b.start(of, s, nil, "--faxplus-page-path=none")
}

// announcements are webhooks of pages: first page 1 of every fax, then page 2, and so on. The provider does not have them.
func (r *rig) announcements(faxes, pages int) (all [][]byte) {
	for page := range pages {
		for n := range faxes {
			f := faxplustest.Fax{Session: fmt.Sprintf("%s-w%d", r.prefix, n)}
			all = append(all, faxplustest.PageEvent(f, page+1, r.ready.target()))
		}
	}
	return all
}

// alone is how many times as long as for one sync of the same bytes one sender waits: for its answer, for one that needs no sync, since
// the path is wrong, and for the server without HTTP. All are done in turn.
func (r *rig) alone(ctx context.Context, b *bench, direct *straight, n int) (f figures, err error) {
	file, err := os.Create(filepath.Join(b.dir, "alone"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close(), os.Remove(file.Name())) }()
	ways := map[string]func([]byte) (time.Duration, error){
		"alone": func(body []byte) (time.Duration, error) { return r.postOne(ctx, body) },
		"alone-http": func(body []byte) (time.Duration, error) {
			return r.postTo(ctx, r.ready.target()+"/none", body, http.StatusNotFound)
		},
		"alone-straight": func(body []byte) (time.Duration, error) { return direct.one(ctx, body) },
		"sync":           func(body []byte) (time.Duration, error) { return appendTimed(file, body) },
	}
	took := map[string][]time.Duration{}
	for i := range n {
		body := faxplustest.PageEvent(faxplustest.Fax{Session: fmt.Sprintf("%s-a%d", r.prefix, i)}, 1, r.ready.target())
		for _, name := range []string{"alone", "sync", "alone-http", "alone-straight"} {
			d, err := ways[name](body)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			took[name] = append(took[name], d)
		}
	}
	f = figures{"sync": ms(median(took["sync"]))}
	for _, name := range []string{"alone", "alone-http", "alone-straight"} {
		f[name] = ms(median(took[name])) / f["sync"]
	}
	return f, nil
}

func appendTimed(f *os.File, data []byte) (time.Duration, error) {
	start := time.Now()
	err := appendSynced(f, data)
	return time.Since(start), err
}

func appendSynced(f *os.File, data []byte) error {
	_, err := f.Write(data)
	return errors.Join(err, f.Sync())
}

// syncRate is how often a second the disk can append 1 KB and sync it, one by one.
func (b *bench) syncRate() (rate float64, err error) {
	f, err := os.Create(filepath.Join(b.dir, "sync"))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	block := bytes.Repeat([]byte{'x'}, 1<<10)
	n, start := 0, time.Now()
	for ; time.Since(start) < time.Second; n++ {
		if err := appendSynced(f, block); err != nil {
			return 0, err
		}
	}
	return float64(n) / time.Since(start).Seconds(), nil
}

// slowSync runs a program whose calls that wait for the disk take 10 ms longer each; writes to files that were opened with O_SYNC are as
// usual.
func slowSync(strace string) []string {
	return []string{
		strace, "-f", "-qq", "--seccomp-bpf", "-o", "/dev/null", "-e", "trace=" + syncCalls, "-e", "inject=" + syncCalls + ":delay_exit=10000",
	}
}

// measureSlowDisk measures webhooks and pages where the disk is slow: what can share a sync does.
func measureSlowDisk(ctx context.Context, b *bench, of build) (figures, error) {
	strace, err := b.tool("strace")
	if err != nil {
		return nil, err
	}
	f := figures{}
	for _, n := range []int{1, 8, 64} {
		rate, err := b.slowWebhooks(ctx, of, slowSync(strace), n)
		if err != nil {
			return nil, err
		}
		f[strconv.Itoa(n)] = rate / 100 // in 10 ms
	}
	s, err := b.embedded(of)
	if err != nil {
		return nil, err
	}
	s.tracer = slowSync(strace)
	r, err := b.start(of, s, nil)
	if err != nil {
		return nil, err
	}
	got, err := r.process20(ctx, b, b.size.of(8, 1))
	f["pages"] = got["pages"]
	return f, errors.Join(err, r.close())
}

// slowWebhooks is the rate of n senders, over about three seconds.
func (b *bench) slowWebhooks(ctx context.Context, of build, tracer []string, n int) (rate float64, err error) {
	r, err := b.webhookRig(of, tracer)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	all := r.announcements(20, 400)
	rated := func(work [][]byte) (float64, error) {
		start := time.Now()
		_, err := r.post(ctx, n, work)
		return float64(len(work)) / time.Since(start).Seconds(), err
	}
	first, rest := all[:2*n], all[2*n:]
	if rate, err = rated(first); err != nil {
		return 0, err
	}
	return rated(rest[:min(max(int(3*rate)*b.size.percent/100, n), len(rest))])
}
