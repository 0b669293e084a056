// Follows a run: asks for this page again every few seconds, and puts the new state in place of the old one. When the
// run is over, the whole page is loaded once more, because it is then another page.
"use strict";
(() => {
  const [SOON, LATE] = [2500, 30000]; // milliseconds
  let wait = SOON;
  let last = ""; // of the server: another script shows its times in another zone

  const follow = async () => {
    const here = document.getElementById("live");
    try {
      const reply = await fetch(document.URL, { headers: { Accept: "text/html" }, credentials: "same-origin" });
      if (reply.status === 401 || reply.status === 403) {
        window.location.reload(); // the login has run out, or a right is gone: the page says so, and asks no more
        return;
      }
      const page = new DOMParser().parseFromString(await reply.text(), "text/html");
      const next = page.getElementById("live");
      if (!reply.ok && reply.status !== 404) throw new Error(String(reply.status));
      if (!next || !("live" in next.dataset)) {
        window.location.reload();
        return;
      }
      wait = SOON;
      // Without a change nothing is replaced: a selection, and the place in a long error, stay.
      if (next.innerHTML !== last && !here.contains(document.activeElement)) {
        last = next.innerHTML;
        here.replaceChildren(...document.adoptNode(next).childNodes);
      }
    } catch {
      wait = Math.min(wait * 2, LATE); // the server is restarted, or the network is away: what is shown stays
    }
    later();
  };
  const later = () => {
    // A page that nobody sees asks nothing.
    if (document.hidden) document.addEventListener("visibilitychange", follow, { once: true });
    else setTimeout(follow, wait);
  };
  later();
})();
