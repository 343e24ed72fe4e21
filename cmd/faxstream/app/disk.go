package app

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"
)

// disk is the file system of a directory. It is full when less than its reserve is free, and then until twice the reserve is free: what
// was freed a moment ago may be used up by the work that waited for it.
type disk struct {
	name string // in metrics
	dir  string

	mu   sync.Mutex
	full bool // guarded by mu
}

// reserve is the room, in bytes, without which a disk of this size counts as full: some hundred pages and their events.
func reserve(size uint64) uint64 { return min(64<<20, size/16) }

// lowFactor times its reserve is free when a disk is nearly full.
const lowFactor = 8

// space returns what is free for this process and the size of the file system, in bytes.
func (d *disk) space() (free, size uint64, err error) {
	var s unix.Statfs_t
	if err := unix.Statfs(d.dir, &s); err != nil {
		return 0, 0, fmt.Errorf("read the free space of %s: %w", d.dir, err)
	}
	return uint64(s.Bavail) * uint64(s.Bsize), uint64(s.Blocks) * uint64(s.Bsize), nil
}

// check returns nil if the disk has room.
func (d *disk) check() error {
	free, size, err := d.space()
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	wanted := reserve(size)
	if d.full {
		wanted *= 2
	}
	if d.full = free < wanted; d.full {
		return fmt.Errorf("the disk of %s is full: %d MiB of %d MiB are free, %d MiB are needed; make room",
			d.dir, free>>20, size>>20, wanted>>20)
	}
	return nil
}

// fill makes the disk count as full until it has twice its reserve.
func (d *disk) fill() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.full = true
}

// warning says that the disk is nearly full; empty: it is not.
func (d *disk) warning() string {
	free, size, err := d.space()
	if err != nil || free >= lowFactor*reserve(size) {
		return "" // an error is one of check
	}
	return fmt.Sprintf("the disk of %s is nearly full: %d MiB of %d MiB are free", d.dir, free>>20, size>>20)
}

// CheckDisks returns an error if a disk that Start needs is full, and warnings about those that are nearly full.
func (c Config) CheckDisks() (warnings []string, err error) {
	for _, d := range c.disks() {
		if _, err := os.Stat(d.dir); errors.Is(err, fs.ErrNotExist) {
			continue // Start makes it
		}
		if err := d.check(); err != nil {
			return nil, err
		}
		if w := d.warning(); w != "" {
			return []string{w}, nil // another directory is usually on the same disk
		}
	}
	return nil, nil
}

// gaugeDisks shows how much is free on each disk; NaN while the system does not say.
func gaugeDisks(r prometheus.Registerer, disks []*disk) error {
	for _, d := range disks {
		err := r.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name:        "faxstream_disk_free_bytes",
			Help:        "Free space on the disk of a directory: state (--dir), archive (plain files only), spool (--spool).",
			ConstLabels: prometheus.Labels{"disk": d.name},
		}, func() float64 {
			free, _, err := d.space()
			if err != nil {
				return math.NaN()
			}
			return float64(free)
		}))
		if err != nil {
			return err
		}
	}
	return nil
}
