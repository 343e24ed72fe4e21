# Sourced by the scripts of this folder. Each works in a temporary folder, which it leaves behind only when it is killed, with pinned
# public packages and without faxstream. It needs Debian 12 on amd64 with the network, root, and for some Go or npm.
set -euo pipefail
FINDINGS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
TMP=$(mktemp -d "${TMPDIR:-/tmp}/finding.XXXXXX")
SERVERS=()

leave() {
  for pid in "${SERVERS[@]}"; do kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null; done
  rm -rf "$TMP"
}
trap leave EXIT
cd "$TMP"

# debian PACKAGE=VERSION...: unpacks these and all that they need into $TMP/root; nothing is installed on the machine.
debian() {
  mkdir -p root/usr/{bin,sbin,lib,lib64} root/{tmp,dev,work} debs/partial
  for d in bin sbin lib lib64; do ln -sfn "usr/$d" "root/$d"; done
  : >status; : >root/dev/null
  apt-get -qq -y --no-install-recommends --download-only -o Dir::State::status="$TMP/status" -o Dir::Cache::archives="$TMP/debs" \
    -o Debug::NoLocking=1 -o APT::Sandbox::User=root install dash "$@" >apt.log 2>&1 ||
    { cat apt.log; echo "these versions cannot be fetched: $*"; exit 1; }
  for d in debs/*.deb; do dpkg-deb --fsys-tarfile "$d" | tar -x --keep-directory-symlink -C root; done
  for p in "$@"; do echo "version: $p"; done
}

# in_root COMMAND...: runs a command of the unpacked packages; its folder /work is $TMP/root/work.
in_root() {
  env -i PATH=/usr/bin:/bin:/usr/sbin HOME=/tmp LC_ALL=C LD_LIBRARY_PATH=/usr/lib/x86_64-linux-gnu \
    chroot root /bin/dash -c 'cd /work && exec "$@"' sh "$@"
}

# npm_modules PACKAGE@VERSION...: installs these in the folder; needs node and npm.
npm_modules() {
  npm install --no-save --no-audit --no-fund --ignore-scripts --loglevel=error "$@" >npm.log 2>&1 || { cat npm.log; exit 1; }
  for p in "$@"; do echo "version: $p"; done
}

# go_program PROGRAM MODULE@VERSION...: builds main.go, in the folder, with these modules.
go_program() {
  go mod init finding >/dev/null 2>&1
  { GOFLAGS=-mod=mod go get "${@:2}" && GOFLAGS=-mod=mod CGO_ENABLED=0 go build -o "$1" .; } >go.log 2>&1 || { cat go.log; exit 1; }
  for p in "${@:2}"; do echo "version: $p"; done
}

# go_server PACKAGE@VERSION: builds a server's binary into bin.
go_server() {
  GOFLAGS=-buildvcs=false GOBIN="$TMP/bin" CGO_ENABLED=0 go install -trimpath -ldflags '-s -w' "$1" >go.log 2>&1 || { cat go.log; exit 1; }
  echo "version: $1"
}

# bitmap WIDTH HEIGHT BYTE: a PBM file in which every byte, of eight pixels, is this one, in octal.
bitmap() { printf 'P4\n%d %d\n' "$1" "$2"; head -c $((($1 + 7) / 8 * $2)) /dev/zero | tr '\0' "\\$3"; }

# fax_page NAME WIDTH HEIGHT BYTE: root/work/NAME, such a page in Group 4 at 204 x 196 per inch. Needs netpbm.
fax_page() {
  bitmap "$2" "$3" "$4" >root/work/page.pbm
  in_root pamtotiff -quiet -miniswhite -g4 -xresolution 204 -yresolution 196 -output "$1" page.pbm
}

# loopback: builds our program that sends a TIFF over spandsp's own line. Needs libspandsp-dev, gcc, libc6-dev.
loopback() {
  cp "$FINDINGS/../testdata/spandsp/loopback.c" root/work/
  in_root gcc -o loopback loopback.c -lspandsp -ltiff -lm
}

# expect WHAT WANTED SEEN: prints what was seen, and ends the script when it is not what this finding states.
expect() {
  printf '%s: %s\n' "$1" "$3"
  [ "$2" = "$3" ] || { printf 'CHANGED: this finding states: %s\n' "$2"; exit 1; }
}
