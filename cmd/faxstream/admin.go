package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"golang.org/x/term"

	"github.com/faxstream/faxstream/cmd/faxstream/access"
	"github.com/faxstream/faxstream/cmd/faxstream/app"
	"github.com/faxstream/faxstream/cmd/faxstream/flags"
)

// adminFlags say who may reach the admin listener, and how.
type adminFlags struct {
	AdminAddr   string `default:"127.0.0.1:8081" placeholder:"HOST:PORT" help:"Address of API, dashboard and metrics. Default ${default}; port 0 takes a free port. An address that is not loopback requires --admin-tokens, --admin-users or --oidc-issuer, and TLS."`
	AdminTokens string `type:"path" placeholder:"FILE" help:"File that says who may use API and dashboard: lines as faxstream token prints them, read at every request. Empty (loopback only): everybody on this machine."`
	AdminUsers  string `type:"path" placeholder:"FILE" help:"File of the people who log in to the dashboard with a name and a password, as faxstream user add writes it, read at every request. Empty: nobody logs in with a password."`
	oidcFlags
	AdminCert      string `type:"path" placeholder:"FILE" help:"PEM certificate with its chain, for TLS on --admin-addr. Read again when the file changes."`
	AdminKey       string `type:"path" placeholder:"FILE" help:"PEM private key of --admin-cert."`
	AdminPlainHTTP bool   `name:"admin-plain-http" help:"No TLS on an --admin-addr that is not loopback. Use it only when a proxy in front does TLS and nobody can listen between the two."`
}

func (c adminFlags) config() (app.Admin, error) {
	provider, err := c.oidcFlags.config()
	return app.Admin{
		Addr: c.AdminAddr, Tokens: c.AdminTokens, Users: c.AdminUsers, OIDC: provider, Cert: c.AdminCert, Key: c.AdminKey,
		PlainHTTP: c.AdminPlainHTTP,
	}, err
}

// oidcFlags are the provider through which people log in.
type oidcFlags struct {
	OIDCIssuer           string   `name:"oidc-issuer" placeholder:"URL" help:"Provider (OpenID Connect) through which people log in to the dashboard, such as https://login.example.org. Its callback is /login/oidc/callback of this server. Empty: none."`
	OIDCClientID         string   `name:"oidc-client-id" placeholder:"ID" help:"Name of this server at --oidc-issuer."`
	OIDCClientSecretFile string   `name:"oidc-client-secret-file" type:"path" placeholder:"FILE" help:"File with the secret of --oidc-client-id, one line, read at every login. Empty: it has none."`
	OIDCRolesClaim       string   `name:"oidc-roles-claim" default:"groups" placeholder:"CLAIM" help:"Claim of the ID token with the groups or roles of a person. Default ${default}."`
	OIDCRole             []string `name:"oidc-role" sep:"none" placeholder:"GROUP=ROLE" help:"What the people of a group may do, GROUP=ROLE[,masked][,NUMBER...], as with faxstream user add. Repeat it for more groups: the first that a person is in counts. People in none do not get in."`
}

// config is nil if there is no provider.
func (c oidcFlags) config() (*access.OIDC, error) {
	if c.OIDCIssuer == "" {
		if c.OIDCClientID != "" || c.OIDCClientSecretFile != "" || len(c.OIDCRole) > 0 {
			return nil, usagef("--oidc-client-id, --oidc-client-secret-file and --oidc-role have no effect without --oidc-issuer")
		}
		return nil, nil
	}
	u, err := url.Parse(c.OIDCIssuer)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && (u.Scheme != "http" || !loopbackName(u.Hostname())) {
		return nil, usagef("--oidc-issuer %q: want an https URL, such as https://login.example.org; http is for a loopback address", c.OIDCIssuer)
	}
	if c.OIDCClientID == "" || len(c.OIDCRole) == 0 {
		return nil, usagef("--oidc-issuer needs --oidc-client-id, and at least one --oidc-role: without a role nobody gets in")
	}
	o := &access.OIDC{Issuer: c.OIDCIssuer, ClientID: c.OIDCClientID, Claim: c.OIDCRolesClaim}
	for _, text := range c.OIDCRole {
		role, err := access.ParseGroupRole(text)
		if err != nil {
			return nil, usagef("--oidc-role %w", err)
		}
		o.Roles = append(o.Roles, role)
	}
	if c.OIDCClientSecretFile != "" {
		o.Secret = func() (string, error) { return flags.ReadLine(c.OIDCClientSecretFile) }
		if _, err := o.Secret(); err != nil {
			return nil, usagef("--oidc-client-secret-file: %w", err)
		}
	}
	return o, nil
}

// loopbackName reports whether a name or address is only this machine.
func loopbackName(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// userCmd is about people who log in to the dashboard with a password.
type userCmd struct {
	Add      userAddCmd      `cmd:"" help:"Add a person. The server reads the file at every request."`
	List     userListCmd     `cmd:"" help:"List the people, without their passwords."`
	Password userPasswordCmd `cmd:"" help:"Give a person a new password. Earlier logins end."`
	Remove   userRemoveCmd   `cmd:"" help:"Remove a person. The logins and links of the person end."`
}

// usersFile is the file that the commands read and write.
type usersFile struct {
	AdminUsers string `required:"" type:"path" placeholder:"FILE" help:"File of --admin-users of the server. It is made if it is not there."`
}

func (f usersFile) read() ([]access.User, error) {
	users, err := access.ReadUsers(f.AdminUsers)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, usagef("--admin-users: %w", err)
	}
	return users, nil
}

// change writes what do makes of the people. Nobody else changes the file meanwhile, so do asks for nothing.
func (f usersFile) change(do func([]access.User) ([]access.User, error)) error {
	unlock, err := access.LockUsers(f.AdminUsers)
	if err != nil {
		return usagef("--admin-users: %w", err)
	}
	users, err := f.read()
	if err == nil {
		users, err = do(users)
	}
	if err == nil {
		err = access.WriteUsers(f.AdminUsers, users)
	}
	return errors.Join(err, unlock())
}

// find gives the place of a person among those of the file.
func (f usersFile) find(users []access.User, name string) (int, error) {
	i := slices.IndexFunc(users, func(u access.User) bool { return u.Name == name })
	if i < 0 {
		return i, fmt.Errorf("%s has no person %s: %w", f.AdminUsers, name, errNotFound)
	}
	return i, nil
}

// password is where a password comes from: never from a flag, which other users of the machine can see.
type password struct {
	PasswordFile string `env:"-" type:"path" placeholder:"FILE" help:"File with the password, one line. Empty: it is read from the terminal, or one line from stdin."`
}

type userAddCmd struct {
	usersFile
	password
	Name   string      `arg:"" help:"Name of the person: 1 to 64 letters, digits, '-' and '_'. FAX_AUDIT shows this name."`
	Role   access.Role `required:"" env:"-" placeholder:"ROLE" help:"What the person may do: read (lists, documents, pages, links, audit), work (assign, label, note, mark as read or done, derive), operate (retry, drop, choose, replay, reconcile, verify on the screen) or admin (hold, release, purge). Each includes the ones before."`
	To     []string    `env:"-" placeholder:"NUMBER" help:"The person sees only faxes of these numbers or user ids, as with faxstream token. Only with the roles read and work."`
	Masked bool        `env:"-" help:"Numbers of faxes are shown to the person with all but their last four digits hidden. Only with the roles read and work."`
}

// Run adds a person to the file.
func (c userAddCmd) Run(ctx context.Context, e env) error {
	secret, err := c.ask(ctx, e)
	if err != nil {
		return err
	}
	u, err := access.NewUser(c.Name, c.Role, c.Masked, secret, c.To...)
	if err != nil {
		return usagef("%w", err)
	}
	err = c.change(func(users []access.User) ([]access.User, error) {
		if _, err := c.find(users, c.Name); err == nil {
			return nil, usagef("%s has a person %s: `faxstream user password` changes the password", c.AdminUsers, c.Name)
		}
		return append(users, u), nil
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.stderr, "added %s with the role %s to %s\n", u.Name, u.Role, c.AdminUsers)
	return err
}

type userPasswordCmd struct {
	usersFile
	password
	Name string `arg:"" help:"Name of the person."`
}

// Run changes the password of a person.
func (c userPasswordCmd) Run(ctx context.Context, e env) error {
	secret, err := c.ask(ctx, e)
	if err != nil {
		return err
	}
	hash, err := access.HashPassword(secret)
	if err != nil {
		return usagef("%w", err)
	}
	err = c.change(func(users []access.User) ([]access.User, error) {
		i, err := c.find(users, c.Name)
		if err == nil {
			users[i].Hash = hash
		}
		return users, err
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.stderr, "changed the password of %s\n", c.Name)
	return err
}

type userRemoveCmd struct {
	usersFile
	Name string `arg:"" help:"Name of the person."`
}

// Run removes a person from the file.
func (c userRemoveCmd) Run(e env) error {
	err := c.change(func(users []access.User) ([]access.User, error) {
		i, err := c.find(users, c.Name)
		if err != nil {
			return nil, err
		}
		return slices.Delete(users, i, i+1), nil
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.stderr, "removed %s\n", c.Name)
	return err
}

type userListCmd struct {
	usersFile
	JSON bool `help:"Print one JSON object a line."`
}

// Run lists the people.
func (c userListCmd) Run(e env) error {
	users, err := c.read()
	if err != nil {
		return err
	}
	table, out := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0), json.NewEncoder(e.stdout)
	if !c.JSON {
		fmt.Fprintln(table, "NAME\tROLE\tNUMBERS\tMASKED")
	}
	for _, u := range users {
		if c.JSON {
			err = errors.Join(err, out.Encode(struct {
				Name    string      `json:"name"`
				Role    access.Role `json:"role"`
				Numbers []string    `json:"numbers"`
				Masked  bool        `json:"masked"`
			}{u.Name, u.Role, append([]string{}, u.Numbers...), u.Masked}))
			continue
		}
		numbers, masked := "all", "no"
		if len(u.Numbers) > 0 {
			numbers = strings.Join(u.Numbers, ",")
		}
		if u.Masked {
			masked = "yes"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", u.Name, u.Role, numbers, masked)
	}
	return errors.Join(err, table.Flush())
}

// maxPasswordFile bounds what is read for a password, bytes.
const maxPasswordFile = 4 << 10

// ask gives the password.
func (p password) ask(ctx context.Context, e env) (string, error) {
	switch {
	case p.PasswordFile != "":
		f, err := os.Open(p.PasswordFile)
		if err != nil {
			return "", usagef("--password-file: %w", err)
		}
		defer f.Close()
		return passwordLine(f)
	case term.IsTerminal(int(os.Stdin.Fd())):
		return typed(ctx, e)
	default:
		return passwordLine(os.Stdin)
	}
}

// passwordLine reads one line. Spaces belong to the password.
func passwordLine(r io.Reader) (string, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxPasswordFile+1))
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	line := strings.TrimRight(string(text), "\r\n")
	if len(text) > maxPasswordFile || strings.ContainsAny(line, "\r\n") {
		return "", usagef("the password must be one line")
	}
	return line, nil
}

// typed asks for a password twice on the terminal, which does not show it. A signal ends it and gives the terminal back as it was.
func typed(ctx context.Context, e env) (string, error) {
	fd := int(os.Stdin.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	type answer struct {
		text []byte
		err  error
	}
	read := func(question string) (string, error) {
		fmt.Fprint(e.stderr, question)
		got := make(chan answer, 1)
		go func() {
			text, err := term.ReadPassword(fd)
			got <- answer{text, err}
		}()
		select {
		case a := <-got:
			fmt.Fprintln(e.stderr)
			return string(a.text), a.err
		case <-ctx.Done():
			return "", errors.Join(ctx.Err(), term.Restore(fd, before))
		}
	}
	first, err := read("Password: ")
	if err != nil {
		return "", err
	}
	again, err := read("The same again: ")
	if err == nil && again != first {
		err = usagef("the two passwords differ: nothing is changed")
	}
	return first, err
}
