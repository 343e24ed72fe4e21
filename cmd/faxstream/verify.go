package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/faxstream/faxstream/cmd/faxstream/flags"
	"github.com/faxstream/faxstream/pipeline/recovery"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/verify"
)

// verifyCmd proves from the archive alone that faxes are as they were written.
type verifyCmd struct {
	archiveStore
	Session flags.SessionID `arg:"" optional:"" help:"Session id of the fax, or its first 8 letters or more."`
	All     bool            `env:"-" help:"Verify every fax in the archive, and the index."`
	Key     []string        `type:"path" placeholder:"FILE" help:"Files of public keys, as faxstream keys prints them. One of the keys must have signed each manifest; repeat the flag for keys that were replaced. Without it, signatures are only counted."`
	JSON    bool            `help:"Print one JSON object a line, for every fax."`
}

// Run uses neither NATS nor the provider, and writes nothing to the archive.
func (c verifyCmd) Run(ctx context.Context, e env) (err error) {
	if (c.Session == "") != c.All {
		return usagef("say which faxes: give either a session or --all")
	}
	checker := verify.Checker{Software: softwareName(), Log: e.logger()}
	if checker.Keys, err = readPublicKeys(c.Key); err != nil {
		return usagef("--key: %w", err)
	}
	archive, done, err := c.openReader(ctx, e.getenv)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	checker.Archive = archive
	if checker.ScratchDir, err = os.MkdirTemp("", "faxstream-verify-"); err != nil {
		return fmt.Errorf("make a directory for documents: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(checker.ScratchDir)) }()
	v := &verdicts{out: e.stdout, json: c.JSON}
	if c.All {
		err = checker.All(ctx, v.add)
	} else {
		err = c.one(ctx, checker, v)
	}
	if err != nil {
		return err
	}
	return v.sum(e.stderr)
}

func (c verifyCmd) one(ctx context.Context, checker verify.Checker, v *verdicts) error {
	like, err := recovery.Catalog{Archive: checker.Archive}.Sessions(ctx, string(c.Session), session.MaxNamed+1)
	if err != nil {
		return err
	}
	id, err := session.ShortFor(string(c.Session), like)
	if err != nil {
		return err
	}
	f, err := checker.Session(ctx, cmp.Or(id, string(c.Session)))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %s has no objects of session %s (is it the archive of the faxstream that has this fax? "+
			"--dir or --archive says which archive)", errNotFound, c.where(), c.Session)
	}
	if err != nil {
		return err
	}
	return v.add(f)
}

// verdicts prints the findings and counts them.
type verdicts struct {
	out                  io.Writer
	json                 bool
	faxes, faulty, wrong int
}

func (v *verdicts) add(f verify.Finding) error {
	v.faxes++
	v.wrong += len(f.Faults)
	if len(f.Faults) > 0 {
		v.faulty++
	}
	if v.json {
		return json.NewEncoder(v.out).Encode(f)
	}
	result := "ok"
	if len(f.Faults) > 0 {
		result = "FAULTY"
	}
	const line = "%s  %s  revisions: %d (signed %d, not verified %d, unsigned %d; made again %d), pages: %d, " +
		"objects: %d (not used %d, orphans %d)\n"
	_, err := fmt.Fprintf(v.out, line,
		result, f.Session, f.Revisions, f.Signed, f.Unverified, f.Unsigned, f.Remade, f.Pages, f.Objects, f.Unused, f.Orphans)
	for _, fault := range f.Faults {
		page := ""
		if fault.Page > 0 {
			page = fmt.Sprintf(" page %d", fault.Page)
		}
		_, printErr := fmt.Fprintf(v.out, "  %s: %s%s: %s\n    %s\n", fault.Kind, fault.Where, page, fault.What, fault.Do)
		err = errors.Join(err, printErr)
	}
	return err
}

// sum fails when anything is wrong.
func (v *verdicts) sum(stderr io.Writer) error {
	if v.wrong > 0 {
		return fmt.Errorf("faults: %d, in %d of %d faxes", v.wrong, v.faulty, v.faxes)
	}
	_, err := fmt.Fprintf(stderr, "faxes: %d, all as they were written\n", v.faxes)
	return err
}
