// Follows a run: loads this page again every few seconds, and shows the new state instead of the old one. When the run
// is over, the server sends another page, so the browser loads the whole page once more.
"use strict";
(() => {
  const [SOON, LATE] = [2500, 30000]; // milliseconds between two requests: usually, and at most after errors
  let wait = SOON;
  // The last state as the server sent it. The state on the page cannot be compared with it: `times.js` has changed its
  // times to the time zone of the viewer.
  let last = "";

  const follow = async () => {
    const here = document.getElementById("live");
    try {
      const reply = await fetch(document.URL, { headers: { Accept: "text/html" }, credentials: "same-origin" });
      if (reply.status === 401 || reply.status === 403) {
        window.location.reload(); // the login has ended, or the user has lost a right: the new page says so
        return;
      }
      const page = new DOMParser().parseFromString(await reply.text(), "text/html");
      const next = page.getElementById("live");
      // The run is over, and its dataset cannot be shown. The new page says why. Only error pages of this plugin have
      // the element `problem`. A server that is started again may also reply 503, but without this element: then this
      // page stays, and asks again later.
      if ((reply.status === 409 || reply.status === 503) && page.getElementById("problem")) {
        window.location.reload();
        return;
      }
      if (!reply.ok && reply.status !== 404) throw new Error(String(reply.status));
      if (!next || !("live" in next.dataset)) {
        window.location.reload();
        return;
      }
      wait = SOON;
      // A state that has not changed is not replaced. Otherwise the user would lose a selected text, and the place in a
      // long error.
      if (next.innerHTML !== last && !here.contains(document.activeElement)) {
        last = next.innerHTML;
        here.replaceChildren(...document.adoptNode(next).childNodes);
      }
    } catch {
      wait = Math.min(wait * 2, LATE); // the server restarts, or there is no network: the page keeps the last state
    }
    later();
  };
  const later = () => {
    // A hidden page sends no requests until it is shown again.
    if (document.hidden) document.addEventListener("visibilitychange", follow, { once: true });
    else setTimeout(follow, wait);
  };
  later();
})();
