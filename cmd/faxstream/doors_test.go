package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/faxstream/faxstream/cmd/faxstream/access"
	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/session"
)

// command runs a faxstream and returns what it prints.
func command(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("faxstream %q: %v: %s", args, err, said.String())
	}
	return strings.TrimSpace(string(out))
}

// A local user without the login is refused at --nats-listen. Whoever has the login of subscribers reads pages, and can neither purge a fax
// in somebody's name nor delete the audit.
func TestTheNATSListenerDemandsALogin(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	sim, flags := newSimulator(t, faxplustest.Config{})
	p := serve(t, nil, append(flags, "--nats-listen=127.0.0.1:0", "--dir="+dir, patientGrace)...)
	fax := apptest.SmallFax(t, "fax", 1)
	p.send(sim, fax)
	p.awaitComplete(fax.Session)
	if nc, err := nats.Connect(p.ready.NATS, nats.Timeout(apptest.Patience)); !errors.Is(err, nats.ErrAuthorization) {
		if err == nil {
			nc.Close()
		}
		t.Fatalf("without a login: %v", err)
	}
	if info, err := os.Stat(filepath.Join(dir, "nats-subscriber.key")); err != nil || info.Mode() != 0o600 {
		t.Errorf("the key: %v, %v; want a file of mode 0600", info, err)
	}
	u, err := url.Parse(p.ready.NATS)
	if err != nil {
		t.Fatal(err)
	}
	login := command(t, "nats-credentials", "--dir="+dir, "--nats-listen="+u.Host)
	s := readStreams(t, login)
	defer s.close()
	ctx := apptest.Context(t)
	cons, err := s.js.CreateOrUpdateConsumer(ctx, bus.StreamPages, jetstream.ConsumerConfig{
		Durable: "ocr", FilterSubject: session.TypePageArchived + ".>", AckPolicy: jetstream.AckExplicitPolicy,
	})
	if err != nil {
		t.Fatal(err)
	}
	for range fax.Pages {
		m, err := cons.Next()
		if err != nil || !strings.Contains(m.Subject(), "."+fax.Session+".") {
			t.Fatalf("a page of the fax: %v, %v", m, err)
		}
		if err := m.DoubleAck(ctx); err != nil {
			t.Error(err)
		}
	}

	entry, err := json.Marshal(session.KeepEntry{Kind: session.ActionPurged, Session: fax.Session, By: "root"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second) // a refused publish has no answer
	defer cancel()
	if _, err := s.js.Publish(ctx, session.TypeAuditKeep+"."+session.ActionPurged+"."+fax.Session, entry); err == nil {
		t.Error("a purge is stored in the audit")
	}
	for _, subject := range []string{session.TypeKept + "." + fax.Session + ".1", "$JS.API.STREAM.DELETE." + bus.StreamAudit} {
		if err := s.nc.Publish(subject, entry); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	if f := p.fax(fax.Session); f.Status != session.StatusComplete {
		t.Errorf("the fax is %s", f.Status)
	}
	if _, err := os.Stat(filepath.Join(dir, "nats", "jetstream", "$G", "streams", bus.StreamAudit)); errors.Is(err, fs.ErrNotExist) {
		t.Error("the audit's directory is gone")
	}
}

// pull pulls events of a subscriber with a NATS client until it has those of so many pages of a fax, and settles them.
func pull(t *testing.T, login, durable, id string, pages int, options ...nats.Option) {
	t.Helper()
	s := readStreams(t, login, options...)
	defer s.close()
	js, err := jetstream.NewWithAPIPrefix(s.nc, bus.PublicAPI)
	if err != nil {
		t.Fatal(err)
	}
	cons, err := js.Consumer(apptest.Context(t), bus.StreamPages, durable)
	if err != nil {
		t.Fatal(err)
	}
	for range pages {
		m, err := cons.Next(jetstream.FetchMaxWait(apptest.Patience))
		if err != nil || !strings.Contains(m.Subject(), "."+id+".") {
			t.Fatalf("a page of the fax %s: %v, %v", id, m, err)
		}
		if err := m.DoubleAck(apptest.Context(t)); err != nil {
			t.Error(err)
		}
	}
}

// A subscriber with a NATS client is added while the server runs, and gets a login of its own. It works after a restart of the server, and
// ends when it is rotated or removed.
func TestSubscribersWithNATSClients(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	sim, flags := newSimulator(t, faxplustest.Config{})
	args := append(flags, "--nats-listen=127.0.0.1:0", "--dir="+dir, patientGrace)
	p := serve(t, nil, args...)
	order := func(p *process, args ...string) string {
		t.Helper()
		return command(t, append(append([]string{"subscriber"}, args...), "--server="+p.ready.Admin)...)
	}
	login := order(p, "add", "lab", "--kind=nats", "--since=1h")
	fax := apptest.SmallFax(t, "fax", 1)
	p.send(sim, fax)
	p.awaitComplete(fax.Session)
	pull(t, login, "sub-lab", "fax", len(fax.Pages))
	if !strings.Contains(order(p, "ls", "--json"), `"kind":"nats"`) || strings.Contains(order(p, "ls", "--json"), "password") {
		t.Errorf("the list is %s", order(p, "ls", "--json"))
	}

	p.terminate()
	p = serve(t, nil, args...)
	again := order(p, "rewind", "lab", "--session=fax")
	if again != fmt.Sprintf("lab: %d events wait", len(fax.Pages)) {
		t.Errorf("rewind prints %q", again)
	}
	old, err := url.Parse(login)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := url.Parse(p.ready.NATS)
	if err != nil {
		t.Fatal(err)
	}
	old.Host = listener.Host
	pull(t, old.String(), "sub-lab", "fax", len(fax.Pages))

	login = order(p, "rotate", "lab")
	for what, login := range map[string]string{"the old password": old.String(), "after it was removed": login} {
		if what != "the old password" {
			order(p, "rewind", "lab", "--since=1h")
			pull(t, login, "sub-lab", "fax", len(fax.Pages))
			order(p, "rm", "lab")
		}
		nc, err := nats.Connect(login, nats.Timeout(10*time.Second))
		if err == nil {
			nc.Close()
		}
		if !errors.Is(err, nats.ErrAuthorization) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// A subscriber with a NATS client sends a text as a request, and is told what is wrong with one. It can send none for a fax of a number
// that is not its own, and none in another's name.
func TestTextsOverNATS(t *testing.T) {
	t.Parallel()
	sim, flags := newSimulator(t, faxplustest.Config{})
	p := serve(t, nil, append(flags, "--dir="+t.TempDir(), "--nats-listen=127.0.0.1:0", patientGrace)...)
	fax := apptest.SmallFax(t, "fax", 1)
	p.send(sim, fax)
	p.awaitComplete(fax.Session)
	number := p.fax(fax.Session).To
	own := readStreams(t, command(t, "subscriber", "add", "lab", "--kind=nats", "--to="+number, "--since=1h", "--server="+p.ready.Admin))
	defer own.close()
	other := readStreams(t, command(t, "subscriber", "add", "other", "--kind=nats", "--to=+15550000", "--server="+p.ready.Admin))
	defer other.close()
	js, err := jetstream.NewWithAPIPrefix(own.nc, bus.PublicAPI)
	if err != nil {
		t.Fatal(err)
	}
	cons, err := js.Consumer(apptest.Context(t), bus.StreamPages, "sub-lab")
	if err != nil {
		t.Fatal(err)
	}
	m, err := cons.Next(jetstream.FetchMaxWait(apptest.Patience))
	if err != nil {
		t.Fatal(err)
	}
	var page session.PageArchived
	if err := json.Unmarshal(m.Data(), &page); err != nil {
		t.Fatal(err)
	}
	patience := apptest.Patience
	send := func(nc *nats.Conn, subject, raster string) (answer *nats.Msg, err error) {
		ask := nats.NewMsg(subject)
		ask.Data = []byte("Order 4711")
		for k, v := range map[string]string{"engine": "by-hand", "format": "plain", "raster": raster} {
			ask.Header.Set(k, v)
		}
		return nc.RequestMsg(ask, patience)
	}
	subject := fmt.Sprintf("%s.TEXT.%s.%d", bus.PublicAPI, page.Session, page.Page)
	answer, err := send(own.nc, subject, page.RasterSHA256)
	if err != nil || answer.Header.Get("Nats-Service-Error-Code") != "" || !strings.Contains(string(answer.Data), `"engine":"by-hand"`) {
		t.Fatalf("the answer is %+v, %v", answer, err)
	}
	text := command(t, "get", fax.Session, fmt.Sprint("--page=", page.Page), "--as=txt", "--server="+p.ready.Admin)
	if text != "Order 4711" {
		t.Errorf("the text of the page is %q", text)
	}
	for what, row := range map[string]struct {
		nc              *nats.Conn
		subject, raster string
		code            string
	}{
		"another image":    {own.nc, subject, strings.Repeat("0", 64), "409"},
		"no hash":          {own.nc, subject, "x", "400"},
		"no page":          {own.nc, bus.PublicAPI + ".TEXT." + fax.Session + ".x", page.RasterSHA256, "400"},
		"no fax":           {own.nc, bus.PublicAPI + ".TEXT.unknown.1", page.RasterSHA256, "404"},
		"another's number": {other.nc, subject, page.RasterSHA256, "404"},
	} {
		answer, err := send(row.nc, row.subject, row.raster)
		if err != nil || answer.Header.Get("Nats-Service-Error-Code") != row.code || answer.Header.Get("Nats-Service-Error") == "" {
			t.Errorf("%s: %+v, %v, want %s and a sentence", what, answer, err, row.code)
		}
	}
	patience = time.Second // nobody answers
	if answer, err := send(other.nc, bus.TextRequests+".lab."+page.Session+".1", page.RasterSHA256); err == nil {
		t.Errorf("in another's name: answered %s", answer.Data)
	}
}

// Where tokens are needed, one order adds a subscriber and its token, which claims for it at once, without a restart, and for nobody else.
func TestASubscriberIsAddedWithItsToken(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tokens, secret := filepath.Join(dir, "tokens"), filepath.Join(dir, "root")
	root, line, err := access.NewToken("root", []access.Scope{access.ScopeRead, access.ScopeAdmin})
	if err := errors.Join(err, os.WriteFile(tokens, []byte(line), 0o600), os.WriteFile(secret, []byte(root), 0o600)); err != nil {
		t.Fatal(err)
	}
	_, flags := newSimulator(t, faxplustest.Config{})
	p := serve(t, nil, append(flags, "--dir="+filepath.Join(dir, "state"), "--admin-tokens="+tokens)...)
	add := []string{
		"subscriber", "add", "lab", "--to=+1 334-304-0001", "--admin-tokens=" + tokens, "--token-file=" + secret, "--server=" + p.ready.Admin,
	}
	lab := command(t, add...)
	for name, want := range map[string]int{"lab": http.StatusOK, "root": http.StatusForbidden} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.api("/subscribers/"+name+"/claim"), strings.NewReader(`{"max":1}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+lab)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if resp.Body.Close(); resp.StatusCode != want {
			t.Errorf("claim for %s: %s, want %d", name, resp.Status, want)
		}
	}
	if text := string(apptest.ReadFile(t, tokens)); strings.Count(text, "\n") != 2 || !strings.Contains(text, "\nlab read,text sha256:") ||
		!strings.Contains(text, " to=13343040001\n") {
		t.Errorf("the file of tokens is %s", text)
	}
	again := exec.Command(os.Args[0], add...)
	again.Env = append(os.Environ(), asProgram+"=1")
	if out, err := again.CombinedOutput(); err == nil || !strings.Contains(string(out), "has a token of lab") {
		t.Errorf("a second token of the name: %v, %s", err, out)
	}
}

// Subscribers of other machines reach the embedded server with TLS only: with the login and the certificate's authority they get their
// pages, without the authority they send no password.
func TestSubscribersOfOtherMachines(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key := apptest.WritePair(t, dir, "fax")
	sim, flags := newSimulator(t, faxplustest.Config{})
	p := serve(t, nil, append(flags, "--dir="+dir, "--nats-listen=0.0.0.0:0", "--nats-cert="+cert, "--nats-key="+key, patientGrace)...)
	login := command(t, "subscriber", "add", "lab", "--kind=nats", "--server="+p.ready.Admin)
	if !strings.HasPrefix(login, "tls://lab:") || !strings.Contains(login, "@127.0.0.1:") {
		t.Fatalf("the login is %s; want one for TLS, with the name in the certificate", login)
	}
	fax := apptest.SmallFax(t, "fax", 1)
	p.send(sim, fax)
	p.awaitComplete(fax.Session)
	pull(t, login, "sub-lab", "fax", len(fax.Pages), nats.RootCAs(cert))
	for _, url := range []string{login, strings.Replace(login, "tls:", "nats:", 1)} {
		nc, err := nats.Connect(url, nats.Timeout(apptest.Patience))
		if err == nil {
			nc.Close()
		}
		if _, ok := errors.AsType[*tls.CertificateVerificationError](err); !ok {
			t.Errorf("without the authority: %v", err)
		}
	}
}

// What is printed for an external server is its configuration: with it a subscriber pulls its pages, and can do nothing else.
func TestAccountsOfAnExternalServer(t *testing.T) {
	t.Parallel()
	bin, addr := tool(t, "nats-server", "make tools"), apptest.FixedAddr(t)
	host, port, _ := strings.Cut(addr, ":")
	config := filepath.Join(t.TempDir(), "server.conf")
	run := func(exports, account string) (stop func()) {
		text := fmt.Sprintf("listen: %q\njetstream { store_dir: %q }\naccounts {\nFAXSTREAM: { jetstream: enabled\n"+
			"users = [{user: fax, password: fax}]\n%s }\n%s\n}\n", addr, t.TempDir(), exports, account)
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		server := exec.Command(bin, "-a", host, "-p", port, "-c", config)
		server.Stderr = t.Output()
		if err := server.Start(); err != nil {
			t.Fatal(err)
		}
		return func() {
			_ = server.Process.Kill()
			_ = server.Wait() // says that it was killed
		}
	}
	printed := natsAccounts(api.NATSLogin{User: "lab", Password: "secret", Stream: bus.StreamPages, Durable: "sub-lab"})
	comment, account, _ := strings.Cut(printed, "LAB: {")
	account, _, _ = strings.Cut("LAB: {"+account, "# With nsc")
	_, comment, _ = strings.Cut(comment, "\n")
	t.Cleanup(run(strings.ReplaceAll(comment, "#  ", " "), account))
	await(t, "the server", func() bool {
		nc, err := nats.Connect("nats://fax:fax@" + addr)
		if err == nil {
			nc.Close()
		}
		return err == nil
	})
	owner := readStreams(t, "nats://fax:fax@"+addr)
	defer owner.close()
	ctx := apptest.Context(t)
	stream, err := owner.js.CreateStream(ctx, jetstream.StreamConfig{Name: bus.StreamPages, Subjects: []string{"fax.v1.page.>"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, durable := range []string{"sub-lab", "sub-other"} {
		if _, err := stream.CreateConsumer(ctx, jetstream.ConsumerConfig{Durable: durable, AckPolicy: jetstream.AckExplicitPolicy}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := owner.js.Publish(ctx, "fax.v1.page.archived.1.fax.1", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	pull(t, "nats://lab:secret@"+addr, "sub-lab", "fax", 1)
	lab := readStreams(t, "nats://lab:secret@"+addr)
	defer lab.close()
	for _, prefix := range []string{bus.PublicAPI, "$JS.API"} {
		short, cancel := context.WithTimeout(ctx, 2*time.Second) // what is refused has no answer
		js, err := jetstream.NewWithAPIPrefix(lab.nc, prefix)
		if err == nil {
			_, err = js.Consumer(short, bus.StreamPages, "sub-other")
		}
		if cancel(); err == nil {
			t.Errorf("under %s it may ask about another's durable", prefix)
		}
	}
	for _, subject := range []string{"fax.v1.page.archived.1.forged.1", "$JS.API.STREAM.PURGE." + bus.StreamPages} {
		if err := lab.nc.Publish(subject, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := lab.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	if info, err := stream.Info(ctx); err != nil || info.State.Msgs != 1 {
		t.Errorf("the stream has %+v, %v", info, err)
	}
	for _, command := range []string{
		"nsc add account LAB", "--remote-subject '$JS.ACK.*.*.FAX_PAGES.sub-lab.>'", "--subject '$JS.API.CONSUMER.MSG.NEXT.FAX_PAGES.sub-lab'",
		"--local-subject 'FAX.API.CONSUMER.INFO.FAX_PAGES.sub-lab'",
	} {
		if !strings.Contains(printed, command) {
			t.Errorf("%q is not printed:\n%s", command, printed)
		}
	}
}
