package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"

	"golang.org/x/term"
)

type getCmd struct {
	client
	Session string `arg:"" help:"Session id of the fax, as ls prints it."`
	Page    int    `placeholder:"N" help:"One page, from 1, instead of the document."`
	As      string `default:"pdf" enum:"pdf,tiff,png,original,manifest" help:"${enum}. Of the document: pdf, tiff, manifest. Of a page: png, or original (tiff is the same): the bytes as fetched."`
	Output  string `short:"o" type:"path" placeholder:"FILE" help:"File to write; made anew or replaced only when all has arrived. Default: stdout."`
}

func (c getCmd) Run(ctx context.Context, e env) error {
	path, err := c.path()
	if err != nil {
		return err
	}
	if err := checkOutput(e, c.Output, c.As); err != nil {
		return err
	}
	body, err := c.get(ctx, path, nil)
	if err != nil {
		return err
	}
	defer body.Close()
	if c.Output == "" {
		_, err := io.Copy(e.stdout, body)
		return err
	}
	return writeFile(c.Output, body)
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

func (c getCmd) path() (string, error) {
	base := "/faxes/" + url.PathEscape(c.Session)
	switch {
	case c.Page < 0:
		return "", usagef("--page %d: want 1 or more", c.Page)
	case c.Page > 0 && (c.As == "png"):
		return fmt.Sprintf("%s/pages/%d.png", base, c.Page), nil
	case c.Page > 0 && (c.As == "original" || c.As == "tiff"):
		return fmt.Sprintf("%s/pages/%d.tiff", base, c.Page), nil
	case c.Page > 0:
		return "", usagef("--as %s is of the whole document: leave --page out, or ask for --as png or original", c.As)
	case c.As == "manifest":
		return base + "/manifest.json", nil
	case c.As == "pdf" || c.As == "tiff":
		return base + "/document." + c.As, nil
	default:
		return "", usagef("--as %s is of one page: give --page N", c.As)
	}
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
