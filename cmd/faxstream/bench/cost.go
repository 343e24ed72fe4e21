package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/minio/minio-go/v7"
	"github.com/nats-io/nats.go/jetstream"
)

// The settings of the cost rows.
const (
	inOne   = "embedded"
	outside = "S3"
)

// costPages are lengths of faxes.
func costPages() []int { return []int{1, 5, 20, 100} }

// costParts are what costs are told apart by, beside the shares of processor time.
func costParts() []line {
	return []line{
		{"syncs/streams", "syncs/page: messages of streams", ""},
		{"syncs/consumers", "syncs/page: states of consumers", ""},
		{"syncs/archive", "syncs/page: archive", ""},
		{"syncs/other", "syncs/page: other files", ""},
		{"stream-messages", "messages/page that stay in streams", ""},
		{"stream-bytes", "bytes/page that stay in streams", ""},
		{"objects", "objects/page in the archive", ""},
		{"archive-bytes", "bytes/page in the archive", ""},
		{"requests", "requests/page to the S3 service", ""},
		{"written", "bytes/page that serve writes to disk", ""},
	}
}

// processorParts are the shares of processor time, and their sum.
func processorParts() []line {
	lines := []line{{"cpu", "processor, ms/page", ""}}
	for _, s := range shares() {
		lines = append(lines, line{"cpu/" + s.name, "processor, ms/page: " + s.name, ""})
	}
	return lines
}

func costLines() (lines []line) {
	for _, setting := range []string{inOne, outside} {
		for _, l := range append(processorParts(), costParts()...) {
			lines = append(lines, line{setting + "/" + l.figure, setting + ": " + l.what, ""})
		}
	}
	for _, pages := range costPages() {
		lines = append(lines, line{lengthFigure(pages), fmt.Sprintf("embedded: processor, ms/page, faxes of %d pages", pages), ""})
	}
	return lines
}

func lengthFigure(pages int) string { return fmt.Sprintf("length/%d", pages) }

// measureCost measures what a page costs, by what it is spent on, and by the length of a fax.
func measureCost(ctx context.Context, b *bench, of build) (figures, error) {
	all := figures{}
	for _, setting := range []string{inOne, outside} {
		for _, measure := range []func(context.Context, *bench, build, string) (figures, error){costOfProcessor, costOfSyncs} {
			got, err := measure(ctx, b, of, setting)
			if err != nil {
				return nil, err
			}
			for figure, v := range got {
				all[setting+"/"+figure] = v
			}
		}
	}
	for _, pages := range costPages() {
		got, err := b.costOfLength(ctx, of, pages)
		if err != nil {
			return nil, err
		}
		all[lengthFigure(pages)] = got
	}
	return all, nil
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

// in is a setting by its name, with tracers for serve and for the NATS server.
func (b *bench) in(ctx context.Context, of build, name string, tracer func(string) []string) (setting, error) {
	if name == outside {
		return b.external(ctx, tracer, true)
	}
	s, err := b.embedded(of)
	s.tracer = tracer("serve")
	return s, err
}

// costOfProcessor profiles serve with perf, and measures what it writes and what stays.
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
	left := figures{}
	before, err := r.written()
	if err != nil {
		return nil, err
	}
	if f, err = r.profiled(ctx, b, faxes); err != nil {
		return nil, err
	}
	if err := r.leftovers(ctx, left, before); err != nil {
		return nil, err
	}
	for figure, sum := range left {
		f[figure] = sum / float64(faxes*pagesOfFax)
	}
	return f, nil
}

// leftovers measures what was written to disk, beyond what was before, and what stays.
func (r *rig) leftovers(ctx context.Context, f figures, before float64) error {
	after, err := r.written()
	if err != nil {
		return err
	}
	f["written"] = after - before
	if r.requests != nil {
		f["requests"] = float64(r.requests.count.Load())
	}
	return errors.Join(r.inStreams(ctx, f), r.inArchive(ctx, f))
}

// profiled processes faxes under perf, and adds to their figures the processor time by shares.
func (r *rig) profiled(ctx context.Context, b *bench, faxes int) (figures, error) {
	p, err := b.profile(r.pid)
	if err != nil {
		return nil, err
	}
	f, err := r.process20(ctx, b, faxes)
	if err := errors.Join(err, p.end()); err != nil {
		return nil, err
	}
	parts, err := p.parts(ctx)
	if err != nil {
		return nil, err
	}
	for name, part := range parts {
		f["cpu/"+name] = part * f["cpu"]
	}
	return f, nil
}

// inStreams measures what stays in streams.
func (r *rig) inStreams(ctx context.Context, f figures) error {
	js, err := jetstream.New(r.events.nc)
	if err != nil {
		return err
	}
	list := js.ListStreams(ctx)
	for info := range list.Info() {
		f["stream-bytes"] += float64(info.State.Bytes)
		f["stream-messages"] += float64(info.State.Msgs)
	}
	return list.Err()
}

// inArchive measures what stays in the archive.
func (r *rig) inArchive(ctx context.Context, f figures) error {
	if r.s3 != nil {
		for o := range r.s3.ListObjectsIter(ctx, bucket, minio.ListObjectsOptions{Recursive: true}) {
			if o.Err != nil {
				return o.Err
			}
			f["objects"]++
			f["archive-bytes"] += float64(o.Size)
		}
		return nil
	}
	return filepath.WalkDir(r.archive, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a temporary name
		}
		if err == nil {
			f["objects"]++
			f["archive-bytes"] += float64(info.Size())
		}
		return err
	})
}
