// The picture of a song to take away, as PNG: its name, its verdict, its chart. It is light on any screen.
"use strict";

const [WIDTH, MARGIN_X] = [1200, 40];
const [AREAS_HEIGHT, DIFFER_HEIGHT] = [200, 12];
const FONT = "system-ui, sans-serif";

async function pictureOf(entry) {
  const canvas = element("canvas", { width: WIDTH, height: 170 + models.length * (AREAS_HEIGHT + 40) });
  const pen = canvas.getContext("2d");
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  write(pen, entry.name, MARGIN_X, 50, "bold 28px");
  write(pen, $("#verdict").textContent, MARGIN_X, 88, "20px");
  writeLegend(pen, 122);
  const end = paintCharts(pen, 140);
  writeAxis(pen, end + 20);
  return new Promise((resolve) => canvas.toBlob(resolve));
}

function write(pen, text, x, y, font) {
  Object.assign(pen, { font: `${font} ${FONT}`, fillStyle: "#000", textAlign: "left" });
  pen.fillText(text, x, y, WIDTH - MARGIN_X - x);
}

function writeLegend(pen, y) { // the likeliest classes, as many as there is room for
  const { whole } = heard(shown);
  const { classes } = models[model];
  pen.font = `18px ${FONT}`;
  let x = MARGIN_X;
  for (const number of [...classes.keys()].sort((a, b) => whole[b] - whole[a])) {
    const text = `${classes[number]} ${percent(whole[number])}`;
    const width = 24 + pen.measureText(text).width;
    if (x + width > WIDTH - MARGIN_X) break;
    pen.fillStyle = paintOf(number);
    pen.fillRect(x, y - 15, 16, 16);
    write(pen, text, x + 24, y, "18px");
    x += width + 28;
  }
}

// Paint the chart of each model, and between the first two where they disagree; return where they end.
function paintCharts(pen, y) {
  const { length } = drawn.known[0];
  const box = { x: MARGIN_X, width: WIDTH - 2 * MARGIN_X, height: AREAS_HEIGHT };
  inOrder().forEach((number, i) => {
    const columns = columnsOf(drawn.known[i], box.width);
    if (models.length > 1) write(pen, models[number].name, MARGIN_X, (y += 22) - 6, "16px");
    paintAreas(pen, { ...box, y }, columns, drawn.rows[i], length);
    y += AREAS_HEIGHT;
    if (i || models.length < 2) return;
    pen.fillStyle = "#000";
    paintDisagreement(pen, { ...box, y: (y += 6), height: DIFFER_HEIGHT }, columns, likeliestOf(shown), length);
    write(pen, "black: where the models disagree", MARGIN_X, (y += DIFFER_HEIGHT + 18) - 2, "14px");
  });
  return y;
}

function writeAxis(pen, y) {
  const width = WIDTH - 2 * MARGIN_X;
  const { length } = drawn.known[0];
  Object.assign(pen, { font: `16px ${FONT}`, fillStyle: "#000" });
  for (const second of ticksOf(length, 0.8 * width)) { // the page's letters are smaller
    pen.textAlign = second === 0 ? "left" : second / length > 1 - tickWidth(length) / 2 / width ? "right" : "center";
    pen.fillText(clock(second), MARGIN_X + (second / length) * width, y);
  }
}

$("#picture").onclick = async () => {
  const { name } = shown;
  download(`${name}.png`, await pictureOf(shown));
};
