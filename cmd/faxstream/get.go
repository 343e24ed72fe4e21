package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/cmd/faxstream/client"
	"github.com/faxstream/faxstream/cmd/faxstream/flags"
)

type getCmd struct {
	apiClient
	Session flags.SessionID  `arg:"" help:"Session id of the fax, as ls prints it, or its first 8 letters or more."`
	Page    flags.PageNumber `env:"-" placeholder:"N" help:"One page, from 1, instead of the document."`
	As      string           `env:"-" default:"auto" enum:"auto,pdf,searchable,tiff,fax,txt,png,original,words,sent,manifest" help:"${enum}. A document comes as pdf (auto), searchable: the PDF with the text of OCR engines over its images, tiff, txt (what OCR engines read), manifest or fax: a TIFF that fax machines can send, with every page in black and white and of a width and resolution of faxes. A page as png (auto), original (tiff is the same): the bytes as fetched, txt, words: JSON with the place of each word, or sent: as the OCR engine wrote it."`
	Derived string           `env:"-" placeholder:"ID" help:"A derived document, as the command derived names it, instead of the document: as pdf (auto), tiff or manifest."`
	Image   string           `env:"-" default:"auto" enum:"auto,streamed,file" help:"${enum}. Of a page that differs from the whole file: the page as it was fetched by itself (streamed) or the page of the whole file (file). auto: the one that counts."`
	Output  string           `short:"o" type:"path" placeholder:"FILE" help:"File to write. It appears, or is replaced, only when it is complete and its hash is right. Run the same command again to continue an interrupted download. Default: stdout."`
	Reason  string           `env:"-" placeholder:"TEXT" help:"Why, for FAX_AUDIT."`
}

func (c getCmd) Run(ctx context.Context, e env) error {
	kind, err := fileKind(c.Page, c.As)
	if err != nil {
		return err
	}
	if err := checkOutput(e, c.Output, c.As); err != nil {
		return err
	}
	if c.Derived != "" {
		if err := checkDerived(c.Page, kind); err != nil {
			return err
		}
	}
	o := client.Object{Session: string(c.Session), Page: int(c.Page), Kind: kind, Derived: c.Derived, Reason: c.Reason}
	if c.Image != "auto" {
		if o.Image = c.Image; c.Page == 0 {
			return usagef("--image %s is for one page: give --page N", c.Image)
		}
	}
	if c.Output == "" {
		return c.api.Stream(ctx, o, e.stdout)
	}
	return c.api.Save(ctx, o, c.Output)
}

// checkDerived refuses what a derived document does not have.
func checkDerived(page flags.PageNumber, kind string) error {
	if page > 0 || !slices.Contains([]string{"pdf", "tiff", "manifest"}, kind) {
		return usagef("--derived is for a whole document, as pdf, tiff or manifest")
	}
	return nil
}

// forTerminals are the kinds that are text.
var forTerminals = []string{"manifest", "txt", "words"}

// checkOutput refuses to write binary data to a terminal, and to replace a device or a pipe by a file.
func checkOutput(e env, output, kind string) error {
	if output == "" {
		if !slices.Contains(forTerminals, kind) && isTerminal(e.stdout) {
			return usagef("stdout is a terminal, and %s is binary: give -o FILE, or redirect stdout", kind)
		}
		return nil
	}
	if fi, err := os.Stat(output); err == nil && !fi.Mode().IsRegular() {
		return usagef("-o %s: it is not a regular file; to write to a device or a pipe, do not give -o and redirect stdout", output)
	}
	return nil
}

// fileKind resolves `auto`: png for a page, pdf for the document. It refuses a kind that the page or the document does not have.
func fileKind(page flags.PageNumber, as string) (string, error) {
	of := map[string]string{
		"auto": "pdf", "pdf": "pdf", "searchable": "searchable", "tiff": "tiff", "fax": "fax.tiff", "txt": "txt", "manifest": "manifest",
	}
	if page > 0 {
		of = map[string]string{
			"auto": "png", "png": "png", "original": "original", "tiff": "original", "txt": "txt", "words": "words", "sent": "sent",
		}
	}
	kind, ok := of[as]
	switch {
	case !ok && page > 0:
		return "", usagef("--as %s is for the whole document: do not give --page, or use --as png or --as original", as)
	case !ok:
		return "", usagef("--as %s is for one page: give --page N", as)
	}
	return kind, nil
}

// linkCmd makes a link that needs no login and expires.
type linkCmd struct {
	apiClient
	Session flags.SessionID  `arg:"" help:"Session id of the fax, as ls prints it, or its first 8 letters or more."`
	Page    flags.PageNumber `env:"-" placeholder:"N" help:"One page, from 1, instead of the document."`
	As      string           `env:"-" default:"auto" enum:"auto,pdf,searchable,tiff,png,original,manifest" help:"${enum}. A document comes as pdf (auto), searchable, tiff or manifest; a page as png (auto) or original: the bytes as fetched."`
	Derived string           `env:"-" placeholder:"ID" help:"A derived document, as the command derived names it, instead of the document: as pdf (auto), tiff or manifest."`
	TTL     time.Duration    `name:"ttl" env:"-" default:"10m" help:"How long the link works: 1s to 168h. Default ${default}."`
	Reason  string           `env:"-" placeholder:"TEXT" help:"Why, for FAX_AUDIT."`
	By      string           `placeholder:"NAME" help:"Your name, for FAX_AUDIT, where there is no login. Default: the user of this process."`
	JSON    bool             `help:"Print one JSON object with the URL and the time when it expires."`
}

// Run prints the URL: presigned for the S3 service of the archive, or a URL of the admin listener.
func (c linkCmd) Run(ctx context.Context, e env) error {
	as, err := fileKind(c.Page, c.As)
	if err != nil {
		return err
	}
	order := api.LinkOrder{
		Order: api.Order{By: whoAsks(c.By), Why: c.Reason}, As: as, Page: int(c.Page), TTL: c.TTL.String(), Derived: c.Derived,
	}
	if c.Derived != "" {
		if err := checkDerived(c.Page, as); err != nil {
			return err
		}
		if as == "manifest" {
			order.As = "json"
		}
	}
	l, err := c.api.Link(ctx, string(c.Session), order)
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(e.stdout).Encode(l)
	}
	if _, err := fmt.Fprintln(e.stdout, l.URL); err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.stderr, "everybody who has this link can read the fax until %s UTC\n", l.Expires.UTC().Format(time.DateTime))
	return err
}
