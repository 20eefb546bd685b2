// What comes in: files that are chosen or dropped, and the sounds in folders.
"use strict";

const SOUND = new RegExp(`(${suffixes.map((suffix) => `\\${suffix}`).join("|")})$`, "i"); // what `predict` takes in a folder

// What was dropped: a file itself, which Chromium gives of a page opened by double click too, or a folder's sounds.
// Folders are read by their handles where there are any, else by their entries; both must be asked for at once.
function dropped(item) {
  const [file, entry, handle] = [item.getAsFile(), item.webkitGetAsEntry?.(), item.getAsFileSystemHandle?.()];
  if (!entry?.isDirectory) return Promise.resolve(file ? [file] : []);
  return handle ? handle.then((folder) => filesIn(folder, folder.name)).then(soundsOf) : filesOf(entry);
}

async function filesIn(folder, path) {
  const found = [];
  for await (const each of folder.values()) {
    const place = `${path}/${each.name}`;
    if (each.kind === "directory") found.push(...await filesIn(each, place));
    else found.push(Object.assign(await each.getFile(), { path: place }));
  }
  return found;
}

async function filesOf(item) { // of an entry: a file, or all sounds in a folder and those below it
  if (item.isFile) return [await new Promise((resolve, reject) => item.file(resolve, reject))];
  const reader = item.createReader();
  const found = [];
  for (let some; (some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject))).length; ) {
    for (const each of some) {
      const files = await filesOf(each);
      if (each.isFile) files[0].path = each.fullPath.slice(1);
      found.push(...files);
    }
  }
  return soundsOf(found);
}

function soundsOf(files) { // in a folder, in order; hidden ones do not count
  const seen = files.filter((file) => !/\/\./.test(nameOf(file)));
  const sounds = seen.filter((file) => SOUND.test(file.name));
  leftOut += seen.length - sounds.length;
  return sounds.sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
}

const nameOf = (file) => file.path || file.webkitRelativePath || file.name;

function takeIn(files) {
  if (files.length) return addSongs(files);
  leftOut = 0;
  say("Found no sound there: expected mp3, ogg, flac, wav, m4a or opus.");
}

$("#files").onchange = ({ target }) => {
  takeIn([...target.files]);
  target.value = ""; // so that the same file may be chosen again
};
$("#folder").onchange = ({ target }) => {
  takeIn(soundsOf([...target.files]));
  target.value = "";
};
document.ondragover = (event) => {
  event.preventDefault();
  document.body.classList.add("over");
};
document.ondragleave = (event) => event.relatedTarget ?? document.body.classList.remove("over");
document.ondragenter = (event) => event.preventDefault();
document.ondrop = async (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  try {
    const items = [...event.dataTransfer.items].filter((item) => item.kind === "file");
    takeIn((await Promise.all(items.map(dropped))).flat());
  } catch (error) {
    say(`What was dropped cannot be read: ${error.message}. Choose it with the buttons above.`);
  }
};
