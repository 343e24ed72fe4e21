package app

import (
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/faxstream/faxstream/storage/s3"
)

// Retention is for how long after its last object was written a fax cannot be purged: a time, or auto, which is 6y with a warning where
// the bucket keeps nothing. The zero value is none.
type Retention struct {
	auto bool
	time time.Duration
}

// The usual retention of records of health and finance.
const autoRetention = 6 * retentionYear

const (
	day           = 24 * time.Hour
	retentionYear = 366 * day // never less than a year of any calendar
	maxRetention  = 100 * retentionYear
)

// UnmarshalText reads auto, 0, or a positive number with h, d or y, of at most a hundred years.
func (r *Retention) UnmarshalText(text []byte) error {
	switch string(text) {
	case "auto":
		*r = Retention{auto: true, time: autoRetention}
		return nil
	case "0":
		*r = Retention{}
		return nil
	}
	for unit, length := range map[string]time.Duration{"h": time.Hour, "d": day, "y": retentionYear} {
		number, ok := strings.CutSuffix(string(text), unit)
		n, err := strconv.ParseUint(number, 10, 32)
		if ok && err == nil && n > 0 && n <= uint64(maxRetention/length) {
			*r = Retention{time: time.Duration(n) * length}
			return nil
		}
	}
	return fmt.Errorf("retention %.40q: want auto, 0, or a number with h, d or y up to 100y, such as 6y", text)
}

// MarshalText writes what UnmarshalText reads.
func (r Retention) MarshalText() ([]byte, error) {
	switch {
	case r.auto:
		return []byte("auto"), nil
	case r.time == 0:
		return []byte("0"), nil
	}
	return []byte(strconv.FormatInt(int64(r.time/time.Hour), 10) + "h"), nil
}

// put sets how long the S3 service keeps new objects.
func (r Retention) put(c *s3.Config, log *slog.Logger) {
	c.Retention = r.time
	if r.auto {
		c.NoRetention = func(err error) {
			log.Warn("no retention is promised: objects can be deleted; "+
				"use a bucket with Object Lock, or --retention 0 if you want no retention", "err", err)
		}
	}
}
