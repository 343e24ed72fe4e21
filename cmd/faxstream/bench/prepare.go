package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
)

// build is one version of faxstream.
type build struct {
	name   string // base or now
	commit string
	source string // its tree
	binary string
	help   string // what `serve --help` says: builds differ in their flags
}

// has reports whether serve of this build has a flag.
func (of build) has(flag string) bool { return strings.Contains(of.help, flag) }

// The names of builds in tables.
const (
	baseName = "base"
	nowName  = "now"
)

// bench is what every row uses.
type bench struct {
	size     size
	builds   []build   // all that take turns
	now      build     // that of the working tree, which is one of them
	progress io.Writer // for people who wait
	root     string    // the repository
	dir      string    // of everything that is written
	work     *sheets
	runs     int               // number of the last run
	states   map[string]string // directories with sessions in them, by build and number
}

// prepare builds what is to be measured.
func prepare(ctx context.Context, o order, progress io.Writer) (_ *bench, err error) {
	root, err := output(ctx, "", "git", "rev-parse", "--show-toplevel")
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "faxstream-bench-")
	if err != nil {
		return nil, err
	}
	b := &bench{size: o.size, root: root, dir: dir, progress: progress, states: map[string]string{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.remove())
		}
	}()
	if b.work, err = newSheets(filepath.Join(root, "testdata", "a4-fine-g4.tiff")); err != nil {
		return nil, err
	}
	if o.base != noBase {
		if _, err := output(ctx, root, "git", "worktree", "add", "--quiet", "--detach", b.baseTree(), o.base); err != nil {
			return nil, err
		}
		if _, err := b.build(ctx, baseName, b.baseTree()); err != nil {
			return nil, err
		}
	}
	b.now, err = b.build(ctx, nowName, root)
	return b, err
}

// baseTree is where BASE is checked out.
func (b *bench) baseTree() string { return filepath.Join(b.dir, "base") }

// build builds a tree.
func (b *bench) build(ctx context.Context, name, source string) (of build, err error) {
	of = build{name: name, source: source, binary: filepath.Join(b.dir, "faxstream-"+name)}
	if of.commit, err = output(ctx, source, "git", "describe", "--always", "--dirty", "--abbrev=7"); err != nil {
		return of, err
	}
	if _, err := output(ctx, source, "go", "build", "-trimpath", "-o", of.binary, "./cmd/faxstream"); err != nil {
		return of, err
	}
	of.help, err = output(ctx, source, of.binary, "serve", "--help")
	b.builds = append(b.builds, of)
	return of, err
}

// remove removes everything that was written.
func (b *bench) remove() error {
	var err error
	if _, none := os.Stat(b.baseTree()); none == nil {
		_, err = output(context.Background(), b.root, "git", "worktree", "remove", "--force", b.baseTree())
	}
	return errors.Join(err, os.RemoveAll(b.dir))
}

// temp makes an empty directory for one run.
func (b *bench) temp() (string, error) { return os.MkdirTemp(b.dir, "run-") }

// tool finds a server or a tool, in $FAXSTREAM_TOOLS, in .tools/bin or on PATH.
func (b *bench) tool(name string) (string, error) {
	for _, dir := range []string{os.Getenv("FAXSTREAM_TOOLS"), filepath.Join(b.root, ".tools", "bin")} {
		if path := filepath.Join(dir, name); dir != "" {
			if _, err := os.Stat(path); err == nil {
				return path, nil
			}
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("%w: run `make packages tools`", err)
	}
	return path, nil
}

// describe says what was measured, and on what.
func (b *bench) describe(w io.Writer) error {
	var commits []string
	for _, of := range b.builds {
		commits = append(commits, of.name+" is "+of.commit)
	}
	on, err := machine(b.dir)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "\nMedian (least..greatest) of %d rounds in turn; %s. %s, work %d %%.\n",
		b.size.rounds, strings.Join(commits, ", "), on, b.size.percent)
	return err
}

// machine is processor, cores, kernel, file system of a directory, Go, and load of the last 1, 5 and 15 minutes.
func machine(dir string) (string, error) {
	cpu, errC := os.ReadFile("/proc/cpuinfo")
	kernel, errK := os.ReadFile("/proc/sys/kernel/osrelease")
	load, errL := os.ReadFile("/proc/loadavg")
	disk, errD := output(context.Background(), "", "df", "--output=fstype,source", dir)
	if err := errors.Join(errC, errK, errL, errD); err != nil {
		return "", err
	}
	model := "unknown processor" // not every architecture names it
	if m := regexp.MustCompile(`(?m)^model name\s*: (.*)$`).FindSubmatch(cpu); m != nil {
		model = string(m[1])
	}
	return fmt.Sprintf("%s, %d cores, Linux %s, %s, %s, load %s", model, runtime.NumCPU(), bytes.TrimSpace(kernel),
		strings.Join(strings.Fields(disk)[2:], " on "), runtime.Version(), strings.Join(strings.Fields(string(load))[:3], " ")), nil
}

// output runs a command in dir and returns what it printed.
func output(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s%s", cmd, err, tail(out.String()), tail(complaints.String()))
	}
	return strings.TrimSpace(out.String()), nil
}

// tail is the end of a long text.
func tail(s string) string { return s[max(0, len(s)-4000):] }
