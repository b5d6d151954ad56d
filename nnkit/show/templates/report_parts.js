// Confusion matrices, and maps of words with their search.

function drawConfusion({ names, counts }, place) {
  const n = names.length, sums = counts.map(row => row.reduce((a, b) => a + b, 0));
  const share = (i, j) => sums[i] ? counts[i][j] / sums[i] : 0;
  const each = (cell) => counts.map((row, i) => row.map((count, j) => cell(i, j, count)));
  const step = Math.ceil(n / 60), shown = names.map((_, i) => i).filter(i => i % step === 0);
  const short = name => text(name.length > 18 ? name.slice(0, 17) + "…" : name);
  const axis = { tickvals: shown, ticktext: shown.map(i => short(names[i])), showgrid: false, zeroline: false };
  const size = Math.max(n <= 25 ? 34 * n : 12 * n, 200) + 150;
  place.style.width = size + "px";
  Plotly.react(place, [{
    type: "heatmap", xgap: 1, ygap: 1, showscale: false,
    z: each((i, j) => Math.sqrt(share(i, j))), zmin: 0, zmax: 1,  // roots: rare mistakes are seen, too
    colorscale: [[0, colour("box")], [1, data.heat[dark.matches ? 1 : 0]]], textfont: { color: colour("ink") },
    text: n <= 25 ? each((i, j, count) => count || "") : undefined, texttemplate: n <= 25 ? "%{text}" : undefined,
    hovertext: each((i, j, count) => `true ${text(names[i])}<br>predicted ${text(names[j])}<br>${count}, `
      + `${(100 * share(i, j)).toFixed(1)}% of the true class`),
    hoverinfo: "text",
  }], layout({
    height: size, width: size, xaxis: { ...axis, tickangle: -90, title: { text: "predicted", standoff: 8 } },
    yaxis: { ...axis, autorange: "reversed", title: { text: "true", standoff: 8 } },
  }), { ...settings, responsive: false });
}

function drawMap(map, number) {
  const place = byId("map-" + number), form = document.querySelector(`.search[data-run="${number}"]`);
  const field = form.querySelector("input"), list = place.parentNode.querySelector(".near");
  const said = place.parentNode.querySelector(".found"), index = new Map(map.words.map((word, i) => [word, i]));
  let chosen = Math.min(200, map.words.length - 1);  // the very first are mostly grammar

  const draw = () => {
    const near = map.near[chosen].map(([word]) => index.get(word)).filter(i => i !== undefined);
    // on a phone there is room for a few names; the list has them all
    const sides = near.map((_, i) => ["top center", "bottom center", "middle right", "middle left"][i % 4]);
    const named = place.clientWidth < 500 ? 4 : near.length;
    const points = (places, more) => ({
      type: "scatter", x: places.map(i => map.x[i]), y: places.map(i => map.y[i]), text: places.map(i => text(map.words[i])),
      customdata: places, hovertemplate: "%{text}<extra></extra>", mode: "markers", ...more,
    });
    const axis = { showticklabels: false, zeroline: false };
    Plotly.react(place, [
      points(map.words.map((_, i) => i), { marker: { size: 5, color: colour("line"), opacity: 0.55 } }),
      points(near, { mode: "markers+text", textposition: sides, marker: { size: 8, color: colour("value") },
                     text: near.map((i, rank) => rank < named ? text(map.words[i]) : ""),
                     hovertext: near.map(i => text(map.words[i])), hovertemplate: "%{hovertext}<extra></extra>",
                     textfont: { color: colour("value") } }),
      points([chosen], { mode: "markers+text", textposition: "top center", marker: { size: 12, color: colour("accent") },
                         textfont: { color: colour("accent"), size: 15 } }),
    ], layout({ xaxis: axis, yaxis: axis, margin: { l: 8, r: 8, t: 30, b: 8 }, uirevision: "kept" }), settings);
  };

  const choose = word => {
    if (!index.has(word)) {
      const like = map.words.filter(other => other.toLowerCase().startsWith(word.toLowerCase())).slice(0, 5);
      said.textContent = `${word} is not on the map.` + (like.length ? ` There are ${like.join(", ")}.` : "");
      list.replaceChildren();
      return;
    }
    chosen = index.get(word);
    said.textContent = `Nearest to ${word}, with their cosines:`;
    list.replaceChildren(...map.near[chosen].map(([other, cosine]) => {
      const item = document.createElement("li"), known = index.has(other);
      const name = document.createElement(known ? "button" : "span");
      name.textContent = other;
      if (known) {
        name.type = "button";
        name.addEventListener("click", () => { field.value = other; choose(other); field.focus(); });
      }
      item.append(name, ` ${cosine.toFixed(3)}`, known ? "" : " (not on the map)");
      return item;
    }));
    draw();
  };

  form.addEventListener("submit", event => { event.preventDefault(); choose(field.value.trim()); });
  form.hidden = false;
  choose(map.words[chosen]);
  place.on("plotly_click", event => choose(map.words[event.points[0].customdata]));
  dark.addEventListener("change", draw);
}

data.runs.forEach((run, number) => {
  if (run.map) drawMap(run.map, number);
  if (run.confusion) {
    const draw = () => drawConfusion(run.confusion, byId("confusion-" + number));
    draw();
    dark.addEventListener("change", draw);
  }
});
