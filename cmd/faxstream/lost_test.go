package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
)

// refused starts a serve that must end by itself, and returns its log.
func refused(t *testing.T, args ...string) string {
	t.Helper()
	p := launch(t, serveCommand(nil, args...))
	<-p.line // closed at its end
	<-p.exited
	if code := p.cmd.ProcessState.ExitCode(); code != exitFailed {
		t.Errorf("exit code %d, want %d", code, exitFailed)
	}
	return p.log.String()
}

// The directory of JetStream is gone. Serve does not begin with empty streams behind anybody's back; rebuild is the word that it may.
func TestLostStreamsWaitForAPersonsWord(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	sim, flags := newSimulator(t, faxplustest.Config{})
	args := append(flags, "--dir="+dir, patientGrace, "--list-every=0")
	p := serve(t, nil, args...)
	fax := apptest.SmallFax(t, "fax", 1)
	p.send(sim, fax)
	p.awaitComplete(fax.Session)
	p.terminate()
	if err := os.Rename(filepath.Join(dir, "nats"), filepath.Join(dir, "lost")); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if log := refused(t, args...); !strings.Contains(log, "FAX_IN") || !strings.Contains(log, "faxstream rebuild") {
			t.Fatalf("it does not say what to do: %s", log)
		}
	}
	if left, err := filepath.Glob(filepath.Join(dir, "nats", "jetstream", "*", "streams", "*")); err != nil || len(left) > 0 {
		t.Errorf("streams were created: %q, %v", left, err)
	}
	command(t, "rebuild", "--dir="+dir)
	p = serve(t, nil, args...)
	p.awaitComplete(fax.Session)
}

// A NATS server that is too old takes our streams without schedules and batches. Serve refuses it and names the version that it needs.
func TestAnOldNATSServerIsRefused(t *testing.T) {
	t.Parallel()
	bin, addr := tool(t, "nats-server-2.11", "make tools"), apptest.FixedAddr(t)
	host, port, _ := strings.Cut(addr, ":")
	server := exec.Command(bin, "-a", host, "-p", port, "-js", "-sd", t.TempDir())
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait() // says that it was killed
	})
	_, flags := newSimulator(t, faxplustest.Config{})
	log := ""
	await(t, "the server answers", func() bool {
		log = refused(t, append(flags, "--nats-url=nats://"+addr, "--dir="+t.TempDir())...)
		return !strings.Contains(log, "connect to NATS")
	})
	if !strings.Contains(log, "2.12 or newer") {
		t.Errorf("the version that it needs is not named: %s", log)
	}
}
