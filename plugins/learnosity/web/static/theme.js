// Uses the light or dark mode of Airflow's UI: the mode of the page around this one, or else the mode that Airflow has
// stored in the browser. Marks a page that stands alone, so that it shows a link back to Airflow.
"use strict";
(() => {
  const root = document.documentElement;
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const around = window.parent !== window ? window.parent.document.documentElement : null;
  const isDark = () => {
    if (around && around.classList.contains("dark")) return true;
    if (around && around.classList.contains("light")) return false;
    const stored = localStorage.getItem("theme");
    return stored === "dark" || (stored !== "light" && system.matches);
  };
  const apply = () => {
    const theme = isDark() ? "dark" : "light";
    if (root.dataset.theme === theme) return;
    root.dataset.theme = theme;
    root.dispatchEvent(new CustomEvent("themechange"));
  };
  if (!around) root.dataset.alone = "";
  apply();
  system.addEventListener("change", apply);
  if (around) new MutationObserver(apply).observe(around, { attributes: true, attributeFilter: ["class"] });
})();
