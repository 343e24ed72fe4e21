package flags

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"
)

// file resolves flags from a configuration file. Its keys are the names of flags, of any command.
// kong's own YAML loader ignores unknown keys and lets the file beat the environment.
type file map[string]any

// ReadFile reads a configuration file in YAML. An unknown key, a second document or a nested value is an error.
func ReadFile(r io.Reader) (kong.Resolver, error) {
	f := file{}
	d := yaml.NewDecoder(r)
	if err := d.Decode(&f); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("configuration file: %w", err)
	}
	if err := d.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, errors.New("configuration file: it has a second YAML document; put all keys into one")
	}
	for key, v := range f {
		if !plain(v) {
			return nil, fmt.Errorf("configuration file: %s: want a value or a list of values", key)
		}
	}
	return f, nil
}

// plain reports whether a YAML value is one that a flag can have.
func plain(v any) bool {
	switch v := v.(type) {
	case nil, string, bool, int, int64, uint64, float64:
		return true
	case []any:
		return !slices.ContainsFunc(v, func(x any) bool {
			_, list := x.([]any)
			return list || !plain(x)
		})
	default:
		return false
	}
}

// Validate refuses keys that no command has a flag for.
func (f file) Validate(app *kong.Application) error {
	known := map[string]bool{}
	err := kong.Visit(app, func(n kong.Visitable, next kong.Next) error {
		if flag, ok := n.(*kong.Flag); ok {
			known[flag.Name] = true
		}
		return next(nil)
	})
	if err != nil {
		return err
	}
	var unknown []string
	for key := range f {
		if !known[key] {
			unknown = append(unknown, key)
		}
	}
	if len(unknown) > 0 {
		slices.Sort(unknown)
		return fmt.Errorf("configuration file: no flag has the name %s", strings.Join(unknown, ", "))
	}
	return nil
}

// Resolve gives nothing where the environment has the flag.
func (f file) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	for _, name := range flag.Envs {
		if _, ok := os.LookupEnv(name); ok {
			return nil, nil
		}
	}
	v, ok := f[flag.Name]
	if !ok || v == nil {
		return nil, nil
	}
	list, ok := v.([]any)
	if !ok {
		return fmt.Sprint(v), nil
	}
	parts := make([]string, len(list))
	for i, x := range list {
		parts[i] = fmt.Sprint(x)
	}
	if flag.Tag.Sep != -1 { // kong splits the text there
		return strings.Join(parts, string(flag.Tag.Sep)), nil
	}
	whole := make([]any, len(parts)) // a value may have commas
	for i, x := range parts {
		whole[i] = x
	}
	return whole, nil
}
