// The curves, and what all figures have in common. The numbers are in #data; what people wrote is text in it, never markup.
const data = JSON.parse(document.querySelector("#data").textContent);
const dark = matchMedia("(prefers-color-scheme: dark)");
const byId = id => document.getElementById(id);
const colour = name => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
// plotly.js takes <b> in a label for bold; a label of ours may be anything
const text = words => String(words).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
// black is drawn as ink: it must be seen on dark paper, too
const lineColour = number => data.colours[number % data.colours.length].replace("#000000", colour("ink"));

// named one by one: by itself plotly.js offers to send a figure to its makers' server
const settings = { displaylogo: false, responsive: true, showSendToCloud: false, plotlyServerURL: "",
                   modeBarButtons: [["zoom2d", "pan2d"], ["zoomIn2d", "zoomOut2d", "resetScale2d"], ["toImage"]] };
const coarse = matchMedia("(pointer: coarse)").matches;  // there a finger on a figure scrolls the page

function layout(more) {
  const grid = colour("box-line") + "80";  // half seen through
  const axis = { gridcolor: grid, linecolor: colour("line"), zerolinecolor: grid, automargin: true };
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: colour("ink"), size: 13 },
    margin: { l: 50, r: 12, t: 30, b: 44 }, showlegend: false, dragmode: coarse ? false : "zoom", hovermode: "closest",
    hoverlabel: { bgcolor: colour("box"), bordercolor: colour("line"), font: { color: colour("ink") }, namelength: -1 },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("muted"), activecolor: colour("accent") },
    ...more, xaxis: { ...axis, ...more.xaxis }, yaxis: { ...axis, ...more.yaxis },
  };
}

// The debiased exponential moving average, as nnkit plot --smooth has it.
function smoothed(values, beta) {
  let total = 0, weight = 0;
  return values.map(value => { total = beta * total + value; weight = beta * weight + 1; return total / weight; });
}

// One box for each run, or for each measure of the losses where there is one run; of several runs both.
const several = data.runs.length > 1;
const losses = (data.groups.find(group => group.title === "loss") || { keys: [] }).keys;
const boxes = [];
let wholes = 0;  // how often the whole was asked for

function addBox(kind, name, look) {
  const label = document.createElement("label"), box = document.createElement("input");
  box.type = "checkbox";
  box.checked = true;
  box.addEventListener("change", drawCurves);
  label.className = "box";
  label.append(box, " ");
  const swatch = document.createElement("span");
  swatch.className = "swatch";
  label.append(swatch, " ", name);
  boxes.push({ kind, name, box, swatch, look });
  byId("shown").append(label);
}

const isShown = (kind, name) => boxes.every(one => one.kind !== kind || one.name !== name || one.box.checked);

// Several runs: a colour each, and the train loss is thin. One run: a colour for each loss.
function lineOf(run, key) {
  const number = several ? run : Math.max(0, losses.indexOf(key));
  const dash = number < data.colours.length ? "solid" : "dash";
  return { color: lineColour(number), dash, width: several && key === "train_loss" ? 1 : 2 };
}

function tracesOf(group, axis, beta) {
  const traces = [];
  data.runs.forEach((run, number) => {
    for (const key of group.keys) {
      const points = (run.curves[axis] || {})[key];
      if (!points || !isShown("run", run.name) || !isShown("measure", key)) continue;
      const [x, y] = points, line = lineOf(number, key), name = text(several ? `${run.name} ${key}` : key);
      const trace = { x, y, name, line, mode: x.length > 40 ? "lines" : "lines+markers", hovertemplate: "%{x:.6~g}: %{y:.6~g}" };
      if (beta && key === "train_loss") {
        traces.push({ ...trace, opacity: 0.3, hoverinfo: "skip", hovertemplate: null });
        trace.y = smoothed(y, beta);
      }
      traces.push(trace);
    }
  });
  return traces;
}

function drawCurves() {
  const axis = byId("axis").value, beta = Number(byId("smooth").value);
  const ends = ["from", "to"].map(id => byId(id).value === "" ? null : Number(byId(id).value));
  document.querySelector("output[for=smooth]").textContent = beta;
  for (const one of boxes) {
    const line = one.look();
    one.swatch.style.borderTop = `${2 * line.width - 1}px ${line.dash === "dash" ? "dashed" : "solid"} ${line.color}`;
  }
  data.groups.forEach((group, number) => {
    const traces = tracesOf(group, axis, beta);
    const log = byId("log").checked && traces.every(trace => trace.y.every(value => value > 0));
    const xaxis = { title: { text: text(data.axes[axis]) } };
    if (ends.some(end => end !== null)) {
      const places = traces.map(trace => trace.x).flat();
      xaxis.range = [ends[0] ?? Math.min(...places), ends[1] ?? Math.max(...places)];
    } else {
      xaxis.autorange = true;
    }
    const uirevision = [axis, log, ...ends, wholes].join();  // while it is the same, so is what somebody zoomed to
    const more = { height: 320, uirevision, xaxis, yaxis: { type: log ? "log" : "linear" } };
    Plotly.react(byId("curves-" + number), traces, layout(more), settings);
  });
}

if (data.groups.length) {
  if (several) data.runs.forEach((run, number) => addBox("run", run.name, () => lineOf(number, "")));
  const lookOf = key => several ? { ...lineOf(0, key), color: colour("muted") } : lineOf(0, key);
  if (losses.length > 1) for (const key of losses) addBox("measure", key, () => lookOf(key));
  byId("shown").hidden = !boxes.length;
  for (const id of ["log", "smooth"]) byId(id).addEventListener("input", drawCurves);
  for (const id of ["from", "to"]) byId(id).addEventListener("change", drawCurves);
  const whole = () => { byId("from").value = byId("to").value = ""; wholes += 1; drawCurves(); };
  byId("axis").addEventListener("change", whole);
  byId("whole").addEventListener("click", whole);
  document.querySelector("#curves form").addEventListener("submit", event => event.preventDefault());
  document.querySelector("#curves form").hidden = false;
  drawCurves();
  dark.addEventListener("change", drawCurves);
}
