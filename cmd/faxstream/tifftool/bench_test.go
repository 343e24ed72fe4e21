package tifftool

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"testing"
	"time"
)

func TestTIFFBenchMeasuresEveryPage(t *testing.T) {
	var out bytes.Buffer
	if err := Bench(t.Context(), &out, []string{fixtureFile(t, "three-pages-fine-g4")}, 3, true); err != nil {
		t.Fatal(err)
	}
	page := 0
	for text := range bytes.Lines(out.Bytes()) {
		page++
		var l benchLine
		if err := json.Unmarshal(text, &l); err != nil {
			t.Fatal(err)
		}
		ordered := *l.DecodeMin > 0 && *l.EncodeMin > 0 && *l.DecodeMin <= *l.DecodeMedian && *l.EncodeMin <= *l.EncodeMedian
		if *l.Page != page || l.Runs != 3 || l.Error != nil || !ordered {
			t.Errorf("page %d: %s", page, text)
		}
	}
	if page != 3 {
		t.Errorf("%d lines, want 3", page)
	}
}

func TestSeriesTimesEveryRunButTheFirst(t *testing.T) {
	calls := 0
	times, err := series(7, func() error { calls++; return nil })
	if err != nil || calls != 8 || len(times) != 7 || !slices.IsSorted(times) {
		t.Errorf("%d calls, times %v, error %v", calls, times, err)
	}
	broken := errors.New("broken")
	for _, at := range []int{1, 3} {
		calls = 0
		_, err = series(7, func() error {
			if calls++; calls == at {
				return broken
			}
			return nil
		})
		if !errors.Is(err, broken) || calls != at {
			t.Errorf("a run that fails: error %v after %d calls, want %d", err, calls, at)
		}
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		times []time.Duration
		want  time.Duration
	}{{[]time.Duration{5}, 5}, {[]time.Duration{1, 3}, 2}, {[]time.Duration{1, 2, 9}, 2}, {[]time.Duration{1, 2, 4, 99}, 3}} {
		if got := median(c.times); got != c.want {
			t.Errorf("median of %v is %d, want %d", c.times, got, c.want)
		}
	}
	if got := strconv.FormatFloat(micros(1234567*time.Nanosecond), 'f', -1, 64); got != "1234.567" {
		t.Errorf("1,234,567 ns are %s µs", got)
	}
}
