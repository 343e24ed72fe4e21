package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/alecthomas/kong"

	"github.com/faxstream/faxstream/cmd/faxstream/client"
	"github.com/faxstream/faxstream/cmd/faxstream/doctor"
)

// doctorCmd examines what serve would run with.
type doctorCmd struct {
	apiClient
	serveCmd
	JSON bool `help:"Print one JSON object a line."`
}

// AfterApply makes the client; without --server it asks the server of --admin-addr.
func (c *doctorCmd) AfterApply(e env) error {
	if c.Server == defaultServer {
		scheme := "http"
		if c.AdminCert != "" {
			scheme = "https"
		}
		c.Server = scheme + "://" + c.AdminAddr
	}
	return c.apiClient.AfterApply(e)
}

// errIll is the end of an examination that has found something that does not work.
var errIll = errors.New("something does not work: see the findings with the status fail")

// Run prints every finding, the bad ones first.
func (c doctorCmd) Run(ctx context.Context, e env) error {
	config := doctor.Finding{Check: "configuration", Status: doctor.OK, Text: "the flags and the files that they name can be read"}
	cfg, err := c.config(e)
	if err == nil {
		err = cfg.Check()
	}
	if err != nil {
		config.Status, config.Text, config.Remedy = doctor.Fail, err.Error(), "give doctor the flags of faxstream serve"
	}
	found := []doctor.Finding{config}
	if err == nil {
		d := doctor.Config{App: cfg, Online: c.api}
		if c.OCR {
			d.Tesseract = func(ctx context.Context) (string, error) {
				program, err := c.OCRProgram.find(ctx)
				return program.Version, err
			}
		}
		found = append(found, doctor.Examine(ctx, d)...)
	}
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	ill := false
	for _, status := range []string{doctor.Fail, doctor.Warn, doctor.Unknown, doctor.OK} {
		for _, f := range found {
			if f.Status != status {
				continue
			}
			ill = ill || status == doctor.Fail
			if err := c.print(e, w, f); err != nil {
				return err
			}
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if ill {
		return errIll
	}
	return nil
}

func (c doctorCmd) print(e env, w *tabwriter.Writer, f doctor.Finding) error {
	if c.JSON {
		return json.NewEncoder(e.stdout).Encode(f)
	}
	text := client.OneLine(f.Text)
	if f.Remedy != "" {
		text += ". To do: " + client.OneLine(f.Remedy)
	}
	_, err := fmt.Fprintf(w, "%s\t%s\t%s\n", f.Status, f.Check, text)
	return err
}

// configCmd is what serve would run with.
type configCmd struct {
	Check configCheckCmd `cmd:"" help:"Read the configuration of faxstream serve, and say what is wrong with it."`
	Show  configShowCmd  `cmd:"" help:"Print the configuration of faxstream serve as YAML for --config, with the values that count. It names files of secrets and has no secret."`
}

type (
	configCheckCmd struct{ serveCmd }
	configShowCmd  struct{ serveCmd }
)

func (c configCheckCmd) Run(_ context.Context, e env) error {
	cfg, err := c.config(e)
	if err == nil {
		err = cfg.Check()
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(e.stdout, "the configuration is right; faxstream doctor looks at what it names")
	return err
}

// Run prints the flags that have a value.
func (c configShowCmd) Run(k *kong.Context, e env) error {
	for _, f := range k.Selected().Flags {
		if f.Hidden || f.Name == "help" || f.Name == "config" {
			continue
		}
		value := f.Target.Interface()
		if text, ok := value.(string); ok && slices.Contains(urlFlags, f.Name) {
			value = withoutLogin(text)
		}
		text, err := yamlValue(value)
		if err != nil {
			return fmt.Errorf("--%s: %w", f.Name, err)
		}
		if text == `""` || text == "[]" || text == "null" {
			continue
		}
		if _, err := fmt.Fprintf(e.stdout, "%s: %s\n", f.Name, text); err != nil {
			return err
		}
	}
	return nil
}

// urlFlags are the flags whose values may have a login.
var urlFlags = []string{"nats-url", "s3-endpoint", "faxplus-url", "public-url", "archive", "otlp-endpoint"}

// withoutLogin hides what is before the host in URLs, separated by commas: a user with a password, or a token.
func withoutLogin(urls string) string {
	parts := strings.Split(urls, ",")
	for i, part := range parts {
		scheme, rest, ok := strings.Cut(strings.TrimSpace(part), "://")
		if !ok {
			scheme, rest = "", scheme
		}
		if at := strings.LastIndex(rest, "@"); at >= 0 {
			rest = "HIDDEN" + rest[at:]
		}
		if parts[i] = rest; ok {
			parts[i] = scheme + "://" + rest
		}
	}
	return strings.Join(parts, ",")
}

// yamlValue writes the value of a flag as JSON, which is YAML too.
func yamlValue(v any) (string, error) {
	if d, ok := v.(time.Duration); ok {
		v = d.String()
	}
	data, err := json.Marshal(v)
	return string(data), err
}
