package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The commands that install faxstream are also those of an upgrade: given again, they keep the configuration that somebody edited, and
// install the new binary.
func TestInstallingAgainKeepsTheConfiguration(t *testing.T) {
	t.Parallel()
	var block string
	for _, text := range readPage(t, "README.md").of(example) {
		if strings.Contains(text, "install -d -m 0700 /etc/faxstream") {
			block = text
		}
	}
	if block == "" {
		t.Fatal("README.md has no block that installs faxstream")
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, d := range []string{"secrets", "bin", "etc/systemd/system", "usr/local/bin", "stubs"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(here, filepath.Join(dir, "deploy")); err != nil {
		t.Fatal(err)
	}
	for _, stub := range []string{"make", "systemctl"} {
		path := filepath.Join(dir, "stubs", stub)
		write(t, path, "#!/bin/sh\n")
		if err := os.Chmod(path, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	install := func(version string) {
		t.Helper()
		write(t, filepath.Join(dir, "bin/faxstream"), version)
		write(t, filepath.Join(dir, "secrets/webhook-secret"), "secret of "+version)
		cmd := exec.Command("sh", "-ec", strings.NewReplacer(" /etc/", " "+dir+"/etc/", " /usr/", " "+dir+"/usr/").Replace(block))
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "PATH="+filepath.Join(dir, "stubs")+":"+os.Getenv("PATH"))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	configured := filepath.Join(dir, "etc/faxstream/faxstream.yaml")
	install("1")
	if text, err := os.ReadFile(configured); err != nil || !strings.Contains(string(text), "faxplus-page-path") {
		t.Fatalf("%s, %v", text, err)
	}
	write(t, configured, "edited")
	install("2")
	for path, want := range map[string]string{
		configured: "edited", filepath.Join(dir, "usr/local/bin/faxstream"): "2",
		filepath.Join(dir, "etc/faxstream/webhook-secret"): "secret of 2",
	} {
		if text, err := os.ReadFile(path); err != nil || string(text) != want {
			t.Errorf("%s after the second time: %q, %v, want %q", path, text, err, want)
		}
	}
}

// What the pages tell people to make beside the sources is never committed by mistake.
func TestSecretsAreNotCommitted(t *testing.T) {
	t.Parallel()
	git := tool(t, "git", "install the Debian package git")
	if _, err := os.Stat("../.git"); err != nil {
		t.Skip("this is no checkout")
	}
	for _, path := range []string{"secrets/webhook-secret", "deploy/secrets/faxplus-token", "sign.key", "deploy/.env"} {
		cmd := exec.Command(git, "check-ignore", "--no-index", "-q", path)
		cmd.Dir = ".."
		if err := cmd.Run(); err != nil {
			t.Errorf("%s is not ignored by git: %v", path, err)
		}
	}
}
