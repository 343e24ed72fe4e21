package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// source is what is packed.
type source struct {
	describe string    // what the binary says of its version
	number   string    // the version as Debian and semantic versions take it
	commit   string    // the revision
	when     time.Time // of the commit
	dirty    bool      // there are changes that are not committed
	files    []string  // below the checkout
}

// readSource asks git.
func readSource(ctx context.Context, o order) (s source, err error) {
	git := func(args ...string) string {
		if err != nil {
			return ""
		}
		var out string
		out, err = output(exec.CommandContext(ctx, "git", append([]string{"-C", o.root}, args...)...))
		return out
	}
	// A length of its own: git chooses one by the objects of the clone, and the version is in the bytes of a release.
	s.describe = strings.TrimSpace(git("describe", "--tags", "--always", "--dirty", "--abbrev=12"))
	s.commit = strings.TrimSpace(git("rev-parse", "HEAD"))
	s.dirty = git("status", "--porcelain") != ""
	s.files = strings.FieldsFunc(git("ls-files", "-z", "--cached", "--others", "--exclude-standard"), func(r rune) bool { return r == 0 })
	seconds := strings.TrimSpace(git("log", "-1", "--format=%ct"))
	if err != nil {
		return s, err
	}
	unix, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return s, fmt.Errorf("the time of the commit: %w", err)
	}
	s.when = time.Unix(unix, 0).UTC()
	if s.dirty && o.release {
		return s, errors.New("a release is a commit: commit or remove what `git status` shows")
	}
	if o.version != "" {
		s.describe = o.version
	}
	s.number, err = versionNumber(s.describe, s.when)
	return s, err
}

var described = regexp.MustCompile(`^v?(\d+\.\d+\.\d+)(?:-(\d+)-(g[0-9a-f]+))?(-dirty)?$`)

// versionNumber is a version that Debian, Helm and registries order as git does: a tag is itself, a commit behind it is later, and a
// commit without a tag is before all tags, by its time.
func versionNumber(describe string, when time.Time) (string, error) {
	var build []string
	number := "0.0.0"
	if m := described.FindStringSubmatch(describe); m != nil {
		number = m[1]
		if m[2] != "" {
			build = append(build, m[2], m[3])
		}
	} else if m := regexp.MustCompile(`^([0-9a-f]{4,40})(-dirty)?$`).FindStringSubmatch(describe); m != nil {
		build = append(build, when.Format("20060102150405"), "g"+m[1])
	} else {
		return "", fmt.Errorf("the version %q is neither a tag such as v1.2.3 nor a commit", describe)
	}
	if strings.HasSuffix(describe, "-dirty") {
		build = append(build, "dirty")
	}
	if len(build) > 0 {
		number += "+" + strings.Join(build, ".")
	}
	return number, nil
}

// copyTo copies the files that git knows, and new ones that it does not ignore: nothing else of the checkout may be in a package.
func (p *packer) copyTo(dir string) (string, error) {
	for _, name := range p.files {
		from, to := filepath.Join(p.root, name), filepath.Join(dir, name)
		info, err := os.Lstat(from)
		if errors.Is(err, os.ErrNotExist) {
			continue // it is removed, and that is not committed
		}
		if err == nil && !info.Mode().IsRegular() {
			err = fmt.Errorf("%s is no regular file", name)
		}
		if err == nil {
			err = os.MkdirAll(filepath.Dir(to), 0o755)
		}
		if err == nil {
			err = copyFile(from, to, 0o644|info.Mode()&0o111)
		}
		if err != nil {
			return "", fmt.Errorf("copy the sources: %w", err)
		}
	}
	return dir, nil
}

func copyFile(from, to string, mode os.FileMode) error {
	data, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, data, mode)
	}
	return err
}

func (p *packer) binaryFile(arch string) string {
	return p.file("faxstream-%s-linux-%s", p.number, arch)
}

// binary builds faxstream. Nothing of the machine, the folder or the time is in it.
func (p *packer) binary(ctx context.Context, arch string) error {
	return p.build(ctx, p.sources, p.binaryFile(arch), arch)
}

func (p *packer) build(ctx context.Context, dir, out, arch string, env ...string) error {
	cmd := exec.CommandContext(
		ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -buildid= -X main.version="+p.describe,
		"-o", out, "./cmd/faxstream",
	)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch, "GOAMD64=v1", "GOARM64=v8.0", "GOFLAGS=", "GOEXPERIMENT=")
	cmd.Env = append(cmd.Env, env...)
	_, err := output(cmd)
	return err
}

// again builds the binary once more, in another folder and without what is compiled already, and compares.
func (p *packer) again(ctx context.Context, arch string) error {
	dir, err := p.copyTo(filepath.Join(p.tmp, "again", arch, "in-a-folder-with-another-name"))
	if err != nil {
		return err
	}
	out := filepath.Join(p.tmp, "again", arch, "faxstream")
	if err := p.build(ctx, dir, out, arch, "GOCACHE="+filepath.Join(p.tmp, "again", arch, "cache")); err != nil {
		return err
	}
	first, err := os.ReadFile(p.binaryFile(arch))
	if err != nil {
		return err
	}
	second, err := os.ReadFile(out)
	if err == nil && !bytes.Equal(first, second) {
		err = fmt.Errorf("two builds for %s differ: SHA-256 %x and %x; what reads the clock, the folder or the environment?",
			arch, sha256.Sum256(first), sha256.Sum256(second))
	}
	return err
}

// bom lists what the binary is made of, as the binary itself says.
func (p *packer) bom(ctx context.Context, arch string) error {
	_, err := output(exec.CommandContext(
		ctx, filepath.Join(p.tools, "cyclonedx-gomod"), "bin", "-json", "-std", "-noserial", "-notimestamp", "-version", p.number,
		"-output", p.binaryFile(arch)+".cdx.json", p.binaryFile(arch),
	))
	return err
}

// deb makes the Debian package that deploy/debian/nfpm.yaml describes.
func (p *packer) deb(ctx context.Context, arch string) error {
	stage := filepath.Join(p.tmp, "deb", arch)
	if err := os.MkdirAll(stage, 0o755); err != nil {
		return err
	}
	unit, err := os.ReadFile(filepath.Join(p.sources, "deploy/faxstream.service"))
	if err == nil { // /usr/local is not for packages
		unit = bytes.ReplaceAll(unit, []byte("/usr/local/bin/"), []byte("/usr/bin/"))
		err = os.WriteFile(filepath.Join(stage, "faxstream.service"), unit, 0o644)
	}
	if err == nil {
		err = copyFile(p.binaryFile(arch), filepath.Join(stage, "faxstream"), 0o755)
	}
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(
		ctx, filepath.Join(p.tools, "nfpm"), "package", "--config", "deploy/debian/nfpm.yaml", "--packager", "deb",
		"--target", p.file("faxstream_%s_%s.deb", p.number, arch),
	)
	cmd.Dir = p.sources
	when := strconv.FormatInt(p.when.Unix(), 10)
	cmd.Env = append(os.Environ(), "VERSION="+p.number, "ARCH="+arch, "STAGE="+stage, "SOURCE_DATE_EPOCH="+when)
	_, err = output(cmd)
	return err
}

// output runs a command. An error has what it wrote to stderr.
func output(cmd *exec.Cmd) (string, error) {
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s%s", strings.Join(cmd.Args, " "), err, stderr.String(), out)
	}
	return string(out), nil
}
