package bus

import (
	"testing"
	"time"

	"github.com/faxstream/faxstream/pipeline/session"
)

func TestXRestartTimer(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	timer := session.Timer{Kind: session.TimerGrace, Session: "s", Due: time.Now().Add(time.Second).UTC().Truncate(time.Millisecond)}
	if err := b.Schedule(t.Context(), timer, []byte("body")); err != nil {
		t.Fatal(err)
	}
	closeBus(t, b)
	time.Sleep(2 * time.Second)
	start := time.Now()
	b = open(t, dir)
	d := receive(t, timers(t, b))
	t.Log(d.Subject, time.Since(start))
}
