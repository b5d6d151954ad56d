// One step of the list at a time: what belongs to it is shown in the graph, and said to a screen reader.
const steps = [...document.querySelectorAll("ol.all > li")];
const codes = [...document.querySelectorAll(".code")];
const drawing = document.querySelector("svg.drawing");
const graph = document.querySelector(".graph");
const buttons = Object.fromEntries([...document.querySelectorAll(".buttons button")].map(b => [b.dataset.to, b]));
let now = 0;

// A step's keys, as they stand in its data: "n1 n4".
const keys = (step, name) => step.dataset[name].split(" ").filter(key => key);

function mark(selector, wanted, name) {
  for (const element of drawing.querySelectorAll(selector)) {
    element.classList.toggle(name, wanted.has(element.dataset.node || element.dataset.link));
  }
}

function show(number) {
  now = Math.max(0, Math.min(number, steps.length - 1));
  const step = steps[now];
  steps.forEach(other => { other.hidden = other !== step; });
  mark(".node", new Set(keys(step, "current")), "current");
  mark(".link", new Set(keys(step, "links")), "current");
  // what has been computed up to here
  for (const kind of ["value", "gradient"]) {
    const known = new Set(steps.slice(0, now + 1).flatMap(s => keys(s, kind + "s")));
    for (const text of drawing.querySelectorAll("text." + kind)) {
      text.classList.toggle("known", known.has(text.parentNode.dataset.node));
    }
  }
  codes.forEach(code => {
    code.hidden = code.dataset.code !== step.dataset.code;
    code.querySelectorAll("pre").forEach(pre => pre.classList.toggle("now", pre.dataset.direction === step.dataset.direction));
  });
  document.querySelector("#count").textContent = `Step ${now + 1} of ${steps.length}, ${step.dataset.direction}`;
  document.querySelector("#said").textContent = step.querySelector(".sentence").textContent;
  buttons.first.ariaDisabled = buttons.back.ariaDisabled = String(now === 0);
  buttons.last.ariaDisabled = buttons.next.ariaDisabled = String(now === steps.length - 1);
  bringIntoView(drawing.querySelector(".node.current"));
}

function bringIntoView(node) {
  if (!node) return;
  const place = node.getBoundingClientRect(), frame = graph.getBoundingClientRect();
  graph.scrollBy(place.left + place.width / 2 - frame.left - frame.width / 2, place.top + place.height / 2 - frame.top - frame.height / 2);
}

const moves = { first: () => 0, back: () => now - 1, next: () => now + 1, last: () => steps.length - 1 };
const letters = { Home: "first", ArrowLeft: "back", ArrowRight: "next", End: "last" };

for (const [to, button] of Object.entries(buttons)) button.addEventListener("click", () => show(moves[to]()));
document.addEventListener("keydown", event => {
  // in the graph and in code the arrows scroll
  if (!(event.key in letters) || event.target.closest(".scroll") || event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault();
  show(moves[letters[event.key]]());
});

document.querySelector(".controls").hidden = false;
document.querySelector("main").classList.add("stepping");
show(0);
