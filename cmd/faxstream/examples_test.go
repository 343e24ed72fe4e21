package main

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
	"github.com/faxstream/faxstream/ingest"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/pipeline/bus"
)

// The OCR services of deploy/examples read every page, also when they are killed in the middle and started again.
func TestExamplesOfOCRServicesMissNothing(t *testing.T) {
	for name, program := range map[string]string{"ocr.sh": "sh", "ocr.py": "python3"} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, false)
			for _, needed := range []string{program, "curl", "tesseract"} {
				if _, err := exec.LookPath(needed); err != nil {
					if os.Getenv("CI") == "true" {
						t.Fatal(err)
					}
					t.Skip(err)
				}
			}
			d.do(0, "subscriber", "add", "ocr", "--lease=10s")
			f := faxplustest.Fax{Session: "case", Streamed: true, Pages: apptest.Split(t, apptest.Fixture(t, "three-pages-fine-g4"))}
			d.sim.Add(f)
			d.send(apptest.Bodies(f, d.WebhookURL()+ingest.Path)...)
			d.awaitFax("case", hasDocument)
			kill := d.example(program, name)
			await(t, "the first text", func() bool { return len(d.texts("case")) > 0 })
			kill()
			kill = d.example(program, name)
			await(t, "every page has a text", func() bool { return d.hasText("case") })
			text := d.do(0, "get", "case", "--as=txt")
			if strings.Count(text, "\f") != 3 || len(text) < 500 {
				t.Errorf("the text of the fax is\n%s", text)
			}
			await(t, "nothing left to do", func() bool {
				return strings.Contains(d.do(0, "subscriber", "ls", "--json"), `"waiting":0,"in_work":0`)
			})
			kill()
			d.do(0, "purge", "case", "--reason=privacy", "--yes")
			await(t, "nothing of the fax in the archive, nor of its text", func() bool { return len(d.objects("case")) == 0 })
		})
	}
}

// The examples with NATS clients print every page, also when they are killed in the middle and started again.
func TestExamplesWithNATSMissNothing(t *testing.T) {
	t.Parallel()
	examples := filepath.Join("..", "..", "deploy", "examples")
	for name, command := range map[string]func(t *testing.T) []string{
		"Go": func(t *testing.T) []string {
			program := filepath.Join(t.TempDir(), "pages")
			if out, err := exec.Command("go", "build", "-o", program, "../../deploy/examples/pages").CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			return []string{program}
		},
		"Node": func(t *testing.T) []string {
			modules := filepath.Join(os.Getenv("FAXSTREAM_TOOLS"), "natsjs", "node_modules")
			if _, err := os.Stat(filepath.Join(modules, "@nats-io")); err != nil {
				const help = "nats.js is missing: make tools, and FAXSTREAM_TOOLS=$PWD/.tools/bin"
				if os.Getenv("CI") == "true" {
					t.Fatal(help)
				}
				t.Skip(help)
			}
			dir := t.TempDir() // Node looks for packages beside the program
			source, err := os.ReadFile(filepath.Join(examples, "pages.mjs"))
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, "pages.mjs"), source, 0o600)
			}
			if err = errors.Join(err, os.Symlink(modules, filepath.Join(dir, "node_modules"))); err != nil {
				t.Fatal(err)
			}
			return []string{"node", filepath.Join(dir, "pages.mjs")}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, false)
			args := command(t)
			var printed lines
			kill := d.start(&printed, args...)
			await(t, "the example's consumer", func() bool {
				_, err := d.js.Consumer(t.Context(), bus.StreamPages, "example-"+strings.ToLower(name))
				return err == nil
			})
			f := faxplustest.Fax{Session: "case", Streamed: true, Pages: apptest.Split(t, apptest.Fixture(t, "three-pages-fine-g4"))}
			d.sim.Add(f)
			bodies := apptest.Bodies(f, d.WebhookURL()+ingest.Path)
			d.send(bodies[0])
			await(t, "page 1", func() bool { return printed.has("case 1") })
			kill()
			d.send(bodies[1:]...)
			d.awaitFax("case", hasDocument)
			kill = d.start(&printed, args...)
			await(t, "the other pages", func() bool { return printed.has("case 2") && printed.has("case 3") })
			kill()
		})
	}
}

// lines is what programs print.
type lines struct {
	mu   sync.Mutex
	text string
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text += string(b)
	return len(b), nil
}

func (l *lines) has(line string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains("\n"+l.text, "\n"+line+"\n")
}

// example starts an example with its own processes; kill ends all of them at once.
func (d *desk) example(program, name string) (kill func()) {
	d.t.Helper()
	return d.start(d.t.Output(), program, filepath.Join("..", "..", "deploy", "examples", name))
}

func (d *desk) start(stdout io.Writer, args ...string) (kill func()) {
	d.t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "FAXSTREAM_URL="+d.AdminURL(), "FAXSTREAM_TOKEN=", "NATS_URL="+d.NATSURL(), "OMP_THREAD_LIMIT=1",
		"TMPDIR="+d.t.TempDir())
	cmd.Stdout, cmd.Stderr = stdout, d.t.Output()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	killed := false
	kill = func() {
		if killed {
			return
		}
		killed = true
		if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			d.t.Error(err)
		}
		if err := cmd.Wait(); err == nil {
			d.t.Errorf("%s ended by itself", args)
		}
	}
	d.t.Cleanup(kill)
	return kill
}

// The commands about subscribers say what they did, and what is wrong.
func TestSubscriberCommands(t *testing.T) {
	t.Parallel()
	d := newDesk(t, false)
	d.do(0, "subscriber", "add", "desk", "--to=+1 (334) 304-0000", "--concurrency=3")
	d.do(exitFailed, "subscriber", "add", "desk")
	d.do(exitUsage, "subscriber", "add", "a.b")
	d.do(exitUsage, "subscriber", "add", "x", "--lease=1s")
	if out := d.do(0, "subscriber", "ls"); !strings.Contains(out, "desk  13343040000  0") {
		t.Errorf("ls prints\n%s", out)
	}
	d.do(exitUsage, "subscriber", "rewind", "desk")
	d.do(exitUsage, "subscriber", "rewind", "desk", "--session=unknown-fax")
	if out := d.do(0, "subscriber", "rewind", "desk", "--since=1h"); out != "desk: 0 events wait\n" {
		t.Errorf("rewind prints %q", out)
	}
	if out := d.do(0, "subscriber", "rm", "desk"); out != "removed desk\n" {
		t.Errorf("rm prints %q", out)
	}
	d.do(exitNotFound, "subscriber", "rm", "desk")
	if out := d.do(0, "subscriber", "ls", "--json"); out != "" {
		t.Errorf("after rm there is still %q", out)
	}
}
