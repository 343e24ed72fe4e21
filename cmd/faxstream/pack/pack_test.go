package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/layout"

	"github.com/faxstream/faxstream/pipeline/sign"
)

func TestVersionsSortAsGitDoes(t *testing.T) {
	when := time.Date(2026, 11, 30, 17, 2, 58, 0, time.UTC)
	for describe, want := range map[string]string{
		"v1.2.3": "1.2.3", "1.2.3": "1.2.3", "v1.2.3-dirty": "1.2.3+dirty", "v1.2.3-4-g52d96bd": "1.2.3+4.g52d96bd",
		"v1.2.3-4-g52d96bd-dirty": "1.2.3+4.g52d96bd.dirty",
		"52d96bd":                 "0.0.0+20261130170258.g52d96bd", "52d96bd-dirty": "0.0.0+20261130170258.g52d96bd.dirty",
	} {
		if got, err := versionNumber(describe, when); err != nil || got != want {
			t.Errorf("the version %s becomes %s, %v, want %s", describe, got, err, want)
		}
	}
	for _, describe := range []string{"", "latest", "v1.2", "v1.2.3-rc1", "1.2.3; rm -rf /", "release-7"} {
		if got, err := versionNumber(describe, when); err == nil {
			t.Errorf("the version %q becomes %s, want an error", describe, got)
		}
	}
}

// An archive depends on what is in it, and on nothing else.
func TestArchivesAreOfTheirContent(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	for _, d := range []string{dir, other} {
		for _, name := range []string{"b/c", "a"} {
			if err := os.MkdirAll(filepath.Dir(filepath.Join(d, name)), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(d, name), []byte(name), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.Chtimes(filepath.Join(other, "a"), time.Unix(1, 0), time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	var archives [2][]byte
	for i, d := range []string{dir, other} {
		entries, err := entriesBelow(d, "top")
		if err != nil || len(entries) != 2 || entries[0].name != "top/a" || entries[1].name != "top/b/c" {
			t.Fatalf("%v, %v", entries, err)
		}
		file := filepath.Join(t.TempDir(), "x.tgz")
		if err := writeTarGz(file, time.Unix(1e9, 0), entries); err != nil {
			t.Fatal(err)
		}
		if archives[i], err = os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(archives[0], archives[1]) {
		t.Error("the same files of two folders make two archives")
	}
}

// TestReleasesNeedAKey: nothing is built that nobody could trust.
func TestReleasesNeedAKey(t *testing.T) {
	_, text, err := sign.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, v := range []struct {
		name, variable, wrong string
		args                  []string
	}{
		{"no key", "", "a release is signed: give --key", []string{"--release"}},
		{"a bad key", "hello", keyVariable + ": no PEM", []string{"--release"}},
		{"no such file", "", "--key: open ", []string{"--release", "--key", "/nonexistent"}},
		{"in the environment", string(text), "", []string{"--release"}},
		{"in a file", "", "", []string{"--release", "--key", file}},
		{"no release", "", "", nil},
	} {
		o, err := parse(v.args, func(string) string { return v.variable })
		switch {
		case v.wrong != "" && (err == nil || !strings.Contains(err.Error(), v.wrong)):
			t.Errorf("%s: %v, want %q", v.name, err, v.wrong)
		case v.wrong == "" && (err != nil || (o.key != nil) != o.release):
			t.Errorf("%s: %v, a key %v, want one for a release", v.name, err, o.key != nil)
		}
	}
}

// TestReleasesAreCommits: changes that nobody can find again are in no release. What was in the directory before stays.
func TestReleasesAreCommits(t *testing.T) {
	_, text, err := sign.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	for _, args := range [][]string{
		{"init", "-q"}, {"-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "-q", "--allow-empty", "-m", "x"},
	} {
		if out, err := exec.Command("git", append([]string{"-C", root}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	dist := filepath.Join(t.TempDir(), "dist")
	if err := os.Mkdir(dist, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, v := range []struct{ file, wrong string }{
		{"", "go build"}, // there is no program in it
		{"new.go", "a release is a commit"},
	} {
		if v.file != "" {
			if err := os.WriteFile(filepath.Join(root, v.file), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		args := []string{"--release", "--root", root, "--out", dist}
		err := run(t.Context(), args, func(string) string { return string(text) }, io.Discard)
		if err == nil || !strings.Contains(err.Error(), v.wrong) {
			t.Errorf("a release with the new file %q: %v, want %q", v.file, err, v.wrong)
		}
	}
	if left, err := os.ReadDir(filepath.Dir(dist)); err != nil || len(left) != 1 || left[0].Name() != "dist" {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// What is signed has its length and its kind in front, so that no other text has the same bytes (DSSE, version 1).
func TestEnvelopesSignKindAndLength(t *testing.T) {
	if got := string(preAuthentication("http://example.com/HelloWorld", []byte("hello world"))); got !=
		"DSSEv1 29 http://example.com/HelloWorld 11 hello world" {
		t.Error(got)
	}
}

// TestImagesOfAllPlatformsAreOne: the layout names one index, and that has the image of each platform.
func TestImagesOfAllPlatformsAreOne(t *testing.T) {
	for _, arches := range [][]string{{"amd64"}, {"amd64", "arm64"}} {
		p := &packer{order: order{arches: arches}, source: source{number: "1.2.3+4.gabc"}, tmp: t.TempDir(), dist: t.TempDir()}
		for _, arch := range arches {
			if err := os.WriteFile(p.binaryFile(arch), []byte("the program for "+arch), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.image(); err != nil {
			t.Fatal(err)
		}
		top, err := layout.ImageIndexFromPath(filepath.Join(p.tmp, "image"))
		if err != nil {
			t.Fatal(err)
		}
		named, err := top.IndexManifest()
		if err != nil {
			t.Fatal(err)
		}
		if len(named.Manifests) != 1 || named.Manifests[0].Annotations["org.opencontainers.image.ref.name"] != "1.2.3-4.gabc" {
			t.Fatalf("%v: the layout names %+v, want one index with the tag", arches, named.Manifests)
		}
		index, err := top.ImageIndex(named.Manifests[0].Digest)
		if err != nil {
			t.Fatal(err)
		}
		inside, err := index.IndexManifest()
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, m := range inside.Manifests {
			img, err := index.Image(m.Digest)
			if err != nil {
				t.Fatal(err)
			}
			config, err := img.ConfigFile()
			if err != nil || m.Platform == nil || m.Platform.OS != "linux" || m.Platform.Architecture != config.Architecture {
				t.Fatalf("%v: an image for %+v: %+v, %v", arches, m.Platform, config, err)
			}
			got = append(got, config.Architecture)
		}
		if !slices.Equal(got, arches) {
			t.Errorf("the index has images for %v, want %v", got, arches)
		}
	}
}
