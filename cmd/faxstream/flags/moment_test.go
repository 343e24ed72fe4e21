package flags

import (
	"testing"
	"time"
)

func TestMomentsAsPeopleWriteThem(t *testing.T) {
	zurich, err := time.LoadLocation("Europe/Zurich")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 3, 29, 14, 30, 0, 0, zurich) // the day on which summer time began, 12:30 UTC
	for text, want := range map[string]string{
		"48h": "2026-03-27T12:30:00Z", "1d": "2026-03-28T12:30:00Z", "2w": "2026-03-15T12:30:00Z", "1d12h": "2026-03-28T00:30:00Z",
		"1w1d1m": "2026-03-21T12:29:00Z", "90m": "2026-03-29T11:00:00Z", "0": "2026-03-29T12:30:00Z", "now": "2026-03-29T12:30:00Z",
		"today":     "2026-03-28T23:00:00Z",
		"yesterday": "2026-03-27T23:00:00Z", "Yesterday": "2026-03-27T23:00:00Z", " today ": "2026-03-28T23:00:00Z",
		"2026-03-30": "2026-03-29T22:00:00Z", "2026-03-29": "2026-03-28T23:00:00Z",
		"2026-03-29T12:00:00Z": "2026-03-29T12:00:00Z", "2026-03-29T12:00:00-05:00": "2026-03-29T17:00:00Z",
		"2026-03-29 12:00": "2026-03-29T10:00:00Z", "2026-03-29T12:00:05": "2026-03-29T10:00:05Z",
	} {
		got, err := ParseMoment(text, now)
		if err != nil || got.Format(time.RFC3339) != want || got.Location() != time.UTC {
			t.Errorf("%q is %s, %v; want %s", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"yesterday": "2026-03-28", "2026-03-30": "2026-03-30", "1d": "0001-01-01", "2026-03-29T12:00:00Z": "0001-01-01",
	} {
		if got, err := ParseMoment(text, now); err != nil || got.Day.Format(time.DateOnly) != want {
			t.Errorf("%q names the day %s, %v; want %s", text, got.Day, err, want)
		}
	}
	for _, text := range []string{
		"", "soon", "-1h", "1d-2h", "1y", "d", "1h1d", "99999d", "9999999999h", "2026-02-30", "2026-13-01", "24.11.2026",
	} {
		if got, err := ParseMoment(text, now); err == nil {
			t.Errorf("%q is %s", text, got)
		}
	}
}

func FuzzParseMoment(f *testing.F) {
	for _, s := range []string{"48h", "1w1d1h", "yesterday", "2026-11-24", "2026-11-24T12:00:00Z", "9999w9999d2562047h"} {
		f.Add(s)
	}
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, s string) {
		if age, ok := parseAge(s); ok && age < 0 {
			t.Errorf("%q is in the future", s)
		}
		m, err := ParseMoment(s, now)
		if err == nil && m.Location() != time.UTC {
			t.Errorf("%q is not UTC", s)
		}
	})
}
