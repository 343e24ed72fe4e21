package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

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
