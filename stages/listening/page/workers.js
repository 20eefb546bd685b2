// Songs cut in sections, and workers that hear them, one a core.
"use strict";

const MOST_WORKERS = 8;
const SECTION = 30; // seconds in which a worker's windows start; it gets one more before and two behind, for their ends
const [BEFORE, BEHIND] = [1, 2]; // and for what resampling looks into
const SHORT_SECONDS = 0.2; // by which the length that a file claims may differ from what is there

const idle = []; // a function `ask` of each worker that has nothing to do
const queue = []; // who waits for one
let started = 0;

// Returns a function that sends a worker a message and returns what it has heard. It is to be given back.
async function takeWorker() {
  if (idle.length) return idle.pop();
  if (started < Math.min(navigator.hardwareConcurrency || 1, MOST_WORKERS)) return startWorker();
  return new Promise((resolve) => queue.push(resolve));
}

function giveWorker(ask) {
  const next = queue.shift();
  if (next) next(ask);
  else idle.push(ask);
}

async function startWorker() {
  started++;
  const script = document.getElementById("listener").textContent;
  const worker = new Worker(URL.createObjectURL(new Blob([script], { type: "text/javascript" })));
  const ask = (message, transfer = []) =>
    new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => (data.error ? reject(new Error(data.error)) : resolve(data.heard));
      worker.onerror = (event) => reject(new Error(event.message));
      worker.postMessage(message, transfer);
    });
  await ask({ models });
  return ask;
}

// Returns what each model heard in a song's file, {heard}, in windows that start every `hop` seconds, and what is
// missing, {cutShort}, if anything is.
async function hear(entry, hop, signal, showProgress) {
  const song = await decode(entry.file, entry.url);
  const { rate, positive, claimed, sounds } = song;
  const parts = [];
  let taken = 0;
  for await (const { channels, done, samples, ...section } of cut(sounds, rate)) {
    const ask = await takeWorker();
    if (signal.aborted) return giveWorker(ask);
    taken += samples;
    parts.push(hearSection(ask, { rate, positive, hop, ...section }, channels));
    parts.at(-1).catch(() => {}); // that is seen below
    showProgress(entry, done);
  }
  const heard = conclude((await Promise.all(parts)).flat());
  const [there, missing] = [clock(taken / rate), (claimed - taken) / rate];
  const why = song.damaged
    ? `is damaged: ${missing.toFixed(1)} s lost`
    : `breaks off after ${there} of ${clock(claimed / rate)}`;
  return { heard, cutShort: missing > SHORT_SECONDS ? why : "" };
}

async function hearSection(ask, section, channels) {
  try {
    await ask(section);
    return [await ask({ channels }, channels.map((channel) => channel.buffer)), await ask({ end: true })];
  } finally {
    giveWorker(ask);
  }
}

// Cut sounds; yield sections' {channels}, the second of the song that these {begin} at, and those {from} which and {to}
// which windows are the section's own, then how many {samples} that are, and the share of the song that is {done}.
async function* cut(sounds, rate) {
  let kept = []; // of the sounds that came what is still needed, each with where it starts in the song
  let [came, first] = [0, 0]; // samples, and the second that the next section starts with
  for await (const sound of sounds) {
    kept.push({ ...sound, start: came });
    came += sound.to - sound.from;
    for (; came >= (first + SECTION + BEHIND) * rate; first += SECTION) {
      yield section(first + SECTION, (first + SECTION + BEHIND) * rate, SECTION * rate);
    }
    kept = kept.filter(({ start, from, to }) => start + to - from > (first - BEFORE) * rate);
  }
  if (came) yield section(Infinity, came, came - first * rate);

  function section(to, end, samples) {
    const second = Math.max(0, first - BEFORE);
    const begin = second * rate;
    const channels = Array.from({ length: kept[0].sound.numberOfChannels }, (_, i) => {
      const channel = new Float32Array(end - begin);
      for (const { sound, from, to, start } of kept) {
        const skip = Math.max(0, begin - start);
        const at = start + skip - begin;
        if (at < channel.length && from + skip < to) {
          sound.copyFromChannel(channel.subarray(at, at + to - from - skip), i, from + skip);
        }
      }
      return channel;
    });
    return { channels, begin: second, from: first, to, samples, done: kept.at(-1).done };
  }
}
