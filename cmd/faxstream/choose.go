package main

import (
	"context"
	"fmt"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
)

// chooseCmd decides about a page whose streamed image and whose image in the whole file differ.
type chooseCmd struct {
	keepOrder
	Page  int    `env:"-" required:"" placeholder:"N" help:"Number of the page, from 1, as ls prints it."`
	Image string `env:"-" required:"" enum:"streamed,file" placeholder:"WORD" help:"${enum}. streamed: the page as it was fetched by itself. file: the page of the whole file."`
}

// Run returns when the document has the image.
func (c chooseCmd) Run(ctx context.Context, e env) error {
	done, err := c.api.Choose(ctx, string(c.Session), c.Page, api.ChoiceOrder{Order: api.Order{By: whoAsks(c.By), Why: c.Reason}, Image: c.Image})
	if err != nil {
		return err
	}
	if !done.Done {
		return fmt.Errorf("the choice for page %d of %s is stored, but the document does not have it yet: see /readyz and `faxstream dlq ls --session %s`",
			c.Page, c.Session, c.Session)
	}
	_, err = fmt.Fprintln(e.stdout, "chosen", done.Session, "page", done.Page, done.Image, "revision", done.Revision)
	return err
}
