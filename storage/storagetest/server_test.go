package storagetest_test

import (
	"io"
	"os"
	"os/exec"
	"testing"

	"github.com/faxstream/faxstream/storage/storagetest"
)

// TestStartedProcessesEndWithTheBinary kills a test binary that has started a process. Both have the pipe, which ends when both have ended.
func TestStartedProcessesEndWithTheBinary(t *testing.T) {
	const inner = "FAXSTREAM_TEST_STARTS_A_PROCESS"
	if os.Getenv(inner) != "" {
		cmd := exec.Command("sleep", "600")
		cmd.Stdout = os.Stdout
		if err := storagetest.Start(cmd); err != nil {
			t.Fatal(err)
		}
		_, _ = os.Stdout.WriteString("started\n")
		_ = cmd.Wait() // the test ends before
		return
	}
	binary := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	binary.Env = append(os.Environ(), inner+"=1")
	out, err := binary.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := binary.Start(); err != nil {
		t.Fatal(err)
	}
	said := make([]byte, len("started\n"))
	if _, err := io.ReadFull(out, said); err != nil || string(said) != "started\n" {
		t.Fatalf("the test binary says %q, %v", said, err)
	}
	if err := binary.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(out); err != nil || len(rest) > 0 {
		t.Errorf("the process said %q, %v", rest, err)
	}
	_ = binary.Wait() // it was killed
}
