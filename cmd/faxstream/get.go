package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/term"

	"github.com/faxstream/faxstream/cmd/faxstream/client"
)

type getCmd struct {
	apiClient
	Session sessionID `arg:"" help:"Session id of the fax, as ls prints it, or its first 8 letters or more."`
	Page    int       `placeholder:"N" help:"One page, from 1, instead of the document."`
	As      string    `default:"auto" enum:"auto,pdf,tiff,png,original,manifest" help:"${enum}. Of the document: pdf (auto), tiff, manifest. Of a page: png (auto), or original (tiff is the same): the bytes as fetched."`
	Output  string    `short:"o" type:"path" placeholder:"FILE" help:"File to write; made anew or replaced only when all has arrived and has its hash. An interrupted download goes on when the same command is given again. Default: stdout."`
	Reason  string    `env:"-" placeholder:"TEXT" help:"Why, for FAX_AUDIT."`
}

func (c getCmd) Run(ctx context.Context, e env) error {
	kind, err := fileKind(c.Page, c.As)
	if err != nil {
		return err
	}
	if err := checkOutput(e, c.Output, c.As); err != nil {
		return err
	}
	o := client.Object{Session: string(c.Session), Page: c.Page, Kind: kind, Reason: c.Reason}
	if c.Output == "" {
		return c.api.Stream(ctx, o, e.stdout)
	}
	return c.api.Save(ctx, o, c.Output)
}

// checkOutput refuses to disturb a terminal, and to put a file in the place of a device or a pipe.
func checkOutput(e env, output, kind string) error {
	if output == "" {
		if f, ok := e.stdout.(*os.File); ok && kind != "manifest" && term.IsTerminal(int(f.Fd())) {
			return usagef("stdout is a terminal, and %s is binary: give -o FILE, or send stdout elsewhere", kind)
		}
		return nil
	}
	if fi, err := os.Stat(output); err == nil && !fi.Mode().IsRegular() {
		return usagef("-o %s: it is there and is no regular file; to write to a device or a pipe, leave -o out and use the shell's >", output)
	}
	return nil
}

// fileKind says what `auto` is: of a page png, of the document pdf. It refuses what is not of the one asked for.
func fileKind(page int, as string) (string, error) {
	of := map[string]string{"auto": "pdf", "pdf": "pdf", "tiff": "tiff", "manifest": "manifest"}
	if page > 0 {
		of = map[string]string{"auto": "png", "png": "png", "original": "original", "tiff": "original"}
	}
	kind, ok := of[as]
	switch {
	case page < 0:
		return "", usagef("--page %d: want 1 or more", page)
	case !ok && page > 0:
		return "", usagef("--as %s is of the whole document: leave --page out, or ask for --as png or original", as)
	case !ok:
		return "", usagef("--as %s is of one page: give --page N", as)
	}
	return kind, nil
}

// writeFile writes a file that is whole or not there: medical data, so for the owner only.
func writeFile(name string, r io.Reader) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), ".faxstream-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name()) // the error that brought us here says more
		}
	}()
	if _, err := io.Copy(f, r); err != nil {
		_ = f.Close()
		return fmt.Errorf("write %s: %w", name, err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return os.Rename(f.Name(), name)
}
