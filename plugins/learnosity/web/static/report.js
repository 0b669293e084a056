// Loads the Reports API and starts the report with the request that the server signed for this view.
// When it cannot be reached, or refuses, the local view of the same numbers takes its place.
"use strict";
(() => {
  const { script, element } = document.currentScript.dataset;
  const nonce = document.currentScript.nonce;
  const signed = JSON.parse(document.getElementById("signed-request").textContent);
  const state = document.getElementById("report-state");
  const report = document.getElementById(element);
  const SECONDS = 20;
  let settled = false;

  const ready = () => {
    settled = true;
    state.hidden = true;
    report.removeAttribute("aria-busy");
  };
  const fallBack = (why) => {
    if (settled) return;
    settled = true;
    document.getElementById("report-frame").hidden = true;
    document.getElementById("local-view").hidden = false;
    state.textContent = `${why} These are the same results from the landed files.`;
  };
  const start = () => {
    if (!window.LearnosityReports) {
      fallBack("The Reports API did not load.");
      return;
    }
    window.LearnosityReports.init(signed, {
      readyListener: ready,
      errorListener: (error) => fallBack(`The Reports API refused the report (${error.code}: ${error.msg}).`),
    });
  };

  const loader = document.createElement("script");
  loader.src = script;
  loader.nonce = nonce;
  loader.referrerPolicy = "no-referrer";
  loader.addEventListener("load", start);
  loader.addEventListener("error", () => fallBack("The Reports API cannot be reached from this browser."));
  document.head.append(loader);
  setTimeout(() => fallBack(`The Reports API did not answer within ${SECONDS} seconds.`), SECONDS * 1000);
  report.setAttribute("aria-busy", "true");
})();
