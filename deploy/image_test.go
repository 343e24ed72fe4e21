package deploy_test

import (
	"archive/tar"
	"compress/gzip"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// image is the OCI image of the packages, as skopeo reads it.
type image struct {
	Architecture string `json:"architecture"`
	Config       struct {
		User       string
		Env        []string
		Entrypoint []string
		Cmd        []string
		Labels     map[string]string
	} `json:"config"`
	layer string // file
}

// unpacked is the image, which is read once.
var unpacked struct {
	sync.Mutex
	image *image
}

// readImage lets skopeo copy the image, which checks every digest.
func readImage(t *testing.T) *image {
	t.Helper()
	archive := packaged(t, "*.oci.tar")
	unpacked.Lock()
	defer unpacked.Unlock()
	if unpacked.image == nil {
		unpacked.image = copyImage(t, "oci-archive:"+archive, filepath.Join(binDir, "image"))
	}
	return unpacked.image
}

func copyImage(t *testing.T, from, dir string) *image {
	t.Helper()
	skopeo := tool(t, "skopeo", "install the Debian package skopeo")
	if out, err := exec.Command(skopeo, "copy", "--insecure-policy", from, "dir:"+dir).CombinedOutput(); err != nil {
		t.Fatalf("skopeo copy %s: %v\n%s", from, err, out)
	}
	var manifest struct {
		Config struct{ Digest string }
		Layers []struct{ Digest string }
	}
	readJSON(t, filepath.Join(dir, "manifest.json"), &manifest)
	if len(manifest.Layers) != 1 {
		t.Fatalf("the image has the layers %v, want one", manifest.Layers)
	}
	blob := func(digest string) string { return filepath.Join(dir, strings.TrimPrefix(digest, "sha256:")) }
	img := &image{layer: blob(manifest.Layers[0].Digest)}
	readJSON(t, blob(manifest.Config.Digest), img)
	return img
}

func readJSON(t *testing.T, file string, v any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(text, v)
	}
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// imageEnv are the variables that the image sets.
func imageEnv(t *testing.T) map[string]string {
	t.Helper()
	env := map[string]string{}
	for _, kv := range readImage(t).Config.Env {
		k, v, _ := strings.Cut(kv, "=")
		env[k] = v
	}
	return env
}

// extract writes the layer below a directory, with its owners, and gives the names.
func (i *image) extract(t *testing.T, root string) (names []string) {
	t.Helper()
	f, err := os.Open(i.layer)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var layer io.Reader = f
	if z, err := gzip.NewReader(f); err == nil {
		layer = z
	} else if _, err := f.Seek(0, io.SeekStart); err != nil { // an archive for docker may have it as it is
		t.Fatal(err)
	}
	for r := tar.NewReader(layer); ; {
		h, err := r.Next()
		if err == io.EOF {
			return names
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, h.Name)
		path := filepath.Join(root, h.Name)
		if h.Typeflag == tar.TypeDir {
			err = os.Mkdir(path, 0o755)
		} else {
			var data []byte
			data, err = io.ReadAll(r)
			err = errors.Join(err, os.WriteFile(path, data, 0o600))
		}
		if err = errors.Join(err, os.Chmod(path, h.FileInfo().Mode()), os.Lchown(path, h.Uid, h.Gid)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestPackageOfContainers: the image has a static binary, authorities and an empty state directory, and runs as its user with nothing else.
func TestPackageOfContainers(t *testing.T) {
	t.Parallel()
	img := readImage(t)
	if c := img.Config; c.User != "65532:65532" || strings.Join(c.Entrypoint, " ") != "/faxstream" || strings.Join(c.Cmd, " ") != "serve" ||
		c.Labels["org.opencontainers.image.version"] == "" || len(c.Labels["org.opencontainers.image.revision"]) != 40 {
		t.Errorf("the image runs as %+v", c)
	}
	if os.Getuid() != 0 {
		t.Skip("only root may run a program in a directory of its own as another user")
	}
	root := t.TempDir()
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	names := img.extract(t, root)
	const want = "data/ etc/ etc/ssl/ etc/ssl/certs/ etc/ssl/certs/ca-certificates.crt faxstream"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("the image has %s, want %s", got, want)
	}
	authorities, err := os.ReadFile(filepath.Join(root, "etc/ssl/certs/ca-certificates.crt"))
	if pool := x509.NewCertPool(); err != nil || !pool.AppendCertsFromPEM(authorities) || strings.Count(string(authorities), "BEGIN") < 50 {
		t.Errorf("the image has %d authorities, %v", strings.Count(string(authorities), "BEGIN"), err)
	}
	inside := func(args ...string) *exec.Cmd {
		cmd := exec.Command("/faxstream", args...)
		cmd.Path, cmd.Err, cmd.Dir, cmd.Env = "/faxstream", nil, "/", img.Config.Env
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: 65532, Gid: 65532}}
		return cmd
	}
	out, err := inside("version").CombinedOutput()
	if version := img.Config.Labels["org.opencontainers.image.version"]; err != nil || !strings.HasPrefix(string(out), "faxstream ") {
		t.Errorf("faxstream of the image %s says %s, %v", version, out, err)
	}
	args := append(slices.Clone(img.Config.Cmd), "--faxplus-page-path=none", "--webhook-addr=127.0.0.1:0", "--admin-addr=127.0.0.1:0")
	p := startCommand(t, inside(args...))
	checkReady(t, p.await(t, `"admin":"([^"]+)"`))
	if _, err := os.Stat(filepath.Join(root, "data/nats")); err != nil {
		t.Errorf("the state is not in /data: %v", err)
	}
}

// TestPackageOfContainersForDocker: an engine without containerd reads the same image from the same file.
func TestPackageOfContainersForDocker(t *testing.T) {
	t.Parallel()
	img, other := readImage(t), copyImage(t, "docker-archive:"+packaged(t, "*.oci.tar"), filepath.Join(t.TempDir(), "image"))
	if img.Config.User != other.Config.User || !slices.Equal(img.extract(t, t.TempDir()), other.extract(t, t.TempDir())) {
		t.Errorf("docker reads another image: %+v", other.Config)
	}
}
