// Draws items as points: p-value against discrimination index. Each flag has a shape of its own, not only a colour.
// A click on a point opens the file of its item; the table below has the same links for the keyboard.
"use strict";
(() => {
  const canvas = document.getElementById("scatter");
  const { here, thresholds, points } = JSON.parse(document.getElementById("scatter-data").textContent);
  const all = points.map(([x, y, label, flag, words, path]) => ({ x, y, label, flag, words, path }));
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const kinds = [
    { flag: "key", label: "check the key", pointStyle: "rectRot", radius: 7, paint: "--poor" },
    { flag: "poor", label: "poor discrimination", pointStyle: "triangle", radius: 6, paint: "--poor" },
    { flag: "hard", label: "too hard", pointStyle: "rect", radius: 5, paint: "--warn" },
    { flag: "easy", label: "too easy", pointStyle: "star", radius: 6, paint: "--warn" },
    { flag: "", label: "no flag", pointStyle: "circle", radius: 4, paint: "--accent" },
  ];
  const used = kinds.filter(({ flag }) => all.some((point) => point.flag === flag));
  // Draws the thresholds as lines behind the points.
  const limits = {
    id: "limits",
    beforeDatasetsDraw: ({ ctx, chartArea: area, scales: { x, y } }) => {
      ctx.save();
      ctx.strokeStyle = colour("--quiet");
      ctx.setLineDash([5, 4]);
      ctx.beginPath();
      for (const value of [thresholds.hard, thresholds.easy]) {
        ctx.moveTo(x.getPixelForValue(value), area.top);
        ctx.lineTo(x.getPixelForValue(value), area.bottom);
      }
      for (const value of [thresholds.poor, 0]) {
        const at = y.getPixelForValue(value);
        if (at < area.top || at > area.bottom) continue;
        ctx.moveTo(area.left, at);
        ctx.lineTo(area.right, at);
      }
      ctx.stroke();
      ctx.restore();
    },
  };
  const pathsOf = (found) =>
    found.map(({ datasetIndex, index }) => chart.data.datasets[datasetIndex].data[index].path).filter(Boolean);
  const chart = new Chart(canvas, {
    type: "scatter",
    data: {
      datasets: used.map(({ flag, label, pointStyle, radius }) => ({
        // Points at 0 and 1 stand on the edge of the chart and would be cut off. With `clip`, they may be drawn up to
        // 12 pixels beyond it.
        label, pointStyle, radius, hoverRadius: radius + 3, clip: 12, data: all.filter((point) => point.flag === flag),
      })),
    },
    plugins: [limits],
    options: {
      animation: false,
      maintainAspectRatio: false,
      scales: {
        x: { min: 0, max: 1, title: { display: true, text: "p-value (share of the points that was reached)" } },
        y: { title: { display: true, text: "discrimination index" }, suggestedMin: 0, suggestedMax: 0.6 },
      },
      plugins: {
        legend: { labels: { usePointStyle: true } },
        tooltip: {
          callbacks: {
            label: ({ raw }) =>
              `${raw.label}: p ${raw.x}, discrimination ${raw.y}${raw.words ? ` (${raw.words})` : ""}`,
          },
        },
      },
      onHover: (event, found) => {
        canvas.classList.toggle("opens", pathsOf(found).length > 0);
      },
      onClick: (event, found) => {
        const [first] = pathsOf(found);
        if (first) window.location.assign(here + first);
      },
    },
  });
  const paint = () => {
    const [text, line] = ["--text", "--line"].map(colour);
    used.forEach(({ paint: name }, index) => {
      chart.data.datasets[index].backgroundColor = `${colour(name)}b0`;
      chart.data.datasets[index].borderColor = colour(name);
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
