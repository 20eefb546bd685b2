// A song's channels averaged, and whether they cancel each other out in that: as stages/audio/decode.py has it.
"use strict";

const LOUDEST = 1e6; // the root mean square of some moments; full scale is 1
const CANCELLED = 0.1; // of the energy that unrelated channels would leave in their mean; encoders leave less in low sounds
const LOW = 1400; // Hz; at a low bit rate an encoder gives what is higher to both channels alike
const BLOCK = 4096; // samples, which the processor's nearest cache holds
const SOME = 8; // one in so many blocks is listened to for low sounds: enough to tell, and faster

// Returns {mix}, which yields the mean of a sound's channels block by block, each gone with the next one; {taken}, which
// says how many samples that were, and {check}, which throws an Error if channels cancel out. What positive samples are
// to be multiplied by makes all of one scale.
function makeMixer(rate, positive) {
  const [mono, nothing] = [new Float32Array(BLOCK), new Float32Array(BLOCK)];
  const [all, magnitudes] = [(positive + 1) / 2, (positive - 1) / 2]; // the latter's share is 0 in a negative sample's sum
  const length = Math.max(1, Math.floor(rate / LOW));
  let [taken, blocks, channels] = [0, 0, []];
  let [before, unrelated, after] = [0, 0, 0]; // energy of a channel, of a mean of as many unrelated ones, and of theirs
  let [lowUnrelated, lowAfter] = [0, 0];

  function* mix({ sound, from, to }) {
    const n = sound.numberOfChannels;
    if (channels.length !== n) channels = Array.from({ length: n }, () => new Float32Array(BLOCK));
    for (let at = from; at < to; at += BLOCK) {
      const size = Math.min(BLOCK, to - at);
      channels.forEach((channel, i) => sound.copyFromChannel(channel.subarray(0, size), i, at));
      average(size, n);
      yield mono.subarray(0, size);
    }
  }

  function average(size, n) {
    let [energy, left] = [0, 0];
    mono.fill(0);
    for (let i = 0, own; i < n; i += 2) {
      [own, left] = addPair(mono, channels[i], channels[i + 1] ?? nothing, size, all / n, magnitudes / n);
      energy += own / n;
    }
    if (!(left <= LOUDEST ** 2 * size)) throw new Error("holds NaN or infinity, or numbers far beyond full scale");
    [taken, before, unrelated, after] = [taken + size, before + energy, unrelated + energy / n, after + left];
    if (n === 1 || blocks++ % SOME) return;
    lowAfter += energyOf(mono, size, length);
    for (const channel of channels) lowUnrelated += energyOf(channel, size, length) / n ** 2;
  }

  function check() {
    if (after >= CANCELLED * unrelated && (after >= unrelated || lowAfter >= CANCELLED * lowUnrelated)) return;
    const decibels = (energy) => (energy ? `${(10 * Math.log10(energy / taken)).toFixed(0)} dB` : "nothing");
    throw new Error("has channels that cancel each other out: " +
      `${decibels(before)} before they are averaged, ${decibels(after)} after`);
  }

  return { mix, check, taken: () => taken };
}

// Add two channels to their mean, by the factors of samples and of magnitudes; return their energy, and the mean's so
// far. No branch: a processor guesses signs badly.
function addPair(mono, one, two, size, all, magnitudes) {
  let first = 0, second = 0, left = 0;
  for (let i = 0; i < size; i++) {
    const a = one[i], b = two[i];
    const sum = mono[i] + (a + b) * all + (Math.abs(a) + Math.abs(b)) * magnitudes;
    first += a * a;
    second += b * b;
    left += sum * sum;
    mono[i] = sum;
  }
  return [first + second, left];
}

// The energy of the sums of so many neighbours.
function energyOf(samples, size, length) {
  let energy = 0;
  for (let i = 0; i + length <= size; ) {
    let sum = 0;
    for (const end = i + length; i < end; i++) sum += samples[i];
    energy += sum * sum;
  }
  return energy;
}
