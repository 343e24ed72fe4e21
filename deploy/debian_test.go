package deploy_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// machine is a directory in which dpkg installs packages as into a system, with its own list of packages. systemctl only writes down
// what it is told.
type machine struct {
	t              *testing.T
	root, dpkg, sh string
}

func newMachine(t *testing.T, systemd string) *machine {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("dpkg installs as root only")
	}
	m := &machine{t: t, root: t.TempDir(), dpkg: tool(t, "dpkg", "use Debian"), sh: t.TempDir()}
	for _, dir := range []string{"var/lib/dpkg/info", "var/lib/dpkg/updates", "run/systemd/system"} {
		if err := os.MkdirAll(filepath.Join(m.root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	const installed = "Package: %s\nStatus: install ok installed\nMaintainer: x\nArchitecture: all\nVersion: %s\nDescription: x\n\n"
	m.write("var/lib/dpkg/status", fmt.Sprintf(installed, "systemd", systemd)+fmt.Sprintf(installed, "ca-certificates", "1"))
	write(t, filepath.Join(m.sh, "systemctl"), "#!/bin/sh\necho \"$@\" >> '"+m.path("systemctl.log")+"'\n")
	if err := os.Chmod(filepath.Join(m.sh, "systemctl"), 0o700); err != nil {
		t.Fatal(err)
	}
	return m
}

func (m *machine) path(name string) string { return filepath.Join(m.root, name) }

func (m *machine) write(name, text string) {
	m.t.Helper()
	if err := os.MkdirAll(filepath.Dir(m.path(name)), 0o755); err != nil {
		m.t.Fatal(err)
	}
	write(m.t, m.path(name), text)
}

// run gives dpkg an order, and what it and the scripts of the package said.
func (m *machine) run(args ...string) (string, error) {
	m.t.Helper()
	cmd := exec.Command(m.dpkg, append([]string{"--root=" + m.root, "--force-script-chrootless", "--force-confold"}, args...)...)
	cmd.Env = append(os.Environ(), "PATH="+m.sh+":/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (m *machine) must(args ...string) string {
	m.t.Helper()
	out, err := m.run(args...)
	if err != nil {
		m.t.Fatalf("dpkg %v: %v\n%s", args, err, out)
	}
	return out
}

// wantOrders checks what systemctl was told since the last time.
func (m *machine) wantOrders(when string, want ...string) {
	m.t.Helper()
	text, err := os.ReadFile(m.path("systemctl.log"))
	if err != nil && !os.IsNotExist(err) {
		m.t.Fatal(err)
	}
	if got := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n"); !slices.Equal(got, want) {
		m.t.Errorf("%s systemctl is told %q, want %q", when, got, want)
	}
	m.write("systemctl.log", "")
}

// wantFiles checks what files have; "-" is a file that is not there.
func (m *machine) wantFiles(when string, want map[string]string) {
	m.t.Helper()
	for name, text := range want {
		got, err := os.ReadFile(m.path(name))
		if text == "-" {
			if _, err := os.Lstat(m.path(name)); !os.IsNotExist(err) {
				m.t.Errorf("%s /%s is still there", when, name)
			}
		} else if err != nil || string(got) != text {
			m.t.Errorf("%s /%s is %q, %v, want %q", when, name, got, err, text)
		}
	}
}

// repackaged is the package with another version.
func repackaged(t *testing.T, deb, version string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "x")
	out := filepath.Join(t.TempDir(), "faxstream_"+version+".deb")
	for _, args := range [][]string{
		{"dpkg-deb", "-R", deb, dir},
		{"sed", "-i", "s/^Version: .*/Version: " + version + "/", filepath.Join(dir, "DEBIAN/control")},
		{"dpkg-deb", "-Zgzip", "-z1", "-b", dir, out},
	} {
		if text, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, text)
		}
	}
	return out
}

const (
	installedUnit = "lib/systemd/system/faxstream.service"
	state         = "var/lib/private/faxstream" // where systemd keeps that of a user who is made at each start
)

// serve runs the installed binary as the installed unit says, until it is ready, and ends it.
func (m *machine) serve(t *testing.T) {
	t.Run("the service starts", func(t *testing.T) {
		args := serviceArgs(t, m.path(installedUnit), configuration(t), filepath.Dir(m.path(state)))
		checkReady(t, startServeOf(t, m.path("usr/bin/faxstream"), args))
	})
}

// TestPackageForDebianInstalls: install, upgrade, roll back, remove and purge, as deploy/docs/install.md has them, by dpkg itself.
func TestPackageForDebianInstalls(t *testing.T) {
	t.Parallel()
	deb := packaged(t, "*.deb")
	if out, err := newMachine(t, "249.11").run("-i", deb); err == nil || !strings.Contains(out, "systemd (>= 250)") {
		t.Errorf("a systemd that cannot run the unit: %v, want a refusal\n%s", err, out)
	}
	m := newMachine(t, "252.30")
	m.must("-i", deb)
	m.wantOrders("at the first installation", "daemon-reload")
	m.wantModes(map[string]os.FileMode{
		"etc/faxstream": 0o700 | os.ModeDir, "etc/faxstream/faxstream.yaml": 0o600, "usr/bin/faxstream": 0o755, installedUnit: 0o644,
	})
	checkUnit(t, m.path(installedUnit), m.path("usr/bin/faxstream"))
	m.serve(t)
	for name, text := range map[string]string{
		"etc/faxstream/faxstream.yaml": "edited", "etc/faxstream/webhook-secret": secret, "etc/faxstream/sign.key": "key",
		state + "/archive/kept": "a fax", state + "/link.key": "0123456789abcdef0123456789abcdef",
	} {
		m.write(name, text)
	}
	if err := os.Symlink("private/faxstream", m.path("var/lib/faxstream")); err != nil {
		t.Fatal(err)
	}
	kept := map[string]string{
		"etc/faxstream/faxstream.yaml": "edited", "etc/faxstream/webhook-secret": secret,
		state + "/archive/kept": "a fax", "var/lib/faxstream/archive/kept": "a fax",
	}
	m.must("-i", repackaged(t, deb, "99.0.0"))
	m.wantOrders("at an upgrade", "daemon-reload", "try-restart faxstream.service")
	m.wantFiles("after an upgrade", kept)
	m.serve(t)
	m.must("-i", deb)
	m.wantOrders("at the way back", "daemon-reload", "try-restart faxstream.service")
	m.wantFiles("after the way back", kept)

	m.must("-r", "faxstream")
	m.wantOrders("at the removal", "disable --now faxstream.service", "daemon-reload")
	m.wantFiles("after the removal", kept)
	m.wantFiles("after the removal", map[string]string{"usr/bin/faxstream": "-", installedUnit: "-"})
	m.purge()
}

// purge keeps what nobody can make again, says so, and otherwise leaves nothing.
func (m *machine) purge() {
	m.t.Helper()
	said := m.must("-P", "faxstream")
	if !strings.Contains(said, "kept /etc/faxstream /var/lib/private/faxstream, with what cannot be made again") {
		m.t.Errorf("a purge does not say what it kept:\n%s", said)
	}
	m.wantFiles("after a purge", map[string]string{
		"etc/faxstream/faxstream.yaml": "-", "etc/faxstream/webhook-secret": "-", "etc/faxstream/sign.key": "key",
		state + "/nats": "-", state + "/search": "-", state + "/spool": "-",
		state + "/archive/kept": "a fax", "var/lib/faxstream/link.key": "0123456789abcdef0123456789abcdef",
	})
	if err := os.RemoveAll(m.path(state + "/archive")); err != nil {
		m.t.Fatal(err)
	}
	if err := os.Remove(m.path("etc/faxstream/sign.key")); err != nil {
		m.t.Fatal(err)
	}
	m.must("-i", packaged(m.t, "*.deb"))
	if said := m.must("-P", "faxstream"); strings.Contains(said, "kept") {
		m.t.Errorf("a purge keeps something where no fax is:\n%s", said)
	}
	m.wantFiles("after a purge without an archive", map[string]string{"etc/faxstream": "-", state: "-", "var/lib/faxstream": "-"})
}

func (m *machine) wantModes(want map[string]os.FileMode) {
	m.t.Helper()
	for name, mode := range want {
		if info, err := os.Stat(m.path(name)); err != nil || info.Mode() != mode {
			m.t.Errorf("/%s: %v, %v, want %v", name, info, err, mode)
		}
	}
}
