// Says on the page whether it is live, and shows times in the zone of the viewer.
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
  document.addEventListener("htmx:sse:after:message", () => { live(true); times(); });
  document.addEventListener("htmx:sse:error", () => live(false));
  document.addEventListener("htmx:sse:close", () => live(false));
  document.addEventListener("DOMContentLoaded", times);
})();
