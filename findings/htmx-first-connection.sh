#!/usr/bin/env bash
# htmx's extension for server-sent events reconnects what was connected once, and never a first connection that fails
#
# htmx.org 4.0.1 with its extension hx-sse, in Debian 12's Chromium. With hx-sse:connect the option reconnect is on, with unlimited attempts.
# A stream that breaks is connected again within a second. But when the very first connection is answered 503, as by a server that starts
# or a proxy that is full, there is no second attempt: the page stays dead until somebody loads it again, and the body of the 503 stands in
# the page. Expected: the same attempts. So a page that is opened at a bad moment looks live and is not.
. "$(dirname "$0")/lib/setup.bash"
chromium=$(command -v chromium) || { echo "this finding needs Debian's chromium: apt-get install --no-install-recommends chromium"; exit 1; }
echo "version: $(chromium --version --no-sandbox 2>/dev/null)"
npm_modules htmx.org@4.0.1 puppeteer-core@24.10.0

cat >pages.mjs <<'JS'
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import puppeteer from 'puppeteer-core';

const scripts = { '/htmx.js': 'htmx.min.js', '/sse.js': 'ext/hx-sse.min.js' };
const html = '<!doctype html><script src="/htmx.js"></script><script src="/sse.js"></script><div id="x" hx-sse:connect="/events"></div>';

async function visit(browser, name, first) {
  let asked = 0;
  const server = createServer((req, res) => {
    if (req.url !== '/events') {
      const script = scripts[req.url];
      res.setHeader('Content-Type', script ? 'text/javascript' : 'text/html');
      res.end(script ? readFileSync(`node_modules/htmx.org/dist/${script}`) : html);
      return;
    }
    if (++asked === 1 && first(res)) return;
    res.setHeader('Content-Type', 'text/event-stream');
    res.write(`data: event ${asked}\n\n`);
  });
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
  const page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  await new Promise((later) => setTimeout(later, 10000));
  const shown = await page.evaluate(() => document.getElementById('x').textContent);
  console.log(`${name}: ${asked} connection${asked === 1 ? '' : 's'} in ten seconds, the page shows "${shown}"`);
  await page.close();
  server.closeAllConnections();
  server.close();
}

const browser = await puppeteer.launch({ executablePath: process.argv[2], args: ['--no-sandbox'] });
await visit(browser, 'breaks', (res) => { setTimeout(() => res.destroy(), 500); });
await visit(browser, '503', (res) => { res.statusCode = 503; res.end('busy'); return true; });
await browser.close();
JS
seen=$(node pages.mjs "$chromium")
expect "a stream that breaks after an event" '2 connections in ten seconds, the page shows "event 2"' "$(sed -n 's/^breaks: //p' <<<"$seen")"
expect "a first connection that is answered 503" '1 connection in ten seconds, the page shows "busy"' "$(sed -n 's/^503: //p' <<<"$seen")"
