// Says on the page whether it is live, shows times in the zone of the viewer and how long ago they were, has days of a filter begin there,
// fills in the name that the viewer typed before, and copies links.
(() => {
  "use strict";
  const live = (on) => { document.body.dataset.live = on ? "yes" : "no"; };
  const format = new Intl.DateTimeFormat(document.documentElement.lang, {dateStyle: "medium", timeStyle: "short"});
  const times = () => {
    for (const t of document.querySelectorAll("time[datetime]")) {
      const at = new Date(t.dateTime);
      if (isNaN(at)) continue;
      const text = format.format(at);
      if (t.textContent !== text) {
        t.title = t.textContent;
        t.textContent = text;
      }
    }
  };
  const relative = new Intl.RelativeTimeFormat(document.documentElement.lang, {style: "short"});
  const ages = () => {
    for (const e of document.querySelectorAll("[data-since]")) {
      const seconds = Math.max(0, (Date.now() - new Date(e.dataset.since)) / 1000);
      const [n, unit] = seconds < 3600 ? [seconds / 60, "minute"] : seconds < 172800 ? [seconds / 3600, "hour"] : [seconds / 86400, "day"];
      e.textContent = relative.format(-Math.floor(n), unit);
    }
  };
  setInterval(ages, 20000);
  const zones = () => {
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    if (!zone || zone === "Etc/Unknown") return;
    for (const input of document.querySelectorAll("input[name=zone]:disabled")) {
      input.value = zone;
      input.previousElementSibling.textContent = zone;
      input.disabled = false;
    }
  };
  document.addEventListener("submit", (e) => {
    const {zone, since, until} = e.target.elements;
    if (zone && !since.value && !until.value) zone.disabled = true; // the address of the list has no zone without a day
  });
  const names = () => {
    for (const input of document.querySelectorAll("input[name=by]:not([type=hidden])")) {
      input.value ||= localStorage.getItem("by") ?? "";
    }
  };
  document.addEventListener("change", (e) => {
    if (e.target.name === "by") {
      localStorage.setItem("by", e.target.value);
      names();
    }
  });
  // A browser has a clipboard for pages that came over TLS or from the same machine.
  const copies = () => {
    if (!navigator.clipboard) return;
    for (const button of document.querySelectorAll("button[data-copy]")) button.hidden = false;
  };
  document.addEventListener("click", async (e) => {
    const button = e.target.closest("button[data-copy]");
    if (!button) return;
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).href);
    button.textContent = button.dataset.copied;
  });
  let heard = 0; // when the last sign of the server came, in milliseconds
  document.addEventListener("htmx:sse:after:connection", () => {
    heard = Date.now();
    // The extension lets a page rest that goes into the background, but not one that is opened there: it would hold one of the few
    // connections that a browser has for a server.
    if (document.hidden) document.dispatchEvent(new Event("visibilitychange"));
  });
  document.addEventListener("htmx:sse:after:message", () => { heard = Date.now(); live(true); times(); ages(); names(); });
  document.addEventListener("htmx:sse:error", () => live(false));
  document.addEventListener("htmx:sse:close", () => live(false));
  // The extension tries again what was connected once. A first connection that fails is tried again here, by loading the page again as long
  // as nobody has typed anything into it.
  const failed = (e) => {
    if (heard || !e.target.closest?.("[hx-sse\\:connect]")) return;
    live(false);
    setTimeout(() => { if (!typed) location.reload(); }, 5000);
  };
  let typed = false;
  document.addEventListener("input", () => { typed = true; });
  document.addEventListener("htmx:error", failed);
  document.addEventListener("htmx:response:error", failed);
  document.addEventListener("DOMContentLoaded", () => { times(); ages(); zones(); names(); copies(); });
})();
