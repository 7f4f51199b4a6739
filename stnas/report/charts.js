"use strict";

const dark = window.matchMedia("(prefers-color-scheme: dark)");
const charts = [...document.querySelectorAll("[data-figure]")];

// Plotly takes colours as values, so those of the style sheet are read where they hold.
function colours() {
  const style = getComputedStyle(document.documentElement);
  const value = (name) => style.getPropertyValue(name).trim();
  const layout = {
    "font.color": value("--ink"),
    "modebar.bgcolor": "rgba(0,0,0,0)",
    "modebar.color": value("--soft"),
    "modebar.activecolor": value("--ink"),
    "hoverlabel.bgcolor": value("--card"),
    "hoverlabel.font.color": value("--ink"),
  };
  for (const axis of ["xaxis", "yaxis"]) {
    layout[`${axis}.gridcolor`] = value("--line");
    layout[`${axis}.linecolor`] = value("--line");
    layout[`${axis}.zerolinecolor`] = value("--line");
  }
  return layout;
}

function relevant(layout, figure) {
  const known = Object.entries(layout).filter(([key]) => {
    const part = key.split(".")[0];
    return !part.includes("axis") || part in figure.layout;
  });
  return Object.fromEntries(known);
}

function paint() {
  for (const place of charts) Plotly.relayout(place, relevant(colours(), place));
}

for (const place of charts) {
  const text = document.getElementById(`figure-${place.dataset.figure}`).textContent;
  const figure = JSON.parse(text);
  place.style.height = `${figure.layout.height}px`;
  Plotly.newPlot(place, figure.data, figure.layout, {
    responsive: true,
    displaylogo: false,
    displayModeBar: window.innerWidth > 640 ? "hover" : false,
  });
}
paint();
dark.addEventListener("change", paint);
window.addEventListener("beforeprint", () => {
  document.documentElement.classList.add("print");
  paint();
});
window.addEventListener("afterprint", () => {
  document.documentElement.classList.remove("print");
  paint();
});

// A narrow screen shows a row as a card, in which every value has the head of its column.
for (const table of document.querySelectorAll("table.stack")) label(table);

function label(table) {
  const heads = [...table.tHead.rows[0].cells].map((cell) => cell.textContent);
  for (const row of table.querySelectorAll("tbody tr")) {
    [...row.cells].forEach((cell, place) => (cell.dataset.label = heads[place]));
  }
}

// A page that is written anew while a search runs looks for the newer one.
if ("watched" in document.body.dataset) setTimeout(() => location.reload(), 10000);
