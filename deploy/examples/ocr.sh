#!/bin/sh
# An OCR service in a shell: it claims pages, reads them with Tesseract and sends the texts back. Start as many as you have cores.
# Before: faxstream subscriber add ocr. Needs curl and tesseract.
# FAXSTREAM_URL is the admin address (default http://127.0.0.1:8081), FAXSTREAM_TOKEN a token with the scopes read and text, if one is needed.
set -eu
url=${FAXSTREAM_URL:-http://127.0.0.1:8081}/api/v1
name=${1:-ocr}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 0' INT TERM
: > "$work/head"
[ -z "${FAXSTREAM_TOKEN:-}" ] || printf 'Authorization: Bearer %s\n' "$FAXSTREAM_TOKEN" > "$work/head"

ask() { curl -sS --fail-with-body -H "@$work/head" "$@"; }
order() { ask -H 'Content-Type: application/json' -d "$1" "$url/subscribers/$name/$2"; }
text() { printf '%s' "$event" | sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"; }
number() { printf '%s' "$event" | sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p"; }
key_of_png() { printf '%s' "$event" | sed -n 's/.*"png":{"key":"\([^"]*\)".*/\1/p'; }

# read_page reads the page of an event and sends the text.
read_page() {
    ask -o "$work/page.png" "$url/$(key_of_png)" &&
        tesseract "$work/page.png" "$work/page" hocr 2> "$work/log" &&
        ask -T "$work/page.hocr" -o "$work/answer" \
            "$url/faxes/$(text session)/pages/$(number page)/text?engine=tesseract&format=hocr&raster=$(text raster_sha256)"
}

while :; do
    if ! event=$(order '{"max":1,"wait":"20s"}' claim); then
        sleep 5 # faxstream restarts, for example
        continue
    fi
    lease=$(text lease)
    [ -n "$lease" ] || continue # no page came
    if read_page; then
        verdict='"as":"done"'
    else
        verdict='"as":"later","delay":"1m","why":"see the log of the OCR service"'
    fi
    order "{\"events\":[{\"lease\":\"$lease\",$verdict}]}" settle > "$work/answer" || true # it comes again when its lease is over
done
