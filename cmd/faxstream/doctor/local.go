package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/app"
	"github.com/faxstream/faxstream/cmd/faxstream/client"
	"github.com/faxstream/faxstream/pipeline/bus"
)

// server asks the running server whether it is ready, and what it warns of.
func (e *examination) server(ctx context.Context) {
	const check = "running server"
	ready, err := e.Online.Ready(ctx)
	switch {
	case errors.Is(err, client.ErrNotReady):
		e.running = true
		e.say(check, Fail, err.Error(), "repair what the sentence names; webhooks are answered 503 meanwhile, and come again")
	case err != nil:
		e.say(check, Unknown, fmt.Sprintf("no ready faxstream answers: %v", err), "start faxstream serve, or give --server its admin address")
	default:
		e.running, e.ready = true, true
		e.say(check, OK, "the server is ready", "")
	}
	for _, w := range ready.Warnings {
		e.say(check, Warn, w, "see deploy/docs/operations.md")
	}
}

// webhooks looks at who sends webhooks, and at who was refused.
func (e *examination) webhooks(ctx context.Context) {
	const check = "senders of webhooks"
	if len(e.App.Secrets) == 0 {
		e.say("webhook secret", Warn, "webhooks need no secret: whoever reaches the address can send faxes",
			"give --webhook-secret-file, and register the webhooks again with faxstream hooks add")
	} else {
		e.say("webhook secret", OK, "webhooks need a secret", "")
	}
	if !e.running {
		return
	}
	list, err := e.Online.Refused(ctx)
	if err != nil {
		e.say(check, Unknown, fmt.Sprintf("the refused addresses cannot be read: %v", err), "give a token with the scope read")
		return
	}
	said := false
	for _, r := range list.Refused {
		if !r.RightPath { // a stranger does not know the path and the secret
			continue
		}
		said = true
		status := Warn
		if time.Since(r.Last) < time.Hour {
			status = Fail
		}
		e.say(check, status, fmt.Sprintf("%d webhooks with the right path were refused, because they came from %s; the last one at %s",
			r.Count, cmp.Or(r.Address, r.Peer), r.Last.UTC().Format(time.RFC3339)), r.Advice)
	}
	if !said {
		e.say(check, OK, "no webhook with the right path was refused because of its address", "")
	}
}

// disks looks at the directories of local state.
func (e *examination) disks(context.Context) {
	const check = "disk"
	info, err := os.Stat(e.App.Dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		e.say(check, Unknown, e.App.Dir+" does not exist yet", "faxstream serve creates it; if it should exist, --dir is wrong")
		return
	case err != nil:
		e.say(check, Fail, err.Error(), "give --dir a directory that this user may read and write")
		return
	case info.Mode().Perm()&0o077 != 0:
		e.say("permissions", Warn, fmt.Sprintf("%s is open to other users of this machine (mode %04o): it contains faxes",
			e.App.Dir, info.Mode().Perm()), "chmod 700 "+e.App.Dir)
	}
	warnings, err := e.App.CheckDisks()
	switch {
	case err != nil:
		e.say(check, Fail, err.Error(), "make room, or move --dir to a larger disk; webhooks are answered 503 meanwhile")
	case len(warnings) == 0:
		e.say(check, OK, "there is room on the disk of "+e.App.Dir, "")
	}
	for _, w := range warnings {
		e.say(check, Warn, w, "make room before it is full")
	}
}

// spool looks at the directory where webhooks wait for NATS servers that are away.
func (e *examination) spool(context.Context) {
	const check = "spool"
	dir := e.App.Spool.Dir
	if dir == "" {
		return
	}
	files, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		e.say(check, Unknown, dir+" does not exist yet", "faxstream serve creates it")
		return
	}
	is, readErr := bus.IsSpool(dir)
	switch err := errors.Join(err, readErr); {
	case err != nil:
		e.say(check, Fail, err.Error(), "give --spool a directory that this user may read and write")
	case !is && len(files) > 0:
		e.say(check, Fail, dir+" has files that are not of a spool", "give --spool an empty directory, or one that does not exist")
	default:
		e.say(check, OK, "webhooks are stored in "+dir+" while the NATS servers do not take them", "")
	}
}

// expiresSoon is how long before its end a certificate is warned of.
const expiresSoon = 21 * 24 * time.Hour

// certificates looks at when the certificates of the listeners end.
func (e *examination) certificates(context.Context) {
	for _, of := range [][2]string{{"--admin-cert", e.App.Admin.Cert}, {"--nats-cert", e.App.NATSCert}} {
		flag, file := of[0], of[1]
		if file == "" {
			continue
		}
		ends, err := app.CertificateEnds(file)
		switch left := time.Until(ends); {
		case err != nil:
			e.say("certificate", Fail, fmt.Sprintf("%s: %v", flag, err), "give the PEM file of the certificate with its chain")
		case left <= 0:
			e.say("certificate", Fail, fmt.Sprintf("%s %s ended on %s", flag, file, ends.Format(time.DateOnly)),
				"replace the file: it is read again by itself")
		case left < expiresSoon:
			e.say("certificate", Warn, fmt.Sprintf("%s %s ends on %s", flag, file, ends.Format(time.DateOnly)),
				"replace the file: it is read again by itself")
		default:
			e.say("certificate", OK, fmt.Sprintf("%s %s is good until %s", flag, file, ends.Format(time.DateOnly)), "")
		}
	}
}

// exposure looks at settings that let more people in than is usual.
func (e *examination) exposure(context.Context) {
	const check = "who gets in"
	before := len(e.found)
	if !e.App.Admin.Login() {
		e.say(check, Warn, "the dashboard and the API need no login: every user and program of this machine can read, change and delete faxes",
			"make tokens with faxstream token, and give --admin-tokens")
	}
	for _, of := range []string{e.App.Admin.Tokens, e.App.Admin.Users} {
		if info, err := os.Stat(of); err == nil && info.Mode().Perm()&0o022 != 0 {
			e.say(check, Warn, of+" can be changed by other users of this machine: they can let themselves in", "chmod go-w "+of)
		}
	}
	if info, err := os.Stat(e.App.Admin.Users); err == nil && info.Mode().Perm()&0o004 != 0 {
		e.say(check, Warn, e.App.Admin.Users+" can be read by other users of this machine: they can try passwords on the hashes",
			"chmod o-r "+e.App.Admin.Users)
	}
	if e.App.Admin.PlainHTTP {
		e.say(check, Warn, "the admin listener speaks no TLS: this is safe only behind a proxy to which nobody can listen", "give --admin-cert")
	}
	if e.App.NATS.Embedded.Insecure {
		e.say(check, Warn, "--nats-listen needs no login: every user and program of this machine can change and delete everything in JetStream",
			"leave out --nats-listen-insecure")
	}
	for i, prefixes := range [][]netip.Prefix{e.App.AllowFrom, e.App.TrustedProxies} {
		flag := []string{"--allow-from", "--trusted-proxies"}[i]
		if slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Bits() == 0 }) {
			e.say(check, Warn, flag+" is for every address", "name the addresses that are meant")
		}
	}
	if len(e.found) == before {
		e.say(check, OK, "nobody gets in without a login", "")
	}
}

// signing looks at whether manifests can be proven to be ours.
func (e *examination) signing(context.Context) {
	if e.App.SignKey == nil {
		e.say("signatures", Warn, "manifests and seals are not signed: somebody who can write to the archive can replace a fax unseen",
			"make a key with faxstream keys, keep its public key elsewhere, and give --sign-key")
		return
	}
	e.say("signatures", OK, "manifests and seals are signed", "")
}

func (e *examination) tesseract(ctx context.Context) {
	if e.Tesseract == nil {
		return
	}
	version, err := e.Tesseract(ctx)
	if err != nil {
		e.say("tesseract", Fail, err.Error(), "install Tesseract and its languages, or leave out --ocr")
		return
	}
	e.say("tesseract", OK, "Tesseract "+version+" is here", "")
}
