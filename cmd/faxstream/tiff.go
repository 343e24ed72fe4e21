package main

import (
	"bytes"
	"context"
	"errors"

	"github.com/faxstream/faxstream/cmd/faxstream/tifftool"
)

type tiffCmd struct {
	Info   tiffInfoCmd   `cmd:"" help:"Say of every page of TIFF files what it is and what is damaged."`
	Export tiffExportCmd `cmd:"" help:"Write one page of a TIFF file as PBM, PNG or TIFF."`
	Bench  tiffBenchCmd  `cmd:"" help:"Measure how long every page takes to decode and to encode as Group 4."`
}

type tiffInfoCmd struct {
	JSON  bool     `help:"Print one JSON object a line and page (JSON Lines). What is not known is null: page, too, when the file is no TIFF."`
	Files []string `arg:"" name:"file" help:"TIFF files; - is standard input. One that cannot be read does not stop the others."`
}

func (c tiffInfoCmd) Run(ctx context.Context, e env) error {
	return tiffError(tifftool.Info(ctx, e.stdout, c.Files, c.JSON))
}

type tiffExportCmd struct {
	Page   int    `default:"1" placeholder:"N" help:"The page, from 1. Default ${default}."`
	To     string `required:"" enum:"pbm,png,tiff" placeholder:"FORMAT" help:"${enum}. pbm: the 1-bit rows (P4, 1 is black). png: with near-square pixels, as for OCR. tiff: Class F, Group 4. Gray and colour stay so in png and tiff."`
	Output string `short:"o" type:"path" placeholder:"FILE" help:"File to write; made anew or replaced only when all is there. Default: stdout, which must not be a terminal."`
	File   string `arg:"" type:"existingfile" help:"TIFF file; - is standard input."`
}

func (c tiffExportCmd) Run(ctx context.Context, e env) error {
	if err := checkOutput(e, c.Output, c.To); err != nil {
		return err
	}
	data, err := tifftool.Export{File: c.File, Page: c.Page, To: c.To, Software: softwareName()}.Encode(ctx, e.stderr)
	if err != nil {
		return tiffError(err)
	}
	if c.Output == "" {
		_, err := e.stdout.Write(data)
		return err
	}
	return writeFile(c.Output, bytes.NewReader(data))
}

type tiffBenchCmd struct {
	Runs  int      `default:"20" placeholder:"N" help:"How often each page is decoded and encoded, after one run that does not count. Default ${default}."`
	JSON  bool     `help:"Print one JSON object a line and page (JSON Lines), times in microseconds. What is not known is null."`
	Files []string `arg:"" name:"file" help:"TIFF files; - is standard input. One that cannot be read does not stop the others."`
}

func (c tiffBenchCmd) Run(ctx context.Context, e env) error {
	return tiffError(tifftool.Bench(ctx, e.stdout, c.Files, c.Runs, c.JSON))
}

// tiffError tells a wrong argument from a file that cannot be read.
func tiffError(err error) error {
	if errors.Is(err, tifftool.ErrArgument) {
		return usageError{err}
	}
	return err
}
