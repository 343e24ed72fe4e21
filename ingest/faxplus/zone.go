package faxplus

import "time"

// In returns e with its times read as times of zone and converted to UTC. ParseEvent reads them as UTC.
func (e Event) In(zone *time.Location) Event {
	e.EventTime, e.StartTime = FromWall(e.EventTime, zone), FromWall(e.StartTime, zone)
	return e
}

// FromWall takes a time that was read as UTC although a clock in zone showed it, and returns the true time, UTC. In the
// hour that a zone repeats when summer time ends, it may be an hour off. The zero time stays zero.
func FromWall(t time.Time, zone *time.Location) time.Time {
	if t.IsZero() {
		return t
	}
	t = time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), zone).UTC()
	if t.Year() < 1 || t.Year() > 9999 { // JSON has no other years
		return time.Time{}
	}
	return t
}

// ToWall is the reverse of FromWall: what a clock in zone shows at t, as if it were UTC.
func ToWall(t time.Time, zone *time.Location) time.Time {
	if t.IsZero() {
		return t
	}
	_, offset := t.In(zone).Zone()
	return t.UTC().Add(time.Duration(offset) * time.Second)
}

// wallWindow returns a time window as a clock in zone shows it. If the clock is set back within the window, the window
// becomes an hour longer, so that it is never empty.
func wallWindow(after, before time.Time, zone *time.Location) (from, to string) {
	a, b := ToWall(after, zone), ToWall(before, zone)
	if !a.Before(b) {
		b = a.Add(before.Sub(after) + time.Hour)
	}
	return a.Format(timeLayout), b.Format(timeLayout)
}
