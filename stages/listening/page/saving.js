// What may be taken away: tables and JSON as `predict` writes them, a playlist for each genre.
"use strict";

// What `predict --json` writes, of the model that is chosen.
Object.defineProperty(window, "songs", {
  get: () => entries.filter((entry) => entry.heard).map((entry) => {
    const { genre, whole, ...known } = heard(entry);
    const rows = smoothed(known);
    const seconds = known.starts.map((start, i) => ({ start, probabilities: rows[i] && named(rows[i]) }));
    return { file: entry.name, genre, probabilities: named(whole), silent: silentSeconds(known), seconds };
  }),
});

const named = (numbers) => Object.fromEntries(models[model].classes.map((name, i) => [name, numbers[i]]));

// CSV: text in quotes, nothing that a spreadsheet takes for a formula.
const quoted = (text) => `"${text.replace(/^(?=[=+\-@\t\r])/, "'").replaceAll('"', '""')}"`;
const asCsv = (rows) => rows.map((row) => `${row.join()}\n`).join("");

function songTable() { // `predict --csv`: a line a song
  const { classes } = models[model];
  const head = ["file", "genre", "probability", "silent", ...classes].map(quoted);
  return asCsv([head, ...entries.filter((entry) => entry.heard).map((entry) => {
    const { genre, sure, whole, ...known } = heard(entry);
    return [quoted(entry.name), quoted(genre), sure, silentSeconds(known), ...whole];
  })]);
}

function secondTable() { // `predict --seconds-csv`: a line a window, empty if it is silent
  const { classes } = models[model];
  const head = ["file", "start", ...classes].map(quoted);
  return asCsv([head, ...entries.filter((entry) => entry.heard).flatMap((entry) => {
    const known = heard(entry);
    return smoothed(known).map((row, i) => [quoted(entry.name), known.starts[i], ...(row ?? classes.map(() => ""))]);
  })]);
}

// The files of a genre, by their places below the folder that was chosen or dropped: there a player looks for them.
function playlist(genre) {
  const files = entries.filter((entry) => entry.file && heard(entry)?.genre === genre);
  return ["#EXTM3U", ...files.map(({ name }) => name.replace(/^#/, "./#")), ""].join("\n"); // # starts a comment
}

// Show what there is to save: nothing, or tables, and a playlist for each genre that a file is of.
function showSaving() {
  const known = entries.filter((entry) => entry.heard);
  for (const id of ["csv", "seconds", "json"]) $(`#${id}`).disabled = !known.length;
  const genres = known.filter((entry) => entry.file).map((entry) => heard(entry).genre);
  const buttons = [...new Set(genres)].sort().map((genre) => element("button", {
    type: "button",
    textContent: `${genre} (${genres.filter((each) => each === genre).length})`,
    onclick: () => download(`${genre}.m3u8`, new Blob([playlist(genre)], { type: "audio/x-mpegurl" })),
  }));
  $("#playlists").hidden = !buttons.length;
  $("#playlists span").replaceChildren(...buttons);
}

$("#csv").onclick = () => download("songs.csv", new Blob([songTable()], { type: "text/csv" }));
$("#seconds").onclick = () => download("seconds.csv", new Blob([secondTable()], { type: "text/csv" }));
$("#json").onclick = () =>
  download("songs.json", new Blob([`${JSON.stringify(songs, null, 2)}\n`], { type: "application/json" }));
