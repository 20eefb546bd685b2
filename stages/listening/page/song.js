// One song: its verdict, its chart, which speaks, and its sound.
"use strict";

let shown = null; // a song
let at = 0; // the second where the cursor is
let pointed = null; // the share of the chart that a mouse or a finger points at, or null
let drawn = null; // what the chart was drawn of: {known, rows, columns}, of each model in the order of the charts

function show(entry) {
  if (!entry?.heard) entry = null;
  const another = entry !== shown;
  shown = entry;
  markShown();
  $("#song").hidden = !shown;
  if (!shown) return $("#player").removeAttribute("src");
  fresh = [];
  $("#title").textContent = shown.name;
  $("#verdict").replaceChildren(...verdictOf(shown));
  $("#others").textContent = othersOf(shown);
  $("#others").hidden = models.length < 2;
  $("#legend").replaceChildren(...models[model].classes.map(legendOf));
  $("#player").hidden = !shown.url;
  if (another) at = 0;
  if (another && shown.url) $("#player").src = shown.url;
  drawChart();
}

function verdictOf(entry) {
  const { genre, likeliest, sure, length, ...known } = heard(entry);
  const name = element("strong", { textContent: genre });
  if (genre !== likeliest) return [name, `: ${likeliest} is likeliest, but ${percent(sure)} sure at most`, but(entry)];
  const { classes } = models[model];
  const rows = smoothed(known);
  const mostly = rows.filter((row) => row && classes[largest(row)] === genre).length;
  const of = count(rows.length, rows.length === length ? "second" : "window");
  return [name, `, ${percent(sure)} sure; most likely in ${mostly} of ${of}`, but(entry)];
}

const but = (entry) => (entry.cutShort ? `; but the file ${entry.cutShort}` : "");

// What the models that are not chosen say.
function othersOf(entry) {
  const others = inOrder().slice(1).map((number) => {
    const { genre, sure } = heard(entry, number);
    return `${models[number].name}: ${genre}, ${percent(sure)} sure`;
  });
  const likeliest = likeliestOf(entry);
  const voters = [...likeliest[0].keys()].filter((i) => likeliest[0][i]);
  const same = voters.filter((i) => !disagreement(likeliest, { numbers: [i] })).length;
  return `By ${others.join("; by ")}. The models agree in ${same} of ${voters.length}.`;
}

const inOrder = () => [...new Set([model, ...models.keys()])]; // numbers of models, the chosen first

// The likeliest class of every window, by each model.
const likeliestOf = (entry) => inOrder().map((number) =>
  smoothed(heard(entry, number)).map((row) => row && models[number].classes[largest(row)]));

function legendOf(name, i) {
  const swatch = element("canvas", { className: "swatch", width: 16, height: 16 });
  const pen = swatch.getContext("2d");
  pen.fillStyle = paintOf(i);
  pen.fillRect(0, 0, 16, 16);
  return element("li", {}, swatch, `${name} ${percent(heard(shown).whole[i])}`);
}

// The chart: a line and a canvas for each model, and between the first two where not all say the same.

function addCharts() {
  const charts = models.map((_, i) => [
    element("p", { className: "says" }, element("span", { className: "name" }), element("span", { className: "second" })),
    element("canvas", { className: i ? "areas" : "areas first" }),
  ]);
  if (models.length > 1) charts.splice(1, 0, [element("p", { className: "says", textContent: "where they disagree" }),
    element("canvas", { id: "differ" })]);
  $("#chart").prepend(...charts.flat());
}

function drawChart() {
  if (!shown) return;
  const width = $("#chart").clientWidth;
  const known = inOrder().map((number) => heard(shown, number));
  drawn = { known, rows: known.map(smoothed), columns: known.map((each) => columnsOf(each, width)) };
  const { length } = known[0];
  document.querySelectorAll(".areas").forEach((canvas, i) =>
    paint(canvas, (pen, box) => paintAreas(pen, box, drawn.columns[i], drawn.rows[i], length)));
  document.querySelectorAll("#chart .name").forEach((name, i) => {
    name.textContent = models.length > 1 ? models[inOrder()[i]].name : "";
  });
  if (models.length > 1) {
    const likeliest = likeliestOf(shown);
    paint($("#differ"), (pen, box) => {
      pen.fillStyle = getComputedStyle($("#differ")).color;
      paintDisagreement(pen, box, drawn.columns[0], likeliest, length);
    });
  }
  drawAxis(length, width);
  showCursor();
}

// Let a function paint a canvas in the pixels of the screen.
function paint(canvas, how) {
  canvas.width = Math.round(canvas.clientWidth * devicePixelRatio);
  canvas.height = Math.round(canvas.clientHeight * devicePixelRatio);
  how(canvas.getContext("2d"), { x: 0, y: 0, width: canvas.width, height: canvas.height });
}

function drawAxis(length, width) {
  $("#axis").replaceChildren(...ticksOf(length, width).map((second) => {
    const mark = element("span", { textContent: clock(second) });
    mark.style.left = `${(second / length) * 100}%`;
    mark.classList.toggle("last", second / length > 1 - tickWidth(length) / 2 / width);
    return mark;
  }));
}

// What the chart says of the column that is pointed at, or else of the window where the cursor is.

function showCursor() {
  if (!shown) return;
  const { length } = drawn.known[0];
  if (shown.url) at = Math.min($("#player").currentTime, length);
  place($("#cursor"), at / length);
  $("#pointer").hidden = pointed === null;
  if (pointed !== null) place($("#pointer"), pointed);
  const words = drawn.known.map((_, i) => wordsOf(i));
  document.querySelectorAll("#chart .second").forEach((each, i) => { each.textContent = words[i]; });
  $("#chart").ariaValueMax = length;
  $("#chart").ariaValueNow = Math.floor(at);
  $("#chart").ariaValueText = words.map((text, i) => (i ? `${models[inOrder()[i]].name}: ${text}` : text)).join("; ");
}

const place = (line, share) => { line.style.left = `${100 * share}%`; };

function wordsOf(i) { // "0:12 blues 95 %"
  const [{ starts, length }, rows] = [drawn.known[i], drawn.rows[i]];
  const now = Math.max(0, starts.findLastIndex((start) => start <= at));
  const here = { from: starts[now], numbers: [now] };
  const column = pointed === null ? here : columnAt(drawn.columns[i], pointed * length);
  const row = meanRow(rows, column);
  const time = column.numbers.length > 1 ? `${clock(column.from)} to ${clock(column.to)}` : moment(column.from);
  if (!row) return `${time} silent`;
  return `${time} ${models[inOrder()[i]].classes[largest(row)]} ${percent(Math.max(...row))}`;
}

const columnAt = (columns, second) => columns.find(({ to }) => second < to) ?? columns.at(-1);

function jump(second) {
  at = Math.max(0, Math.min(second, drawn.known[0].length));
  if (shown.url) $("#player").currentTime = at;
  showCursor();
}

function follow() { // the player tells its time four times a second; a cursor shall run
  showCursor();
  if (!$("#player").paused) requestAnimationFrame(follow);
}

function point(event) {
  const { left, width } = $("#chart").getBoundingClientRect();
  pointed = event && Math.max(0, Math.min((event.clientX - left) / width, 1));
  showCursor();
}

$("#player").onplay = follow;
$("#player").ontimeupdate = showCursor;
$("#chart").onpointerdown = ({ pointerId }) => $("#chart").setPointerCapture(pointerId); // beyond its ends too
$("#chart").onpointermove = point;
$("#chart").onpointerleave = $("#chart").onpointercancel = () => point(null);
$("#chart").onpointerup = (event) => {
  point(event);
  jump(pointed * drawn.known[0].length);
};
$("#chart").onkeydown = (event) => {
  const keys = { ArrowRight: at + 1, ArrowUp: at + 1, ArrowLeft: at - 1, ArrowDown: at - 1 };
  Object.assign(keys, { PageUp: at + 10, PageDown: at - 10, Home: 0, End: drawn.known[0].length });
  if (event.key in keys) jump(keys[event.key]);
  else if (event.key === " " && shown.url) $("#player").paused ? $("#player").play() : $("#player").pause();
  else return;
  point(null);
  event.preventDefault();
};
new ResizeObserver(drawChart).observe($("#chart"));
for (const media of ["(prefers-color-scheme: dark)", "(forced-colors: active)"]) matchMedia(media).onchange = drawChart;
