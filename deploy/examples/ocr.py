#!/usr/bin/env python3
"""An OCR service in Python, without packages: it claims pages, reads them with Tesseract and sends the texts back.

Before: faxstream subscriber add ocr. FAXSTREAM_URL is the admin address (default http://127.0.0.1:8081), FAXSTREAM_TOKEN a token with the
scopes read and text, if one is needed. Start as many as you have cores.
"""
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

URL = os.environ.get("FAXSTREAM_URL", "http://127.0.0.1:8081") + "/api/v1"
NAME = sys.argv[1] if len(sys.argv) > 1 else "ocr"


def ask(method, path, body=None, kind="application/json"):
    request = urllib.request.Request(URL + path, data=body, method=method, headers={"Content-Type": kind})
    if os.environ.get("FAXSTREAM_TOKEN"):
        request.add_header("Authorization", "Bearer " + os.environ["FAXSTREAM_TOKEN"])
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read()


def order(verb, what):
    return json.loads(ask("POST", f"/subscribers/{NAME}/{verb}", json.dumps(what).encode()))


def read(page):
    image = ask("GET", "/" + page["png"]["key"])
    table = subprocess.run(["tesseract", "-", "-", "tsv"], input=image, capture_output=True, check=True).stdout
    query = urllib.parse.urlencode({"engine": "tesseract", "format": "tsv", "raster": page["raster_sha256"]})
    ask("PUT", f"/faxes/{page['session']}/pages/{page['page']}/text?{query}", table, "text/plain")


def main():
    while True:
        try:
            events = order("claim", {"max": 1, "wait": "20s"})["events"]
            for event in events:
                verdict = {"lease": event["lease"], "as": "done"}
                try:
                    read(event["data"])
                except (subprocess.CalledProcessError, urllib.error.HTTPError) as why:
                    verdict.update({"as": "later", "delay": "1m", "why": str(why)})
                order("settle", {"events": [verdict]})
        except OSError as why:  # faxstream restarts, for example; what was claimed comes again
            print("ocr.py:", why, file=sys.stderr)
            time.sleep(5)


main()
