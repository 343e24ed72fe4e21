package main

import (
	"net/netip"
	"net/url"

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
