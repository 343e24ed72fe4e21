package app

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/faxstream/faxstream/storage"
	"github.com/faxstream/faxstream/storage/s3"
	"github.com/faxstream/faxstream/storage/storagetest"
)

func TestRetention(t *testing.T) {
	for text, want := range map[string]Retention{
		"0": {}, "1h": {time: time.Hour}, "90d": {time: 90 * 24 * time.Hour},
		"6y": {time: 6 * 366 * 24 * time.Hour}, "100y": {time: 100 * 366 * 24 * time.Hour},
		"auto": {auto: true, time: 6 * 366 * 24 * time.Hour},
	} {
		var got Retention
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%s: %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "6", "y", "-1y", "0y", "+6y", "6 y", "6Y", "1.5y", "101y", "36601d", "4294967296h", "6y6y", "Auto"} {
		var got Retention
		if err := got.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was taken for %v", text, got)
		}
	}
}

// What the flags promise holds in the bucket, and a promise that cannot be kept stops the start; auto goes on with a warning.
func TestTheArchiveKeepsWhatFlagsPromise(t *testing.T) {
	endpoint, access, secret := storagetest.VersityGW(t)
	core, err := minio.NewCore(strings.TrimPrefix(endpoint, "http://"), &minio.Options{Creds: credentials.NewStaticV4(access, secret, "")})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		bucket, retention  string
		starts, kept, warn bool
	}{
		{storagetest.LockedBucket, "6y", true, true, false},
		{storagetest.LockedBucket, "auto", true, true, false},
		{storagetest.LockedBucket, "0", true, false, false},
		{storagetest.Bucket, "6y", false, false, false},
		{storagetest.Bucket, "auto", true, false, true},
		{storagetest.Bucket, "0", true, false, false},
	} {
		var log bytes.Buffer
		var keep Retention
		if err := keep.UnmarshalText([]byte(tc.retention)); err != nil {
			t.Fatal(err)
		}
		c := Archive{S3: &s3.Config{
			Bucket: tc.bucket, Prefix: tc.retention, Endpoint: endpoint, Addressing: "path", AccessKey: access, SecretKey: secret,
			Mode: s3.Compliance,
		}}
		archive, _, err := c.open(t.Context(), keep, slog.New(slog.NewTextHandler(&log, nil)))
		if !tc.starts {
			if !errors.Is(err, storage.ErrRefused) || !strings.Contains(err.Error(), "no Object Lock") {
				t.Errorf("%s, %s: got %v, want ErrRefused and why", tc.bucket, tc.retention, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := archive.Create(t.Context(), "x", strings.NewReader("x"), 1, sha256.Sum256([]byte("x"))); err != nil {
			t.Fatal(err)
		}
		info, err := core.StatObject(t.Context(), tc.bucket, tc.retention+"/x", minio.StatObjectOptions{})
		if err != nil {
			t.Fatal(err)
		}
		err = core.RemoveObject(t.Context(), tc.bucket, info.Key, minio.RemoveObjectOptions{VersionID: info.VersionID, GovernanceBypass: true})
		if (err != nil) != tc.kept {
			t.Errorf("%s, %s: deleted with %v, want kept %v", tc.bucket, tc.retention, err, tc.kept)
		}
		if warned := strings.Contains(log.String(), "no retention is promised"); warned != tc.warn {
			t.Errorf("%s, %s: warned %v: %s", tc.bucket, tc.retention, warned, log.String())
		}
	}
}

// What is taken is auto, none, or within its bounds.
func FuzzRetention(f *testing.F) {
	for _, text := range []string{"6y", "90d", "12h", "0", "auto", "18446744073709551616y"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var r Retention
		if err := r.UnmarshalText([]byte(text)); err != nil {
			return
		}
		if r.time < 0 || r.time > maxRetention || r.time%time.Hour != 0 || (r.time == 0) != (text == "0") {
			t.Errorf("%q is %v", text, r)
		}
	})
}
