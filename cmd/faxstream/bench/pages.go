package main

import (
	"context"
	"errors"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/faxstream/faxstream/pipeline/session"
)

// measureEmbedded measures the whole way of pages with everything in one process.
func measureEmbedded(ctx context.Context, b *bench, of build) (figures, error) {
	s, err := b.embedded(of)
	if err != nil {
		return nil, err
	}
	return b.wholeWay(ctx, of, s, nil)
}

// measureS3 measures the same with an external nats-server and versitygw.
func measureS3(ctx context.Context, b *bench, of build) (figures, error) {
	s, err := b.external(ctx, untraced, false)
	if err != nil {
		return nil, err
	}
	before, err := cpuEach(s.servers...)
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return b.wholeWay(ctx, of, s, func(f figures) error {
		after, err := cpuEach(s.servers...)
		for i := range after {
			f["servers"] += (after[i] - before[i]) * 1000 / float64(b.size.of(60, 2)*pagesOfFax)
		}
		return err
	})
}

// cpuEach is the processor time of each process, in seconds.
func cpuEach(all ...*process) (used []float64, err error) {
	for _, p := range all {
		u, err := p.cpu()
		if err != nil {
			return nil, err
		}
		used = append(used, u)
	}
	return used, nil
}

// wholeWay starts a build, and has it process faxes of 20 pages. more, if it is not nil, adds figures before the end.
func (b *bench) wholeWay(ctx context.Context, of build, s setting, more func(figures) error) (f figures, err error) {
	r, err := b.start(of, s, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	if f, err = r.process20(ctx, b, b.size.of(60, 2)); err == nil && more != nil {
		err = more(f)
	}
	return f, err
}

// measureCores measures embedded with one processor and with two.
func measureCores(ctx context.Context, b *bench, of build) (figures, error) {
	f := figures{}
	for name, n := range map[string]string{"one": "1", "two": "2"} {
		s, err := b.embedded(of)
		if err != nil {
			return nil, err
		}
		s.env = append(s.env, "GOMAXPROCS="+n)
		got, err := b.wholeWay(ctx, of, s, nil)
		if err != nil {
			return nil, err
		}
		f[name] = got["pages"]
	}
	f["gain"] = f["two"] / f["one"]
	return f, nil
}

// measureSlowProvider measures embedded with a provider that takes half a second for each page.
func measureSlowProvider(ctx context.Context, b *bench, of build) (figures, error) {
	f := figures{}
	for _, fetches := range []int{8, 24, 48} {
		s, err := b.embedded(of)
		if err != nil {
			return nil, err
		}
		name := strconv.Itoa(fetches)
		r, err := b.start(of, s, slowPages(500*time.Millisecond), "--fetches="+name)
		if err != nil {
			return nil, err
		}
		got, err := r.process20(ctx, b, b.size.of(max(fetches/2, 8), 2)) // about 10 s
		if err := errors.Join(err, r.close()); err != nil {
			return nil, err
		}
		f[name] = got["pages"]
	}
	return f, nil
}

// slowPages answers requests for single pages late.
func slowPages(late time.Duration) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, "/pages/") {
				select {
				case <-time.After(late):
				case <-r.Context().Done():
				}
			}
			next.ServeHTTP(w, r)
		})
	}
}

// pagesOfFax is the length of the faxes of most rows.
const pagesOfFax = 20

// process20 processes faxes of 20 pages.
func (r *rig) process20(ctx context.Context, b *bench, faxes int) (figures, error) {
	return r.run(ctx, b, faxes, pagesOfFax)
}

// run sends faxes of so many pages from 8 senders, and waits until all are archived, assembled and compared.
func (r *rig) run(ctx context.Context, b *bench, faxes, pagesOfFax int) (figures, error) {
	fax, err := b.work.fax(pagesOfFax)
	if err != nil {
		return nil, err
	}
	work, pages := r.webhooks(named(fax, r.prefix, faxes)), float64(faxes*pagesOfFax)
	driver := &process{pid: os.Getpid()}
	before, err := cpuEach(r.process, driver)
	if err != nil {
		return nil, err
	}
	start := time.Now()
	if _, err := r.post(ctx, 8, work); err != nil {
		return nil, err
	}
	if err := r.events.await(ctx, session.TypePageArchived, faxes*pagesOfFax); err != nil {
		return nil, err
	}
	archived := time.Since(start)
	for _, kind := range []string{session.TypeDocAssembled, session.TypeDocVerified} {
		if err := r.events.await(ctx, kind, faxes); err != nil {
			return nil, err
		}
	}
	done := time.Since(start)
	after, err := cpuEach(r.process, driver)
	if err != nil {
		return nil, err
	}
	peak, err := r.memory("VmHWM")
	return figures{
		"pages": pages / archived.Seconds(), "done": pages / done.Seconds(), "peak": peak,
		"cpu": (after[0] - before[0]) * 1000 / pages, "driver": (after[1] - before[1]) * 1000 / pages,
	}, err
}
