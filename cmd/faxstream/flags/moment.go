package flags

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Moment is a point in time on the command line; the filter of the dashboard reads the same words. MomentHelp says how it is written.
type Moment struct {
	time.Time
	Day time.Time // the start of the named day in UTC, for what is filed by UTC days; zero: no day was named
}

// MomentHelp is what --help says of a Moment.
const MomentHelp = "an age such as 48h or 1d, today, yesterday, a day such as 2026-11-24, or a time such as 2026-11-24T12:00:00Z; " +
	"without a zone in local time"

func (m *Moment) UnmarshalText(text []byte) (err error) {
	*m, err = ParseMoment(string(text), time.Now())
	return err
}

// ParseMoment reads an age before now, a day, or a time. Where no zone is given it is that of now.
func ParseMoment(s string, now time.Time) (Moment, error) {
	s = strings.TrimSpace(s)
	if age, ok := parseAge(s); ok {
		return Moment{Time: now.Add(-age).UTC()}, nil
	}
	y, m, d := now.Date()
	switch strings.ToLower(s) {
	case "now":
		return Moment{Time: now.UTC()}, nil
	case "today":
		return dayMoment(y, m, d, now.Location()), nil
	case "yesterday":
		return dayMoment(y, m, d-1, now.Location()), nil
	}
	if t, err := time.Parse(time.DateOnly, s); err == nil {
		return dayMoment(t.Year(), t.Month(), t.Day(), now.Location()), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04", time.DateTime, "2006-01-02 15:04"} {
		if t, err := time.ParseInLocation(layout, s, now.Location()); err == nil {
			return Moment{Time: t.UTC()}, nil
		}
	}
	return Moment{}, fmt.Errorf("%q: want %s", s, MomentHelp)
}

func dayMoment(y int, m time.Month, d int, zone *time.Location) Moment {
	return Moment{Time: time.Date(y, m, d, 0, 0, 0, 0, zone).UTC(), Day: time.Date(y, m, d, 0, 0, 0, 0, time.UTC)}
}

// parseAge reads a duration of time.ParseDuration, with weeks and days of 24 hours before it: 2w, 1d12h. It takes at most
// 9,999 of each.
func parseAge(s string) (time.Duration, bool) {
	parts := regexp.MustCompile(`^(?:([0-9]{1,4})w)?(?:([0-9]{1,4})d)?(.*)$`).FindStringSubmatch(s)
	if s == "" || parts == nil {
		return 0, false
	}
	weeks, _ := strconv.Atoi(parts[1]) // digits only, or empty, which is 0
	days, _ := strconv.Atoi(parts[2])
	age := time.Duration(7*weeks+days) * 24 * time.Hour
	if parts[3] == "" {
		return age, true
	}
	rest, err := time.ParseDuration(parts[3])
	return age + rest, err == nil && rest >= 0 && age+rest >= 0
}
