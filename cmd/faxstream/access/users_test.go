package access

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// cheapHash is a hash of "correct horse battery" that costs as little as is allowed.
const cheapHash = "$argon2id$v=19$m=8192,t=1,p=1$agkfNSPD4V9IOrPEhC4gfQ$3knqdx1BZPngPh8t4kX+0koWquwAw/+KRd1f0svM66E"

func TestAFileOfUsersIsRefusedWithItsFault(t *testing.T) {
	line := func(change string) string {
		before, after, _ := strings.Cut(change, " => ")
		whole := `{"name":"alice","role":"work","numbers":["13343040000"],"masked":true,"password":"` + cheapHash + `"}`
		return strings.Replace(whole, before, after, 1)
	}
	for _, c := range []struct{ text, want string }{
		{line(""), ""},
		{"\n" + line("") + "\r\n\n", ""},
		{"", ""},
		{line("alice => al ice"), "a name must be"},
		{line(`"role":"work" => "role":"boss"`), `role "boss"`},
		{line(`"role":"work" => "role":"operate"`), "needs the role read or work"},
		{line(`"role":"work", => `), `role ""`},
		{line("13343040000 => +1"), `number "+1"`},
		{line(`"13343040000" => "1","1"`), `number "1"`},
		{line(`"masked" => "Rights"`), `line 1: the key "Rights" is unknown`},
		{line("} => } {}"), "nothing behind it"},
		{"alice", "want one JSON object"},
		{line("") + "\n" + line(""), "line 2: the name alice is used twice"},
		{line("argon2id => argon2i"), "want an argon2id hash"},
		{line("v=19 => v=16"), "want an argon2id hash"},
		{line("m=8192 => m=4194304"), "the hash needs 4194304 KiB of memory, want 8192 to 65536"},
		{line("m=8192 => m=1"), "the hash needs 1 KiB"},
		{line("t=1 => t=0"), "want 1 to 10"},
		{line("t=1 => t=4000000000"), "want 1 to 10"},
		{line("p=1 => p=0"), "want 1 to 4"},
		{line("p=1 => p=255"), "want 1 to 4"},
		{line("p=1 => p=1x"), "want an argon2id hash"},
		{line("agkfNSPD4V9IOrPEhC4gfQ => c28"), "want an argon2id hash"},
		{line("$3knqdx1BZPngPh8t4kX+0koWquwAw/+KRd1f0svM66E => $"), "want an argon2id hash"},
		{line("agkfNSPD4V9IOrPEhC4gfQ => " + strings.Repeat("c29tZSBz", 40)), "want an argon2id hash"},
	} {
		_, err := ParseUsers([]byte(c.text))
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%q: %v, want %q", c.text, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "3knqdx1BZ") {
			t.Errorf("%q: the error shows the hash: %v", c.text, err)
		}
	}
}

// Each role includes the ones before it.
func TestRolesIncludeTheOnesBefore(t *testing.T) {
	for _, c := range []struct {
		role Role
		want []Scope
	}{
		{RoleRead, []Scope{ScopeRead}},
		{RoleWork, []Scope{ScopeRead, ScopeWork}},
		{RoleOperate, []Scope{ScopeRead, ScopeWork, ScopeOperate}},
		{RoleAdmin, []Scope{ScopeRead, ScopeWork, ScopeOperate, ScopeAdmin}},
		{"boss", nil},
	} {
		if got := c.role.scopes(); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.role, got, c.want)
		}
	}
}

// Two who change the file at the same time both have their change in it.
func TestNoChangeOfUsersIsLost(t *testing.T) {
	file := filepath.Join(t.TempDir(), "users")
	if err := WriteUsers(file, nil); err != nil {
		t.Fatal(err)
	}
	var adding sync.WaitGroup
	for i := range 20 {
		adding.Go(func() {
			unlock, err := LockUsers(file)
			if err != nil {
				t.Error(err)
				return
			}
			users, err := ReadUsers(file)
			if err == nil {
				err = WriteUsers(file, append(users, User{Name: "person-" + strconv.Itoa(i), Role: RoleRead, Hash: cheapHash}))
			}
			if err := errors.Join(err, unlock()); err != nil {
				t.Error(err)
			}
		})
	}
	adding.Wait()
	if users, err := ReadUsers(file); err != nil || len(users) != 20 {
		t.Errorf("%d people, %v", len(users), err)
	}
}

// A file is replaced as a whole, stays readable for those of its group and nobody else, and stays where a link of the file system leads.
func TestUsersAreWrittenWholeAndPrivate(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "users"), filepath.Join(dir, "link")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	alice := User{Name: "alice", Role: RoleRead, Hash: cheapHash}
	if err := WriteUsers(link, []User{alice}); err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(file)
	if err != nil || info.Mode() != 0o640 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if err := os.Chmod(file, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := WriteUsers(link, []User{alice}); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(file); err != nil || info.Mode() != 0o600 {
		t.Errorf("a file for its owner only: %v, %v", info.Mode(), err)
	}
	got, err := ReadUsers(link)
	if err != nil || len(got) != 1 || got[0].Name != "alice" {
		t.Errorf("%v, %v", got, err)
	}
	if err := WriteUsers(link, []User{{Name: "bob"}}); err == nil {
		t.Error("a person without role and password is written")
	}
	entries, err := os.ReadDir(dir)
	if again, readErr := ReadUsers(file); err != nil || readErr != nil || len(again) != 1 || len(entries) != 2 {
		t.Errorf("after a refusal: %v, %v, %v, %v", again, readErr, entries, err)
	}
}

// What is read from a file of users says the same when it is written again, and costs no more than a login may.
func FuzzParseUsers(f *testing.F) {
	f.Add([]byte(`{"name":"alice","role":"work","numbers":["13343040000"],"masked":true,"password":"` + cheapHash + `"}` + "\n\n"))
	f.Add([]byte(`{"name":"bob","role":"admin","password":"$argon2id$v=19$m=1,t=1,p=1$$"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		users, err := ParseUsers(text)
		if err != nil {
			return
		}
		var again bytes.Buffer
		for _, u := range users {
			if err := json.NewEncoder(&again).Encode(u); err != nil {
				t.Fatal(err)
			}
			if len(u.token().Scopes) == 0 {
				t.Fatalf("%s may do nothing", u.Name)
			}
		}
		same, err := ParseUsers(again.Bytes())
		if err != nil || len(same) != len(users) {
			t.Fatalf("%q is read as %q, which gives %v", text, again.String(), err)
		}
	})
}
