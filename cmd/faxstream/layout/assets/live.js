// Says on the page whether it is live, shows times in the zone of the viewer, and fills in the name that the viewer typed before.
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
  const names = () => {
    for (const input of document.querySelectorAll("input[name=by]:not([type=hidden])")) {
      input.value ||= sessionStorage.getItem("by") ?? "";
    }
  };
  document.addEventListener("change", (e) => {
    if (e.target.name === "by") {
      sessionStorage.setItem("by", e.target.value);
      names();
    }
  });
  document.addEventListener("htmx:sse:after:message", () => { live(true); times(); names(); });
  document.addEventListener("htmx:sse:error", () => live(false));
  document.addEventListener("htmx:sse:close", () => live(false));
  document.addEventListener("DOMContentLoaded", () => { times(); names(); });
})();
