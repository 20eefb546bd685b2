// The models, and what is made of the probabilities that they give to windows of a second: a song's verdict.
"use strict";

const LEAST = 1e-30; // of a probability, before its logarithm: as stages/models/scoring.py has it
const UNKNOWN_GENRE = "unknown"; // of a song whose likeliest class is not likely enough
const { models, colours, suffixes } = JSON.parse(document.getElementById("data").textContent);
const settings = { unknown: 0, hop: 1, smooth: 0 }; // those of `predict`; 0 is off
let model = 0; // the number of the one that is chosen

// The mean of rows' log-probabilities, made to add up to 1 again.
function verdict(rows) {
  const weights = rows[0].map((_, i) =>
    Math.exp(rows.reduce((sum, row) => sum + Math.log(Math.max(row[i], LEAST)), 0) / rows.length));
  const sum = weights.reduce((a, b) => a + b);
  return weights.map((weight) => weight / sum);
}

// What each model heard in a song, from what it heard in its sections, and of the whole: silent windows have no vote.
// A window's row of probabilities is null if it is silent.
function conclude(sections) {
  return models.map((_, i) => {
    const [starts, rows] = ["starts", "rows"].map((key) => sections.flatMap((section) => section[i][key]));
    if (!rows.length) throw new Error("is shorter than half a second");
    const voters = rows.filter(Boolean);
    if (!voters.length) throw new Error(gaps(starts) ? "is silent in every window" : "is silent throughout");
    return { starts, rows, whole: verdict(voters), length: starts.at(-1) + 1 };
  });
}

const gaps = (starts) => starts[1] > 1; // between the windows, where there may be sound

// What a model heard in a song, the chosen one unless another is named, or nothing yet.
function heard(entry, number = model) {
  if (!entry.heard) return null;
  const { classes } = models[number];
  const known = entry.heard[number];
  const [likeliest, sure] = [classes[largest(known.whole)], Math.max(...known.whole)];
  return { ...known, likeliest, sure, genre: sure < settings.unknown ? UNKNOWN_GENRE : likeliest };
}

// A song's windows with what the neighbours have to say: each row is the verdict of the rows that start at most half of
// so many seconds away. What is silent stays so.
function smoothed({ starts, rows }) {
  const reach = Math.floor(settings.smooth / 2 / (starts[1] ?? 1) + 1e-9); // windows on either side
  if (!reach) return rows;
  return rows.map((row, i) => row && verdict(rows.slice(Math.max(0, i - reach), i + reach + 1).filter(Boolean)));
}

// How many seconds of a song are silent: a window stands for the time until the next one starts, the last for a second.
function silentSeconds({ starts, rows, length }) {
  const seconds = rows.reduce((sum, row, i) => sum + (row ? 0 : (starts[i + 1] ?? length) - starts[i]), 0);
  return Number(seconds.toFixed(3));
}
