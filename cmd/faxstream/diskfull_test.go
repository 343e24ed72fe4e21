package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
)

// The disk of the embedded server is full: webhooks are answered 503, /readyz says why, and when there is room again the same
// process goes on by itself on the same addresses, with everything that was answered 200.
func TestAFullDiskIsOutlived(t *testing.T) {
	if testing.Short() {
		t.Skip("a process on a full disk is slow under the race detector: runs without -short")
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=32m"); err != nil {
		t.Skipf("cannot mount a small file system (it takes root): %v", err)
	}
	p := startProvider(t)
	w := &outageWorld{
		t: t, sender: newSender(t, apptest.Patience),
		outage: outage{name: "disk is full", provider: p, refuses: true, reason: "embedded NATS server"},
	}
	t.Cleanup(func() {
		w.p.kill()
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	w.p = serve(
		t, nil, "--faxplus-url=http://"+p.addr, "--faxplus-page-path="+faxplustest.PagePath, "--dir="+filepath.Join(dir, "state"),
		"--nats-listen=127.0.0.1:0", "--nats-listen-insecure", patientGrace,
	)
	for range 3 {
		w.send(w.next())
	}
	for _, f := range w.faxes {
		w.p.awaitComplete(f.Session)
	}
	hog := filepath.Join(dir, "hog")
	await(t, "the server is idle", func() bool {
		status, _ := w.p.readyz()
		return status == http.StatusOK
	})
	fillDisk(t, hog)
	full := func(text string) bool { // whether it has written since or not
		return strings.Contains(text, "full") || strings.Contains(text, "no space left")
	}
	if status, text := w.p.readyz(); status != http.StatusServiceUnavailable || !full(text) {
		t.Errorf("/readyz on a full disk: %d %s", status, text)
	}
	await(t, "a webhook is refused", func() bool {
		w.send(w.next())
		return len(w.left) > 0
	})
	await(t, "/readyz says "+w.reason, func() bool {
		status, text := w.p.readyz()
		return status == http.StatusServiceUnavailable && strings.Contains(text, w.reason)
	})
	refused := w.next()
	if left, unanswered := w.sender.sendAll(w.p.target(), refused, func([]byte) {}); len(left) != len(refused) || len(unanswered) > 0 {
		t.Errorf("on a full disk %d of %d webhooks were refused, without an answer: %v", len(left), len(refused), unanswered)
	}
	w.left = append(w.left, refused...)
	if err := os.Truncate(hog, sizeOf(t, hog)-3<<19); err != nil { // room for a file, and not for the work that waits
		t.Fatal(err)
	}
	w.staysRed(5 * time.Second)
	if err := os.Remove(hog); err != nil {
		t.Fatal(err)
	}
	await(t, "every webhook is taken", func() bool { w.send(nil); return len(w.left) == 0 })
	await(t, "/readyz is green", func() bool { status, _ := w.p.readyz(); return status == http.StatusOK })
	w.checkAfter()
}

// staysRed asks /readyz until the time is over.
func (w *outageWorld) staysRed(long time.Duration) {
	w.t.Helper()
	over := time.After(long)
	next := time.NewTicker(50 * time.Millisecond)
	defer next.Stop()
	for {
		if status, text := w.p.readyz(); status != http.StatusServiceUnavailable {
			w.t.Fatalf("/readyz with too little room: %d %s", status, text)
		}
		select {
		case <-over:
			return
		case <-next.C:
		}
	}
}

func sizeOf(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// fillDisk writes a file until there is no room for another block.
func fillDisk(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	if err = errors.Join(err, f.Close()); !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(fmt.Errorf("fill the disk: %w", err))
	}
}
