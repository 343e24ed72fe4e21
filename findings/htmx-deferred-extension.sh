#!/usr/bin/env bash
# A deferred htmx does not see an extension whose script comes later, although deferred scripts run in order
#
# htmx.org 4.0.1 with its extension hx-sse, in Debian 12's Chromium. Both scripts stand in the head with defer, htmx first. A deferred script
# runs when the document is no longer "loading", so htmx starts by a timer as soon as it has run, and does not wait for the deferred scripts
# after it. If the extension comes a moment later, as over a slow line, nothing handles hx-sse:connect: no connection, no error in the
# console. At once, or with plain scripts, it works. Expected: extensions that stand after htmx are used. Both in one file cure it.
. "$(dirname "$0")/lib/setup.bash"
chromium=$(command -v chromium) || { echo "this finding needs Debian's chromium: apt-get install --no-install-recommends chromium"; exit 1; }
echo "version: $(chromium --version --no-sandbox 2>/dev/null)"
npm_modules htmx.org@4.0.1 puppeteer-core@24.10.0

cat >pages.mjs <<'JS'
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import puppeteer from 'puppeteer-core';

const scripts = { '/htmx.js': 'htmx.min.js', '/sse.js': 'ext/hx-sse.min.js' };

async function visit(browser, name, kind, late) {
  let asked = 0;
  const html = `<!doctype html><head><script ${kind} src="/htmx.js"></script><script ${kind} src="/sse.js"></script></head>` +
    '<body><div hx-sse:connect="/events"></div></body>';
  const server = createServer((req, res) => {
    if (req.url === '/events') {
      asked++;
      res.setHeader('Content-Type', 'text/event-stream');
      res.write('data: event\n\n');
      return;
    }
    const script = scripts[req.url];
    res.setHeader('Content-Type', script ? 'text/javascript' : 'text/html');
    const answer = () => res.end(script ? readFileSync(`node_modules/htmx.org/dist/${script}`) : html);
    setTimeout(answer, req.url === '/sse.js' ? late : 0);
  });
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
  const page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  await new Promise((later) => setTimeout(later, 5000));
  console.log(`${name}: ${asked}`);
  await page.close();
  server.closeAllConnections();
  server.close();
}

const browser = await puppeteer.launch({ executablePath: process.argv[2], args: ['--no-sandbox'] });
await visit(browser, 'deferred', 'defer', 0);
await visit(browser, 'deferred and late', 'defer', 1000);
await visit(browser, 'plain and late', '', 1000);
await browser.close();
JS
seen=$(node pages.mjs "$chromium")
expect "connections, scripts deferred, the extension comes at once" 1 "$(sed -n 's/^deferred: //p' <<<"$seen")"
expect "connections, scripts deferred, the extension comes a second later" 0 "$(sed -n 's/^deferred and late: //p' <<<"$seen")"
expect "connections, plain scripts, the extension comes a second later" 1 "$(sed -n 's/^plain and late: //p' <<<"$seen")"
