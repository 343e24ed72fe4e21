#!/usr/bin/env bash
# minio-go sends If-None-Match with the wrong request of a multipart upload, so that create-only holds on minio alone
#
# minio-go 7.4.1, versitygw 1.8.0. `If-None-Match: *` makes a write create-only. Amazon's S3 and versitygw look for it on
# CompleteMultipartUpload, where the object comes to be. minio-go sends it on CreateMultipartUpload, where they ignore it; the server
# minio looks at it there. So PutObject with SetMatchETagExcept("*") gives 412 for a small object that exists, and replaces a large one
# with status 200: whether a write is create-only depends on its size. With the same header on the right request, through minio-go's Core,
# versitygw answers 412. Expected: the header on CompleteMultipartUpload. Write what must be create-only in one PUT.
. "$(dirname "$0")/lib/setup.bash"

cat >main.go <<'GO'
package main

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// watched prints the requests that carry If-None-Match.
type watched struct{ http.RoundTripper }

func (w watched) RoundTrip(r *http.Request) (*http.Response, error) {
	if value := r.Header.Get("If-None-Match"); value != "" {
		step := map[bool]string{true: "CreateMultipartUpload", false: r.Method}[r.URL.Query().Has("uploads")]
		if r.Method == http.MethodPost && r.URL.Query().Has("uploadId") {
			step = "CompleteMultipartUpload"
		}
		fmt.Println("  If-None-Match on", step)
	}
	return w.RoundTripper.RoundTrip(r)
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	core, err := minio.NewCore(os.Args[1], &minio.Options{
		Creds: credentials.NewStaticV4("access", "secretsecret", ""), Region: "us-east-1", Transport: watched{http.DefaultTransport},
	})
	if err != nil {
		log.Fatal(err)
	}
	for { // until the server listens
		if err = core.MakeBucket(ctx, "faxes", minio.MakeBucketOptions{}); err == nil {
			break
		} else if ctx.Err() != nil {
			log.Fatal(err)
		}
	}
	put := func(key string, size int, createOnly bool) {
		o := minio.PutObjectOptions{PartSize: 5 << 20}
		if createOnly {
			o.SetMatchETagExcept("*")
		}
		_, err := core.Client.PutObject(ctx, "faxes", key, bytes.NewReader(make([]byte, size)), int64(size), o)
		fmt.Println("PutObject", key, "create-only:", createOnly, "status:", status(err))
	}
	for _, createOnly := range []bool{false, true} {
		put("small", 1<<20, createOnly)
		put("large", 6<<20, createOnly)
	}
	fmt.Println("Core, large, create-only: true status:", status(byHand(ctx, core)))
}

// byHand writes over the large object, with the header where Amazon documents it.
func byHand(ctx context.Context, core *minio.Core) error {
	id, err := core.NewMultipartUpload(ctx, "faxes", "large", minio.PutObjectOptions{})
	if err != nil {
		return err
	}
	part, err := core.PutObjectPart(ctx, "faxes", "large", id, 1, bytes.NewReader([]byte("x")), 1, minio.PutObjectPartOptions{})
	if err != nil {
		return err
	}
	var createOnly minio.PutObjectOptions
	createOnly.SetMatchETagExcept("*")
	parts := []minio.CompletePart{{PartNumber: 1, ETag: part.ETag}}
	_, err = core.CompleteMultipartUpload(ctx, "faxes", "large", id, parts, createOnly)
	return err
}

func status(err error) int {
	if err == nil {
		return 200
	}
	return minio.ToErrorResponse(err).StatusCode
}
GO
go_program finding github.com/minio/minio-go/v7@v7.4.1
go_server github.com/versity/versitygw/cmd/versitygw@v1.8.0

mkdir data
PORT=$((20000 + $$ % 10000))
ROOT_ACCESS_KEY=access ROOT_SECRET_KEY=secretsecret bin/versitygw --port "127.0.0.1:$PORT" --quiet posix "$TMP/data" >versitygw.log 2>&1 &
SERVERS+=($!)
expect "versitygw" "PutObject small create-only: false status: 200
PutObject large create-only: false status: 200
  If-None-Match on PUT
PutObject small create-only: true status: 412
  If-None-Match on CreateMultipartUpload
PutObject large create-only: true status: 200
  If-None-Match on CompleteMultipartUpload
Core, large, create-only: true status: 412" "$(./finding "127.0.0.1:$PORT")"
