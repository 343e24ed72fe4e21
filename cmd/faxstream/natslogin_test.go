package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
)

// natsCredentials makes an operator with an account that has JetStream and a user in it: the part of nats-server.conf that says so, and the
// user's file.
func natsCredentials(t *testing.T, dir string) (conf, file string) {
	t.Helper()
	operator, account, system, user := pair(t, nkeys.CreateOperator), pair(t, nkeys.CreateAccount), pair(t, nkeys.CreateAccount),
		pair(t, nkeys.CreateUser)
	limited := jwt.NewAccountClaims(account.public)
	limited.Limits.JetStreamLimits = jwt.JetStreamLimits{DiskStorage: -1, MemoryStorage: -1, Streams: -1, Consumer: -1}
	signed := func(c jwt.Claims, by nkeys.KeyPair) string {
		t.Helper()
		token, err := c.Encode(by)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	seed, err := user.Seed()
	if err != nil {
		t.Fatal(err)
	}
	text, err := jwt.FormatUserConfig(signed(jwt.NewUserClaims(user.public), account), seed)
	file = filepath.Join(dir, "user.creds")
	if err = errors.Join(err, os.WriteFile(file, text, 0o600)); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("operator: %s\nsystem_account: %s\nresolver: MEMORY\nresolver_preload: { %s: %s, %s: %s }\n",
		signed(jwt.NewOperatorClaims(operator.public), operator), system.public, system.public,
		signed(jwt.NewAccountClaims(system.public), operator), account.public, signed(limited, operator)), file
}

type keyed struct {
	nkeys.KeyPair
	public string
}

func pair(t *testing.T, create func() (nkeys.KeyPair, error)) keyed {
	t.Helper()
	k, err := create()
	if err != nil {
		t.Fatal(err)
	}
	public, err := k.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	return keyed{k, public}
}

// A NATS server that demands a certificate and credentials is used by serve, doctor and rebuild with the same flags, of two URLs of which
// one is away. Without the certificate, its authority or the credentials none of them gets in.
func TestNATSWithCertificatesAndCredentials(t *testing.T) {
	if testing.Short() {
		t.Skip("has a real server: runs without -short")
	}
	t.Parallel()
	dir := t.TempDir()
	var files [2][2]string // of the server, and of the client
	for i, name := range []string{"server", "client"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		files[i][0], files[i][1] = apptest.WritePair(t, filepath.Join(dir, name), name)
	}
	operator, creds := natsCredentials(t, dir)
	addr, away, conf := apptest.FixedAddr(t), apptest.FixedAddr(t), filepath.Join(dir, "nats.conf")
	text := fmt.Sprintf("listen: %q\njetstream { store_dir: %q, sync_interval: always }\n"+
		"tls { cert_file: %q, key_file: %q, ca_file: %q, verify: true }\n%s",
		addr, filepath.Join(dir, "store"), files[0][0], files[0][1], files[1][0], operator)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	startServer(t, conf)
	sim, provider := newSimulator(t, faxplustest.Config{})
	state := "--dir=" + filepath.Join(dir, "state")
	login := []string{
		"--nats-url=nats://" + away + ",nats://" + addr, "--nats-ca=" + files[0][0], "--nats-cert=" + files[1][0],
		"--nats-key=" + files[1][1], "--nats-creds=" + creds,
	}
	all := func(login []string) []string { return slices.Concat([]string{state}, provider, login) }
	await(t, "the server", func() bool { return doctorLine(t, all(login)...) == "ok" })
	p := serve(t, nil, slices.Concat(all(login), []string{patientGrace, "--strict"})...)
	fax := apptest.SmallFax(t, "fax", 1)
	p.send(sim, fax)
	p.awaitComplete(fax.Session)
	if code := p.terminate(); code != 0 {
		t.Errorf("serve ends with code %d", code)
	}
	command(t, append([]string{"rebuild", state}, login...)...)
	for i, flag := range login[1:] {
		without := append([]string{}, login[:i+1]...)
		for _, other := range login[i+2:] {
			if !strings.HasPrefix(flag, "--nats-cert") || !strings.HasPrefix(other, "--nats-key") {
				without = append(without, other)
			}
		}
		if strings.HasPrefix(flag, "--nats-key") {
			continue // it goes with the certificate
		}
		if status := doctorLine(t, all(without)...); status != "fail" {
			t.Errorf("without %s doctor says %q of the server, want fail", flag, status)
		}
		var out bytes.Buffer
		args := append([]string{"rebuild", state}, without...)
		if code := run(t.Context(), args, func(string) string { return "" }, &out, &out); code != exitFailed {
			t.Errorf("without %s rebuild ends with code %d: %s", flag, code, &out)
		}
	}
}

// serve --strict does not start beside a server that is weaker than what is promised, and doctor says that it would not.
func TestStrictRefusesAWeakServer(t *testing.T) {
	if testing.Short() {
		t.Skip("has a real server: runs without -short")
	}
	t.Parallel()
	dir, addr := t.TempDir(), apptest.FixedAddr(t)
	conf := filepath.Join(dir, "nats.conf")
	text := fmt.Sprintf("listen: %q\nmax_payload: 64KB\njetstream { store_dir: %q, sync_interval: always }\n", addr,
		filepath.Join(dir, "store"))
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	startServer(t, conf)
	login := []string{"--nats-url=nats://" + addr, "--faxplus-url=http://127.0.0.1:9", "--faxplus-page-path=none", "--dir=" + dir}
	await(t, "the server", func() bool { return doctorLine(t, login...) == "ok" })
	for flag, want := range map[string]string{"--strict=false": "warn", "--strict": "fail"} {
		var out, errs bytes.Buffer
		args := append([]string{"doctor", "--server=http://127.0.0.1:9", flag}, login...)
		run(t.Context(), args, func(string) string { return "" }, &out, &errs)
		if !has(out.String(), want, "nats payload", "max_payload") {
			t.Errorf("doctor %s says of the server\n%s%s", flag, &out, &errs)
		}
	}
	var errs bytes.Buffer
	cmd := serveCommand(nil, append([]string{"--strict"}, login...)...)
	cmd.Stderr = &errs
	err := cmd.Run()
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != exitUsage || !strings.Contains(errs.String(), "max_payload") {
		t.Errorf("serve --strict: %v\n%s", err, &errs)
	}
}

// startServer runs a nats-server until the test ends.
func startServer(t *testing.T, conf string) {
	t.Helper()
	server := exec.Command(tool(t, "nats-server", "make tools"), "-c", conf)
	server.Stderr = t.Output()
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait() // says that it was killed
	})
}

// doctorLine is the status that doctor gives the NATS servers.
func doctorLine(t *testing.T, flags ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	args := append([]string{"doctor", "--server=http://127.0.0.1:9"}, flags...)
	run(t.Context(), args, func(string) string { return "" }, &out, &errs)
	for _, status := range []string{"ok", "fail"} {
		if has(out.String(), status, "nats", "") {
			return status
		}
	}
	return out.String() + errs.String()
}
