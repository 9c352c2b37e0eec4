"use strict";
// The episode viewer: filters over a small index, a list of which only the visible part exists, and texts that
// are decompressed chunk by chunk when they are opened. Text goes into the page as text, never as markup.
(() => {
  const ROW = 52, SPARE = 8;
  const OUTCOMES = ["failed", "solved", "not graded"];
  const $ = (id) => document.getElementById(id);
  const root = document.documentElement;
  const looks = JSON.parse($("looks").textContent);
  const narrow = () => matchMedia("(max-width: 640px)").matches;
  const chunks = new Map();
  let index, plays, found = [], selected = -1;

  const theme = $("theme");
  const themes = { auto: "light", light: "dark", dark: "auto" };
  function setTheme(name) {
    name === "auto" ? delete root.dataset.theme : (root.dataset.theme = name);
    theme.textContent = `theme: ${name}`;
    theme.value = name;
    try { localStorage.setItem("affine-theme", name); } catch { /* a page from disk may not store */ }
  }
  theme.onclick = () => setTheme(themes[theme.value] || "auto");
  let stored = null;
  try { stored = localStorage.getItem("affine-theme"); } catch { /* as above */ }
  setTheme(stored in themes ? stored : "auto");
  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((d) => (d.open = true)));

  async function decode(element) {
    const bytes = Uint8Array.from(atob(element.textContent.trim()), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(stream).text());
  }

  function chunk(number) {
    if (!chunks.has(number)) chunks.set(number, decode($(`chunk-${number}`)));
    return chunks.get(number);
  }

  function make(tag, className, text) {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  }

  function fill(select, options, any) {
    const all = any ? [["", any], ...options] : options;
    select.replaceChildren(...all.map(([value, text]) => new Option(text, value)));
  }

  // plays[model].get(task) is the position of that play in the index's columns.
  function indexPlays() {
    plays = index.models.map(() => new Map());
    index.task.forEach((task, i) => plays[index.model[i]].set(task, i));
  }

  function readFilters() {
    const other = $("f-other").value;
    return {
      model: +$("f-model").value, environment: $("f-environment").value, outcome: $("f-outcome").value,
      reason: $("f-reason").value, stop: $("f-stop").value, key: $("f-key").value.trim().toLowerCase(),
      other: other === "" ? -1 : +other,
    };
  }

  function matches(i, want, ignoreReason) {
    const task = index.task[i], outcome = index.outcome[i];
    if (want.environment !== "" && index.environment[task] !== +want.environment) return false;
    if (want.stop !== "" && index.stop[i] !== +want.stop) return false;
    if (!ignoreReason && want.reason !== "" && index.reason[i] !== +want.reason) return false;
    if (want.key && !index.keys[task].toLowerCase().includes(want.key)) return false;
    if (want.outcome === "") return true;
    if (want.outcome.startsWith("only")) {
      const j = want.other < 0 ? undefined : plays[want.other].get(task);
      if (j === undefined) return false;
      const mine = outcome === 1, theirs = index.outcome[j] === 1;
      const graded = outcome < 2 && index.outcome[j] < 2;
      return graded && (want.outcome === "only-model" ? mine && !theirs : theirs && !mine);
    }
    return outcome === +want.outcome;
  }

  function listReasons(want) {
    const counts = new Map();
    for (const i of plays[want.model].values())
      if (matches(i, want, true)) counts.set(index.reason[i], (counts.get(index.reason[i]) || 0) + 1);
    const sorted = [...counts].sort((a, b) => b[1] - a[1]).slice(0, 100);
    const kept = $("f-reason").value;
    fill($("f-reason"), sorted.map(([r, n]) => [r, `${index.reasons[r]} (${n})`]), "any");
    $("f-reason").value = counts.has(+kept) && kept !== "" ? kept : "";
  }

  function refresh(open) {
    listReasons(readFilters());
    const want = readFilters();
    found = [...plays[want.model].values()].filter((i) => matches(i, want, false));
    const total = plays[want.model].size;
    $("found").textContent = `${found.length.toLocaleString("en")} of ${total.toLocaleString("en")} episodes of ${index.models[want.model]}`;
    $("list").scrollTop = 0;
    selected = -1;
    $("rows").style.height = `${found.length * ROW}px`;
    drawRows();
    if (open && found.length) select(0, false);
    else if (!found.length) $("detail").replaceChildren(make("p", "muted", "No episode matches these filters."));
  }

  function drawRows() {
    const list = $("list");
    const first = Math.max(0, Math.floor(list.scrollTop / ROW) - SPARE);
    const last = Math.min(found.length, Math.ceil((list.scrollTop + list.clientHeight) / ROW) + SPARE);
    $("rows").replaceChildren(...Array.from({ length: last - first }, (_, n) => row(first + n)));
  }

  function row(place) {
    const i = found[place], item = make("div", "item");
    item.style.top = `${place * ROW}px`;
    item.setAttribute("role", "option");
    item.setAttribute("aria-selected", place === selected);
    item.dataset.key = index.keys[index.task[i]];
    const above = make("div"), below = make("div");
    above.append(make("span", "key", index.keys[index.task[i]]), badge(index.outcome[i]));
    below.append(make("span", "why", index.notes[index.note[i]] || effort(i)), beside(i));
    item.append(above, below);
    item.onclick = () => select(place, true);
    return item;
  }

  function effort(i) {
    const turns = index.turns[i] > 1 ? ` in ${index.turns[i]} turns` : "";
    return `${index.tokens[i].toLocaleString("en")} tokens${turns}`;
  }

  // What the model beside this one made of the same task.
  function beside(i) {
    const { model, other } = readFilters();
    const j = other < 0 || other === model ? undefined : plays[other].get(index.task[i]);
    return make("span", "why other", j === undefined ? "" : `${index.models[other]} ${OUTCOMES[index.outcome[j]]}`);
  }

  function badge(outcome) {
    return make("span", `chip ${OUTCOMES[outcome].split(" ")[0]}`, OUTCOMES[outcome]);
  }

  async function select(place, scroll) {
    selected = place;
    const i = found[place], list = $("list");
    if (place * ROW < list.scrollTop) list.scrollTop = place * ROW;
    if ((place + 1) * ROW > list.scrollTop + list.clientHeight) list.scrollTop = (place + 1) * ROW - list.clientHeight;
    drawRows();
    const task = index.task[i], size = index.tasks_a_chunk;
    const entry = (await chunk(Math.floor(task / size)))[task % size];
    if (selected !== place || found[place] !== i) return;
    draw(task, entry);
    if (scroll && narrow()) $("detail").scrollIntoView({ behavior: "smooth" });
  }

  function draw(task, entry) {
    const want = readFilters(), key = index.keys[task];
    const head = make("header");
    const steps = make("span");
    for (const [text, step] of [["◀ previous", -1], ["next ▶", 1]]) {
      const button = make("button", "", text);
      button.disabled = !found[selected + step] && found[selected + step] !== 0;
      button.onclick = () => select(selected + step, false);
      steps.append(button, " ");
    }
    head.append(make("h3", "", key), steps);
    const asked = make("div");
    if (entry.prompt) entry.prompt.forEach(([role, text]) => asked.append(message(`prompt (${role})`, text, "prompt")));
    else asked.append(make("p", "note", `The prompt is not in this page; print it with: affine task ${key}`));
    const sides = make("div", "sides");
    for (const model of want.other >= 0 && want.other !== want.model ? [want.model, want.other] : [want.model])
      sides.append(side(task, model, entry.plays[model]));
    $("detail").replaceChildren(head, asked, sides);
    $("detail").scrollTop = 0;
  }

  function side(task, model, play) {
    const look = looks[index.models[model]], box = make("div", "side");
    box.style.borderTopColor = look.colour;
    box.style.setProperty("--side", look.colour);
    box.dataset.model = index.models[model];
    const title = make("h4", "", index.models[model]);
    box.append(title);
    if (!play) {
      box.append(make("p", "muted", "did not play this task"));
      return box;
    }
    const i = plays[model].get(task);
    title.append(badge(index.outcome[i]));
    box.append(make("p", "cause", play.error || play.why || ""));
    const score = play.reward === null ? "no score" : `score ${+play.reward.toFixed(4)}`;
    box.append(make("p", "note", `${score} · ${index.tokens[i].toLocaleString("en")} tokens in ${play.turns.length} ` +
      `${play.turns.length === 1 ? "turn" : "turns"} · ${play.seconds} s · ended: ${index.stops[index.stop[i]].replace("_", " ")}`));
    play.turns.forEach(([observation, reply, reward, tokens], turn) => {
      const name = play.turns.length > 1 ? `turn ${turn + 1}, ` : "";
      if (observation) box.append(message(`${name}environment`, observation, "observation"));
      box.append(message(`${name}reply (${tokens} tokens${reward ? `, reward ${+reward.toFixed(4)}` : ""})`, reply, "reply"));
    });
    box.append(make("p", "note", `from ${play.from}`));
    return box;
  }

  function message(title, text, kind) {
    const box = make("div", `message ${kind}`);
    box.append(make("span", "", title), make("pre", "", text === "" ? "(nothing)" : text));
    return box;
  }

  // Links such as <a href="#episodes" data-filter='{"environment": "affine:sat"}'> set the filters by name.
  function applyLink(wanted) {
    for (const name of ["environment", "outcome", "reason", "stop", "key"]) $(`f-${name}`).value = "";
    const names = { model: index.models, other: index.models, environment: index.environments };
    for (const [name, value] of Object.entries(wanted)) {
      const place = names[name] ? names[name].indexOf(value) : value;
      if (place !== -1) $(`f-${name}`).value = String(place);
    }
    refresh(true);
  }

  async function start() {
    if (!$("index")) return;
    index = await decode($("index"));
    indexPlays();
    const models = index.models.map((name, i) => [i, name]);
    fill($("f-model"), models);
    fill($("f-other"), models, "nobody");
    fill($("f-environment"), index.environments.map((name, i) => [i, name]), "any");
    fill($("f-outcome"), [["0", "failed"], ["1", "solved"], ["2", "not graded"],
      ["only-model", "only this model solves it"], ["only-other", "only the one beside it solves it"]], "any");
    fill($("f-stop"), index.stops.map((name, i) => [i, name.replace("_", " ")]), "any");
    applyLink(JSON.parse($("index").dataset.start));
    document.querySelectorAll("a[data-filter]").forEach((link) =>
      link.addEventListener("click", () => {
        applyLink(JSON.parse(link.dataset.filter));
        if (narrow()) setTimeout(() => $("detail").scrollIntoView());
      }));
    $("filters").addEventListener("input", () => refresh(true));
    $("filters").addEventListener("submit", (event) => event.preventDefault());
    $("list").addEventListener("scroll", () => requestAnimationFrame(drawRows), { passive: true });
    $("list").addEventListener("keydown", (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (!step || found[selected + step] === undefined) return;
      event.preventDefault();
      select(selected + step, false);
    });
    addEventListener("resize", drawRows);
    $("episodes").dataset.ready = "yes";
    performance.mark("affine-ready");
  }
  start();
})();
