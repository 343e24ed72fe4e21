package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/faxstream/faxstream/ingest/faxplus"
)

// ZoneConfig says in which zone the provider writes its times, or how to learn it.
type ZoneConfig struct {
	// Configured is the zone as the operator names it, see ParseZone. nil: UTC until the webhooks show another offset.
	Configured *time.Location
	Notes      Notes                 // where the learned offset survives restarts; nil: it does not
	Logger     *slog.Logger          // nil: silent
	Registerer prometheus.Registerer // for the metric; nil: not registered
}

// Zone knows in which zone the provider writes its times, which carry none. Its methods may be called concurrently.
//
// It learns the offset from UTC: each webhook has the time of its event and arrives soon after it. See sample and
// offsetVotes. With a configured zone it learns only whether the webhooks contradict it.
type Zone struct {
	cfg     ZoneConfig
	changed chan struct{} // holds a token while the learned offset is not stored

	mu      sync.Mutex
	votes   offsetVotes    // guarded by mu
	learned offset         // guarded by mu
	own     bool           // learned is from the webhooks of this process; guarded by mu
	zone    *time.Location // that of learned; guarded by mu
}

// offset is the note: how far the clock of the provider's times is ahead of UTC, or of the configured zone.
type offset struct {
	Seconds int  `json:"offset_seconds"`
	Known   bool `json:"known"` // webhooks have shown it
}

// NewZone returns the zone. It reads no note: call Load.
func NewZone(cfg ZoneConfig) (*Zone, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	z := &Zone{cfg: cfg, changed: make(chan struct{}, 1), zone: time.UTC}
	if cfg.Registerer == nil {
		return z, nil
	}
	err := cfg.Registerer.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "faxstream_provider_utc_offset_seconds",
		Help: "How far the clock of the provider's times is ahead of UTC, as configured or learned; negative: behind.",
	}, func() float64 {
		_, seconds := time.Now().In(z.Location()).Zone()
		return float64(seconds)
	}))
	if err != nil {
		return nil, fmt.Errorf("ingest: metrics: %w", err)
	}
	return z, nil
}

// ParseZone reads UTC, a name of the IANA database such as America/New_York, or a fixed offset from UTC such as -05:00, +2
// or +05:30, of at most 14 hours.
func ParseZone(s string) (*time.Location, error) {
	m := regexp.MustCompile(`^(?:UTC)?([+-])([0-9]{1,2})(?::?([0-9]{2}))?$`).FindStringSubmatch(s)
	if m == nil {
		zone, err := time.LoadLocation(s)
		if s == "" || s == "Local" || err != nil {
			return nil, fmt.Errorf("time zone %q: want an offset from UTC such as -05:00, or a name such as America/New_York", s)
		}
		return zone, nil
	}
	hours, _ := strconv.Atoi(m[2])   // digits only
	minutes, _ := strconv.Atoi(m[3]) // digits only, or empty, which is 0
	seconds := hours*3600 + minutes*60
	if minutes > 59 || seconds > int(maxOffset/time.Second) {
		return nil, fmt.Errorf("time zone %q: no zone is more than 14 hours from UTC", s)
	}
	if m[1] == "-" {
		seconds = -seconds
	}
	return fixedZone(seconds), nil
}

// fixedZone returns UTC, or a zone that is named after its offset.
func fixedZone(seconds int) *time.Location {
	if seconds == 0 {
		return time.UTC
	}
	return time.FixedZone(showOffset(seconds), seconds)
}

// showOffset writes an offset for people, such as UTC-05:00.
func showOffset(seconds int) string {
	sign := '+'
	if seconds < 0 {
		sign, seconds = '-', -seconds
	}
	return fmt.Sprintf("UTC%c%02d:%02d", sign, seconds/3600, seconds/60%60)
}

// base is the zone from which the learned offset counts.
func (z *Zone) base() *time.Location {
	if z.cfg.Configured != nil {
		return z.cfg.Configured
	}
	return time.UTC
}

// Location returns the configured zone, else the learned one; UTC while nothing else is known.
func (z *Zone) Location() *time.Location {
	if z.cfg.Configured != nil {
		return z.cfg.Configured
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.zone
}

// name tells one Location from another; empty: UTC.
func (z *Zone) name() string {
	if name := z.Location().String(); name != "UTC" {
		return name
	}
	return ""
}

// Learn takes the event time of a webhook of one fax, as ParseEvent reads it, and when the webhook arrived.
func (z *Zone) Learn(session string, event, arrived time.Time) {
	if event.IsZero() {
		return
	}
	ahead, ok := sample(faxplus.FromWall(event, z.base()), arrived)
	if !ok {
		return
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	z.votes.add(vote{session, ahead})
	next, ok := z.votes.decide(z.learned)
	if !ok || next == z.learned && z.own {
		return
	}
	changed := next != z.learned
	z.set(next, "from webhooks")
	z.own = true
	if changed {
		select {
		case z.changed <- struct{}{}:
		default: // it is not stored since an earlier change
		}
	}
}

// set changes what is known; the caller holds mu.
func (z *Zone) set(next offset, how string) {
	if next.Seconds != z.learned.Seconds {
		z.cfg.Logger.Warn("the offset of the provider's times changed", "from", showOffset(z.learned.Seconds), "to", showOffset(next.Seconds),
			"learned", how, "relative_to", z.base().String(), "in_use", z.cfg.Configured == nil)
	}
	z.learned, z.zone = next, fixedZone(next.Seconds)
}

// Warnings says what an operator should know: times that are not UTC, or not of the configured zone.
func (z *Zone) Warnings() []string {
	z.mu.Lock()
	seconds := z.learned.Seconds
	z.mu.Unlock()
	switch {
	case seconds == 0:
		return nil
	case z.cfg.Configured == nil:
		return []string{fmt.Sprintf("the provider's times are not UTC: the webhooks show %s, and times are converted from it; "+
			"if that is right, set --faxplus-zone to this offset, or to the name of the zone, which includes summer time", showOffset(seconds))}
	}
	return []string{fmt.Sprintf("--faxplus-zone %s may be wrong: the webhooks come with times that are %s of it",
		z.cfg.Configured, aside(seconds))}
}

// aside says how far times are from a zone.
func aside(seconds int) string {
	if seconds < 0 {
		return (time.Duration(-seconds) * time.Second).String() + " behind"
	}
	return (time.Duration(seconds) * time.Second).String() + " ahead"
}

const zoneKey = "provider-zone"

// Load reads what an earlier process or another one has learned. What this process has learned itself stays.
func (z *Zone) Load(ctx context.Context) error {
	if z.cfg.Notes == nil || z.cfg.Configured != nil {
		return nil
	}
	next, _, err := z.note(ctx)
	if err != nil || !next.Known {
		return err
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	if !z.own && next != z.learned {
		z.set(next, "by an earlier or another process")
	}
	return nil
}

// note reads the note. A note that no process of ours has written is an error.
func (z *Zone) note(ctx context.Context) (o offset, revision uint64, err error) {
	data, revision, err := z.cfg.Notes.Note(ctx, zoneKey)
	if err == nil && data != nil {
		err = json.Unmarshal(data, &o)
	}
	if limit := int(maxOffset / time.Second); err == nil && (o.Seconds < -limit || o.Seconds > limit) {
		err = errors.New("no zone has this offset")
	}
	if err != nil {
		return offset{}, 0, fmt.Errorf("read the note %q: %w", zoneKey, err)
	}
	return o, revision, nil
}

// zoneEvery is how often the note of other processes is read, and the write of the own one is tried again.
const zoneEvery = 5 * time.Minute

// Run stores what is learned and reads what others have learned, until ctx ends.
func (z *Zone) Run(ctx context.Context) {
	if z.cfg.Notes == nil || z.cfg.Configured != nil {
		return
	}
	again := time.NewTicker(zoneEvery)
	defer again.Stop()
	unsaved := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-z.changed:
			unsaved = true
		case <-again.C:
		}
		var err error
		if unsaved {
			unsaved, err = z.save(ctx)
		} else {
			err = z.Load(ctx)
		}
		if err != nil && ctx.Err() == nil {
			z.cfg.Logger.Warn("the note of the provider's time zone cannot be used; it is tried again", "err", err, "in", zoneEvery)
		}
	}
}

// save writes the note. unsaved: another process has written it meanwhile, or the write failed.
func (z *Zone) save(ctx context.Context) (unsaved bool, err error) {
	z.mu.Lock()
	mine := z.learned
	z.mu.Unlock()
	theirs, revision, err := z.note(ctx)
	if err != nil || theirs == mine {
		return err != nil, err
	}
	data, err := json.Marshal(mine)
	if err != nil {
		return true, err
	}
	_, ok, err := z.cfg.Notes.PutNote(ctx, zoneKey, data, revision)
	return !ok, err
}
