"use strict";
// Draws each figure from the table in it: what is seen and what is read aloud are the same numbers.

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const rowsOf = (table) =>
  [...table.tBodies[0].rows].map((row) => [...row.cells].map((cell) => cell.dataset.value ?? cell.textContent.trim()));

const DAY = 86_400_000; // ms: where few days are shown, a mark for each and none in between
const line = (rows, heads) => ({
  traces: heads.slice(1).map((name, place) => ({
    type: "scatter", mode: rows.length > 40 ? "lines" : "lines+markers", name,
    x: rows.map((row) => row[0]), y: rows.map((row) => Number(row[place + 1])),
    line: { color: colour(place ? "--two" : "--one"), width: 2, dash: place ? "dot" : "solid" },
    marker: { color: colour(place ? "--two" : "--one"), size: 7 },
  })),
  layout: { xaxis: rows.length > 1 ? { type: "date", tickformat: "%Y-%m-%d", ...(rows.length <= 14 && { dtick: DAY }) } : { type: "category" }, yaxis: { rangemode: "tozero" }, showlegend: heads.length > 2 },
});

const bars = (rows) => ({
  traces: [{
    type: "bar", orientation: "h", y: rows.map((_, place) => place), x: rows.map((row) => Number(row[1])),
    hovertext: rows.map((row) => row[0]), hoverinfo: "x+text", marker: { color: colour("--one") },
  }],
  layout: {
    yaxis: { autorange: "reversed", tickvals: rows.map((_, place) => place), ticktext: rows.map((row) => short(row[0])), automargin: true },
    xaxis: { rangemode: "tozero" },
  },
});

const short = (text) => (text.length > 28 ? `${text.slice(0, 27)}…` : text);

const flow = (rows) => {
  const from = [...new Set(rows.map((row) => row[0]))];
  const to = [...new Set(rows.map((row) => row[1]))];
  const label = { family: "inherit", color: colour("--ink"), size: 12 };
  return {
    traces: [{
      type: "sankey", textfont: label, arrangement: "fixed",
      node: { label: [...from, ...to].map(short), color: [...from.map(() => colour("--one")), ...to.map(() => colour("--two"))], pad: 14, thickness: 14, line: { width: 0 } },
      link: {
        source: rows.map((row) => from.indexOf(row[0])), target: rows.map((row) => from.length + to.indexOf(row[1])),
        value: rows.map((row) => Number(row[2])), color: "rgba(128, 140, 155, .4)",
      },
    }],
    layout: {},
  };
};

const kinds = { line, bars, flow };

const draw = (figure) => {
  const table = figure.querySelector("table");
  const heads = [...table.tHead.rows[0].cells].map((cell) => cell.textContent.trim());
  const { traces, layout } = kinds[figure.dataset.chart](rowsOf(table), heads);
  const axis = { gridcolor: colour("--line"), zerolinecolor: colour("--line"), fixedrange: true };
  Plotly.newPlot(figure.querySelector(".chart"), traces, {
    margin: { t: 12, r: 12, b: 36, l: 56 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: "system-ui, 'Noto Sans CJK SC', sans-serif", color: colour("--ink"), size: 12 },
    showlegend: false, legend: { orientation: "h", y: 1.12 }, ...layout,
    xaxis: { ...axis, ...layout.xaxis }, yaxis: { ...axis, ...layout.yaxis },
  }, { displayModeBar: false, responsive: true });
};

// What is in view is drawn first; the rest one by one, when nothing else is to be done.
const page = document.documentElement;
const figures = [...document.querySelectorAll("figure[data-chart]")]
  .filter((figure) => window.Plotly && figure.querySelector("tbody tr"));
const ends = (figure) => { // how many names stand below each other beside a flow
  const rows = rowsOf(figure.querySelector("table"));
  return Math.max(...[0, 1].map((column) => new Set(rows.map((row) => row[column])).size));
};
for (const figure of figures) { // the height that the library asks for
  const chart = figure.querySelector(".chart");
  chart.classList.add("drawn");
  if (figure.dataset.chart === "flow") chart.style.minHeight = `${1.4 * ends(figure)}rem`;
}
const inView = new Set(figures.filter((figure) => figure.getBoundingClientRect().top < window.innerHeight));
const waiting = figures.filter((figure) => !inView.has(figure));
const idle = window.requestIdleCallback ?? ((work) => setTimeout(work));
const goOn = () => {
  if (!waiting.length) {
    page.dataset.drawn = "all";
    return;
  }
  draw(waiting.shift());
  idle(goOn);
};
inView.forEach(draw);
page.dataset.drawn = "seen";
idle(goOn);
