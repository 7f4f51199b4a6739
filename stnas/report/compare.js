// Two architectures, and where they differ.
const panes = [...document.querySelectorAll("[data-pane]")];

function architectures() {
  return JSON.parse(document.getElementById("architectures").textContent);
}

function chosen() {
  const known = architectures();
  return panes.map((pane) => known[pane.querySelector("select").value]);
}

function percent(share) {
  return `${(100 * share).toFixed(2)} %`;
}

function draw(pane, row) {
  const place = pane.querySelector("select").value;
  const drawing = document.querySelector(`template[data-drawing="${place}"]`).content;
  pane.querySelector(".drawing").replaceChildren(drawing.cloneNode(true));
  pane.querySelector("code").textContent = row.genotype;
  const facts = [
    `${row.madds.toLocaleString("en")} multiply-adds`,
    `${row.params.toLocaleString("en")} parameters`,
  ];
  if (row.accuracy !== null) facts.push(`${percent(row.accuracy)} held out, shared weights`);
  if (row.test_accuracy !== null) facts.push(`${percent(row.test_accuracy)} test, retrained`);
  pane.querySelector("[data-facts]").textContent = facts.join(", ");
}

// Lists [place, operation here, operation there, multiply-adds more there] where two differ.
function differences(here, there) {
  const [one, other] = [here, there].map(
    (row) => new Map(row.arcs.map(([place, name, madds]) => [place, { name, madds }])),
  );
  const nothing = { name: "—", madds: 0 };
  return [...new Set([...one.keys(), ...other.keys()])]
    .map((place) => [place, one.get(place) ?? nothing, other.get(place) ?? nothing])
    .filter(([, left, right]) => left.name !== right.name)
    .map(([place, left, right]) => [place, left.name, right.name, right.madds - left.madds]);
}

function mark(pane, places) {
  for (const edge of pane.querySelectorAll("[data-place]")) {
    edge.classList.toggle("differs", places.has(edge.dataset.place));
  }
}

function tabulate(rows) {
  const table = document.getElementById("differences");
  const cells = rows.map(([place, left, right, more]) => {
    const row = document.createElement("tr");
    const change = `${more > 0 ? "+" : ""}${more.toLocaleString("en")}`;
    row.append(document.createElement("th"));
    row.cells[0].textContent = place;
    for (const text of [left, right, change]) row.insertCell().textContent = text;
    return row;
  });
  table.tBodies[0].replaceChildren(...cells);
  label(table);
}

function compare() {
  const rows = chosen();
  panes.forEach((pane, place) => draw(pane, rows[place]));
  if (rows.length < 2) return;
  const found = differences(...rows);
  for (const pane of panes) mark(pane, new Set(found.map(([place]) => place)));
  tabulate(found);
}

// Lets a selected candidate be put beside, if it is drawn.
function offer(genotype) {
  const button = document.getElementById("beside");
  const place = architectures().findIndex((row) => row.genotype === genotype);
  button.hidden = place < 0 || panes.length < 2;
  button.onclick = () => {
    panes[1].querySelector("select").value = place;
    compare();
    panes[0].scrollIntoView({ behavior: "smooth" });
  };
}

for (const pane of panes) pane.querySelector("select").addEventListener("change", compare);
if (panes.length) compare();
