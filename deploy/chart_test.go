package deploy_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

// manifest is what the chart makes for the cluster.
type manifest struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string
	Metadata   struct{ Name string }
	Spec       struct {
		Template struct {
			Spec struct {
				Containers []struct {
					Args         []string
					Env          []fromSecret
					VolumeMounts []struct {
						Name      string
						MountPath string `yaml:"mountPath"`
					} `yaml:"volumeMounts"`
				}
			}
		}
	}
	whole map[string]any
}

// fromSecret is a variable of a container, whose value is in a secret.
type fromSecret struct {
	Name      string
	ValueFrom struct {
		SecretKeyRef struct{ Name, Key string } `yaml:"secretKeyRef"`
	} `yaml:"valueFrom"`
}

// helm renders the chart for the newest Kubernetes whose schemas we have.
func helm(t *testing.T, chart string, args ...string) (string, error) {
	t.Helper()
	path := tool(t, "helm", "make tools")
	cmd := exec.Command(path, append([]string{"template", "fax", chart, "--kube-version=1.37.0"}, args...)...)
	cmd.Env = append(os.Environ(), "HELM_CACHE_HOME="+t.TempDir())
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func render(t *testing.T, chart string, args ...string) (all []manifest) {
	t.Helper()
	text, err := helm(t, chart, args...)
	if err != nil {
		t.Fatalf("helm template %v: %v\n%s", args, err, text)
	}
	for d := yaml.NewDecoder(strings.NewReader(text)); ; {
		var node yaml.Node
		err := d.Decode(&node)
		if errors.Is(err, io.EOF) {
			return all
		}
		var m manifest
		if err = errors.Join(err, node.Decode(&m), node.Decode(&m.whole)); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		all = append(all, m)
	}
}

// every is the chart with all that it can have.
var every = []string{
	"--set=nats.secret=n,nats.creds=true,nats.ca=c,roles.webhook.natsSecret=w",
	"--set=tls.secret=t,sign.secret=s,archive.endpoint=https://s3.example.org,archive.retention=6y",
	"--set=ingress.enabled=true,webhook.trustedProxies={10.0.0.0/8,10.1.0.1/32},webhook.allowFrom={192.0.2.1/32}",
	"--set=roles.ocr.replicas=1,roles.ocr.image=registry.example.org/faxstream-ocr:1,imagePullSecrets[0].name=r,extraArgs={--close-grace=1m}",
}

// TestPackageOfHelm: helm itself finds nothing in the chart, and what it makes of each choice is what Kubernetes and KEDA take.
func TestPackageOfHelm(t *testing.T) {
	t.Parallel()
	chart := packaged(t, "faxstream-chart-*.tgz")
	if out, err := exec.Command(tool(t, "helm", "make tools"), "lint", "--strict", chart).CombinedOutput(); err != nil {
		t.Errorf("helm lint: %v\n%s", err, out)
	}
	check := schemas(t)
	kinds := map[string]int{}
	for _, args := range [][]string{nil, every, append(every, "--set=autoscaling.kind=hpa"), append(every, "--set=autoscaling.kind=keda")} {
		for _, m := range render(t, chart, args...) {
			kinds[m.Kind]++
			if err := check(m); err != nil {
				t.Errorf("helm template %v: %s %s: %v", args, m.Kind, m.Metadata.Name, err)
			}
		}
	}
	for _, kind := range []string{
		"Deployment", "Service", "Ingress", "NetworkPolicy", "PodDisruptionBudget", "HorizontalPodAutoscaler", "ScaledObject",
	} {
		if kinds[kind] == 0 {
			t.Errorf("the chart makes no %s: %v", kind, kinds)
		}
	}
	wrong := manifest{APIVersion: "apps/v1", Kind: "Deployment", whole: map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment", "spec": map[string]any{"replicas": "two", "unknown": 1},
	}}
	if err := check(wrong); err == nil || !strings.Contains(err.Error(), "unknown") || !strings.Contains(err.Error(), "replicas") {
		t.Errorf("the schemas find nothing in a deployment with mistakes: %v", err)
	}
	for _, set := range []string{"roles.ocr.replicas=1", "autoscaling.kind=magic", "roles.webhok.replicas=1", "natz.url=x"} {
		if text, err := helm(t, chart, "--set="+set); err == nil {
			t.Errorf("helm template --set %s renders, want an error:\n%.300s", set, text)
		}
	}
}

// schemas are those of the modules that the Makefile pins: no field is allowed that they do not have.
func schemas(t *testing.T) func(manifest) error {
	t.Helper()
	dir := filepath.Dir(tool(t, "helm", "make tools"))
	var kubernetes map[string]any
	readJSON(t, filepath.Join(dir, "schemas/kubernetes.json"), &kubernetes)
	var crd struct {
		Spec struct {
			Versions []struct {
				Schema struct {
					OpenAPI map[string]any `yaml:"openAPIV3Schema"`
				}
			}
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "schemas/scaledobject.yaml"))
	if err == nil {
		err = yaml.Unmarshal(text, &crd)
	}
	if err != nil || len(crd.Spec.Versions) != 1 {
		t.Fatalf("%v, %v", crd, err)
	}
	definitions := kubernetes["definitions"].(map[string]any)
	keda := crd.Spec.Versions[0].Schema.OpenAPI
	definitions["keda"] = keda
	places := map[string]string{"keda.sh/v1alpha1 ScaledObject": "keda"}
	for name, d := range definitions {
		forbidUnknown(d)
		kinds, _ := d.(map[string]any)["x-kubernetes-group-version-kind"].([]any)
		for _, k := range kinds {
			k := k.(map[string]any)
			places[strings.TrimPrefix(fmt.Sprintf("%s/%s %s", k["group"], k["version"], k["kind"]), "/")] = name
		}
	}
	definitions["io.k8s.apimachinery.pkg.util.intstr.IntOrString"] = map[string]any{"type": []any{"string", "integer"}}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft7)
	if err := c.AddResource("mem://all.json", map[string]any{"definitions": definitions}); err != nil {
		t.Fatal(err)
	}
	return func(m manifest) error {
		place, ok := places[m.APIVersion+" "+m.Kind]
		if !ok {
			return fmt.Errorf("no schema of %s %s", m.APIVersion, m.Kind)
		}
		schema, err := c.Compile("mem://all.json#/definitions/" + place)
		if err != nil {
			return err
		}
		// As JSON has it: numbers and maps of one kind.
		text, err := json.Marshal(m.whole)
		if err != nil {
			return err
		}
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			return err
		}
		return schema.Validate(v)
	}
}

// forbidUnknown forbids unknown fields, at any depth.
func forbidUnknown(schema any) {
	switch s := schema.(type) {
	case map[string]any:
		_, ok := s["properties"].(map[string]any)
		if ok && s["additionalProperties"] == nil && s["x-kubernetes-preserve-unknown-fields"] != true {
			s["additionalProperties"] = false
		}
		for _, v := range s {
			forbidUnknown(v)
		}
	case []any:
		for _, v := range s {
			forbidUnknown(v)
		}
	}
}

// TestPackageOfHelmGivesRolesWhatTheyNeed: faxstream takes the flags of each role, and a role has the secrets of no other.
func TestPackageOfHelmGivesRolesWhatTheyNeed(t *testing.T) {
	t.Parallel()
	want := map[string][]string{
		"webhook":    {"metrics", "nats", "nats-ca", "tls", "webhook"},
		"worker":     {"archive", "metrics", "nats", "nats-ca", "provider", "tls"},
		"collector":  {"archive", "metrics", "nats", "nats-ca", "tls"},
		"assembler":  {"archive", "metrics", "nats", "nats-ca", "sign", "tls"},
		"reconciler": {"archive", "metrics", "nats", "nats-ca", "provider", "sign", "tls"},
		"ocr":        {"archive", "metrics", "nats", "nats-ca", "tls"},
		"admin":      {"admin", "archive", "nats", "nats-ca", "provider", "tls"},
	}
	secrets := secretFiles(t)
	for _, m := range render(t, "chart", every...) {
		if m.Kind != "Deployment" {
			continue
		}
		role := strings.TrimPrefix(m.Metadata.Name, "fax-")
		c := m.Spec.Template.Spec.Containers[0]
		var mounted []string
		for _, v := range c.VolumeMounts {
			if strings.HasPrefix(v.MountPath, "/run/faxstream/") {
				mounted = append(mounted, v.Name)
			}
		}
		slices.Sort(mounted)
		if !slices.Equal(mounted, want[role]) {
			t.Errorf("the role %s has the secrets %v, want %v", role, mounted, want[role])
		}
		delete(want, role)
		checkRoleArgs(t, role, c.Args, secrets)
		url := fromSecret{Name: "FAXSTREAM_NATS_URL"}
		url.ValueFrom.SecretKeyRef.Name, url.ValueFrom.SecretKeyRef.Key = "n", "url"
		if role == "webhook" {
			url.ValueFrom.SecretKeyRef.Name = "w"
		}
		if !slices.Equal(c.Env, []fromSecret{url}) {
			t.Errorf("the role %s has the variables %+v, want %+v", role, c.Env, url)
		}
	}
	if len(want) > 0 {
		t.Errorf("no deployment of the roles %v", want)
	}
}

// TestChartScalesByWhatIsCounted: a query for a role whose work nobody counts would keep the fewest pods for ever.
func TestChartScalesByWhatIsCounted(t *testing.T) {
	values, err := os.ReadFile("chart/values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	queries := regexp.MustCompile(`query: max\((faxstream_[a-z_]+)\{role="([a-z]+)"\}\)`).FindAllStringSubmatch(string(values), -1)
	if len(queries) < 2 {
		t.Fatalf("found only the queries %v", queries)
	}
	var sources strings.Builder
	files, err := filepath.Glob("../cmd/faxstream/app/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(f, "_test.go") {
			sources.Write(text)
		}
	}
	// Roles that read streams are counted.
	reads := regexp.MustCompile(`(?s)var partOf = map\[.*?\n}`).FindString(sources.String())
	for _, q := range queries {
		role := "Role" + strings.ToUpper(q[2][:1]) + q[2][1:]
		if !strings.Contains(sources.String(), `"`+q[1]+`"`) || !strings.Contains(reads, role+":") {
			t.Errorf("the chart asks for %s: no program has this metric, or it does not count for this role", q[0])
		}
	}
}

// secretFiles are the files of all secrets, as the install page makes them.
func secretFiles(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for _, d := range []string{"nats", "nats-ca", "archive", "provider", "webhook", "admin", "metrics", "tls", "sign"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for name := range strings.FieldsSeq("nats/nats.creds archive/access-key archive/secret-key provider/token webhook/secret password") {
		write(t, filepath.Join(dir, name), secret+"\n")
	}
	script := `
faxstream keys sign/sign.key
faxstream token prometheus --scope metrics --json | sed 's/.*"line":"\([^"]*\)".*/\1/' > metrics/tokens
cp metrics/tokens admin/tokens
faxstream user add anna --role admin --admin-users admin/users --password-file password
openssl req -x509 -newkey ed25519 -nodes -days 2 -subj /CN=fax -keyout tls/tls.key -out tls/tls.crt
cp tls/tls.crt nats-ca/ca.pem`
	cmd := exec.Command("sh", "-ec", script)
	cmd.Dir, cmd.Env = dir, append(clean(), "PATH="+binDir+":"+os.Getenv("PATH"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return dir
}

// checkRoleArgs lets faxstream judge the arguments of a role.
func checkRoleArgs(t *testing.T, role string, args []string, secrets string) {
	t.Helper()
	all := []string{"config", "check"}
	for _, a := range args[1:] {
		all = append(all, strings.Replace(a, "/run/faxstream", secrets, 1))
	}
	cmd := exec.Command(faxstream(), all...)
	cmd.Env = append(clean(), "FAXSTREAM_NATS_URL=tls://faxstream:"+secret+"@nats:4222")
	if out, err := cmd.CombinedOutput(); err != nil || args[0] != "serve" {
		t.Errorf("role %s: faxstream %v: %v\n%s", role, args, err, out)
	}
}
