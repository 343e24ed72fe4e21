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
		t: t, sender: newSender(t, apptest.Patience), outage: outage{name: "disk is full", provider: p, refuses: true, reason: "embedded NATS server"},
	}
	t.Cleanup(func() {
		w.p.kill()
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	w.p = serve(t, nil, "--faxplus-url=http://"+p.addr, "--faxplus-page-path="+faxplustest.PagePath, "--dir="+filepath.Join(dir, "state"), "--nats-listen=127.0.0.1:0", "--nats-listen-insecure", patientGrace)
	for range 3 {
		w.send(w.next())
	}
	hog := filepath.Join(dir, "hog")
	fillDisk(t, hog)
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
	if err := os.Remove(hog); err != nil {
		t.Fatal(err)
	}
	await(t, "every webhook is taken", func() bool { w.send(nil); return len(w.left) == 0 })
	await(t, "/readyz is green", func() bool { status, _ := w.p.readyz(); return status == http.StatusOK })
	w.checkAfter()
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
