// The microphone: what it hears goes to a worker as a song's pieces do, and each second's verdict is shown as it comes.
// The sound is kept nowhere.
"use strict";

const PIECE = 16384; // samples
const RAW = { echoCancellation: false, noiseSuppression: false, autoGainControl: false }; // made for speech
const REFUSALS = { NotAllowedError: "the browser does not allow it", NotFoundError: "found none" };

let live = null; // what is being listened to: {entry, stop}

async function listenLive() {
  try {
    if (live) return;
    if (!navigator.mediaDevices) throw new Error("the browser gives one to pages opened from the disk or over https only");
    live = {};
    showBusy();
    say("The browser asks whether this page may listen.");
    const stream = await navigator.mediaDevices.getUserMedia({ audio: RAW });
    await listenTo(stream);
  } catch (error) {
    live = null;
    finish();
    say(`No microphone: ${REFUSALS[error.name] ?? error.message}.`);
  }
}

async function listenTo(stream) {
  const context = new AudioContext();
  const source = context.createMediaStreamSource(stream);
  const ears = context.createScriptProcessor(PIECE, 1, 1); // a worklet would be a script of its own, which is forbidden
  const ask = idle.pop() ?? (await startWorker());
  await ask({ rate: context.sampleRate, positive: 1, hop: 1 });
  const entry = addEntry({ name: `Microphone, ${new Date().toLocaleTimeString()}` });
  const sections = [];
  let turn = Promise.resolve(); // of the worker: one message after the other
  const send = (...message) => (turn = turn.then(() => ask(...message)).then((section) => sections.push(section)));

  ears.onaudioprocess = ({ inputBuffer }) => {
    const samples = inputBuffer.getChannelData(0).slice();
    send({ channels: [samples] }, [samples.buffer]).then(() => hearLive(entry, sections));
  };
  live = { entry, stop };
  stream.getAudioTracks()[0].onended = stop; // it was unplugged
  say("Listening to the microphone. Nothing is kept or sent.");
  showBusy();
  source.connect(ears).connect(context.destination); // of silence: browsers ask nobody for sound who leads nowhere

  async function stop() {
    live = null;
    ears.onaudioprocess = null;
    stream.getTracks().forEach((track) => track.stop());
    context.close();
    await send({ end: true });
    giveWorker(ask);
    hearLive(entry, sections);
    finish();
  }
}

// Show what has been heard so far, once there is something.
function hearLive(entry, sections) {
  if (!entries.includes(entry)) return; // it was removed
  try {
    entry.heard = conclude(sections);
    entry.error = "";
  } catch (error) {
    entry.error = live ? "nothing yet" : error.message;
  }
  fillRow(entry);
  sortRows();
  if (!entry.heard || (live && shown !== entry && !fresh.includes(entry))) return;
  at = heard(entry).length;
  show(entry);
}

function stopLive() {
  live?.stop?.();
}
