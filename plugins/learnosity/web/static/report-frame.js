// Runs in the frame of the report: loads the Reports API and starts the report with the request that the server signed.
// The frame has an origin of its own, so it can only send messages to the page around it.
"use strict";
(() => {
  const { script, element } = document.currentScript.dataset;
  const nonce = document.currentScript.nonce;
  const signed = JSON.parse(document.getElementById("signed-request").textContent);
  // Messages go only to a page of this origin. The page around this frame has it; a page of another host that shows
  // this frame would get no message.
  const page = new URL(document.URL).origin;
  const tell = (report) => {
    if (window.parent !== window) window.parent.postMessage({ report }, page);
  };
  const start = () => {
    if (!window.LearnosityReports) {
      tell({ state: "missing" });
      return;
    }
    window.LearnosityReports.init(signed, {
      readyListener: () => {
        document.getElementById(element).removeAttribute("aria-busy");
        tell({ state: "ready" });
      },
      errorListener: (error) => tell({ state: "refused", code: error && error.code }),
    });
  };

  window.addEventListener("message", ({ source, origin, data }) => {
    if (source !== window.parent || origin !== page || !data) return;
    if (data.theme === "dark" || data.theme === "light") document.documentElement.dataset.theme = data.theme;
  });
  tell({ state: "started" });
  new ResizeObserver(() => tell({ height: document.body.offsetHeight })).observe(document.body);

  const loader = document.createElement("script");
  loader.src = script;
  loader.nonce = nonce;
  loader.referrerPolicy = "no-referrer";
  loader.addEventListener("load", start);
  loader.addEventListener("error", () => tell({ state: "unreachable" }));
  document.head.append(loader);
})();
