package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// address waits for the address of the dashboard on the screen.
type address struct {
	seen  bytes.Buffer
	found func()
}

var dashboardAt = regexp.MustCompile(`Dashboard: http://(127\.0\.0\.1:\d+)`)

func (a *address) Write(b []byte) (int, error) {
	a.seen.Write(b)
	if dashboardAt.Match(a.seen.Bytes()) {
		a.found()
	}
	return len(b), nil
}

// demoDashboard runs a demo until it shows the address of its dashboard.
func demoDashboard(t *testing.T) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	errs := &address{found: cancel}
	if code := run(ctx, []string{"demo", "--faxes=1", "--dir=" + t.TempDir()}, os.Getenv, io.Discard, errs); code != exitOK {
		t.Fatalf("exit code %d: %s", code, &errs.seen)
	}
	at := dashboardAt.FindStringSubmatch(errs.seen.String())
	if at == nil {
		t.Fatalf("no address of a dashboard:\n%s", &errs.seen)
	}
	return at[1]
}

// Other commands find the demo where they look by default, and a demo starts also where that port is taken.
func TestTheDemoIsWhereCommandsLook(t *testing.T) {
	taken := func() bool {
		conn, err := net.Dial("tcp", demoAdmin)
		if err == nil {
			conn.Close()
		}
		return err == nil
	}
	if at := demoDashboard(t); at != demoAdmin && !taken() {
		t.Errorf("the dashboard is on %s although %s is free", at, demoAdmin)
	}
	l, err := net.Listen("tcp", demoAdmin)
	if err != nil && !taken() { // by another program: just as well
		t.Fatal(err)
	}
	if err == nil {
		defer l.Close()
	}
	if at := demoDashboard(t); at == demoAdmin {
		t.Errorf("the dashboard is on %s, which is taken", at)
	}
}

// A demo does not write invented faxes where others are, and may be run again in its own directory.
func TestDemoKeepsToItsOwnDirectory(t *testing.T) {
	used := t.TempDir()
	if err := os.Mkdir(filepath.Join(used, "archive"), 0o700); err != nil {
		t.Fatal(err)
	}
	own := filepath.Join(t.TempDir(), "demo")
	for _, c := range []struct {
		dir  string
		code int
	}{{used, exitUsage}, {own, exitOK}, {own, exitOK}} {
		var out, errs bytes.Buffer
		code := run(t.Context(), []string{"demo", "--exit", "--json", "--faxes=1", "--dir=" + c.dir}, os.Getenv, &out, &errs)
		if code != c.code {
			t.Errorf("demo in %s: exit code %d, want %d: %s", c.dir, code, c.code, &errs)
		}
		if code == exitOK && !strings.Contains(out.String(), `"errors":[]`) {
			t.Errorf("demo in %s says %s", c.dir, &out)
		}
	}
}
