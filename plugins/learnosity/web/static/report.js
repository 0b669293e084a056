// Shows the report in a frame. The script of the Reports API runs there, with an origin of its own: it has no session of
// Airflow, and cannot read or leave this page. Only messages come from it, and none of their text is shown.
// When the report cannot be shown, the local view of the same numbers takes its place.
"use strict";
(() => {
  const address = document.currentScript.dataset.frame;
  const state = document.getElementById("report-state");
  const place = document.getElementById("report");
  const root = document.documentElement;
  const SECONDS = 20;
  const [LOWEST, HIGHEST] = [120, 20000]; // the height of the frame is between these two numbers of pixels
  let started = false;
  let settled = false;

  const frame = document.createElement("iframe");
  frame.title = "Report";
  frame.setAttribute("sandbox", "allow-scripts");
  frame.referrerPolicy = "no-referrer";
  frame.src = address;

  const fallBack = (why) => {
    if (settled) return;
    settled = true;
    place.hidden = true;
    frame.remove();
    document.getElementById("local-view").hidden = false;
    state.textContent = `${why} These are the same results from the landed files.`;
  };
  const tellTheme = () => {
    // The frame is sandboxed, so it has no origin that a message could be sent to. So the target is "*", which any page
    // may receive. The message contains only the theme, which is no secret.
    if (frame.contentWindow) frame.contentWindow.postMessage({ theme: root.dataset.theme }, "*");
  };
  const said = {
    started: () => {
      started = true;
      tellTheme();
    },
    ready: () => {
      if (settled) return;
      settled = true;
      state.hidden = true;
    },
    missing: () => fallBack("The Reports API did not load."),
    unreachable: () => fallBack("The Reports API cannot be reached from this browser."),
    refused: ({ code }) =>
      fallBack(
        code === 20004
          ? "The Reports API does not know this dataset, or not any more (code 20004). The stand-in for Learnosity " +
              "forgets its datasets when it is started again. For a report, trigger a new run."
          : `The Reports API refused the report${Number.isInteger(code) ? ` (code ${code})` : ""}.`,
      ),
  };

  window.addEventListener("message", ({ source, origin, data }) => {
    if (source !== frame.contentWindow || origin !== "null" || !data || typeof data.report !== "object") return;
    const report = data.report || {};
    if (Number.isFinite(report.height)) {
      frame.style.height = `${Math.min(Math.max(Math.ceil(report.height), LOWEST), HIGHEST)}px`;
    }
    if (Object.hasOwn(said, report.state)) said[report.state](report);
  });
  // The script of the frame runs before the event `load`. If it has not run by then, the server sent an error instead of
  // the frame.
  frame.addEventListener("load", () => {
    if (!started) fallBack("The report could not be prepared. The log of the API server names the reason.");
  });
  root.addEventListener("themechange", tellTheme);
  setTimeout(() => fallBack(`The Reports API did not answer within ${SECONDS} seconds.`), SECONDS * 1000);
  place.append(frame);
})();
