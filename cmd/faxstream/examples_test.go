package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
	"github.com/faxstream/faxstream/ingest"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
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
			await(t, "the first text", func() bool { return d.texts("case") > 0 })
			kill()
			kill = d.example(program, name)
			await(t, "the texts of three pages", func() bool { return d.texts("case") == 3 })
			text := d.do(0, "get", "case", "--as=txt")
			if strings.Count(text, "\f") != 3 || strings.Contains(text, "no text") || len(text) < 500 {
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

// example starts an example with its own processes; kill ends all of them at once.
func (d *desk) example(program, name string) (kill func()) {
	d.t.Helper()
	cmd := exec.Command(program, filepath.Join("..", "..", "deploy", "examples", name))
	cmd.Env = append(os.Environ(), "FAXSTREAM_URL="+d.AdminURL(), "FAXSTREAM_TOKEN=", "OMP_THREAD_LIMIT=1", "TMPDIR="+d.t.TempDir())
	cmd.Stdout, cmd.Stderr = d.t.Output(), d.t.Output()
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
			d.t.Errorf("%s ended by itself", name)
		}
	}
	d.t.Cleanup(kill)
	return kill
}

// The commands about subscribers say what they did, and what is wrong.
func TestSubscriberCommands(t *testing.T) {
	d := newDesk(t, false)
	d.do(0, "subscriber", "add", "desk", "--to=+1 (334) 304-0000", "--concurrency=3")
	d.do(exitFailed, "subscriber", "add", "desk")
	d.do(exitUsage, "subscriber", "add", "a.b")
	d.do(exitUsage, "subscriber", "add", "x", "--lease=1s")
	if out := d.do(0, "subscriber", "ls"); !strings.Contains(out, "desk  13343040000  0") {
		t.Errorf("ls prints\n%s", out)
	}
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
