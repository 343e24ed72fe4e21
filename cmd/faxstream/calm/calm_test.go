package calm

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// lines is a log that goroutines may write into.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// In an outage of a minute, 100 lines a second with the same words become a few, which say how many there were; other words, and lines that
// only tell what happens, are all there. After a quiet time the first lines are there again.
func TestAnOutageIsAFewLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out lines
		log := slog.New(New(slog.NewTextHandler(&out, nil))).With("process", 1)
		for i := range 6000 {
			log.Warn("publish failed", "n", i, "err", errors.New("no answer"))
			if i%1000 == 0 {
				log.Error("archive refuses", "n", i)
			}
			if i%100 == 0 {
				log.Info("page archived", "n", i)
			}
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(2 * longest)
		synctest.Wait()
		text := out.String()
		if n := strings.Count(text, "publish failed"); n != 4+2+2 { // windows of 10, 20 and 40 seconds
			t.Errorf("%d lines of the outage, want 8:\n%s", n, text)
		}
		if errs, infos := strings.Count(text, "archive refuses"), strings.Count(text, "page archived"); errs != 6 || infos != 60 {
			t.Errorf("%d other errors and %d pages, want 6 and 60", errs, infos)
		}
		total := strings.Count(text, "publish failed") - strings.Count(text, "left_out=")
		for line := range strings.Lines(text) {
			var n int
			if _, rest, ok := strings.Cut(line, "left_out="); ok {
				if _, err := fmt.Sscan(rest, &n); err != nil || !strings.Contains(line, "process=1") {
					t.Errorf("the line %q: %v", line, err)
				}
				total += n
			}
		}
		if total != 6000 {
			t.Errorf("the lines say that there were %d, want 6000", total)
		}
		for range most {
			log.Warn("publish failed", "outage", 2)
		}
		if n := strings.Count(out.String(), "outage=2"); n != most {
			t.Errorf("%d lines of the next outage, want %d", n, most)
		}
	})
}

// Lines with the same words and another reason tell of another fault: they are not hidden behind the many of the first one.
func TestAnotherReasonIsNotHidden(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out lines
		log := slog.New(New(slog.NewTextHandler(&out, nil)))
		for i := range 1000 {
			log.Warn("page fetch failed", "session", i, "reason", "unavailable")
			if i == 500 {
				log.Warn("page fetch failed", "session", i, "reason", "unauthorized")
			}
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(window)
		synctest.Wait()
		text := out.String()
		if n := strings.Count(text, "reason=unauthorized"); n != 1 {
			t.Errorf("%d lines of the other reason, want 1:\n%s", n, text)
		}
		if n := strings.Count(text, "reason=unavailable left_out="); n != 1 {
			t.Errorf("%d lines say how many of the first reason were left out, want 1:\n%s", n, text)
		}
	})
}
