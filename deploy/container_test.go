package deploy_test

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/faxstream/faxstream/storage/storagetest"
)

type composeFile struct {
	Services map[string]struct {
		Image       string
		Build       struct{ Context, Dockerfile string }
		Command     []string
		Environment map[string]string
		Secrets     []string
		Volumes     []string
		Ports       []string
		Networks    []string
		DependsOn   []string `yaml:"depends_on"`
	}
	Networks, Volumes map[string]any
	Secrets           map[string]struct{ File string }
}

func compose(t *testing.T) composeFile {
	t.Helper()
	raw, err := os.ReadFile("compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var c composeFile
	if err := yaml.Unmarshal(raw, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestComposeNamesWhatIsThere finds what `docker compose config` would: names without a definition, files that are not there.
func TestComposeNamesWhatIsThere(t *testing.T) {
	c := compose(t)
	for name, s := range c.Services {
		for _, n := range s.Networks {
			if _, ok := c.Networks[n]; !ok {
				t.Errorf("service %s: no network %s", name, n)
			}
		}
		for _, n := range s.Secrets {
			if _, ok := c.Secrets[n]; !ok {
				t.Errorf("service %s: no secret %s", name, n)
			}
		}
		for _, n := range s.DependsOn {
			if _, ok := c.Services[n]; !ok {
				t.Errorf("service %s: no service %s", name, n)
			}
		}
		for _, v := range s.Volumes {
			source, _, _ := strings.Cut(v, ":")
			if _, ok := c.Volumes[source]; ok {
				continue
			}
			if _, err := os.Stat(source); err != nil {
				t.Errorf("service %s: volume %s: %v", name, v, err)
			}
		}
		for _, p := range s.Ports {
			if name != "faxstream" || !strings.HasPrefix(p, "127.0.0.1:") {
				t.Errorf("service %s publishes %s: want the webhook alone, on loopback", name, p)
			}
		}
	}
	b := c.Services["faxstream"].Build
	if _, err := os.Stat(filepath.Join(b.Context, b.Dockerfile)); err != nil {
		t.Errorf("service faxstream: %v", err)
	}
	if _, err := os.Stat(filepath.Join(b.Context, "go.mod")); err != nil {
		t.Errorf("the build's context is not the project: %v", err)
	}
}

// TestComposeStarts runs what the compose file runs, as processes: nats-server with our configuration, versitygw, and
// faxstream with the file's command and environment, in which only places are replaced.
func TestComposeStarts(t *testing.T) {
	endpoint, access, secretKey := storagetest.VersityGW(t)
	nats := startNATS(t)
	dir := t.TempDir()
	for _, name := range compose(t).Services["faxstream"].Secrets {
		write(t, filepath.Join(dir, name), secret+"\n")
	}
	places := strings.NewReplacer(
		"${NATS_PASSWORD:?}", nats.password, "nats:4222", nats.addr,
		"${S3_ACCESS_KEY:?}", access, "${S3_SECRET_KEY:?}", secretKey, "http://s3:7070", endpoint,
		"s3://faxstream/", "s3://"+storagetest.Bucket+"/",
		"${FAXPLUS_PAGE_PATH:?}", "none", "/run/secrets", dir, "0.0.0.0:8080", "0.0.0.0:0", "127.0.0.1:8081", "127.0.0.1:0",
	)
	s := compose(t).Services["faxstream"]
	var args, environ []string
	for _, a := range s.Command {
		args = append(args, places.Replace(a))
	}
	for k, v := range s.Environment {
		environ = append(environ, k+"="+places.Replace(v))
	}
	for k, v := range dockerfileEnv(t) {
		environ = append(environ, k+"="+strings.Replace(v, "/data", dir, 1))
	}
	checkReady(t, startServe(t, args, environ...))
	var jsz struct {
		Streams int `json:"streams"`
	}
	getJSON(t, nats.monitor+"/jsz", &jsz)
	if jsz.Streams == 0 {
		t.Error("faxstream is ready, but the NATS server has no stream: it ran on an embedded one")
	}
	if _, err := os.Stat(filepath.Join(dir, "archive")); err == nil {
		t.Error("faxstream is ready, but with an archive of plain files")
	}
}

func dockerfile(t *testing.T) []string {
	t.Helper()
	raw, err := os.ReadFile("Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(string(raw), "\n")
}

func dockerfileEnv(t *testing.T) map[string]string {
	t.Helper()
	env := map[string]string{}
	for _, line := range dockerfile(t) {
		if rest, ok := strings.CutPrefix(line, "ENV "); ok {
			k, v, _ := strings.Cut(rest, "=")
			env[k] = v
		}
	}
	return env
}

// TestVariablesExist finds variables that faxstream does not read: no program reports them.
func TestVariablesExist(t *testing.T) {
	help, err := exec.Command(faxstream(), "serve", "--help").Output()
	if err != nil {
		t.Fatal(err)
	}
	names := dockerfileEnv(t)
	for k, v := range compose(t).Services["faxstream"].Environment {
		names[k] = v
	}
	if len(names) < 2 {
		t.Fatalf("found only the variables %v", names)
	}
	for name := range names {
		if !regexp.MustCompile(`\b` + name + `\b`).Match(help) {
			t.Errorf("`faxstream serve --help` knows no variable %s", name)
		}
	}
}

// TestDockerfileBuildsFromWhatIsSent checks what a build needs, because a build cannot run here.
func TestDockerfileBuildsFromWhatIsSent(t *testing.T) {
	instruction := regexp.MustCompile(`^(?:FROM|WORKDIR|COPY|RUN|ARG|USER|ENV|VOLUME|EXPOSE|HEALTHCHECK|ENTRYPOINT|CMD) \S`)
	last := map[string]string{}
	for i, line := range dockerfile(t) {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if !instruction.MatchString(line) {
			t.Errorf("Dockerfile line %d is no instruction: %s", i+1, line)
		}
		name, rest, _ := strings.Cut(line, " ")
		last[name] = rest
	}
	if last["FROM"] != "scratch" || last["USER"] != "65532:65532" {
		t.Errorf("the image is from %q and runs as %q, want scratch and 65532:65532", last["FROM"], last["USER"])
	}
	for _, name := range []string{"ENTRYPOINT", "CMD"} {
		var words []string
		if err := json.Unmarshal([]byte(last[name]), &words); err != nil {
			t.Errorf("%s is not in JSON form, and there is no shell: %v", name, err)
		}
	}
	_, health, _ := strings.Cut(last["HEALTHCHECK"], " CMD ")
	var words []string
	if err := json.Unmarshal([]byte(health), &words); err != nil || len(words) < 2 || words[0] != "/faxstream" {
		t.Fatalf("HEALTHCHECK %q: want the binary in JSON form", health)
	}
	out, err := exec.Command(faxstream(), append(words[1:], "--server=http://127.0.0.1:1")...).CombinedOutput()
	if code := exitCode(err); code != 1 {
		t.Errorf("the health check exits with %d where nothing listens, want 1 (unhealthy)\n%s", code, out)
	}
	ignored, err := os.ReadFile("Dockerfile.dockerignore")
	if err != nil {
		t.Fatal(err)
	}
	module := exec.Command("go", "list", "-deps", "-f", "{{if and .Module .Module.Main}}{{.ImportPath}}{{end}}", "../cmd/faxstream")
	packages, err := module.Output()
	if err != nil {
		t.Fatal(err)
	}
	for p := range strings.FieldsSeq(string(packages)) {
		top, _, _ := strings.Cut(strings.TrimPrefix(p, "github.com/faxstream/faxstream/"), "/")
		if !strings.Contains(string(ignored), "\n!"+top+"\n") {
			t.Errorf("package %s is not sent to the build: Dockerfile.dockerignore has no !%s", p, top)
		}
	}
}

func exitCode(err error) int {
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		return e.ExitCode()
	}
	return 0
}
