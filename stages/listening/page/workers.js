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
  const script = document.getElementById("listener").textContent;
  const worker = new Worker(URL.createObjectURL(new Blob([script], { type: "text/javascript" })));
  started++;
  const ask = (message, transfer = []) =>
    new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => (data.error ? reject(new Error(data.error)) : resolve(data.heard));
      worker.onerror = (event) => reject(new Error(event.message));
      worker.postMessage(message, transfer);
    });
  try {
    await ask({ models });
  } catch (error) {
    started--;
    throw error;
  }
  return ask;
}

// Returns what each model heard in a song's file, {heard}, in windows that start every `hop` seconds, and what is
// missing, {cutShort}, if anything is.
async function hear(entry, hop, signal, showProgress) {
  const song = await decode(entry.file, entry.url);
  const { rate, claimed, sounds } = song;
  const mixer = makeMixer(rate, song.positive);
  const parts = [];
  for await (const { done, samples, ...section } of cut(sounds, rate, mixer.mix)) {
    const ask = await takeWorker();
    if (signal.aborted) return giveWorker(ask);
    const part = ask({ rate, hop, ...section, samples, end: true }, [samples.buffer]).finally(() => giveWorker(ask));
    part.catch(() => {}); // that is seen below
    parts.push(part);
    showProgress(entry, done);
  }
  mixer.check();
  const heard = conclude(await Promise.all(parts));
  const [taken, missing] = [mixer.taken(), (claimed - mixer.taken()) / rate];
  const why = song.damaged
    ? `is damaged: ${missing.toFixed(1)} s lost`
    : `breaks off after ${clock(taken / rate)} of ${clock(claimed / rate)}`;
  return { heard, cutShort: missing > SHORT_SECONDS ? why : "" };
}

// Cut sounds, each a generator of blocks for `mix`; yield sections' {samples}, the second of the song that these {begin}
// at, and those {from} which and {to} which windows are the section's own, and the share of the song that is {done}.
async function* cut(sounds, rate, mix) {
  const makeRoom = () => new Float32Array((BEFORE + SECTION + BEHIND) * rate + BLOCK);
  let [samples, came, begin, from] = [makeRoom(), 0, 0, 0];
  for await (const { done, ...sound } of sounds) {
    for (const block of mix(sound)) {
      samples.set(block, came);
      came += block.length;
      const to = from + SECTION;
      if (came < (to + BEHIND - begin) * rate) continue;
      const [next, skipped] = [makeRoom(), (to - BEFORE - begin) * rate];
      next.set(samples.subarray(skipped, came));
      yield { samples: samples.subarray(0, came), begin, from, to, done };
      [samples, came, begin, from] = [next, came - skipped, to - BEFORE, to];
    }
  }
  if (came) yield { samples: samples.subarray(0, came), begin, from, to: Infinity, done: 1 };
}
