// Package tesseract is an OCR worker: it claims pages, reads them with Tesseract, and sends the texts back. It uses what any OCR service
// can use: claim, settle and the texts of the HTTP API. Begin with Find, and then Worker.Run.
//
// Tesseract runs as a process of its own for each page, with a limit of time and of memory: a page that makes it crash or hang costs one
// more try, and nothing else. A worker that is killed loses nothing: the lease of its pages runs out, and another one claims them.
package tesseract

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/faxstream/faxstream/pipeline/session"
)

// Engine is how results of this worker are called.
const Engine = "tesseract"

// Program is an installed Tesseract.
type Program struct {
	Path      string
	Version   string
	Languages []string      // that it reads, as it names them
	Timeout   time.Duration // for one page
	Memory    int64         // of address space for one page, bytes

	orients bool // it has what it needs to say how a page is turned
}

// ErrNone: there is no Tesseract.
var ErrNone = errors.New("tesseract is not installed: on Debian, apt-get install tesseract-ocr")

// errPage is matched by the errors of a page that Tesseract does not read.
var errPage = errors.New("tesseract did not read the page")

// Find looks for a program and checks that it reads the languages.
func Find(ctx context.Context, name string, languages []string) (Program, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return Program{}, fmt.Errorf("%s: %w", name, ErrNone)
	}
	p := Program{Path: path, Languages: languages}
	out, err := exec.CommandContext(ctx, path, "--version").CombinedOutput()
	if err != nil {
		return Program{}, fmt.Errorf("%s --version: %w", path, err)
	}
	line, _, _ := strings.Cut(string(out), "\n")
	p.Version = strings.TrimSpace(strings.TrimPrefix(line, "tesseract"))
	if out, err = exec.CommandContext(ctx, path, "--list-langs").CombinedOutput(); err != nil {
		return Program{}, fmt.Errorf("%s --list-langs: %w", path, err)
	}
	known := strings.Fields(string(out))
	for _, l := range languages {
		if !slices.Contains(known, l) {
			return Program{}, fmt.Errorf("%s does not read %q: on Debian, apt-get install tesseract-ocr-%s", path, l, l)
		}
	}
	p.orients = slices.Contains(known, "osd")
	return p, nil
}

// read reads an image and gives Tesseract's table. An error that matches errPage is the page's.
func (p Program) read(ctx context.Context, image []byte, dir string) ([]byte, error) {
	file := filepath.Join(dir, "page.png")
	if err := os.WriteFile(file, image, 0o600); err != nil {
		return nil, err
	}
	return p.run(ctx, dir, file, "stdout", "-l", strings.Join(p.Languages, "+"), "tsv")
}

// orientation is how Tesseract thinks that the page is turned that it has read last in a directory; nil: it does not know, as of a page
// with few letters.
func (p Program) orientation(ctx context.Context, dir string) *session.TextOrientation {
	if !p.orients {
		return nil
	}
	said, err := p.run(ctx, dir, filepath.Join(dir, "page.png"), "stdout", "--psm", "0")
	if err != nil {
		return nil // too few letters are an error of it too
	}
	o := &session.TextOrientation{}
	_, degrees, _ := strings.Cut(string(said), "Rotate: ")
	_, confidence, _ := strings.Cut(degrees, "Orientation confidence: ")
	if _, err := fmt.Sscan(degrees, &o.Degrees); err != nil {
		return nil
	}
	if _, err := fmt.Sscan(confidence, &o.Confidence); err != nil || o.Confidence < 0 {
		return nil
	}
	return o
}

// run runs Tesseract on a file, within the limits of a page.
func (p Program) run(ctx context.Context, dir string, args ...string) ([]byte, error) {
	limited, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	// The shell only sets the limit, and that Tesseract is slowed down or killed before what archives pages, where that is allowed: exec
	// makes it Tesseract itself, which a kill then ends.
	const before = `{ echo 500 >/proc/self/oom_score_adj; } 2>/dev/null; renice -n 5 -p $$ >/dev/null 2>&1; `
	limit := []string{"-c", before + `ulimit -v "$1" && shift && exec "$@"`, "sh", strconv.FormatInt(p.Memory>>10, 10), p.Path}
	cmd := exec.CommandContext(limited, "sh", append(limit, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "OMP_THREAD_LIMIT=1") // several pages at once use the cores better
	cmd.WaitDelay = time.Second
	var table, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &table, &said
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case limited.Err() != nil:
		return nil, fmt.Errorf("%w: not within %s", errPage, p.Timeout)
	case err != nil:
		return nil, fmt.Errorf("%w: %w: %.300s", errPage, err, bytes.TrimSpace(said.Bytes()))
	}
	return table.Bytes(), nil
}
