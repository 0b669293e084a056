// Shows every moment in the time zone that the viewer has chosen in Airflow, with the zone named. The server writes UTC.
"use strict";
(() => {
  const stored = () => {
    // The time zone that Airflow has stored in the browser, with or without quotes. For a text that is no time zone,
    // UTC is used.
    const zone = (localStorage.getItem("timezone") || "UTC").replaceAll('"', "");
    try {
      return new Intl.DateTimeFormat("en", { timeZone: zone === "local" ? undefined : zone }).resolvedOptions().timeZone;
    } catch {
      return "UTC";
    }
  };
  const zone = stored();
  const format = new Intl.DateTimeFormat("sv-SE", {
    timeZone: zone, year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit",
  });
  // In the charts, a time is part of a `<title>`, which is plain text and cannot hold a `<time>` element. So `show`
  // does not find it, and the whole title is written again here.
  const showMarks = (chart) => {
    const titles = [];
    for (const mark of chart.querySelectorAll("[data-at]")) {
      const at = new Date(mark.dataset.at);
      const title = mark.querySelector("title");
      if (!Number.isNaN(at.valueOf())) title.textContent = `${format.format(at)} ${zone}: ${mark.dataset.figure}`;
      titles.push(title.textContent);
    }
    chart.setAttribute("aria-label", `${chart.dataset.label}. ${titles.join(", ")}`);
  };
  const show = (part) => {
    for (const each of part.querySelectorAll("time[datetime]")) {
      const at = new Date(each.dateTime);
      if (!Number.isNaN(at.valueOf())) each.textContent = `${format.format(at)} ${zone}`;
    }
  };
  show(document);
  document.querySelectorAll("svg[data-label]").forEach(showMarks);
  // These fields of forms tell the server the time zone: dates that the user types are dates in this zone.
  for (const field of document.querySelectorAll("[data-zone]")) field.value = zone;
  const live = document.getElementById("live");
  if (live) new MutationObserver(() => show(live)).observe(live, { childList: true });
})();
