// The chart: each model's probabilities over a song's time, stacked, the chosen one's on top; where the models disagree
// is marked. Painted on canvases, by functions that the picture to take away is painted with too.
"use strict";

const TICKS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600]; // seconds between marks on the time axis
const TICK_WIDTHS = [50, 80]; // pixels between them, at least, by whether there are hours
const COLUMN_WIDTH = 3; // pixels, at least: narrower ones are a blur
const STRIPES = ["M-2 2l4-4M0 8l8-8M6 10l4-4", "M-2 6l4 4M0 0l8 8M6-2l4 4", "M0 4h8"]; // of classes beyond the colours

// A song's windows as columns of a chart, as many as it has room for: {from, to: seconds, numbers: of their windows}.
function columnsOf({ starts, length }, pixels) {
  const n = Math.min(starts.length, Math.max(1, Math.floor(pixels / COLUMN_WIDTH)));
  return Array.from({ length: n }, (_, i) => {
    const [first, end] = [i, i + 1].map((at) => Math.floor((at * starts.length) / n));
    const numbers = Array.from({ length: end - first }, (_, k) => first + k);
    return { from: starts[first], to: starts[end] ?? length, numbers };
  });
}

// The mean of a column's rows, or null if all are silent.
function meanRow(rows, { numbers }) {
  const own = numbers.map((number) => rows[number]).filter(Boolean);
  return own.length ? own[0].map((_, i) => own.reduce((sum, row) => sum + row[i], 0) / own.length) : null;
}

// The share of a column's windows in which the models do not all find the same likeliest. `likeliest` has each model's.
function disagreement(likeliest, { numbers }) {
  const differ = numbers.filter((number) => new Set(likeliest.map((own) => own[number])).size > 1);
  return differ.length / numbers.length;
}

// What to paint a class with: a colour, or, of the classes beyond the colours, a striped one.
function paintOf(number) {
  const colour = colours[number % colours.length];
  const round = Math.floor(number / colours.length) % (STRIPES.length + 1);
  if (!round) return colour;
  const tile = element("canvas", { width: 8, height: 8 });
  const pen = tile.getContext("2d");
  Object.assign(pen, { fillStyle: colour, strokeStyle: "#fff", lineWidth: 2 });
  pen.fillRect(0, 0, 8, 8);
  pen.stroke(new Path2D(STRIPES[round - 1]));
  return pen.createPattern(tile, "repeat");
}

// Paint each class from the bottom up to the sum of its own and the earlier ones' shares, the last one first, so that
// nothing shows through between two.
function paintAreas(pen, { x, y, width, height }, columns, rows, length) {
  pen.fillStyle = "#fff"; // silence
  pen.fillRect(x, y, width, height);
  const means = columns.map((column) => meanRow(rows, column));
  const n = means.find(Boolean)?.length ?? 0;
  for (let number = n - 1; number >= 0; number--) {
    pen.fillStyle = paintOf(number);
    columns.forEach((column, i) => {
      if (!means[i]) return;
      const [left, right] = edges(column, length, width);
      const share = number === n - 1 ? 1 : means[i].slice(0, number + 1).reduce((a, b) => a + b);
      pen.fillRect(x + left, y + (1 - share) * height, right - left, share * height);
    });
  }
}

function paintDisagreement(pen, { x, y, width, height }, columns, likeliest, length) {
  for (const column of columns) {
    const [left, right] = edges(column, length, width);
    pen.globalAlpha = disagreement(likeliest, column);
    pen.fillRect(x + left, y, right - left, height);
  }
  pen.globalAlpha = 1;
}

const edges = ({ from, to }, length, width) => [from, to].map((at) => Math.round((at / length) * width));

const tickWidth = (length) => TICK_WIDTHS[Number(length > 3600)];

// The marks of a time axis so many pixels wide, in seconds.
function ticksOf(length, width) {
  const step = TICKS.find((each) => (length / each) * tickWidth(length) <= width) ?? TICKS.at(-1);
  return Array.from({ length: Math.floor(length / step) + 1 }, (_, i) => i * step);
}
