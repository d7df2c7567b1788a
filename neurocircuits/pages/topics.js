"use strict";
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const LABELLED = 2; // words beside a circle
  const INSIDE = 9; // pixels: a circle that is smaller has its number above it
  const MATCHES = 12;
  const ROUNDS = 200;
  const byId = (id) => document.getElementById(id);
  const D = JSON.parse(byId("data").textContent);
  const places = new Map(D.words.map((word, k) => [word.toLowerCase(), k]));
  const state = { chosen: 0, shown: 0, relevance: Number(byId("relevance").value), word: -1 };
  const circles = [];
  const rows = [];

  // Whatever a corpus contains is set as text; nothing here makes HTML of it.
  function add(parent, name, className, text) {
    const made = parent.namespaceURI === SVG ? document.createElementNS(SVG, name) : document.createElement(name);
    if (className) made.setAttribute("class", className);
    if (text !== undefined) made.textContent = text;
    parent.append(made);
    return made;
  }

  function percent(share) {
    if (share > 0 && share < 0.001) return "<0.1 %";
    return `${(100 * share).toFixed(share < 0.0995 && share > 0 ? 1 : 0)} %`;
  }

  function ordered(topic, relevance) {
    const value = ([word, weight]) => Math.log(weight) - (1 - relevance) * Math.log(D.counts[word] / D.total);
    const valued = topic.words.map((row) => [value(row), row]);
    return valued.sort((a, b) => b[0] - a[0]).slice(0, D.nWords).map(([, row]) => row);
  }

  function firstWords(k, n) {
    return ordered(D.topics[k], 0.6).slice(0, n).map(([word]) => D.words[word]);
  }

  // -- the topic that is shown

  function drawWords() {
    const list = byId("words");
    const shown = ordered(D.topics[state.shown], state.relevance);
    const most = Math.max(1, ...shown.map(([word]) => D.counts[word]));
    list.replaceChildren();
    if (!shown.length) add(list, "li", "none", "This topic has no words.");
    for (const [word, , part] of shown) {
      const item = add(list, "li");
      const button = add(item, "button", "", D.words[word]);
      button.type = "button";
      button.title = D.words[word];
      button.setAttribute("aria-pressed", String(word === state.word));
      button.addEventListener("click", () => mark(word === state.word ? -1 : word));
      const track = add(item, "div", "track");
      track.setAttribute("aria-hidden", "true");
      add(track, "span", "rest").style.width = `${(100 * D.counts[word]) / most}%`;
      add(track, "span", "part").style.width = `${(100 * Math.min(part, D.counts[word])) / most}%`;
      add(item, "span", "n", `${Math.round(part)} of ${D.counts[word]}`);
    }
  }

  function drawDocuments() {
    const list = byId("documents");
    list.replaceChildren();
    const { documents } = D.topics[state.shown];
    if (!documents.length) add(list, "li", "none", "No document has this topic.");
    for (const [number, share] of documents) {
      const { name, first, label } = D.documents[number];
      const item = add(list, "li");
      add(item, "span", "share", percent(share));
      const text = add(item, "div");
      text.dir = "auto";
      const title = add(text, "div", "title");
      add(title, "bdi", "", name);
      if (label) add(title, "bdi", "label", label);
      if (first) add(text, "div", "first", first);
    }
  }

  function show(k) {
    if (!circles.length) return;
    state.shown = k;
    const { share } = D.topics[k];
    byId("topic-title").textContent = `Topic ${k + 1}`;
    byId("topic-share").textContent = `${percent(share)} of all words; topic ${k + 1} of ${D.topics.length}`;
    byId("caption-text").textContent = `Topic ${k + 1}, ${percent(share)}: ${firstWords(k, 6).join(", ")}`;
    circles.forEach((circle, n) => circle.classList.toggle("seen", n === k));
    drawWords();
    drawDocuments();
  }

  function choose(k, focus) {
    state.chosen = k;
    circles.forEach((circle, n) => {
      circle.setAttribute("aria-checked", String(n === k));
      circle.setAttribute("tabindex", n === k ? "0" : "-1");
    });
    rows.forEach((row, n) => row.setAttribute("aria-current", String(n === k)));
    show(k);
    if (focus) circles[k].focus({ preventScroll: true });
    else byId("said").textContent = `Topic ${k + 1}: ${firstWords(k, 5).join(", ")}`;
  }

  function step(by, focus) {
    const n = D.topics.length;
    choose((state.chosen + by + n) % n, focus);
  }

  // -- the map

  function draw() {
    const map = byId("map");
    const width = Math.max(map.clientWidth, 200);
    const height = Math.max(260, Math.min(0.86 * width, 540));
    map.setAttribute("viewBox", `0 0 ${width} ${height}`);
    map.setAttribute("height", height);
    const largest = Math.max(...D.topics.map((topic) => topic.share), 1e-9);
    const size = Math.min((0.14 * width * height) / Math.PI, (0.15 * Math.min(width, height)) ** 2 / largest);
    const radius = (topic) => Math.max(3, Math.sqrt(topic.share * size));
    const pad = Math.sqrt(largest * size) + 18;
    const xs = D.topics.map((topic) => topic.x);
    const ys = D.topics.map((topic) => topic.y);
    const [left, right, low, high] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
    const scale = Math.min((width - 2 * pad) / (right - left || 1), (height - 2 * pad) / (high - low || 1));
    const at = D.topics.map((topic) => ({
      x: width / 2 + scale * (topic.x - (left + right) / 2),
      y: height / 2 - scale * (topic.y - (low + high) / 2),
      r: radius(topic),
    }));
    moveApart(at, width, height);
    const focused = circles.includes(document.activeElement);
    for (const circle of at) circle.numberAt = circle.y - (circle.r < INSIDE ? circle.r + 8 : 0);
    const taken = at.map(({ x, numberAt }) => [x - 9, numberAt - 8, x + 9, numberAt + 8]);
    map.replaceChildren();
    circles.length = 0;
    at.forEach(({ x, y, r }, k) => {
      const group = add(map, "g");
      group.setAttribute("role", "radio");
      group.setAttribute("aria-label", `Topic ${k + 1}, ${percent(D.topics[k].share)}: ${firstWords(k, 5).join(", ")}`);
      for (const [name, size] of [["touch", Math.max(r, 14)], ["area", r]]) {
        const circle = add(group, "circle", name);
        for (const [key, n] of Object.entries({ cx: x, cy: y, r: size })) circle.setAttribute(key, n.toFixed(1));
      }
      const name = placedName(k, at, width, height, taken);
      const inside = name && name.inside;
      label(group, `number${r >= INSIDE ? " inside" : ""}`, String(k + 1), x, at[k].numberAt - (inside ? 7 : 0));
      if (name) label(group, `name${inside ? " inside" : ""}`, name.text, name.x, name.y);
      group.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && show(k));
      group.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && show(state.chosen));
      group.addEventListener("click", () => choose(k));
      circles.push(group);
    });
    choose(state.chosen, focused);
    shade();
  }

  // Circles that would cover each other are moved apart, the smaller of two by more, and stay near where they belong.
  function moveApart(at, width, height) {
    const home = at.map(({ x, y }) => [x, y]);
    for (let round = 0; round < ROUNDS; round++) {
      const pull = 0.05 * Math.max(0, 1 - (2 * round) / ROUNDS);
      at.forEach((a, i) => {
        for (let j = 0; j < i; j++) {
          const b = at[j];
          const away = [a.x - b.x || 0.01 * (i + 1), a.y - b.y || 0.01 * (j + 1)];
          const apart = Math.hypot(...away);
          const lacking = (a.r + b.r + 2 - apart) / apart / (a.r + b.r);
          if (lacking <= 0) continue;
          a.x += away[0] * lacking * b.r;
          a.y += away[1] * lacking * b.r;
          b.x -= away[0] * lacking * a.r;
          b.y -= away[1] * lacking * a.r;
        }
        a.x = Math.min(width - a.r - 4, Math.max(a.r + 4, a.x + pull * (home[i][0] - a.x)));
        a.y = Math.min(height - a.r - 4, Math.max(a.r + 4, a.y + pull * (home[i][1] - a.y)));
      });
    }
  }

  function label(group, className, text, x, y) {
    const made = add(group, "text", className, text);
    made.setAttribute("x", x.toFixed(1));
    made.setAttribute("y", y.toFixed(1));
  }

  // The first words of a topic, or the first alone, where they cover nothing: inside, below, above, right or left.
  function placedName(k, at, width, height, taken) {
    const { x, y, r } = at[k];
    for (let n = LABELLED; n > 0; n--) {
      const text = firstWords(k, n).join(" ");
      const half = 3.2 * text.length + 2;
      if (!text) return null;
      if (half < 0.94 * r && r > 20) return { text, x, y: y + 8, inside: true };
      for (const [cx, cy] of [[x, y + r + 9], [x, y - r - 9], [x + r + half + 2, y], [x - r - half - 2, y]]) {
        const box = [cx - half, cy - 7, cx + half, cy + 7];
        if (box[0] < 0 || box[2] > width || box[1] < 0 || box[3] > height) continue;
        if (taken.some((other) => overlap(box, other))) continue;
        if (at.some((other, m) => m !== k && covers(box, other))) continue;
        taken.push(box);
        return { text, x: cx, y: cy, inside: false };
      }
    }
    return null;
  }

  function overlap(a, b) {
    return a[2] > b[0] && b[2] > a[0] && a[3] > b[1] && b[3] > a[1];
  }

  function covers([left, top, right, bottom], { x, y, r }) {
    return Math.hypot(Math.max(left - x, 0, x - right), Math.max(top - y, 0, y - bottom)) < r;
  }

  function drawList() {
    D.topics.forEach((topic, k) => {
      const button = add(add(byId("list"), "li"), "button");
      button.type = "button";
      add(button, "span", "number", String(k + 1));
      add(button, "span", "words", firstWords(k, 6).join(" ") || "no words");
      add(button, "span", "share", percent(topic.share));
      button.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && show(k));
      button.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && show(state.chosen));
      button.addEventListener("click", () => {
        choose(k);
        if (byId("topic").getBoundingClientRect().top < 0) byId("topic").scrollIntoView();
      });
      rows.push(button);
    });
  }

  // -- a word, and the topics that it occurs in

  function shade() {
    const parts = state.word < 0 ? [] : D.parts[state.word];
    byId("map").classList.toggle("marked", state.word >= 0);
    circles.forEach((circle, k) => {
      const n = parts.findIndex((value, m) => m % 2 === 0 && value === k);
      circle.classList.toggle("has", n >= 0);
      circle.querySelector(".area").style.fillOpacity = n < 0 ? "" : String(0.12 + 0.88 * parts[n + 1]);
    });
  }

  function mark(word) {
    state.word = word;
    const found = byId("found");
    found.hidden = word < 0;
    found.replaceChildren();
    if (word >= 0) {
      add(found, "bdi", "", D.words[word]);
      add(found, "span", "", ` occurs ${D.counts[word] === 1 ? "once" : `${D.counts[word]} times`}: `);
      const parts = D.parts[word];
      for (let n = 0; n < Math.min(parts.length, 10); n += 2) {
        const button = add(found, "button", "", `topic ${parts[n] + 1}, ${percent(parts[n + 1])}`);
        button.type = "button";
        button.addEventListener("click", () => choose(parts[n]));
      }
      const clear = add(found, "button", "clear", "Clear");
      clear.type = "button";
      clear.addEventListener("click", () => {
        byId("word").value = "";
        mark(-1);
        byId("word").focus();
      });
    }
    shade();
    drawWords();
  }

  function matching(text) {
    const starts = [];
    for (const [word, k] of places) if (word.startsWith(text)) starts.push(k);
    return starts.sort((a, b) => D.counts[b] - D.counts[a]).slice(0, MATCHES);
  }

  function search(complete) {
    const text = byId("word").value.trim().toLowerCase();
    const near = text ? matching(text) : [];
    const word = places.get(text) ?? (complete && near.length ? near[0] : -1);
    const matches = byId("matches");
    matches.replaceChildren();
    for (const k of near) add(matches, "option").value = D.words[k];
    mark(word);
    if (complete && text && word < 0) {
      byId("found").hidden = false;
      add(byId("found"), "span", "", "This page knows no such word: ");
      add(byId("found"), "bdi", "", byId("word").value);
    }
  }

  // -- what people do

  byId("relevance").addEventListener("input", (event) => {
    state.relevance = Number(event.target.value);
    byId("lambda").textContent = state.relevance.toFixed(2);
    drawWords();
  });
  byId("previous").addEventListener("click", () => step(-1));
  byId("next").addEventListener("click", () => step(1));
  byId("word").addEventListener("input", () => search(false));
  byId("search").addEventListener("submit", (event) => {
    event.preventDefault();
    search(true);
  });
  byId("map").addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (by) step(by, true);
    else if (event.key === "Home") choose(0, true);
    else if (event.key === "End") choose(D.topics.length - 1, true);
    else return;
    event.preventDefault();
  });
  byId("lambda").textContent = state.relevance.toFixed(2);
  drawList();
  draw();
  let width = byId("map").clientWidth;
  new ResizeObserver(() => {
    if (byId("map").clientWidth === width) return; // a line more under the map changes its card, too
    width = byId("map").clientWidth;
    draw();
  }).observe(byId("map").parentElement);
})();
