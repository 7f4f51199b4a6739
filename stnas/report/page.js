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
  for (const axis of ["xaxis", "xaxis2", "yaxis", "yaxis2"]) {
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
  Plotly.newPlot(place, figure.data, figure.layout, { responsive: true, displaylogo: false });
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

// The slider walks through the evaluated architectures by rising cost; least loss wins.
const candidates = JSON.parse(document.getElementById("candidates").textContent);
const budget = document.getElementById("budget");

function show([genotype, madds, params, accuracy, loss]) {
  document.getElementById("picked").textContent =
    `${madds.toLocaleString("en")} multiply-adds, ${params.toLocaleString("en")} parameters, ` +
    `loss ${loss.toFixed(4)}, accuracy ${(100 * accuracy).toFixed(2)} % (held out, shared weights)`;
  document.getElementById("picked-genotype").textContent = genotype;
}

function pick() {
  const last = Math.round((budget.value / 1000) * (candidates.length - 1));
  const limit = candidates[last][1];
  const inside = candidates.filter((row) => row[1] <= limit);
  document.getElementById("budget-value").textContent = limit.toLocaleString("en");
  show(inside.reduce((best, row) => (row[4] < best[4] ? row : best)));
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Pages that are opened as files may lack a clipboard: the text is selected, to be copied.
    getSelection().selectAllChildren(document.getElementById("picked-genotype"));
  }
}

if (budget && candidates.length) {
  pick();
  budget.addEventListener("input", pick);
  document
    .getElementById("copy")
    .addEventListener("click", () => copy(document.getElementById("picked-genotype").textContent));
  const scatter = charts.find((place) => place.dataset.figure === "scatter");
  if (scatter) {
    scatter.on("plotly_click", (event) => {
      const words = event.points[0].text.split(" ");
      const found = candidates.find((row) => row[0] === words[words.length - 1]);
      if (found) show(found);
    });
  }
}
