package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"golang.org/x/term"

	"github.com/faxstream/faxstream/cmd/faxstream/access"
)

// userCmd is about people who log in to the dashboard with a password.
type userCmd struct {
	Add      userAddCmd      `cmd:"" help:"Add a person. The server reads the file at every request."`
	List     userListCmd     `cmd:"" help:"List the people, without their passwords."`
	Password userPasswordCmd `cmd:"" help:"Give a person a new password. The logins of before end."`
	Remove   userRemoveCmd   `cmd:"" help:"Remove a person. The logins and links of the person end."`
}

// usersFile is the file that the commands read and write.
type usersFile struct {
	AdminUsers string `required:"" type:"path" placeholder:"FILE" help:"File of --admin-users of the server. It is made if it is not there."`
}

func (f usersFile) read() ([]access.User, error) {
	users, err := access.ReadUsers(f.AdminUsers)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, usagef("--admin-users: %w", err)
	}
	return users, nil
}

// find gives the place of a person in the file.
func (f usersFile) find(name string) (users []access.User, i int, err error) {
	users, err = f.read()
	i = slices.IndexFunc(users, func(u access.User) bool { return u.Name == name })
	if err == nil && i < 0 {
		err = fmt.Errorf("%s has no person %s: %w", f.AdminUsers, name, errNotFound)
	}
	return users, i, err
}

// password is where a password comes from: never from a flag, which other users of the machine can see.
type password struct {
	PasswordFile string `env:"-" type:"path" placeholder:"FILE" help:"File with the password, one line. Empty: it is read from the terminal, or one line from stdin."`
}

type userAddCmd struct {
	usersFile
	password
	Name   string      `arg:"" help:"Name of the person: 1 to 64 letters, digits, '-' and '_'. FAX_AUDIT shows this name."`
	Role   access.Role `required:"" env:"-" placeholder:"ROLE" help:"What the person may do: read (lists, documents, pages, links, audit), work (assign, label, note, mark as read or done), operate (retry, drop, choose, replay, reconcile) or admin (hold, release, purge). Each includes the ones before."`
	To     []string    `env:"-" placeholder:"NUMBER" help:"The person sees only faxes of these numbers or user ids, as with faxstream token. Only with the roles read and work."`
	Masked bool        `env:"-" help:"Numbers of faxes are shown to the person with all but their last four digits hidden. Only with the roles read and work."`
}

// Run adds a person to the file.
func (c userAddCmd) Run(ctx context.Context, e env) error {
	users, err := c.read()
	if err != nil {
		return err
	}
	if slices.ContainsFunc(users, func(u access.User) bool { return u.Name == c.Name }) {
		return usagef("%s has a person %s: `faxstream user password` changes the password", c.AdminUsers, c.Name)
	}
	secret, err := c.ask(ctx, e)
	if err != nil {
		return err
	}
	u, err := access.NewUser(c.Name, c.Role, c.Masked, secret, c.To...)
	if err != nil {
		return usagef("%w", err)
	}
	if err := access.WriteUsers(c.AdminUsers, append(users, u)); err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.stderr, "added %s with the role %s to %s\n", u.Name, u.Role, c.AdminUsers)
	return err
}

type userPasswordCmd struct {
	usersFile
	password
	Name string `arg:"" help:"Name of the person."`
}

// Run changes the password of a person.
func (c userPasswordCmd) Run(ctx context.Context, e env) error {
	users, i, err := c.find(c.Name)
	if err != nil {
		return err
	}
	secret, err := c.ask(ctx, e)
	if err != nil {
		return err
	}
	if users[i].Hash, err = access.HashPassword(secret); err != nil {
		return usagef("%w", err)
	}
	if err := access.WriteUsers(c.AdminUsers, users); err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.stderr, "changed the password of %s\n", c.Name)
	return err
}

type userRemoveCmd struct {
	usersFile
	Name string `arg:"" help:"Name of the person."`
}

// Run removes a person from the file.
func (c userRemoveCmd) Run(e env) error {
	users, i, err := c.find(c.Name)
	if err != nil {
		return err
	}
	if err := access.WriteUsers(c.AdminUsers, slices.Delete(users, i, i+1)); err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.stderr, "removed %s\n", c.Name)
	return err
}

type userListCmd struct {
	usersFile
	JSON bool `help:"Print one JSON object a line."`
}

// Run lists the people.
func (c userListCmd) Run(e env) error {
	users, err := c.read()
	if err != nil {
		return err
	}
	table, out := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0), json.NewEncoder(e.stdout)
	if !c.JSON {
		fmt.Fprintln(table, "NAME\tROLE\tNUMBERS\tMASKED")
	}
	for _, u := range users {
		if c.JSON {
			err = errors.Join(err, out.Encode(struct {
				Name    string      `json:"name"`
				Role    access.Role `json:"role"`
				Numbers []string    `json:"numbers"`
				Masked  bool        `json:"masked"`
			}{u.Name, u.Role, append([]string{}, u.Numbers...), u.Masked}))
			continue
		}
		numbers, masked := "all", "no"
		if len(u.Numbers) > 0 {
			numbers = strings.Join(u.Numbers, ",")
		}
		if u.Masked {
			masked = "yes"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", u.Name, u.Role, numbers, masked)
	}
	return errors.Join(err, table.Flush())
}

// maxPasswordFile bounds what is read for a password, bytes.
const maxPasswordFile = 4 << 10

// ask gives the password.
func (p password) ask(ctx context.Context, e env) (string, error) {
	switch {
	case p.PasswordFile != "":
		f, err := os.Open(p.PasswordFile)
		if err != nil {
			return "", usagef("--password-file: %w", err)
		}
		defer f.Close()
		return passwordLine(f)
	case term.IsTerminal(int(os.Stdin.Fd())):
		return typed(ctx, e)
	default:
		return passwordLine(os.Stdin)
	}
}

// passwordLine reads one line. Spaces belong to the password.
func passwordLine(r io.Reader) (string, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxPasswordFile+1))
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	line := strings.TrimRight(string(text), "\r\n")
	if len(text) > maxPasswordFile || strings.ContainsAny(line, "\r\n") {
		return "", usagef("the password must be one line")
	}
	return line, nil
}

// typed asks for a password twice on the terminal, which does not show it. A signal ends it and gives the terminal back as it was.
func typed(ctx context.Context, e env) (string, error) {
	fd := int(os.Stdin.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	type answer struct {
		text []byte
		err  error
	}
	read := func(question string) (string, error) {
		fmt.Fprint(e.stderr, question)
		got := make(chan answer, 1)
		go func() {
			text, err := term.ReadPassword(fd)
			got <- answer{text, err}
		}()
		select {
		case a := <-got:
			fmt.Fprintln(e.stderr)
			return string(a.text), a.err
		case <-ctx.Done():
			return "", errors.Join(ctx.Err(), term.Restore(fd, before))
		}
	}
	first, err := read("Password: ")
	if err != nil {
		return "", err
	}
	again, err := read("The same again: ")
	if err == nil && again != first {
		err = usagef("the two passwords differ: nothing is changed")
	}
	return first, err
}
