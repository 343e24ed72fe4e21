package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/faxstream/faxstream/cmd/faxstream/tifftool"
)

type tiffCmd struct {
	Info   tiffInfoCmd   `cmd:"" help:"Describe every page of TIFF files: size, coding, damage."`
	Export tiffExportCmd `cmd:"" help:"Write one page of a TIFF file as PBM, PNG or TIFF."`
	Bench  tiffBenchCmd  `cmd:"" help:"Measure how long it takes to decode every page and to encode it as Group 4."`
}

type tiffInfoCmd struct {
	JSON  bool     `help:"Print one JSON object a line for each page (JSON Lines). Unknown values are null; page is null when the file is not a TIFF."`
	Files []string `arg:"" name:"file" help:"TIFF files; - is standard input. An unreadable file does not stop the others."`
}

func (c tiffInfoCmd) Run(ctx context.Context, e env) error {
	return tiffError(tifftool.Info(ctx, e.stdout, c.Files, c.JSON))
}

type tiffExportCmd struct {
	Page   int    `default:"1" placeholder:"N" help:"The page, from 1. Default ${default}."`
	To     string `required:"" enum:"pbm,png,tiff" placeholder:"FORMAT" help:"${enum}. pbm: the 1-bit rows (P4, 1 is black). png: with nearly square pixels, for OCR. tiff: Class F, Group 4. Gray and colour pages stay gray and colour in png and tiff."`
	Output string `short:"o" type:"path" placeholder:"FILE" help:"File to write. It appears, or is replaced, only when it is complete. Default: stdout, which must not be a terminal."`
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
	Runs  int      `default:"20" placeholder:"N" help:"How often each page is decoded and encoded, after one run that is not counted. Default ${default}."`
	JSON  bool     `help:"Print one JSON object a line for each page (JSON Lines), times in microseconds. Unknown values are null."`
	Files []string `arg:"" name:"file" help:"TIFF files; - is standard input. An unreadable file does not stop the others."`
}

func (c tiffBenchCmd) Run(ctx context.Context, e env) error {
	return tiffError(tifftool.Bench(ctx, e.stdout, c.Files, c.Runs, c.JSON))
}

// tiffError tells a wrong argument from an unreadable file.
func tiffError(err error) error {
	if errors.As(err, new(tifftool.ArgumentError)) {
		return usageError{err}
	}
	return err
}

// writeFile writes a file that is complete or absent. It holds medical data, so only the owner may read it.
func writeFile(name string, r io.Reader) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), ".faxstream-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name()) // err says more
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
