package deploy_test

import (
	"errors"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
	"github.com/faxstream/faxstream/storage/storagetest"
)

type composeFile struct {
	Services map[string]struct {
		Image       string
		Command     []string
		Environment map[string]string
		Secrets     []string
		Volumes     []string
		Ports       []string
		Networks    networks
		DependsOn   []string `yaml:"depends_on"`
	}
	Networks, Volumes map[string]any
	Secrets           map[string]struct{ File string }
}

// networks are names, in a list or with settings.
type networks []string

func (n *networks) UnmarshalYAML(node *yaml.Node) error {
	var with map[string]any
	if err := node.Decode(&with); err == nil {
		*n = slices.Collect(maps.Keys(with))
		return nil
	}
	return node.Decode((*[]string)(n))
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
	t.Parallel()
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
			if name != "proxy" {
				t.Errorf("service %s publishes %s: want the proxy with TLS alone", name, p)
			}
		}
	}
}

// TestPackageOfComposeIsValid: docker compose knows every key of the file.
func TestPackageOfComposeIsValid(t *testing.T) {
	t.Parallel()
	var schema, file any
	readJSON(t, filepath.Join(filepath.Dir(tool(t, "helm", "make tools")), "schemas/compose.json"), &schema)
	text, err := os.ReadFile("compose.yaml")
	if err == nil {
		err = yaml.Unmarshal(text, &file)
	}
	c := jsonschema.NewCompiler()
	if err = errors.Join(err, c.AddResource("mem://compose.json", schema)); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile("mem://compose.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := compiled.Validate(file); err != nil {
		t.Error(err)
	}
	file.(map[string]any)["services"].(map[string]any)["proxy"].(map[string]any)["port"] = "443"
	if err := compiled.Validate(file); err == nil {
		t.Error("the schema finds nothing in a service with an unknown key")
	}
}

// TestPackageOfComposeStarts runs what the compose file runs, as processes: nats-server with our configuration, versitygw, faxstream with
// the file's command and environment, in which only places are replaced, and nginx with our configuration in front.
func TestPackageOfComposeStarts(t *testing.T) {
	t.Parallel()
	environment := imageEnv(t)
	endpoint, access, secretKey := storagetest.VersityGW(t)
	nats := startNATS(t)
	dir := t.TempDir()
	for _, name := range compose(t).Services["faxstream"].Secrets {
		write(t, filepath.Join(dir, name), secret+"\n")
	}
	places := strings.NewReplacer(
		"${NATS_PASSWORD:?}", nats.password, "nats:4222", nats.addr,
		"${S3_ACCESS_KEY:?}", access, "${S3_SECRET_KEY:?}", secretKey, "http://s3:7070", endpoint,
		"s3://faxstream/", "s3://"+storagetest.Bucket+"/", "/data", dir, "${FAX_HOST:?}", "fax.example.org",
		"${FAXPLUS_PAGE_PATH:?}", "none", "/run/secrets", dir, "0.0.0.0:8080", "0.0.0.0:0", "0.0.0.0:8081", "0.0.0.0:0",
		"172.31.250.2", "127.0.0.1",
	)
	s := compose(t).Services["faxstream"]
	var args, environ []string
	for _, a := range s.Command {
		args = append(args, places.Replace(a))
	}
	for k, v := range s.Environment {
		environ = append(environ, k+"="+places.Replace(v))
	}
	for k, v := range environment {
		environ = append(environ, k+"="+places.Replace(v))
	}
	write(t, filepath.Join(dir, "password"), "correct horse battery staple\n")
	add := exec.Command(faxstream(), "user", "add", "anna", "--role=read", "--admin-users="+filepath.Join(dir, "users"),
		"--password-file="+filepath.Join(dir, "password"))
	if out, err := add.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	p := serveProcess(t, faxstream(), args, environ...)
	admin := p.await(t, `"admin":"([^"]+)"`)
	checkReady(t, admin)
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
	checkProxy(t, p.await(t, `"webhook":"([^"]+)"`), admin)
}

// checkProxy runs nginx with our configuration, a certificate for the host, and addresses of this machine.
func checkProxy(t *testing.T, webhook, admin string) {
	t.Helper()
	nginx := tool(t, "nginx", "install the Debian package nginx-light")
	dir := t.TempDir()
	out, err := exec.Command("openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-days", "2", "-subj", "/CN=fax.example.org",
		"-addext", "subjectAltName=DNS:fax.example.org", "-keyout", dir+"/tls.key", "-out", dir+"/tls.pem").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	text, err := os.ReadFile("nginx.conf")
	if err != nil {
		t.Fatal(err)
	}
	tls, plain := strings.TrimPrefix(apptest.FixedAddr(t), "127.0.0.1:"), strings.TrimPrefix(apptest.FixedAddr(t), "127.0.0.1:")
	config := strings.NewReplacer("/run/secrets", dir, "/tmp", dir, "8443", tls, "listen 8080", "listen "+plain, "/dev/stderr", dir+"/errors",
		"127.0.0.0/8", "127.0.0.2/32", "faxstream:8080", port(t, webhook), "faxstream:8081", port(t, admin)).Replace(string(text))
	write(t, dir+"/nginx.conf", config)
	server := exec.Command(nginx, "-c", dir+"/nginx.conf", "-e", dir+"/errors", "-g", "daemon off;")
	server.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM} // its workers outlive SIGKILL
	startCommand(t, server)
	curl := func(args ...string) string {
		t.Helper()
		args = append([]string{
			"-sS", "--retry", "40", "--retry-connrefused", "--retry-delay", "1", "--cacert", dir + "/tls.pem",
			"--resolve", "fax.example.org:" + tls + ":127.0.0.1", "-o", dir + "/answer", "-w", "%{http_code} %{redirect_url}",
		}, args...)
		cmd := exec.Command("curl", args...)
		var stderr strings.Builder // it also tells of every retry
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		body, readErr := os.ReadFile(dir + "/answer")
		if err != nil || readErr != nil {
			t.Fatalf("curl %v: %v\n%s", args, errors.Join(err, readErr), stderr.String())
		}
		return string(out) + "\n" + string(body)
	}
	host := "https://fax.example.org:" + tls
	const flag, own = "--interface", "127.0.0.2" // stands for an address of the own network
	for _, v := range []struct {
		want string
		args []string
	}{
		{`^303 https://fax\.example\.org:\d+/login`, []string{flag, own, "-H", "Accept: text/html", host + "/"}},
		{`(?s)^200 .*ok`, []string{flag, own, host + "/healthz"}},
		{`^403 `, []string{host + "/healthz"}},
		// The proxy says who sends, whatever the sender says.
		{`(?s)^403 .*webhooks from this address`, []string{"-d", "{}", "-H", "X-Forwarded-For: 34.65.253.117", host + "/v1/faxplus/" + secret}},
		{`^301 https://fax\.example\.org/x\n`, []string{"-H", "Host: fax.example.org", "http://127.0.0.1:" + plain + "/x"}},
	} {
		if got := curl(v.args...); !regexp.MustCompile(v.want).MatchString(got) {
			t.Errorf("curl %v: %.300s, want %s", v.args, got, v.want)
		}
	}
	if log, err := os.ReadFile(dir + "/errors"); err != nil || strings.Contains(string(log), secret) {
		t.Errorf("the log of the proxy has the secret, or is not there: %v\n%s", err, log)
	}
}

// port is the address on loopback that a listener of all addresses has too.
func port(t *testing.T, listening string) string {
	t.Helper()
	u, err := url.Parse(listening)
	if err != nil {
		t.Fatal(err)
	}
	return "127.0.0.1:" + u.Port()
}

// TestVariablesExist finds variables that faxstream does not read: no program reports them.
func TestVariablesExist(t *testing.T) {
	t.Parallel()
	help, err := exec.Command(faxstream(), "serve", "--help").Output()
	if err != nil {
		t.Fatal(err)
	}
	names := imageEnv(t)
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
