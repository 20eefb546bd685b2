// What is seen: the songs that come in, the table of them, the one that is shown, and the models.
"use strict";

const SOUND = /\.(aac|flac|m4a|mp3|oga|ogg|opus|wav)$/i; // what is taken from a folder
const TICKS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600]; // seconds between marks on the time axis
const MOST_TICKS = 7;
const COLUMNS = { // of the table: what is shown of a song that was heard, and what is sorted by
  song: { key: (entry) => entry.name },
  genre: { show: ({ genre }) => genre, key: (entry) => heard(entry)?.genre ?? "" },
  sure: { show: ({ sure }) => percent(sure), key: (entry) => heard(entry)?.sure ?? -1 },
  length: { show: ({ length }) => clock(length), key: (entry) => heard(entry)?.length ?? -1 },
};

const { models, colours } = JSON.parse(document.getElementById("data").textContent);
const $ = (selector) => document.querySelector(selector);
const entries = []; // one a file: {file, name, url, row} and, later, what each model heard or an error
let [model, shown, order, hearing] = [0, null, { column: null, descending: false }, Promise.resolve()];

// What `predict --json` writes, of the model that is chosen.
Object.defineProperty(window, "songs", {
  get: () => entries.filter((entry) => entry.heard).map((entry) => {
    const { seconds, silent, whole, genre } = heard(entry);
    const rows = seconds.map((row, start) => ({ start, probabilities: silent[start] ? null : named(row) }));
    return { file: entry.name, genre, probabilities: named(whole), silent: silent.filter(Boolean).length, seconds: rows };
  }),
});

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

const percent = (share) => (share > 0.995 && share < 1 ? "> 99 %" : `${Math.round(share * 100)} %`);
const largest = (numbers) => numbers.indexOf(Math.max(...numbers));
const named = (numbers) => Object.fromEntries(models[model].classes.map((name, i) => [name, numbers[i]]));

// What the chosen model heard in a song, or nothing yet.
function heard(entry) {
  if (!entry.heard) return null;
  const { seconds, silent, whole } = entry.heard[model];
  const genre = models[model].classes[largest(whole)];
  return { seconds, silent, whole, genre, sure: Math.max(...whole), length: seconds.length };
}

// Listening: song after song, in the order in which they came.

async function add(files) {
  const added = files.map((file) => ({ file, name: nameOf(file), url: URL.createObjectURL(file) }));
  entries.push(...added);
  added.forEach(addRow);
  sortRows();
  $("#list").hidden = false;
  $("main").ariaBusy = "true";
  hearing = hearing.then(async () => {
    let next = start(added[0]);
    for (const [i, entry] of added.entries()) {
      const heard = next;
      next = start(added[i + 1]); // is decoded while this one is heard
      try {
        Object.assign(entry, await heard);
        if (!shown) show(entry);
      } catch (error) {
        entry.error = error.message;
      }
      fillRow(entry);
      sortRows();
    }
    finish();
  });
  return hearing;
}

function start(entry) {
  if (!entry) return null;
  const heard = hear(entry.file, entry.url, (done) => showProgress(entry, done));
  heard.catch(() => {}); // its turn comes later
  return heard;
}

function waiting() {
  return entries.filter((entry) => !entry.heard && !entry.error);
}

function showProgress(entry, done) {
  entry.done = done;
  const left = waiting();
  $("#progress").hidden = false;
  const parts = left.reduce((sum, { done = 0 }) => sum + done, 0);
  Object.assign($("progress"), { max: entries.length, value: entries.length - left.length + parts });
  say(`Hearing song ${entries.length - left.length + 1} of ${entries.length}: ${left[0].name}`);
}

function finish() {
  if (waiting().length) return; // others came meanwhile
  const failed = entries.filter((entry) => entry.error).length;
  $("#progress").hidden = true;
  $("main").ariaBusy = "false";
  say(`Heard ${count(entries.length - failed, "song")}.${failed ? ` ${count(failed, "file")} cannot be heard.` : ""}`);
}

const count = (n, what) => `${n} ${what}${n === 1 ? "" : "s"}`;

function say(text) {
  if ($("#status").textContent !== text) $("#status").textContent = text;
}

// The table of all songs. Rows and their buttons stay the same, so that whoever goes through them by keyboard may go on.

function addRow(entry) {
  const button = element("button", { type: "button", textContent: entry.name });
  button.onclick = () => {
    show(entry);
    $("#song").scrollIntoView({ block: "nearest" });
  };
  entry.row = element("tr", {}, element("th", { scope: "row" }, button));
  fillRow(entry);
}

function fillRow(entry) {
  const known = heard(entry);
  const says = { colSpan: 3, textContent: entry.error ?? "waits", className: entry.error ? "error" : "" };
  const cells = known
    ? Object.values(COLUMNS).slice(1).map((column) => element("td", { textContent: column.show(known) }))
    : [element("td", says)];
  [...entry.row.cells].slice(1).forEach((cell) => cell.remove());
  entry.row.append(...cells);
  entry.row.querySelector("button").disabled = !known;
  for (const id of ["csv", "json"]) $(`#${id}`).disabled = !entries.some((each) => each.heard);
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
  $("thead tr").append(cell);
}

function download(name, type, text) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  element("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60000);
}

function asCsv() { // as `predict --csv`: a line a song, text in quotes, nothing that a spreadsheet takes for a formula
  const quoted = (text) => `"${text.replace(/^(?=[=+\-@\t\r])/, "'").replaceAll('"', '""')}"`;
  const { classes } = models[model];
  const rows = songs.map(({ file, genre, silent, probabilities }) =>
    [quoted(file), quoted(genre), probabilities[genre], silent, ...classes.map((name) => probabilities[name])]);
  const head = ["file", "genre", "probability", "silent", ...classes].map(quoted);
  return [head, ...rows].map((row) => `${row.join()}\n`).join("");
}

// One song: its verdict, its probabilities over time, its sound.

function show(entry) {
  const another = entry !== shown;
  shown = entry;
  for (const { row } of entries) {
    row.classList.toggle("shown", row === entry.row);
    row.querySelector("button").ariaPressed = String(row === entry.row);
  }
  const { seconds, silent, whole, genre, sure, length } = heard(entry);
  const { classes } = models[model];
  $("#song").hidden = false;
  $("#title").textContent = entry.name;
  const mostly = seconds.filter((row, i) => !silent[i] && classes[largest(row)] === genre).length;
  const rest = `, ${percent(sure)} sure; most likely in ${mostly} of ${count(length, "second")}`;
  const but = entry.cutShort && `; but the file ${entry.cutShort}`;
  $("#verdict").replaceChildren(element("strong", { textContent: genre }), rest, but);
  $("#legend").replaceChildren(...classes.map((name, i) => {
    const swatch = element("span", { className: "swatch" });
    swatch.style.background = colour(i);
    return element("li", {}, swatch, `${name} ${percent(whole[i])}`);
  }));
  drawAreas(seconds.map((row, i) => (silent[i] ? null : row)), classes.length);
  drawAxis(length);
  if (another) $("#player").src = entry.url;
  showCursor();
}

const colour = (i) => colours[i % colours.length];

// The probabilities stacked, of a long song the mean of the seconds that fall into a pixel; silence is left blank.
function drawAreas(seconds, n) {
  const columns = Math.min(seconds.length, Math.max(1, Math.round($("#areas").clientWidth)));
  const sums = Array.from({ length: columns }, (_, i) => {
    const [first, end] = [i, i + 1].map((at) => Math.floor((at * seconds.length) / columns));
    const rows = seconds.slice(first, end).filter(Boolean);
    const means = Array.from({ length: n }, (_, i) => rows.reduce((sum, row) => sum + row[i], 0) / Math.max(rows.length, 1));
    return [0, ...means].map((_, i) => means.slice(0, i).reduce((a, b) => a + b, 0));
  });
  const edge = (i) => sums.map((row, start) => `${start} ${1 - row[i]} ${start + 1} ${1 - row[i]}`);
  const areas = Array.from({ length: n }, (_, i) => {
    const area = document.createElementNS("http://www.w3.org/2000/svg", "path");
    const back = sums.map((row, start) => `${start + 1} ${1 - row[i + 1]} ${start} ${1 - row[i + 1]}`).reverse();
    area.setAttribute("d", `M${edge(i).join(" ")} ${back.join(" ")}Z`);
    area.setAttribute("fill", colour(i));
    return area;
  });
  $("#areas").setAttribute("viewBox", `0 0 ${columns} 1`);
  $("#areas").replaceChildren(...areas);
}

function drawAxis(length) {
  const step = TICKS.find((each) => length <= MOST_TICKS * each) ?? TICKS.at(-1);
  const marks = Array.from({ length: Math.floor(length / step) + 1 }, (_, i) => i * step);
  $("#axis").replaceChildren(...marks.map((second) => {
    const mark = element("span", { textContent: clock(second) });
    mark.style.left = `${(second / length) * 100}%`;
    return mark;
  }));
}

function showCursor() {
  if (!shown) return;
  const { seconds, silent, length } = heard(shown);
  const now = Math.min($("#player").currentTime, length);
  const row = seconds[Math.min(Math.floor(now), length - 1)];
  $("#cursor").style.left = `${(now / length) * 100}%`;
  $("#chart").ariaValueMax = length;
  $("#chart").ariaValueNow = Math.floor(now);
  const likeliest = `${models[model].classes[largest(row)]} ${percent(Math.max(...row))}`;
  $("#chart").ariaValueText = `${clock(now)}: ${silent[seconds.indexOf(row)] ? "silent" : likeliest}`;
}

function jump(second) {
  $("#player").currentTime = Math.max(0, Math.min(second, heard(shown).length));
  showCursor();
}

function follow() { // the player tells its time four times a second; a cursor shall run
  showCursor();
  if (!$("#player").paused) requestAnimationFrame(follow);
}

$("#player").onplay = follow;
$("#player").ontimeupdate = showCursor;
$("#chart").onclick = ({ clientX }) => {
  const { left, width } = $("#chart").getBoundingClientRect();
  jump(((clientX - left) / width) * heard(shown).length);
};
$("#chart").onkeydown = (event) => {
  const now = $("#player").currentTime;
  const keys = { ArrowRight: now + 1, ArrowUp: now + 1, ArrowLeft: now - 1, ArrowDown: now - 1 };
  Object.assign(keys, { PageUp: now + 10, PageDown: now - 10, Home: 0, End: heard(shown).length });
  if (event.key in keys) jump(keys[event.key]);
  else if (event.key === " ") $("#player").paused ? $("#player").play() : $("#player").pause();
  else return;
  event.preventDefault();
};

// The models, and what comes in.

function choose(number) {
  model = number;
  $("#about ul").replaceChildren(...models[model].about.map((text) => element("li", { textContent: text })));
  $("#warning").hidden = !models[model].warning;
  $("#warning").textContent = models[model].warning;
  entries.forEach(fillRow);
  sortRows();
  if (shown) show(shown);
}

// What was dropped: a file itself, which Chromium gives of a page opened by double click too, or a folder's sounds.
// Folders are read by their handles where there are any, else by their entries; both must be asked for at once.
function dropped(item) {
  const [file, entry, handle] = [item.getAsFile(), item.webkitGetAsEntry?.(), item.getAsFileSystemHandle?.()];
  if (!entry?.isDirectory) return Promise.resolve(file ? [file] : []);
  return handle ? handle.then((folder) => filesIn(folder, folder.name)).then(soundsOf) : filesOf(entry);
}

async function filesIn(folder, path) {
  const found = [];
  for await (const each of folder.values()) {
    const place = `${path}/${each.name}`;
    if (each.kind === "directory") found.push(...await filesIn(each, place));
    else found.push(Object.assign(await each.getFile(), { path: place }));
  }
  return found;
}

async function filesOf(item) { // of an entry: a file, or all sounds in a folder and those below it
  if (item.isFile) return [await new Promise((resolve, reject) => item.file(resolve, reject))];
  const reader = item.createReader();
  const found = [];
  for (let some; (some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject))).length; ) {
    for (const each of some) {
      const files = await filesOf(each);
      if (each.isFile) files[0].path = each.fullPath.slice(1);
      found.push(...files);
    }
  }
  return soundsOf(found);
}

function soundsOf(files) { // in a folder, in order
  return files.filter((file) => SOUND.test(file.name) && !file.name.startsWith(".")).sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
}

const nameOf = (file) => file.path || file.webkitRelativePath || file.name;

async function addAll(files) {
  if (files.length) await add(files);
  else say("Found no sound there: expected mp3, ogg, flac, wav, m4a or opus.");
}

$("#files").onchange = ({ target }) => addAll([...target.files]);
$("#folder").onchange = ({ target }) => addAll(soundsOf([...target.files]));
document.ondragover = (event) => {
  event.preventDefault();
  document.body.classList.add("over");
};
document.ondragleave = (event) => event.relatedTarget ?? document.body.classList.remove("over");
document.ondragenter = (event) => event.preventDefault();
document.ondrop = async (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  try {
    const items = [...event.dataTransfer.items].filter((item) => item.kind === "file");
    await addAll((await Promise.all(items.map(dropped))).flat());
  } catch (error) {
    say(`What was dropped cannot be read: ${error.message}. Choose it with the buttons above.`);
  }
};
$("#csv").onclick = () => download("songs.csv", "text/csv", asCsv());
$("#json").onclick = () => download("songs.json", "application/json", `${JSON.stringify(songs, null, 2)}\n`);

hearing = takeWorker().then(giveWorker).catch((error) => say(`This browser cannot run the page: ${error.message}`));
$("#switch").hidden = models.length < 2;
$("#switch").append(...models.map((each, i) => {
  const radio = element("input", { type: "radio", name: "model", checked: i === 0, onchange: () => choose(i) });
  return element("label", {}, radio, ` ${each.title}`);
}));
Object.keys(COLUMNS).forEach(addHead);
choose(0);
