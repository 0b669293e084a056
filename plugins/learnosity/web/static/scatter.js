// Draws items as points: p-value against discrimination index. Poor items differ in shape, not only in colour.
"use strict";
(() => {
  const canvas = document.getElementById("scatter");
  const points = JSON.parse(document.getElementById("scatter-points").textContent).map(
    ([x, y, label, poor]) => ({ x, y, label, poor }));
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const chart = new Chart(canvas, {
    type: "scatter",
    data: {
      datasets: [
        { label: "poor items", data: points.filter((point) => point.poor), pointStyle: "triangle", radius: 6, hoverRadius: 8 },
        { label: "other items", data: points.filter((point) => !point.poor), pointStyle: "circle", radius: 4, hoverRadius: 7 },
      ],
    },
    options: {
      animation: false,
      maintainAspectRatio: false,
      scales: {
        x: { min: 0, max: 1, title: { display: true, text: "p-value (share of the score that was reached)" } },
        y: { title: { display: true, text: "discrimination index" }, suggestedMin: 0, suggestedMax: 0.6 },
      },
      plugins: {
        legend: { labels: { usePointStyle: true } },
        tooltip: {
          callbacks: { label: ({ raw }) => `${raw.label}: p ${raw.x}, discrimination ${raw.y}` },
        },
      },
    },
  });
  const paint = () => {
    const [text, line, good, poor] = ["--text", "--line", "--accent", "--poor"].map(colour);
    [poor, good].forEach((each, index) => {
      chart.data.datasets[index].backgroundColor = `${each}b0`;
      chart.data.datasets[index].borderColor = each;
    });
    for (const axis of Object.values(chart.options.scales)) {
      axis.grid = { color: line };
      axis.ticks = { ...axis.ticks, color: text };
      axis.title.color = text;
    }
    chart.options.plugins.legend.labels.color = text;
    chart.update();
  };
  document.documentElement.addEventListener("themechange", paint);
  paint();
})();
