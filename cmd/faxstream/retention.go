package main

import (
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/faxstream/faxstream/storage/s3"
)

// archiveTerms is what the archive's service does with what is written from now on.
type archiveTerms struct {
	S3SSE         string    `name:"s3-sse" env:"FAXSTREAM_S3_SSE" default:"none" placeholder:"none|s3|kms:KEYID" help:"How the service of --archive encrypts new objects: none: as the bucket says; s3: with keys of its own; kms:KEYID: with that key of its key management."`
	Retention     retention `default:"auto" placeholder:"TIME" help:"For how long after its last object was written a fax cannot be purged: a number with h, d or y (of 366 days), such as 6y. In a bucket with Object Lock nobody else can delete its objects either, which is tried out before it is promised, and a bucket without is refused. auto: 6y, with a warning where the bucket keeps nothing; 0: none."`
	RetentionMode string    `default:"governance" enum:"governance,compliance" help:"Whom --retention binds: ${enum}. governance: all but those who may bypass it; compliance: everybody until the end, so try it on a bucket that you can do without."`
}

// retention is a time, or auto. The zero value is none.
type retention struct {
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

// UnmarshalText reads auto, 0, or a positive number of at most a hundred years with h, d or y.
func (r *retention) UnmarshalText(text []byte) error {
	switch string(text) {
	case "auto":
		*r = retention{auto: true, time: autoRetention}
		return nil
	case "0":
		*r = retention{}
		return nil
	}
	for unit, length := range map[string]time.Duration{"h": time.Hour, "d": day, "y": retentionYear} {
		number, ok := strings.CutSuffix(string(text), unit)
		n, err := strconv.ParseUint(number, 10, 32)
		if ok && err == nil && n > 0 && n <= uint64(maxRetention/length) {
			*r = retention{time: time.Duration(n) * length}
			return nil
		}
	}
	return fmt.Errorf("retention %.40q: want auto, 0, or a number with h, d or y up to 100y, such as 6y", text)
}

// check refuses terms that plain files do not have.
func (t archiveTerms) check(archive string) error {
	if archive == "" && t.S3SSE != "none" && t.S3SSE != "" {
		return usagef("--s3-sse needs --archive s3://BUCKET/PREFIX")
	}
	return nil
}

// put sets the terms.
func (t archiveTerms) put(c *s3.Config, log *slog.Logger) {
	if t.S3SSE != "none" {
		c.Encryption = t.S3SSE
	}
	c.Retention, c.Mode = t.Retention.time, s3.Mode(t.RetentionMode)
	if t.Retention.auto {
		c.NoRetention = func(err error) {
			log.Warn("no retention is promised: objects can be deleted (--retention 0 says that this is meant)", "err", err)
		}
	}
}
