// The page's own parts together: the models, the settings, the buttons; what the rest of the scripts stand ready for.
"use strict";

const LEAST_HOP = 0.001; // seconds: as stages/listening/listener.py has it

function choose(number) {
  model = number;
  $("#about ul").replaceChildren(...models[model].about.map((text) => element("li", { textContent: text })));
  $("#warning").hidden = !models[model].warning;
  $("#warning").textContent = models[model].warning;
  judgeAgain();
}

// Show all songs by the model and the settings of now.
function judgeAgain() {
  showRows(entries);
  show(shown);
}

function addSwitch() {
  $("#switch").hidden = models.length < 2;
  $("#switch").append(...models.map((each, i) => {
    const radio = element("input", { type: "radio", name: "model", checked: i === 0, onchange: () => choose(i) });
    return element("label", {}, radio, ` ${each.title}`);
  }));
}

// What is wrong with a setting, or nothing.
const CHECKS = {
  unknown: (value) => {
    const taken = models.some(({ classes }) => classes.some((name) => name.toLowerCase() === UNKNOWN_GENRE));
    if (value && taken) return "a class has this name";
    return value >= 0 && value <= 1 ? "" : "expected a probability, say 0.6";
  },
  hop: (value) => (value >= LEAST_HOP && value < 3600 ? "" : `expected seconds from ${LEAST_HOP}, say 0.5`),
  smooth: (value) => (value >= 0 && value <= 3600 ? "" : "expected seconds up to 3600, say 5"),
};

function set(name, field) {
  const value = field.value === "" && !field.validity.badInput ? Number(field.placeholder) : field.valueAsNumber;
  const wrong = CHECKS[name](value);
  field.ariaInvalid = String(Boolean(wrong));
  $(`#${name}-wrong`).textContent = wrong;
  if (wrong || value === settings[name]) return;
  settings[name] = value;
  if (name === "hop") hearAgain();
  else judgeAgain();
}

$("#files").accept = ["audio/*", ...suffixes].join();
for (const name of Object.keys(settings)) $(`#${name}`).onchange = ({ target }) => set(name, target);
$("#live").onclick = listenLive;
$("#stop").onclick = stopAll;
$("#clear").onclick = () => {
  remove(entries);
  $("#files").focus();
};
$("#song").onkeydown = ({ key }) => {
  if (key === "Escape") shown.row.querySelector("button").focus();
};

addSwitch();
addCharts();
Object.keys(COLUMNS).forEach(addHead);
choose(0);
takeWorker().then(giveWorker).catch((error) => say(`This browser cannot run the page: ${error.message}`));
