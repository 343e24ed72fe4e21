package deploy_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestNATSConfigurationIsValid(t *testing.T) {
	t.Parallel()
	bin := tool(t, "nats-server", "run `make tools`")
	certs := selfSigned(t)
	for name, marks := range map[string][]string{"alone": nil, "with TLS": {"#TLS "}, "one of three": {"#TLS ", "#R3 "}} {
		t.Run(name, func(t *testing.T) {
			conf := natsConf(t, certs, marks...)
			cmd := exec.Command(bin, "-t", "-c", conf)
			cmd.Env = append(os.Environ(), "NATS_PASSWORD=xsecret")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("nats-server -t: %v\n%s", err, out)
			}
		})
	}
}

func TestNATSServerSyncsAlways(t *testing.T) {
	t.Parallel()
	s := startNATS(t)
	var varz struct {
		Host       string `json:"host"`
		MaxPayload int    `json:"max_payload"`
		Auth       bool   `json:"auth_required"`
		JetStream  struct {
			Config struct {
				SyncAlways bool   `json:"sync_always"`
				MaxStorage int64  `json:"max_storage"`
				StoreDir   string `json:"store_dir"`
			} `json:"config"`
		} `json:"jetstream"`
	}
	getJSON(t, s.monitor+"/varz", &varz)
	if !varz.JetStream.Config.SyncAlways {
		t.Error("JetStream does not sync always: it would acknowledge what a power cut takes")
	}
	if varz.Host != "127.0.0.1" || !varz.Auth {
		t.Errorf("listens on %s, password demanded: %v; want loopback and a password", varz.Host, varz.Auth)
	}
	if varz.MaxPayload != 1<<20 || varz.JetStream.Config.MaxStorage != 10<<30 {
		t.Errorf("max_payload %d and max_storage %d, want 1 MiB and 10 GiB", varz.MaxPayload, varz.JetStream.Config.MaxStorage)
	}
}

// natsConf is a copy of the configuration with a store of the test's and the marked lines uncommented.
func natsConf(t *testing.T, certs string, marks ...string) string {
	t.Helper()
	raw, err := os.ReadFile("nats-server.conf")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	text := strings.NewReplacer("/var/lib/nats", filepath.Join(dir, "store"), "/etc/nats", certs).Replace(string(raw))
	for _, mark := range marks {
		plain := strings.ReplaceAll(text, "\n"+mark, "\n")
		if plain == text {
			t.Fatalf("no line begins with %q", mark)
		}
		text = plain
	}
	file := filepath.Join(dir, "nats-server.conf")
	write(t, file, text)
	return file
}

type natsServer struct{ addr, monitor, password string }

// startNATS runs nats-server with our configuration on free ports.
func startNATS(t *testing.T) natsServer {
	t.Helper()
	const password = "xpassword"
	bin := tool(t, "nats-server", "run `make tools`")
	p := start(t, append(os.Environ(), "NATS_PASSWORD="+password), bin, "-c", natsConf(t, ""), "-p", "-1", "-m", "-1")
	p.await(t, `Server is ready`)
	return natsServer{
		addr:     p.await(t, `Listening for client connections on (127\.0\.0\.1:\d+)`),
		monitor:  "http://" + p.await(t, `Starting http monitor on (127\.0\.0\.1:\d+)`),
		password: password,
	}
}

// selfSigned makes a folder with a certificate under every name that the configuration has.
func selfSigned(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range []string{"server.pem", "route.pem", "route-ca.pem"} {
		write(t, filepath.Join(dir, name), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})))
	}
	for _, name := range []string{"server.key", "route.key"} {
		write(t, filepath.Join(dir, name), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
	}
	return dir
}
