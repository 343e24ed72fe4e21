// Package faxgen is the simulated provider of `faxstream simulate` and `faxstream demo`. Begin with Order.Faxes, which makes faxes.
// StartSimulator serves them over the REST API of Fax.Plus, and Simulator.SendAll sends their webhooks. The faults of a fax are those of
// faxplustest.
//
// Promise: the same Order gives the same faxes, except for the time of their start. A crash leaves nothing: everything is in memory.
package faxgen

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
)

// Order says which faxes to make.
type Order struct {
	Count  int                 // generated faxes, of 1 to 12 pages
	Files  []string            // instead: each file is a page of one fax, in this order
	Seed   uint64              // of generated faxes and of Chaos
	Coding string              // of the pages of generated faxes: g3-2d (also when empty), g3-1d, g4 or colour
	Faults []faxplustest.Fault // of every fax
	Chaos  bool                // one to three faults for each fax, drawn by Seed
}

// ErrTooLarge is a file that is larger than any page.
var ErrTooLarge = errors.New("file too large")

// Faxes makes the faxes and gives them their faults.
func (o Order) Faxes() ([]faxplustest.Fax, error) {
	faxes, err := o.cleanFaxes()
	for i, f := range faxes {
		if f.StartTime.IsZero() { // they arrive now, where people and the reconciler look for them
			faxes[i].StartTime = time.Now().UTC().Truncate(time.Second)
		}
		if o.Chaos {
			faxes[i].Faults = faxplustest.Chaos(o.Seed, f.Session)
		}
		faxes[i].Faults = append(faxes[i].Faults, o.Faults...)
	}
	return faxes, err
}

func (o Order) cleanFaxes() ([]faxplustest.Fax, error) {
	if len(o.Files) > 0 {
		f, err := faxOfFiles(o.Files)
		return []faxplustest.Fax{f}, err
	}
	g, err := newGenerator(o.Seed, o.Coding)
	if err != nil {
		return nil, err
	}
	var faxes []faxplustest.Fax
	for n := range o.Count {
		f, err := g.fax(n)
		if err != nil {
			return nil, err
		}
		faxes = append(faxes, f)
	}
	return faxes, nil
}

// maxGivenFile bounds a page file, in bytes. It is more than faxstream accepts, so that tests can send too large files.
const maxGivenFile = 64 << 20

// faxOfFiles makes one fax of page files as they are; it has no whole file unless it has one page.
func faxOfFiles(files []string) (faxplustest.Fax, error) {
	name := strings.TrimSuffix(filepath.Base(files[0]), filepath.Ext(files[0]))
	token := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return '-'
	}, name)
	now := time.Now().UTC()
	f := faxplustest.Fax{Session: fmt.Sprintf("%.40s-%d", token, now.UnixMilli()), Streamed: true, StartTime: now.Truncate(time.Second)}
	for _, file := range files {
		r, err := os.Open(file)
		if err != nil {
			return f, err
		}
		page, err := io.ReadAll(io.LimitReader(r, maxGivenFile+1))
		if err := errors.Join(err, r.Close()); err != nil {
			return f, fmt.Errorf("read %s: %w", file, err)
		}
		if len(page) > maxGivenFile {
			return f, fmt.Errorf("%w: %s has more than %d bytes", ErrTooLarge, file, maxGivenFile)
		}
		f.Pages = append(f.Pages, page)
	}
	if len(f.Pages) == 1 {
		f.Whole = f.Pages[0]
	}
	return f, nil
}
