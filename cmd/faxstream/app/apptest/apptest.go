// Package apptest has what the tests of several rooms need: Await and its Patience, faxes and pages, programs and servers that tests run,
// and a Rig, which is the pipeline in the process of the test. Begin with NewRig. It is no part of the product.
package apptest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Patience bounds every wait of a test: long enough for a loaded machine, since it is only reached on failure.
const Patience = 90 * time.Second

// Await polls until cond holds. Polling is for what has no signal of its own; nothing is asserted about how long it takes.
func Await(t testing.TB, what string, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(Patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %s", what, Patience)
		}
		<-tick.C
	}
}

// Context ends with the test, or after Patience.
func Context(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	t.Cleanup(cancel)
	return ctx
}

// Root is the project's folder: the one above the test's with a go.mod.
func Root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	for err == nil {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if filepath.Dir(dir) == dir {
			t.Fatal("no go.mod above the test's folder")
		}
		dir = filepath.Dir(dir)
	}
	t.Fatal(err)
	return ""
}

// Tool finds a program that tests run: in $FAXSTREAM_TOOLS, in .tools/bin, on PATH. Without it the test is skipped, in CI it fails.
func Tool(t testing.TB, name, install string) string {
	t.Helper()
	for _, dir := range []string{os.Getenv("FAXSTREAM_TOOLS"), filepath.Join(Root(t), ".tools", "bin")} {
		if path := filepath.Join(dir, name); dir != "" {
			if _, err := os.Stat(path); err == nil {
				return path
			}
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		message := fmt.Sprintf("%s is not here: %s", name, install)
		if os.Getenv("CI") == "true" {
			t.Fatal(message)
		}
		t.Skip(message)
	}
	return path
}

// Judge runs a Debian tool that must be content and say nothing on stderr.
func Judge(t testing.TB, name, pkg string, args ...string) string {
	t.Helper()
	cmd := exec.Command(Tool(t, name, "apt-get install "+pkg), args...)
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil || complaints.Len() > 0 {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, &out, &complaints)
	}
	return out.String()
}

// Post sends a webhook body and returns the status.
func Post(t testing.TB, url string, body []byte) int {
	t.Helper()
	resp, err := http.Post(url, "application/json", strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// Fetch gets a URL that must answer 200.
func Fetch(t testing.TB, url string) []byte {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s, %v: %s", url, resp.Status, err, body)
	}
	return body
}

// Fixture is a file of testdata, without its extension.
func Fixture(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(Root(t), "testdata", name+".tiff"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// ReadFile reads a file that must be there.
func ReadFile(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Usual is how much of a thing a test has. Few is for -short, which is what the race detector runs: there each page costs ten times
// as much, and more of them interleave no further.
func Usual(n, few int) int {
	if testing.Short() {
		return few
	}
	return n
}
