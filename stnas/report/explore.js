// The slider walks through the candidates by rising cost; least loss wins. What is selected stands
// in the address, so that it outlasts a reload and can be sent to others.
const candidates = JSON.parse(document.getElementById("candidates").textContent);
const budget = document.getElementById("budget");
const unit = document.getElementById("cost");
const FIRST_COST = 3;

function byCost() {
  const column = FIRST_COST + Number(unit.value);
  return [column, [...candidates.rows].sort((one, other) => one[column] - other[column])];
}

function show(row) {
  const [genotype, accuracy, loss, ...costs] = row;
  const words = costs.map((cost, place) => `${cost.toLocaleString("en")} ${candidates.costs[place]}`);
  document.getElementById("picked").textContent =
    `${words.join(", ")}, loss ${loss.toFixed(4)}, accuracy ${(100 * accuracy).toFixed(2)} % ` +
    "(held-out images, shared weights)";
  document.getElementById("picked-genotype").textContent = genotype;
  document.getElementById("picked-command").textContent = `${candidates.retrain} '["${genotype}"]'`;
  const scatter = charts.find((place) => place.dataset.figure === "scatter");
  const trace = scatter.data.findIndex((data) => data.name === "selected");
  Plotly.restyle(scatter, { x: [[costs[0]]], y: [[100 * accuracy]] }, [trace]);
  offer(genotype);
}

function pick() {
  const [column, sorted] = byCost();
  const last = Math.round((budget.value / 1000) * (sorted.length - 1));
  const limit = sorted[last][column];
  const inside = sorted.filter((row) => row[column] <= limit);
  document.getElementById("budget-value").textContent = limit.toLocaleString("en");
  return inside.reduce((best, row) => (row[2] < best[2] ? row : best));
}

function choose(row) {
  show(row);
  history.replaceState(null, "", `#${row[0]}`);
}

async function copy(button) {
  const place = document.getElementById(button.dataset.of);
  try {
    await navigator.clipboard.writeText(place.textContent);
    button.textContent = "copied";
  } catch {
    // Pages that are opened as files may lack a clipboard: the text is selected, to be copied.
    getSelection().selectAllChildren(place);
    button.textContent = "selected";
  }
  setTimeout(() => (button.textContent = "copy"), 2000);
}

function genotypeOf(text) {
  const words = text.split(": ");
  return candidates.rows.find((row) => row[0] === words[words.length - 1]);
}

if (budget && candidates.rows.length) {
  candidates.costs.forEach((words, place) => unit.add(new Option(words, place)));
  const wanted = decodeURIComponent(location.hash.slice(1));
  const best = pick();
  show(candidates.rows.find((row) => row[0] === wanted) ?? best);
  budget.addEventListener("input", () => choose(pick()));
  unit.addEventListener("change", () => choose(pick()));
  for (const button of document.querySelectorAll(".copy")) {
    button.addEventListener("click", () => copy(button));
  }
  charts
    .find((place) => place.dataset.figure === "scatter")
    .on("plotly_click", (event) => {
      const row = event.points.map((point) => genotypeOf(point.text ?? "")).find(Boolean);
      if (row) choose(row);
    });
}
