package tifftool

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"slices"
	"time"

	"github.com/faxstream/faxstream/pipeline/ccitt"
	"github.com/faxstream/faxstream/pipeline/raster"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// benchLine is a page as printed in JSON. Times are null with an error.
type benchLine struct {
	File         string   `json:"file"`
	Page         *int     `json:"page"` // from 1; null for a file that cannot be read
	Runs         int      `json:"runs"`
	DecodeMedian *float64 `json:"decode_median_us"`
	DecodeMin    *float64 `json:"decode_min_us"`
	EncodeMedian *float64 `json:"encode_median_us"`
	EncodeMin    *float64 `json:"encode_min_us"`
	Error        *string  `json:"error"`
}

// Bench measures page after page of the files on one processor, and prints a line for each to out. Each page is decoded and encoded runs
// times, after one run that does not count.
func Bench(ctx context.Context, out io.Writer, files []string, runs int, asJSON bool) error {
	if runs < 1 {
		return ArgumentError(fmt.Sprintf("--runs %d: want 1 or more", runs))
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // the garbage collector must not help from another processor
	const header = "FILE\tPAGE\tDECODE MEDIAN\tMIN\tENCODE G4 MEDIAN\tMIN\tNOTES"
	return printPages(ctx, out, files, asJSON, header, func(ctx context.Context, p tiffPage) (pageLine, error) {
		return measure(ctx, p, runs)
	})
}

// measure times a page. Its error is in the line; the error returned is that of ctx.
func measure(ctx context.Context, p tiffPage, runs int) (pageLine, error) {
	l := benchLine{File: p.file, Page: knownInt(p.page), Runs: runs, Error: knownString(errorText(p.err))}
	if p.image == nil {
		return l, nil
	}
	decode, encode, err := timePage(ctx, p.image, runs)
	switch {
	case err != nil && ended(err):
		return l, context.Cause(ctx)
	case err != nil:
		l.Error = knownString(err.Error())
		return l, nil
	}
	l.DecodeMedian, l.DecodeMin = new(micros(median(decode))), new(micros(decode[0]))
	l.EncodeMedian, l.EncodeMin = new(micros(median(encode))), new(micros(encode[0]))
	return l, nil
}

// timePage measures decoding from the file's bytes in memory to packed rows, and encoding those as Group 4 into memory that is there.
func timePage(ctx context.Context, im *tiff.Image, runs int) (decode, encode []time.Duration, err error) {
	var r *raster.Page
	decode, err = series(runs, func() error {
		d, err := im.Decode(ctx)
		if err == nil {
			r = d.Raster
		}
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	var strip []byte
	encode, err = series(runs, func() error {
		strip = ccitt.AppendG4(strip[:0], r.Pix, r.Width, r.Height, r.Stride)
		return ctx.Err()
	})
	return decode, encode, err
}

// series runs f once for the caches and then n times. The times are in ascending order.
func series(n int, f func() error) ([]time.Duration, error) {
	if err := f(); err != nil {
		return nil, err
	}
	runtime.GC() // what came before is not paid here
	var times []time.Duration
	for range n {
		start := time.Now()
		err := f()
		took := time.Since(start)
		if err != nil {
			return nil, err
		}
		times = append(times, took)
	}
	slices.Sort(times)
	return times, nil
}

// median is the middle of sorted times, or half-way between the two that are.
func median(sorted []time.Duration) time.Duration {
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }

func (l benchLine) failed() bool { return l.Error != nil }

func (l benchLine) text() string {
	page, notes := "-", ""
	if l.Page != nil {
		page = fmt.Sprint(*l.Page)
	}
	if l.Error != nil {
		notes = "ERROR: " + *l.Error
	}
	us := func(v *float64) string {
		if v == nil {
			return "-"
		}
		return fmt.Sprintf("%.0f µs", *v)
	}
	return fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%s\t%s",
		l.File, page, us(l.DecodeMedian), us(l.DecodeMin), us(l.EncodeMedian), us(l.EncodeMin), notes)
}
