// The songs: which there are, and hearing them, two at a time, so that one is decoded while another is heard.
"use strict";

const LANES = 2;
const entries = []; // one a song: {file, name, url, row} and, later, what each model {heard} or an {error}
const waiting = []; // those to be heard, the next one first
const hearing = new Set();
let fresh = []; // those that came last, if none of them has been shown
let [stopped, leftOut] = [0, 0]; // songs, and files in folders that are not audio

function addSongs(files) {
  const added = files.map((file) => addEntry({ file, name: nameOf(file), url: URL.createObjectURL(file) }));
  showRows(added);
  waiting.unshift(...added);
  fresh = [...added];
  hearAll();
}

function addEntry(entry) {
  entries.push(entry);
  addRow(entry);
  return entry;
}

function hearAll() {
  while (waiting.length && hearing.size < LANES) hearNext();
  showBusy();
}

async function hearNext() {
  const entry = waiting.shift();
  if (!entry) return finish();
  hearing.add(entry);
  entry.stop = new AbortController();
  const [{ hop }, { signal }] = [settings, entry.stop];
  const aborted = new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  try {
    Object.assign(entry, await Promise.race([hear(entry, hop, signal, showProgress), aborted]), { error: "" });
  } catch (error) {
    if (!signal.aborted) Object.assign(entry, { heard: null, error: error.message });
  }
  hearing.delete(entry);
  if (!signal.aborted) settle(entry);
  if (!signal.aborted && hop !== settings.hop) waiting.push(entry); // that has changed meanwhile
  hearNext();
}

// Show what came of a song. The first one of those that came last is shown whole, unless somebody chose another.
function settle(entry) {
  showRows([entry]);
  while (fresh[0]?.error) fresh.shift();
  if (fresh[0]?.heard) show(fresh[0]);
  else if (entry === shown) show(entry.heard ? entry : null);
}

function finish() {
  showBusy();
  if (isBusy()) return;
  const failed = entries.filter((entry) => entry.error).length;
  const parts = [];
  if (stopped) parts.push(`Stopped: ${count(stopped, "song")} not heard.`);
  if (entries.length) parts.push(`Heard ${count(entries.length - failed, "song")}.`);
  if (failed) parts.push(`${count(failed, "file")} cannot be heard.`);
  if (leftOut) parts.push(`${count(leftOut, "other file")} left out: not audio.`);
  [stopped, leftOut] = [0, 0];
  say(parts.join(" "));
}

const isBusy = () => hearing.size + waiting.length > 0 || live !== null;

function showBusy() {
  $("main").ariaBusy = String(isBusy());
  $("#busy").hidden = !isBusy();
  $("progress").hidden = !(hearing.size + waiting.length);
  $("#live").disabled = live !== null;
  $("#list").hidden = !entries.length;
}

function showProgress(entry, done) {
  entry.done = done;
  const [first] = hearing;
  const left = hearing.size + waiting.length;
  const parts = [...hearing].reduce((sum, { done = 0 }) => sum + done, 0);
  Object.assign($("progress"), { max: entries.length, value: entries.length - left + parts });
  say(`Hearing song ${entries.length - left + 1} of ${entries.length}: ${first.name}`);
}

// Stop what is going on. Songs that have not been heard go.
function stopAll() {
  stopLive();
  const left = [...hearing, ...waiting];
  waiting.length = 0;
  for (const entry of left) entry.stop?.abort();
  remove(left.filter((entry) => !entry.heard));
  stopped += left.length;
}

// Remove songs, and look at those that stay once: song by song it would take the square of the time.
function remove(songs) {
  const gone = new Set(songs);
  for (const entry of gone) {
    entry.stop?.abort();
    entry.row.remove();
    if (entry.url) URL.revokeObjectURL(entry.url);
  }
  for (const list of [entries, waiting, fresh]) list.splice(0, list.length, ...list.filter((entry) => !gone.has(entry)));
  if (gone.has(live?.entry)) stopLive();
  if (gone.has(shown)) show(entries.find((each) => each.heard));
  showSaving();
  showBusy();
  if (!entries.length) say("");
}

// Hear every song again, with other windows.
function hearAgain() {
  waiting.push(...entries.filter((entry) => entry.file && !hearing.has(entry) && !waiting.includes(entry)));
  hearAll();
}
