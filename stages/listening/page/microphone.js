// The microphone: what it hears goes to a worker as a song's pieces do, and each second's verdict is shown as it comes.
// The sound is kept nowhere.
"use strict";

const PIECE = 16384; // samples
const RAW = { echoCancellation: false, noiseSuppression: false, autoGainControl: false }; // made for speech
const REFUSALS = { // WebKit calls it too much asked for if there is none
  NotAllowedError: "the browser does not allow it", NotFoundError: "found none", OverconstrainedError: "found none",
};

let live = null; // what is being listened to: {entry, stop}, or nothing of it while the browser asks

async function listenLive() {
  const own = (live = {});
  showBusy();
  say("The browser asks whether this page may listen.");
  try {
    const stream = await openMicrophone();
    const ask = idle.pop() ?? (await startWorker());
    if (live === own) return listenTo(stream, ask);
    closeStream(stream); // it was stopped meanwhile
    giveWorker(ask);
  } catch (error) {
    live = null;
    finish();
    say(`No microphone: ${REFUSALS[error.name] ?? error.message}.`);
  }
}

async function openMicrophone() {
  if (navigator.mediaDevices) return navigator.mediaDevices.getUserMedia({ audio: RAW });
  throw new Error("the browser gives one only to pages that are opened from the disk or over https");
}

const closeStream = (stream) => stream.getTracks().forEach((track) => track.stop());

function listenTo(stream, ask) {
  const context = new AudioContext();
  const source = context.createMediaStreamSource(stream);
  const ears = context.createScriptProcessor(PIECE, 1, 1); // a worklet would be a script of its own, which is forbidden
  const entry = addEntry({ name: `Microphone, ${new Date().toLocaleTimeString()}` });
  const sections = [];
  let turn = ask({ rate: context.sampleRate, hop: 1 }); // of the worker: one message after the other
  const send = (...message) => (turn = turn.then(() => ask(...message)).then((section) => sections.push(section)));

  ears.onaudioprocess = ({ inputBuffer }) => {
    const samples = inputBuffer.getChannelData(0).slice();
    send({ samples }, [samples.buffer]).then(() => hearLive(entry, sections), stop);
  };
  live = { entry, stop };
  fresh = [entry];
  hearLive(entry, sections);
  stream.getAudioTracks()[0].onended = stop; // it was unplugged
  say("Listening to the microphone. Nothing is kept or sent.");
  showBusy();
  source.connect(ears).connect(context.destination); // of silence: browsers ask nobody for sound who leads nowhere

  async function stop() {
    if (live?.entry !== entry) return; // several pieces may be refused
    live = null;
    ears.onaudioprocess = null;
    closeStream(stream);
    context.close();
    const wrong = await send({ end: true }).then(() => "", ({ message }) => message);
    giveWorker(ask);
    hearLive(entry, sections, wrong);
    finish();
    if (wrong) say(`Listening has ended: ${wrong}.`);
  }
}

// Show what has been heard so far, once there is something.
function hearLive(entry, sections, wrong) {
  if (!entries.includes(entry)) return; // it was removed
  try {
    entry.heard = conclude(sections);
    entry.error = "";
  } catch (error) {
    entry.error = live ? "nothing yet" : wrong || error.message;
  }
  showRows([entry]);
  if (!entry.heard || (entry !== shown && entry !== fresh[0])) return;
  show(entry);
  jump(heard(entry).length);
}

function stopLive() {
  if (live?.stop) return live.stop();
  live = null;
  finish();
}
