// Command pack makes what is given to people who install faxstream: for each platform a static binary, its CycloneDX SBOM and a Debian
// package; an OCI image of all platforms; the Helm chart; the compose file with its neighbours; and SHA256SUMS. With a key it adds a SLSA
// provenance and an Ed25519 signature of SHA256SUMS. `make package` and `make release` run it.
//
// All of it is a function of the sources, the version of Go and the tools, and the key: two runs give equal bytes. So no file has the
// time of the run; times are that of the commit.
//
// nfpm and cyclonedx-gomod are programs in --tools. The rest is made here.
package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"github.com/faxstream/faxstream/pipeline/sign"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Getenv, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
}

// order is what is to be made.
type order struct {
	root, out, tools string // the checkout; where the files go; where nfpm and cyclonedx-gomod are
	version          string // of the packages; empty: that of git
	arches           []string
	key              ed25519.PrivateKey // nil: nothing is signed
	release          bool
}

// keyVariable has the private key as PEM, where no file may have it.
const keyVariable = "FAXSTREAM_RELEASE_KEY"

func parse(args []string, getenv func(string) string) (o order, err error) {
	var arches, key string
	f := flag.NewFlagSet("pack", flag.ContinueOnError)
	f.StringVar(&o.root, "root", ".", "the checkout")
	f.StringVar(&o.out, "out", "dist", "`directory` of the files; it is made anew")
	f.StringVar(&o.tools, "tools", ".tools/bin", "`directory` of nfpm and cyclonedx-gomod")
	f.StringVar(&o.version, "version", "", "version of the packages; empty: that of git")
	f.StringVar(&arches, "arch", runtime.GOARCH, "architectures of Linux, separated by commas")
	f.StringVar(&key, "key", "", "`file` with the Ed25519 key that signs, as faxstream keys makes it; empty: the PEM in "+keyVariable)
	f.BoolVar(&o.release, "release", false, "refuse changes that are not committed and a missing key, and build the binary twice, the "+
		"second time in another folder and from nothing")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("unknown argument %q", f.Arg(0))
	}
	o.arches = strings.Split(arches, ",")
	for _, dir := range []*string{&o.root, &o.out, &o.tools} {
		if *dir, err = filepath.Abs(*dir); err != nil {
			return o, err
		}
	}
	o.key, err = readKey(key, getenv)
	if err == nil && o.key == nil && o.release {
		err = fmt.Errorf("a release is signed: give --key FILE (`faxstream keys FILE` makes one), or the PEM of a key in %s", keyVariable)
	}
	return o, err
}

// readKey is nil where there is no key.
func readKey(file string, getenv func(string) string) (ed25519.PrivateKey, error) {
	text, from := []byte(getenv(keyVariable)), keyVariable
	if file != "" {
		var err error
		if text, err = os.ReadFile(file); err != nil {
			return nil, fmt.Errorf("--key: %w", err)
		}
		from = file
	} else if len(text) == 0 {
		return nil, nil
	}
	key, err := sign.ParseKey(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", from, err)
	}
	return key, nil
}

// run makes everything in a directory beside --out, and puts it there when it is whole.
func run(ctx context.Context, args []string, getenv func(string) string, stdout io.Writer) (err error) {
	o, err := parse(args, getenv)
	if err != nil {
		return err
	}
	s, err := readSource(ctx, o)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(o.out), 0o755); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(o.out), ".pack-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	p := &packer{order: o, source: s, tmp: tmp, dist: filepath.Join(tmp, "dist")}
	if err := p.all(ctx); err != nil {
		return err
	}
	if err := os.RemoveAll(o.out); err != nil {
		return err
	}
	if err := os.Rename(p.dist, o.out); err != nil {
		return err
	}
	sums, err := os.ReadFile(filepath.Join(o.out, sumsName))
	if err == nil {
		_, err = stdout.Write(sums)
	}
	return err
}

// packer makes the files of one order.
type packer struct {
	order
	source
	tmp     string // scratch
	dist    string // what becomes --out
	sources string // a copy of the sources, from which all is made
}

func (p *packer) all(ctx context.Context) (err error) {
	if err := os.Mkdir(p.dist, 0o755); err != nil {
		return err
	}
	if p.sources, err = p.copyTo(filepath.Join(p.tmp, "source")); err != nil {
		return err
	}
	for _, arch := range p.arches {
		steps := []func(context.Context, string) error{p.binary, p.bom, p.deb}
		if p.release {
			steps = slices.Insert(steps, 1, p.again)
		}
		for _, step := range steps {
			if err := step(ctx, arch); err != nil {
				return err
			}
		}
	}
	for _, step := range []func() error{p.image, p.chart, p.compose, p.provenance, p.sums} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// file is the path of a file in dist.
func (p *packer) file(format string, args ...any) string {
	return filepath.Join(p.dist, fmt.Sprintf(format, args...))
}
