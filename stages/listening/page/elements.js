// What the rest of the page is written with: its elements, numbers as people read them, files to take away.
"use strict";

const $ = (selector) => document.querySelector(selector);

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function say(text) {
  if ($("#status").textContent !== text) $("#status").textContent = text;
}

const count = (n, what) => `${n} ${what}${n === 1 ? "" : "s"}`;
const percent = (share) => (share > 0.995 && share < 1 ? "> 99 %" : `${Math.round(share * 100)} %`);
const largest = (numbers) => numbers.indexOf(Math.max(...numbers));

function clock(seconds) { // 3:07, 1:03:07
  const [hours, minutes, rest] = [seconds / 3600, (seconds / 60) % 60, seconds % 60].map(Math.floor);
  const two = (number) => String(number).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

function moment(seconds) { // a clock that shows fractions, if there are any: 3:07.5
  return clock(seconds) + (seconds % 1 ? String(Number((seconds % 1).toFixed(3))).slice(1) : "");
}

function download(name, blob) {
  const url = URL.createObjectURL(blob);
  element("a", { href: url, download: name.replace(/[<>:"/\\|?*]/g, "_") }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60000);
}
