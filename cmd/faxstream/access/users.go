package access

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/faxstream/faxstream/pipeline/session"
)

// Role is what a person may do. Each role includes the ones before it in Roles.
type Role string

// The roles, by the scopes of tokens.
const (
	RoleRead    Role = "read"    // ScopeRead
	RoleWork    Role = "work"    // and ScopeWork
	RoleOperate Role = "operate" // and ScopeOperate
	RoleAdmin   Role = "admin"   // and ScopeAdmin
)

// Roles are all roles, the least first.
func Roles() []Role { return []Role{RoleRead, RoleWork, RoleOperate, RoleAdmin} }

// scopes are the scopes of a role; none for what is no role.
func (r Role) scopes() []Scope {
	all := []Scope{ScopeRead, ScopeWork, ScopeOperate, ScopeAdmin}
	return all[:slices.Index(Roles(), r)+1]
}

// User is a person who logs in with a password: a line of the file of users.
type User struct {
	Name    string   `json:"name"` // session.ValidToken; what FAX_AUDIT calls the person
	Role    Role     `json:"role"`
	Numbers []string `json:"numbers,omitempty"` // as Token.Numbers
	Masked  bool     `json:"masked,omitempty"`  // as Token.Masked
	Hash    string   `json:"password"`          // argon2id, as HashPassword writes it
}

// NewUser makes a person. With numbers, however they are written, the person sees only faxes of these.
func NewUser(name string, role Role, masked bool, password string, numbers ...string) (u User, err error) {
	u = User{Name: name, Role: role, Masked: masked}
	for _, n := range numbers {
		u.Numbers = append(u.Numbers, session.NumberToken(n))
	}
	if u.Hash, err = HashPassword(password); err != nil {
		return User{}, err
	}
	return u, u.check()
}

// check refuses a line that does not say what a person may do. Its errors show no hash.
func (u User) check() error {
	if !session.ValidToken(u.Name) {
		return errName
	}
	if !slices.Contains(Roles(), u.Role) {
		return fmt.Errorf("%s: role %q: want read, work, operate or admin", u.Name, u.Role)
	}
	t := u.token()
	if (t.Limited() || t.Masked) && t.has(ScopeOperate) {
		return fmt.Errorf("%s: a person who is limited to numbers, or for whom numbers are masked, needs the role read or work: "+
			"dead letters and reports show all numbers", u.Name)
	}
	for i, n := range u.Numbers {
		if n == session.UnknownToken || n != session.NumberToken(n) || slices.Contains(u.Numbers[:i], n) {
			return fmt.Errorf("%s: number %q: want digits or a user id, each at most once, as `faxstream user add` writes them", u.Name, n)
		}
	}
	if err := checkHash(u.Hash); err != nil {
		return fmt.Errorf("%s: password: %w", u.Name, err)
	}
	return nil
}

// token is what the person may do. A login of before ends with the password, because the sum changes with it. The sum is that of no secret,
// so nobody gets in with what stands in the file: only a session of a browser is compared with it.
func (u User) token() Token {
	return Token{
		Name: u.Name, Scopes: u.Role.scopes(), Numbers: u.Numbers, Person: true, Masked: u.Masked,
		sum: sha256.Sum256([]byte("faxstream user\x00" + u.Name + "\x00" + u.Hash)),
	}
}

// maxUsers bounds the file of users, bytes: thousands of lines.
const maxUsers = 1 << 20

// ReadUsers reads a file of users. Its errors show no hash.
func ReadUsers(file string) ([]User, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxUsers+1))
	if err == nil && len(text) > maxUsers {
		err = fmt.Errorf("longer than %d bytes", maxUsers)
	}
	var users []User
	if err == nil {
		users, err = ParseUsers(text)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return users, nil
}

// ParseUsers reads one JSON object a line; it skips empty lines. Each name may be used once.
func ParseUsers(text []byte) (users []User, err error) {
	names := map[string]bool{}
	n := 0
	for line := range bytes.SplitSeq(text, []byte("\n")) {
		n++
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		u, err := parseUser(line)
		switch {
		case err != nil:
			return nil, fmt.Errorf("line %d: %w", n, err)
		case names[u.Name]:
			return nil, fmt.Errorf("line %d: the name %s is used twice: give each person a name of its own", n, u.Name)
		}
		names[u.Name] = true
		users = append(users, u)
	}
	return users, nil
}

func parseUser(line []byte) (u User, err error) {
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&u); err != nil {
		if field, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
			return u, fmt.Errorf("the key %s is unknown: want name, role, numbers, masked and password", field)
		}
		return u, errors.New("want one JSON object, as `faxstream user add` writes it") // the error could show a part of a hash
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return u, errors.New("want one JSON object a line, and nothing behind it")
	}
	return u, u.check()
}

// LockUsers waits until nobody else changes the file of users, and keeps others from it until unlock. It locks the directory, because
// WriteUsers puts another file in the place of the file.
func LockUsers(file string) (unlock func() error, err error) {
	if target, err := filepath.EvalSymlinks(file); err == nil {
		file = target
	}
	dir, err := os.Open(filepath.Dir(file))
	if err != nil {
		return nil, err
	}
	for err = syscall.EINTR; errors.Is(err, syscall.EINTR); {
		err = syscall.Flock(int(dir.Fd()), syscall.LOCK_EX)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", dir.Name(), err), dir.Close())
	}
	return dir.Close, nil
}

// WriteUsers replaces a file of users, all of it or nothing. Its owner can read it, and its group if the group could before; owner and
// group of the file of before keep it. A crash may leave a file .users-* beside it, which means nothing and can be removed.
func WriteUsers(file string, users []User) (err error) {
	var text bytes.Buffer
	for _, u := range users {
		if err := u.check(); err != nil {
			return err
		}
		line, err := json.Marshal(u)
		if err != nil {
			return fmt.Errorf("write the users: %w", err)
		}
		text.Write(append(line, '\n'))
	}
	if text.Len() > maxUsers {
		return fmt.Errorf("%s would be longer than %d bytes", file, maxUsers)
	}
	if target, err := filepath.EvalSymlinks(file); err == nil {
		file = target // the link stays
	}
	f, err := os.CreateTemp(filepath.Dir(file), ".users-*") // 0600
	if err != nil {
		return err
	}
	_, err = f.Write(text.Bytes())
	if err == nil {
		err = keepOwner(f, file)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// keepOwner gives f the owner and the group of the file that it replaces, and lets the group read it if it could before: root adds users,
// and the server of another account goes on to read them.
func keepOwner(f *os.File, file string) error {
	before, err := os.Stat(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var now fs.FileInfo
	if err == nil {
		now, err = f.Stat()
	}
	if err != nil {
		return err
	}
	owner, ok := before.Sys().(*syscall.Stat_t)
	own, same := now.Sys().(*syscall.Stat_t)
	if ok && same && (owner.Uid != own.Uid || owner.Gid != own.Gid) {
		err = f.Chown(int(owner.Uid), int(owner.Gid))
	}
	if err == nil {
		err = f.Chmod(0o600 | before.Mode().Perm()&0o040)
	}
	if err != nil {
		return fmt.Errorf("keep the owner and the group of %s: %w", file, err)
	}
	return nil
}
