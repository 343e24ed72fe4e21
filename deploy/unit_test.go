package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

func TestUnitIsValid(t *testing.T) {
	t.Parallel()
	checkUnit(t, "faxstream.service", faxstream())
}

// checkUnit lets systemd judge a unit: it understands all of it, and the service is exposed to little.
func checkUnit(t *testing.T, file, binary string) {
	t.Helper()
	analyze := tool(t, "systemd-analyze", "install the Debian package systemd")
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	// A copy, whose binary exists.
	unit := filepath.Join(t.TempDir(), "faxstream.service")
	write(t, unit, regexp.MustCompile(`/usr/(local/)?bin/faxstream`).ReplaceAllString(string(raw), binary))
	cmd := exec.Command(analyze, "verify", unit)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	// An unknown key is a warning with status 0.
	if err := cmd.Run(); err != nil || stderr.Len() > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, stderr.String())
	}
	const threshold = 15 // tenths; it is 1.1 with systemd 252, the rest being the network that it is for
	out, err := exec.Command(
		analyze, "security", "--offline=true", "--no-pager", "--threshold="+strconv.Itoa(threshold), unit,
	).CombinedOutput()
	if err != nil {
		t.Errorf("systemd-analyze security --threshold=%d: %v\n%s", threshold, err, out)
	}
}

// TestUnitStarts runs the unit's command with the credentials and directories that systemd would give, and the example configuration.
func TestUnitStarts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	checkReady(t, startServe(t, serviceArgs(t, "faxstream.service", configuration(t), dir)))
	if _, err := os.Stat(filepath.Join(dir, "faxstream", "nats")); err != nil {
		t.Errorf("the state is not in the unit's state directory: %v", err)
	}
}

// serviceArgs are those of the command of a unit, with the credentials that systemd would copy, and its state directory below state.
func serviceArgs(t *testing.T, unit, config, state string) []string {
	t.Helper()
	raw, err := os.ReadFile(unit)
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^ExecStart=/usr/(?:local/)?bin/faxstream (.*)$`).FindStringSubmatch(string(raw))
	if line == nil {
		t.Fatal("the unit has no ExecStart of faxstream")
	}
	credentials := t.TempDir()
	content := map[string]string{"faxstream.yaml": config, "faxplus-token": "token\n", "webhook-secret": secret + "\n"}
	for _, m := range regexp.MustCompile(`(?m)^LoadCredential=([^:]+):/etc/faxstream/(.+)$`).FindAllStringSubmatch(string(raw), -1) {
		text, ok := content[m[2]]
		if !ok {
			t.Fatalf("the unit loads /etc/faxstream/%s, which README.md does not put there", m[2])
		}
		write(t, filepath.Join(credentials, m[1]), text)
	}
	return strings.Fields(strings.NewReplacer("%d", credentials, "%S", state).Replace(line[1]))
}

// configuration is the example with ports that are free in a test.
func configuration(t *testing.T) string {
	t.Helper()
	raw, err := os.ReadFile("faxstream.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer("127.0.0.1:8080", "127.0.0.1:0", "127.0.0.1:8081", "127.0.0.1:0").Replace(string(raw))
	if strings.Count(text, "127.0.0.1:0") != 2 {
		t.Fatal("the example does not give both addresses")
	}
	return text
}

// TestConfigurationInComments starts far enough to know every key that the example has in comments.
func TestConfigurationInComments(t *testing.T) {
	t.Parallel()
	text := regexp.MustCompile(`(?m)^#([a-z0-9-]+: )`).ReplaceAllString(configuration(t), "$1")
	file := filepath.Join(t.TempDir(), "faxstream.yaml")
	write(t, file, text+"webhook-secret-file: /nonexistent\n")
	cmd := exec.Command(faxstream(), "serve", "--config", file, "--dir", t.TempDir())
	cmd.Env = clean()
	out, err := cmd.CombinedOutput()
	// The files that it names are not here: nothing else is wrong with it.
	if err == nil || !strings.Contains(string(out), "no such file or directory") {
		t.Errorf("want it to miss a file, got %v\n%s", err, out)
	}
}

// TestServiceCanReadItsFiles: each file of the example lies where systemd copies it, and README.md has the line that copies it. The service
// cannot read /etc/faxstream.
func TestServiceCanReadItsFiles(t *testing.T) {
	t.Parallel()
	lines := strings.Join(readPage(t, "README.md").of(plain), "")
	found := regexp.MustCompile(`(?m)^#?[a-z0-9-]+: (/.*/)([^/\n]+)$`).FindAllStringSubmatch(configuration(t), -1)
	if len(found) < 6 {
		t.Fatalf("found only the files %v in faxstream.yaml", found)
	}
	for _, m := range found {
		if m[1] != "/run/credentials/faxstream.service/" {
			t.Errorf("faxstream.yaml names %s%s, which the service cannot read", m[1], m[2])
		} else if !strings.Contains(lines, "\nLoadCredential="+m[2]+":/etc/faxstream/") {
			t.Errorf("README.md has no line LoadCredential=%s", m[2])
		}
	}
}
