package main

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/oauth2-proxy/mockoidc"

	"github.com/faxstream/faxstream/cmd/faxstream/access"
	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/pipeline/bus"
)

// A running server lets in the people of its file and those of its provider; who is added or gets another password counts at once.
func TestPeopleLogInToARunningServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	users, secret, words := filepath.Join(dir, "users"), filepath.Join(dir, "secret"), filepath.Join(dir, "password")
	provider, err := mockoidc.Run()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = provider.Shutdown() }()
	for file, text := range map[string]string{users: "", secret: provider.ClientSecret + "\n", words: "correct horse battery\n"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, flags := newSimulator(t, faxplustest.Config{})
	p := serve(t, nil, append(flags, "--dir="+filepath.Join(dir, "state"), "--admin-users="+users, "--oidc-issuer="+provider.Issuer(),
		"--oidc-client-id="+provider.ClientID, "--oidc-client-secret-file="+secret, "--oidc-role=design=work")...)
	browser := func() *http.Client {
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		return &http.Client{Jar: jar}
	}
	read := func(resp *http.Response, err error) (int, string) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}
	alice := browser()
	form := url.Values{"name": {"alice"}, "password": {"correct horse battery"}}
	if code, body := read(alice.PostForm(p.ready.Admin+"/login", form)); code != http.StatusUnauthorized {
		t.Errorf("before alice is added: %d %s", code, body)
	}
	command(t, "user", "add", "alice", "--role=read", "--admin-users="+users, "--password-file="+words)
	if code, body := read(alice.PostForm(p.ready.Admin+"/login", form)); code != 200 || !strings.Contains(body, "Logged in as alice") {
		t.Errorf("alice: %d %s", code, body)
	}
	if code, body := read(alice.Get(p.api("/faxes"))); code != 200 {
		t.Errorf("alice reads: %d %s", code, body)
	}
	command(t, "user", "password", "alice", "--admin-users="+users, "--password-file="+words)
	if code, body := read(alice.Get(p.api("/faxes"))); code != http.StatusUnauthorized {
		t.Errorf("after a new password: %d %s", code, body)
	}
	jane := browser()
	if code, body := read(jane.Get(p.ready.Admin + "/login/oidc")); code != 200 || !strings.Contains(body, "Logged in as jane.doe") {
		t.Errorf("jane: %d %s", code, body)
	}
	if code, body := read(jane.Get(p.api("/faxes"))); code != 200 {
		t.Errorf("jane reads: %d %s", code, body)
	}
	if code, body := read(http.Get(p.api("/faxes"))); code != http.StatusUnauthorized {
		t.Errorf("nobody: %d %s", code, body)
	}
}

// Two processes serve the dashboard on the same NATS server: who logs in at one is logged in at the other, and who logs out at the other is
// out at the first, and so is a person who is removed. What NATS has lets nobody in. Without NATS who is in stays, and nobody new gets in.
func TestALoginCountsAtEveryProcess(t *testing.T) {
	if testing.Short() {
		t.Skip("starts two processes and two servers: runs without -short")
	}
	t.Parallel()
	dir := t.TempDir()
	users, words := filepath.Join(dir, "users"), filepath.Join(dir, "password")
	const password = "correct horse battery"
	if err := errors.Join(os.WriteFile(users, nil, 0o600), os.WriteFile(words, []byte(password+"\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"alice", "bob"} {
		command(t, "user", "add", name, "--role=read", "--admin-users="+users, "--password-file="+words)
	}
	server := apptest.StartNATS(t)
	_, archive, env := apptest.StartS3(t)
	_, flags := newSimulator(t, faxplustest.Config{})
	start := func() *process {
		return serve(t, env, slices.Concat(archive, flags, []string{
			"--nats-url=" + server.NATSURL(), "--dir=" + t.TempDir(), "--admin-users=" + users, "--roles=admin", "--list-every=0",
		})...)
	}
	one, other := start(), start()
	browser := func() *http.Client {
		jar, err := cookiejar.New(nil) // its cookies are for all ports of the host, as those of a browser are
		if err != nil {
			t.Fatal(err)
		}
		return &http.Client{Jar: jar}
	}
	post := func(b *http.Client, url string, form url.Values) int {
		t.Helper()
		resp, err := b.PostForm(url, form)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	wants := func(when string, b *http.Client, want map[*process]bool) {
		t.Helper()
		for p, in := range want {
			resp, err := b.Get(p.api("/faxes"))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if (resp.StatusCode != http.StatusUnauthorized) != in {
				t.Errorf("%s: process %d answers %d", when, map[*process]int{one: 1, other: 2}[p], resp.StatusCode)
			}
		}
	}
	login := func(b *http.Client, p *process, name string) int {
		t.Helper()
		return post(b, p.ready.Admin+"/login", url.Values{"name": {name}, "password": {password}})
	}
	alice, bob := browser(), browser()
	login(alice, one, "alice")
	login(bob, other, "bob")
	wants("logged in", alice, map[*process]bool{one: true, other: true})
	wants("logged in", bob, map[*process]bool{one: true, other: true})
	kept := keptCookies(alice, one)
	post(alice, other.ready.Admin+"/logout", nil)
	alice.Jar.SetCookies(kept.at, kept.cookies) // somebody has a copy
	wants("logged out", alice, map[*process]bool{one: false, other: false})
	s := readStreams(t, server.NATSURL())
	kv, err := s.js.KeyValue(t.Context(), bus.BucketLogins)
	if err != nil {
		t.Fatal(err)
	}
	list, err := kv.Keys(t.Context())
	if err != nil || len(list) != 1 {
		t.Fatalf("after a logout the logins are %q: %v", list, err)
	}
	entry, err := kv.Get(t.Context(), list[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range keptCookies(bob, one).cookies {
		if strings.Contains(list[0]+string(entry.Value()), c.Value) {
			t.Errorf("NATS has the cookie: %s", entry.Value())
		}
	}
	thief := browser()
	thief.Jar.SetCookies(kept.at, []*http.Cookie{{Name: kept.cookies[0].Name, Value: list[0], Path: "/"}})
	wants("with what NATS has", thief, map[*process]bool{one: false, other: false})
	s.close()
	server.Kill()
	wants("without NATS", bob, map[*process]bool{one: true, other: true})
	if status := login(alice, one, "alice"); status != http.StatusServiceUnavailable {
		t.Errorf("a login without NATS is answered %d", status)
	}
	server.Start()
	await(t, "NATS is back", func() bool { return login(alice, one, "alice") == http.StatusOK })
	wants("logged in again", alice, map[*process]bool{one: true})
	command(t, "user", "remove", "bob", "--admin-users="+users)
	wants("removed", bob, map[*process]bool{one: false, other: false})
}

// cookies are what a browser has for a process.
type cookies struct {
	at      *url.URL
	cookies []*http.Cookie
}

func keptCookies(b *http.Client, p *process) cookies {
	at, err := url.Parse(p.ready.Admin + "/")
	if err != nil {
		p.t.Fatal(err)
	}
	has := b.Jar.Cookies(at)
	if len(has) == 0 {
		p.t.Fatal("the browser has no cookie")
	}
	return cookies{at, has}
}

// The commands reach a listener that demands TLS and a token, and say what is wrong when they lack one of them.
func TestCommandsSpeakTLSWithAToken(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key := apptest.WritePair(t, dir, "admin")
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer sesame" {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"error":{"code":"unauthorized","message":"show a token"}}`)
			return
		}
		_, _ = io.WriteString(w, `{"faxes":[]}`)
	}))
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	srv.Listener = tls.NewListener(srv.Listener, &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}})
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	srv.Start()
	defer srv.Close()
	file := filepath.Join(dir, "token")
	if err := os.WriteFile(file, []byte("sesame\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		env  string
		args []string
		code int
		says string
	}{
		{"", []string{"--server-ca", cert, "--token-file", file}, exitOK, ""},
		{"sesame", []string{"--server-ca", cert}, exitOK, ""},
		{"", []string{"--server-ca", cert}, exitFailed, "show a token"},
		{"sesame", nil, exitFailed, "certificate"},
		{"", []string{"--server-ca", file}, exitUsage, "no PEM certificate"},
		{"", []string{"--token-file", filepath.Join(dir, "none")}, exitUsage, "--token-file"},
	} {
		var out, errs bytes.Buffer
		getenv := func(name string) string { return map[string]string{"FAXSTREAM_TOKEN": c.env}[name] }
		if code := run(
			t.Context(), append([]string{"ls", "--server", "https://" + srv.Listener.Addr().String()}, c.args...), getenv, &out, &errs,
		); code != c.code || !strings.Contains(errs.String(), c.says) {
			t.Errorf("%v with FAXSTREAM_TOKEN=%q: %d %s, want %d with %q", c.args, c.env, code, &errs, c.code, c.says)
		}
	}
}

// Neither a fax's numbers, which anybody may send, nor a server's words command the terminal.
func TestNoControlCharacterReachesTheTerminal(t *testing.T) {
	t.Parallel()
	const evil = `\u001b]0;owned\u0007\n`
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/api/v1/faxes":
			_, _ = io.WriteString(w, `{"faxes":[{"session":"abc","from":"`+evil+`","to":"`+evil+`","status":"complete"}]}`)
		case "/api/v1/audit":
			_, _ = io.WriteString(w, `{"entry":{"access":"`+evil+`","by":"`+evil+`","session":"`+evil+`","why":"`+evil+`"}}`)
		default:
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, `{"error":{"message":"`+evil+`"}}`)
		}
	}))
	defer srv.Close()
	for _, args := range [][]string{{"ls"}, {"audit"}, {"get", "abc"}} {
		var out, errs bytes.Buffer
		run(t.Context(), append(args, "--server", srv.URL), func(string) string { return "" }, &out, &errs)
		if text := out.String() + errs.String(); !strings.Contains(text, "owned") || strings.ContainsAny(text, "\x1b\x07") {
			t.Errorf("%v: %q", args, text)
		}
	}
}

// While somebody types a password, another may remove a person, who stays away.
func TestAPersonWhoIsRemovedStaysAway(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	users, words, slow := filepath.Join(dir, "users"), filepath.Join(dir, "password"), filepath.Join(dir, "slow")
	if err := os.WriteFile(words, []byte("correct horse battery\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(slow, 0o600); err != nil {
		t.Fatal(err)
	}
	people := func(args ...string) error {
		var out, errs bytes.Buffer
		args = append(append([]string{"user"}, args...), "--admin-users="+users)
		if code := run(t.Context(), args, func(string) string { return "" }, &out, &errs); code != exitOK {
			return fmt.Errorf("%v: code %d, %s", args, code, &errs)
		}
		return nil
	}
	for _, name := range []string{"bob", "carol"} {
		if err := people("add", name, "--role=read", "--password-file="+words); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"add", "alice", "--role=read"}, {"password", "carol"}} {
		done := make(chan error, 1)
		go func() { done <- people(append(args, "--password-file="+slow)...) }()
		typing, err := os.OpenFile(slow, os.O_WRONLY, 0) // when the command asks
		if err != nil {
			t.Fatal(err)
		}
		if err := people("remove", "bob"); err != nil {
			t.Fatal(err)
		}
		_, err = typing.WriteString("other words, as long as these\n")
		if err := errors.Join(err, typing.Close(), <-done); err != nil {
			t.Fatal(err)
		}
		all, err := access.ReadUsers(users)
		if err != nil || slices.ContainsFunc(all, func(u access.User) bool { return u.Name == "bob" }) {
			t.Errorf("%v: bob is there again: %v, %v", args, all, err)
		}
		if err := people("add", "bob", "--role=read", "--password-file="+words); err != nil {
			t.Fatal(err)
		}
	}
}
