package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
)

func TestTIFFExportRefusesATerminal(t *testing.T) {
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no pseudo-terminal to write to: %v", err)
	}
	defer terminal.Close()
	file := filepath.Join(t.TempDir(), "tiny.tiff") // so small that writing it would not block
	if err := os.WriteFile(file, apptest.Tiny(t), 0o600); err != nil {
		t.Fatal(err)
	}
	var errs bytes.Buffer
	args := []string{"tiff", "export", "--to=png", file}
	if code := run(t.Context(), args, os.Getenv, terminal, &errs); code != exitUsage ||
		!strings.Contains(errs.String(), "stdout is a terminal, and png is binary") {
		t.Errorf("exit code %d: %s", code, &errs)
	}
}
