#!/usr/bin/env bash
# SQLite's secure_delete leaves the words of deleted rows in a full-text index
#
# modernc.org/sqlite 1.62.0 (SQLite in Go). PRAGMA secure_delete = ON overwrites deleted content with zeros, also in virtual tables' own
# tables. A row of an FTS5 table is deleted, the write-ahead log is emptied, and the words of the row are still in the file: FTS5 does not
# change the segment of its index that has them, it writes another one that says that the row is gone, until segments are merged some day.
# With FTS5's own option of the same name ('secure-delete') the words are gone. Expected: the pragma counts for everything in the file. Who
# must delete what a document said, and searches it with FTS5, needs both.
. "$(dirname "$0")/lib/setup.bash"

cat >main.go <<'GO'
package main

import (
	"bytes"
	"database/sql"
	"fmt"
	"log"
	"os"

	_ "modernc.org/sqlite"
)

func main() {
	file := os.Args[1]
	db, err := sql.Open("sqlite", "file:"+file+"?_pragma=journal_mode(WAL)&_pragma=secure_delete(1)")
	if err != nil {
		log.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	statements := []string{"CREATE VIRTUAL TABLE page USING fts5(body)"}
	if os.Args[2] == "both" {
		statements = append(statements, "INSERT INTO page(page, rank) VALUES ('secure-delete', 1)")
	}
	statements = append(statements,
		"INSERT INTO page(rowid, body) VALUES (1, 'an order of salbutamol'), (2, 'another order')",
		"DELETE FROM page WHERE rowid = 1",
		"PRAGMA wal_checkpoint(TRUNCATE)",
	)
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			log.Fatalf("%s: %v", s, err)
		}
	}
	if err := db.Close(); err != nil {
		log.Fatal(err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(map[bool]string{true: "in the file", false: "gone"}[bytes.Contains(data, []byte("albutamol"))])
}
GO
go_program program modernc.org/sqlite@v1.62.0

expect "with the pragma a word of the deleted row is" "in the file" "$(./program one.db pragma)"
expect "with the pragma and FTS5's own option it is" "gone" "$(./program two.db both)"
