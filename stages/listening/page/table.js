// The table of all songs. Rows and their buttons stay the same, so that whoever goes through them by keyboard may go on.
"use strict";

const COLUMNS = { // what is shown of a song that was heard, and what is sorted by
  song: { key: (entry) => entry.name },
  genre: { show: ({ genre }, entry) => [genre, ...dissent(entry)].join(", "), key: (entry) => heard(entry)?.genre ?? "" },
  sure: { show: ({ sure }) => percent(sure), key: (entry) => heard(entry)?.sure ?? -1 },
  length: { show: ({ length }) => clock(length), key: (entry) => heard(entry)?.length ?? -1 },
};
let order = { column: null, descending: false };

function addRow(entry) {
  const parts = entry.name.split(/(?<=[/_])|(?=\.)/).flatMap((part) => [part, element("wbr")]); // where a line may break
  const button = element("button", { type: "button" }, ...parts);
  button.onclick = () => {
    show(entry);
    $("#title").focus();
    $("#song").scrollIntoView({ block: "nearest" });
  };
  const cross = element("button", { type: "button", textContent: "\u00d7", ariaLabel: `Remove ${entry.name}` });
  cross.onclick = () => leaveRow(entry);
  entry.row = element("tr", {}, element("th", { scope: "row" }, button), element("td", {}, cross));
  entry.row.onkeydown = ({ key }) => {
    if (key === "Delete") leaveRow(entry);
  };
}

// Show what is known of songs now.
function showRows(changed) {
  changed.forEach(fillRow);
  sortRows();
  showSaving();
}

function fillRow(entry) {
  const known = heard(entry);
  const says = { colSpan: 3, textContent: entry.error || "waits", className: entry.error ? "error" : "" };
  const cells = known
    ? Object.values(COLUMNS).slice(1).map((column) => element("td", { textContent: column.show(known, entry) }))
    : [element("td", says)];
  [...entry.row.cells].slice(1, -1).forEach((cell) => cell.remove());
  entry.row.lastChild.before(...cells);
  entry.row.querySelector("button").disabled = !known;
}

// What the models that are not chosen say of a song, where it is something else: "mfccs: rock".
function dissent(entry) {
  const others = inOrder().slice(1).map((number) => ({ name: models[number].name, ...heard(entry, number) }));
  return others.filter(({ genre }) => genre !== heard(entry).genre).map(({ name, genre }) => `${name}: ${genre}`);
}

// Remove a song; the keyboard goes on at the next one.
function leaveRow(entry) {
  const near = entry.row.nextElementSibling ?? entry.row.previousElementSibling;
  remove([entry]);
  (near?.querySelector("td button") ?? $("#files")).focus();
}

function markShown() {
  for (const entry of entries) {
    entry.row.classList.toggle("shown", entry === shown);
    entry.row.querySelector("button").ariaPressed = String(entry === shown);
  }
}

function sortRows() {
  const { key } = COLUMNS[order.column] ?? { key: () => 0 };
  const compare = (a, b) => (typeof key(a) === "string" ? key(a).localeCompare(key(b)) : key(a) - key(b));
  const rows = entries.toSorted((a, b) => (order.descending ? compare(b, a) : compare(a, b))).map(({ row }) => row);
  if (rows.every((row, i) => row === $("tbody").rows[i])) return;
  const focused = document.activeElement;
  $("tbody").append(...rows);
  focused.focus({ preventScroll: true });
}

function addHead(name) {
  const button = element("button", { type: "button", textContent: name });
  const cell = element("th", { scope: "col" }, button);
  button.onclick = () => {
    order = { column: name, descending: order.column === name && !order.descending };
    for (const each of $("thead tr").cells) each.removeAttribute("aria-sort");
    cell.ariaSort = order.descending ? "descending" : "ascending";
    sortRows();
  };
  $("thead td").before(cell);
}
