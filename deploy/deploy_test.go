// Package deploy_test proves that the files of this folder are accepted by the programs that read them, and that faxstream
// has every flag and variable they use.
package deploy_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// binDir holds the faxstream that the tests run.
var binDir string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if binDir, err = os.MkdirTemp("", "faxstream-deploy-"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(binDir)
		build := exec.Command("go", "build", "-o", binDir, "../cmd/faxstream")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build faxstream: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

func faxstream() string { return filepath.Join(binDir, "faxstream") }

// secret is long enough for a webhook.
const secret = "a-secret-of-the-deploy-test"
