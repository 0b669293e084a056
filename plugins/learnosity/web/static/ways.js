// Ways from and to this page: links out of the frame in which Airflow shows it, an address that survives a reload in
// the tab of a run, and the buttons that copy.
"use strict";
(() => {
  const { airflow } = document.currentScript.dataset;
  const around = window.parent !== window ? window.parent : null;
  const here = window.location;
  // The address of Airflow's page for the tab of a run. In the tab, this address is the same for all pages of this plugin.
  const TAB = /\/runs\/[^/]+\/plugin\/[^/]+\/?$/;
  const inTab = around && TAB.test(around.location.pathname);

  // Airflow and these pages percent-encode the id of a run differently, so addresses are compared without encoding.
  const spelt = (address) => {
    try {
      return decodeURIComponent(address);
    } catch {
      return address;
    }
  };

  // Airflow always opens the tab of a run with the page of the run. So the address of another page is kept behind the #,
  // and after a reload this script opens that page.
  if (inTab && window.frameElement) {
    const frame = window.frameElement;
    const own = here.pathname + here.search;
    const root = spelt(frame.getAttribute("src"));
    const wanted = new URL(around.location.hash.slice(1), here.origin);
    const path = spelt(wanted.pathname);
    // Only pages of this run are opened, because anybody can send a link with another address behind the #.
    const within = path === root || path.startsWith(`${root}/`);
    const fresh = !("shown" in frame.dataset);
    frame.dataset.shown = "";
    if (fresh && wanted.origin === here.origin && within && wanted.pathname + wanted.search !== own) {
      here.replace(wanted);
      return;
    }
    const mark = spelt(own) === root ? "" : `#${own}`;
    const address = around.location.pathname + around.location.search;
    if (around.location.hash !== mark) around.history.replaceState(around.history.state, "", address + mark);
  }

  // The sandbox of the frame forbids links that leave the frame. So the script clicks a copy of the link in the page
  // around the frame.
  const follow = (event) => {
    const link = event.target.closest && event.target.closest("a[href]");
    if (!around || !link || event.button > 1) return;
    const list = "list" in link.dataset && inTab;
    const aside = event.ctrlKey || event.metaKey || event.shiftKey || event.button === 1;
    if (!list && !aside && link.target !== "_top") return;
    if (link.hasAttribute("download")) return;
    event.preventDefault();
    const way = around.document.createElement("a");
    way.href = list ? `${airflow}/plugin/learnosity` : aside && link.target !== "_top" ? lasting(link) : link.href;
    if (aside) {
      way.target = "_blank";
      way.rel = "noopener";
    }
    around.document.body.append(way);
    way.click();
    way.remove();
  };
  document.addEventListener("click", follow);
  document.addEventListener("auxclick", follow);

  // The address of a page inside Airflow's UI. The user can reload it or send it to others.
  const lasting = (place) =>
    around ? `${place.origin}${airflow}/plugin/learnosity${place.pathname}${place.search}` : place.href;

  const copied = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      // Without TLS, a browser has no `navigator.clipboard`. So the text is copied out of a hidden field.
      const area = document.createElement("textarea");
      area.value = text;
      area.className = "hidden";
      document.body.append(area);
      area.select();
      const done = document.execCommand("copy");
      area.remove();
      return done;
    }
  };
  for (const button of document.querySelectorAll("[data-copy-link], [data-copy]")) {
    button.addEventListener("click", async () => {
      const from = button.dataset.copy ? document.getElementById(button.dataset.copy).textContent : lasting(here);
      const done = await copied(from);
      const told = button.parentElement.querySelector("[data-told]");
      told.textContent = done ? "Copied" : "Not copied: select the text and copy it";
      button.focus();
      setTimeout(() => { told.textContent = ""; }, 4000);
    });
  }
})();
