/* Shows a node: what it serves (/application, once) and how that fares (/status, each second).
 *
 * What comes from there has texts of guests in it. It goes into the page as text only, never as markup, and characters
 * that are not seen or turn lines around are shown as what they are: unknown. */
"use strict";

const SECONDS = 90;       // that a chart shows
const WINDOW_NS = 10e9;   // that figures are of
const PATIENCE_MS = 5000; // for an answer
const MANY = 8;           // components, from which on one may want to find one
const ALARM_MS = 600000;  // that what went wrong is told at the top

const byId = (id) => document.getElementById(id);

/* ---- texts ---- */

const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;

function safe(text) {
  return String(text).replace(UNSEEN, "\ufffd");
}

function setText(node, text) {
  const shown = safe(text);
  if (node.textContent !== shown)
    node.textContent = shown;
}

function setMood(node, mood) {
  if (node.dataset.mood !== mood)
    node.dataset.mood = mood;
}

function setClass(node, name) {
  if (node.className !== name)
    node.className = name;
}

function make(tag, className, text) {
  const node = document.createElement(tag);
  if (className)
    node.className = className;
  if (text !== undefined)
    setText(node, text);
  return node;
}

function add(parent, tag, className, text) {
  return parent.appendChild(make(tag, className, text));
}

function shapes(parent, ...names) {
  return names.map((name) => {
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    path.setAttribute("class", name);
    return parent.appendChild(path);
  });
}

/* ---- figures ---- */

const digits = (number, count) => number.toFixed(count);
const scaled = (number) => digits(number, number < 10 ? 1 : 0).replace(/\.0$/, "");

function showTime(ns) {
  for (const [size, unit] of [[1e9, "s"], [1e6, "ms"], [1e3, "µs"]])
    if (ns >= size)
      return `${scaled(ns / size)} ${unit}`;
  return `${scaled(ns)} ns`;
}

function showBytes(bytes) {
  for (const [size, unit] of [[2 ** 40, "TiB"], [2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"]])
    if (bytes >= size)
      return `${scaled(bytes / size)} ${unit}`;
  return `${bytes} B`;
}

function showCount(number) {
  for (const [size, unit] of [[1e9, "G"], [1e6, "M"], [1e4, "k"]])
    if (number >= size)
      return scaled(number / (unit === "k" ? 1e3 : size)) + unit;
  return String(Math.round(number));
}

const showRate = (rate) => (rate > 0 && rate < 10 ? scaled(rate) : showCount(rate));

function showAge(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60)
    return `${seconds} s`;
  if (seconds < 3600)
    return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400)
    return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor((seconds % 86400) / 3600)} h`;
}

function showShare(part, whole) {
  if (!part)
    return "0";
  const percent = (100 * part) / whole;
  return percent < 0.1 ? "< 0.1 %" : `${scaled(percent)} %`;
}

const plural = (count, one, many) => `${showCount(count)} ${count === 1 ? one : many}`;

/* ---- what a reading says ---- */

const values = (object) => Object.values(object).reduce((sum, value) => sum + value, 0);

/* Counters of a function that only go up, and its histograms. */
function countersOf(row) {
  return {
    requests: values(row.answers),
    errors: row.answers["5xx"] + row.broken,
    traps: row.traps,
    limits: values(row.limits),
    cpu: row.cpu_ns,
    latency: row.latency.buckets,
    starts: row.starts.buckets,
  };
}

function differenceOf(now, before) {
  const found = {};
  for (const key of Object.keys(now))
    found[key] = Array.isArray(now[key]) ? bucketsSince(now[key], before[key]) : now[key] - before[key];
  return found;
}

/* Both are in order. */
function bucketsSince(now, before) {
  const old = new Map(before.map((bucket) => [bucket.from_ns, bucket.count]));
  return now
    .map(({ from_ns, count }) => ({ from_ns, count: count - (old.get(from_ns) || 0) }))
    .filter((bucket) => bucket.count > 0);
}

/* A bucket is as wide as an eighth of its power of two; its middle stands for what is in it. */
function middleOf(from) {
  return from < 16 ? from : from + 2 ** (Math.floor(Math.log2(from)) - 4);
}

function quantileOf(buckets, share) {
  let left = share * buckets.reduce((sum, bucket) => sum + bucket.count, 0);
  for (const { from_ns, count } of buckets) {
    left -= count;
    if (left <= 0 && count)
      return middleOf(from_ns);
  }
  return null;
}

function addUp(rows) {
  const all = { requests: 0, errors: 0, traps: 0, limits: 0, cpu: 0 };
  const buckets = { latency: new Map(), starts: new Map() };
  for (const row of rows) {
    for (const key of Object.keys(all))
      all[key] += row[key];
    for (const key of Object.keys(buckets))
      for (const { from_ns, count } of row[key])
        buckets[key].set(from_ns, (buckets[key].get(from_ns) || 0) + count);
  }
  for (const key of Object.keys(buckets))
    all[key] = [...buckets[key]].sort((a, b) => a[0] - b[0]).map(([from_ns, count]) => ({ from_ns, count }));
  return all;
}

/* ---- charts ---- */

class Chart {
  constructor(svg, height) {
    this.height = height;
    [this.area, this.line, this.bad] = svg.children.length ? svg.children : shapes(svg, "area", "line", "bad");
    this.rates = [];
    this.errors = [];
  }

  push(rate, errors) {
    for (const [list, value] of [[this.rates, rate], [this.errors, errors]]) {
      list.push(value);
      if (list.length > SECONDS)
        list.shift();
    }
    this.draw();
  }

  draw() {
    const most = Math.max(1, ...this.rates), first = SECONDS - this.rates.length;
    const x = (i) => first + i + 1;
    const y = (rate) => digits(this.height - (rate / most) * (this.height - 4), 2);
    const points = this.rates.map((rate, i) => `${x(i)} ${y(rate)}`).join("L");
    this.line.setAttribute("d", this.rates.length > 1 ? `M${points}` : "");
    this.area.setAttribute("d", this.rates.length > 1 ? `M${x(0)} ${this.height}L${points}V${this.height}Z` : "");
    this.bad.setAttribute("d", this.errors.map((count, i) => (count ? `M${x(i)} ${this.height}V${this.height - 5}` : "")).join(""));
  }
}

/* ---- what an application is: once ---- */

const GRANTS = [
  ["hosts", "Network", "network"],
  ["listens", "Listens at", null],
  ["files", "Files", "files"],
  ["stores", "Key-value", "stores"],
  ["databases", "SQLite", "databases"],
  ["environment", "Environment", null],
  ["variables", "Variables", "variables"],
];

/* All hosts, or all below a scheme: worth a second look. */
const isBroad = (text) => /^(\*|[a-z*]+:\/\/\*)(:|$)/.test(text);

function chipOf(kind, item) {
  if (kind !== "files")
    return make("span", `chip${(kind === "hosts" || kind === "listens") && isBroad(item) ? " broad" : ""}`, item);
  const chip = make("span", "chip", item.path);
  add(chip, "i", "", item.writable ? "read and write" : "read");
  return chip;
}

function showGrants(card, grants) {
  add(card, "h4", "", "What it may touch");
  const list = add(card, "dl", "grants");
  const missing = [];
  for (const [kind, label, lack] of GRANTS) {
    if (grants[kind].length === 0) {
      if (lack)
        missing.push(lack);
      continue;
    }
    add(list, "dt", "", label);
    add(list, "dd").append(...grants[kind].map((item) => chipOf(kind, item)));
  }
  const all = missing.length === GRANTS.filter(([, , lack]) => lack).length;
  const last = missing.pop();
  const words = missing.length ? `${missing.join(", ")} or ${last}` : last;
  if (last)
    add(list, "dd", "none", all ? `Nothing: no ${words}.` : `No ${words}.`);
}

function limitsOf(row) {
  const { limits } = row;
  const found = [
    `${showTime(limits.time_ns)}, ${showTime(limits.cpu_ns)} of processor and ${showBytes(limits.memory_bytes)} for a request`,
    `${showBytes(limits.body_bytes)} in its body`,
    `${limits.instances} at once in a worker`,
  ];
  return `At most ${found.join(", ")}.${row.snapshot ? " Starts from a snapshot." : ""}`;
}

/* Where a route leads to in a browser; null where it wants a value first, or is private. */
function addressOf(application, route) {
  if (route.private || !/^https?:\/\//.test(application.url))
    return null;
  const path = route.path.replace(/\/(\.\.\.|\*)$/, "") || "/";
  if (/[:*]/.test(path))
    return null;
  const address = new URL(application.url);
  if (address.hostname === "0.0.0.0" || address.hostname === "[::]")
    address.hostname = location.hostname;
  address.pathname = path;
  return address.href;
}

function showPath(parent, application, route, className) {
  const address = addressOf(application, route);
  const node = add(parent, address ? "a" : "span", className, route.private ? "private" : route.path);
  if (!address)
    return;
  node.href = address;
  node.target = "_blank";
  node.rel = "noopener noreferrer";
}

// What calls functions without a client.
function events(application) {
  const timers = application.timers.map((timer) => ({ what: `cron ${timer.expression}`, function: timer.function }));
  const channels = application.channels.map((row) => ({ what: `${row.server} ${row.channel}`, function: row.function }));
  return timers.concat(channels);
}

function showRoutes(application) {
  const list = byId("routes");
  const called = events(application);
  const routes = application.routes.length || called.length || !application.functions.length ? application.routes
    : [{ path: "/...", private: false, function: application.functions[0].name, status: null }];
  list.replaceChildren();
  for (const route of routes) {
    const row = add(list, "li");
    showPath(row, application, route, "mono");
    add(row, "span", "to", route.function === null ? `answers ${route.status} itself` : route.function);
  }
  for (const event of called) {
    const row = add(list, "li");
    add(row, "span", "mono", event.what);
    add(row, "span", "to", event.function);
  }
}

function showAbout(application) {
  const about = byId("about");
  setText(about, application.description ? `${application.description} · ` : "");
  showPath(about, application, { path: "/", private: false }, "url");
  setText(about.lastChild, application.url || "no address: nothing but timers and channels calls it");
}

class Card {
  constructor(application, row) {
    const card = this.node = make("article", "card");
    const head = add(card, "header");
    this.name = row.name;
    this.mood = add(head, "span", "mood");
    add(head, "h3", "", row.name);
    this.made = add(head, "span", "made");
    if (row.description)
      add(card, "p", "describes", row.description);
    const paths = add(card, "p", "paths");
    for (const route of application.routes)
      if (route.function === row.name)
        showPath(paths, application, route, route.private ? "soft" : "");
    for (const event of events(application))
      if (event.function === row.name)
        add(paths, "span", "soft", event.what);
    this.showLife(card);
    showGrants(card, row.grants);
    add(card, "p", "limits", limitsOf(row));
    card.title = row.source;
  }

  showLife(card) {
    const life = add(card, "div", "life");
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", `0 0 ${SECONDS} 32`);
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("aria-hidden", "true");
    life.append(svg);
    this.chart = new Chart(svg, 32);
    const rate = add(life, "p", "rate");
    this.rate = add(rate, "span", "", "0");
    this.total = add(rate, "small");
    const list = add(card, "dl", "figures");
    this.figures = {};
    for (const name of ["half within", "99 % within", "start", "processor", "errors", "traps", "limits met", "memory"]) {
      const pair = add(list, "div");
      add(pair, "dt", "", name);
      this.figures[name] = add(pair, "dd", "", "–");
    }
    this.figures.memory.title = "the most that an instance had so far";
  }

  update(row, recent, seconds, last) {
    const time = (ns) => (ns === null ? "–" : showTime(ns)), figures = this.figures;
    this.chart.push(last ? last.rate : 0, last ? last.errors : 0);
    setText(this.rate, `${showRate(recent.requests / seconds)}/s`);
    setText(this.total, row.counters.requests ? `${showCount(row.counters.requests)} so far` : "none so far");
    setText(figures["half within"], time(quantileOf(recent.latency, 0.5)));
    setText(figures["99 % within"], time(quantileOf(recent.latency, 0.99)));
    setText(figures.start, time(quantileOf(recent.starts, 0.5)));
    setText(figures.processor, recent.requests ? showTime(recent.cpu / recent.requests) : "–");
    setText(figures.memory, row.memory_bytes ? showBytes(row.memory_bytes) : "–");
    for (const [name, key] of [["errors", "errors"], ["traps", "traps"], ["limits met", "limits"]]) {
      setText(figures[name], showCount(row.counters[key]));
      setClass(figures[name], recent[key] ? (key === "limits" ? "warn" : "bad") : "");
    }
    this.showMood(row, recent);
  }

  showMood(row, recent) {
    const busy = [row.running - row.asleep > 0 && `${row.running - row.asleep} running`, row.asleep > 0 && `${row.asleep} waiting`]
      .filter(Boolean);
    setMood(this.mood, recent.errors ? "bad" : recent.limits ? "warn" : recent.requests || row.running ? "good" : "quiet");
    const image = row.generation ? `${madeBy(row.tier)}, image ${row.generation}` : "asleep";
    setText(this.made, [...busy, image].join(" · "));
    this.made.title = row.generation ? "" : "nobody asked for it yet";
  }
}

const madeBy = (tier) => ({ best: "optimized", fast: "compiled fast", mixed: "optimizing" })[tier] || "compiled";

/* ---- how it fares: each second ---- */

class Page {
  constructor() {
    this.chart = new Chart(byId("chart"), 40);
    this.readings = [];
    this.incidents = new Map();
    byId("find").addEventListener("input", () => this.find());
  }

  show(application) {
    const name = application.name || (application.functions[0] || { name: "mayfly" }).name;
    setText(byId("name"), name);
    if (application.version)
      add(byId("name"), "span", "version", application.version);
    document.title = `${safe(name)} · mayfly`;
    showAbout(application);
    showRoutes(application);
    this.cards = application.functions.map((row) => new Card(application, row));
    byId("components").replaceChildren(...this.cards.map((card) => card.node));
    setText(byId("components-title"), this.cards.length === 1 ? "Component" : `${this.cards.length} components`);
    byId("components").classList.toggle("many", this.cards.length > 10 * MANY);
    byId("find-label").hidden = this.cards.length < MANY;
    this.readings = [];
    byId("main").hidden = false;
  }

  find() {
    const words = byId("find").value.toLowerCase();
    for (const card of this.cards)
      card.node.hidden = !card.node.textContent.toLowerCase().includes(words);
  }

  /* False: it is another server's. */
  fits(status) {
    const last = this.readings[this.readings.length - 1];
    return status.functions.length === this.cards.length && (!last || status.uptime_ns > last.uptime_ns) &&
      status.functions.every((row, i) => row.name === this.cards[i].name);
  }

  update(status) {
    for (const row of status.functions)
      row.counters = countersOf(row);
    this.readings.push(status);
    while (this.readings.length > 2 && status.now_ns - this.readings[0].now_ns > WINDOW_NS)
      this.readings.shift();
    const before = this.readings[this.readings.length - 2], oldest = this.readings[0];
    const seconds = Math.max(1e-9, (status.now_ns - oldest.now_ns) / 1e9);
    const recent = status.functions.map((row, i) => differenceOf(row.counters, oldest.functions[i].counters));
    this.cards.forEach((card, i) => card.update(status.functions[i], recent[i], seconds, before && lastOf(status, before, i)));
    this.showAll(status, addUp(recent), seconds, before);
    this.showWorkers(status);
    this.showIncidents(status);
    this.showState(status);
  }

  showAll(status, recent, seconds, before) {
    const sum = (key) => status.functions.reduce((total, row) => total + row[key], 0);
    const count = (key) => status.functions.reduce((total, row) => total + row.counters[key], 0);
    const workers = (key) => status.workers.reduce((total, row) => total + row[key], 0);
    const lasts = before ? status.functions.map((_, i) => lastOf(status, before, i)) : [];
    const time = (ns) => (ns === null ? "–" : showTime(ns));
    const fixed = workers("fixed"), unrouted = workers("unrouted");
    this.chart.push(lasts.reduce((total, last) => total + last.rate, 0), lasts.reduce((total, last) => total + last.errors, 0));
    setText(byId("rate"), showRate(recent.requests / seconds));
    setText(byId("total"), [`${showCount(count("requests"))} so far`, fixed && `${showCount(fixed)} static`,
      unrouted && `${showCount(unrouted)} without a route`].filter(Boolean).join(" · "));
    setText(byId("p50"), time(quantileOf(recent.latency, 0.5)));
    setText(byId("p99"), `99 % within ${time(quantileOf(recent.latency, 0.99))}`);
    setText(byId("start"), time(quantileOf(recent.starts, 0.5)));
    setText(byId("cpu"), `${recent.requests ? showTime(recent.cpu / recent.requests) : "–"} of processor each`);
    setText(byId("errors"), showShare(recent.errors, recent.requests));
    setClass(byId("errors"), recent.errors ? "bad" : "");
    setText(byId("wrong"), `${plural(count("errors"), "error", "errors")}, ${plural(count("traps"), "trap", "traps")} so far`);
    setText(byId("running"), String(sum("running") - sum("asleep")));
    setText(byId("load"), [`${sum("asleep")} waiting`, plural(workers("connections"), "connection", "connections"),
      showBytes(workers("resident_bytes"))].join(" · "));
  }

  showWorkers(status) {
    const list = byId("workers");
    while (list.rows.length > status.workers.length)
      list.deleteRow(-1);
    status.workers.forEach((worker, i) => {
      const row = list.rows[i] || this.newWorker(list);
      const [process, memory, open, image] = row.cells;
      setMood(process.firstChild, worker.up ? "good" : "bad");
      setText(process.lastChild, worker.pid ? String(worker.pid) : "gone");
      setText(memory, showBytes(worker.resident_bytes));
      setText(open, String(worker.connections));
      setText(image, String(worker.generation));
      row.title = plural(worker.restarts, "restart", "restarts");
    });
  }

  newWorker(list) {
    const row = list.insertRow();
    const first = row.insertCell();
    first.append(make("span", "mood"), make("span"));
    for (let i = 0; i < 3; i++)
      row.insertCell();
    return row;
  }

  /* Those that say the same are one, with how many. New ones come first, and none changes its place while somebody reads. */
  showIncidents(status) {
    const groups = new Map();
    for (const incident of status.incidents) {
      const key = JSON.stringify([incident.kind, incident.function, incident.text]);
      if (groups.has(key))
        groups.get(key).count++;
      else
        groups.set(key, { incident, count: 1 });
    }
    for (const [key, shown] of this.incidents)
      if (!groups.has(key)) {
        shown.node.remove();
        this.incidents.delete(key);
      }
    for (const [key, group] of [...groups].reverse()) {
      if (!this.incidents.has(key)) {
        this.incidents.set(key, new Incident(group.incident));
        byId("incidents").prepend(this.incidents.get(key).node);
      }
      this.incidents.get(key).update(group);
    }
    this.showAlarm(status);
    byId("nothing").hidden = groups.size > 0;
  }

  /* What went wrong in the last minutes: at the top, where one looks first. */
  showAlarm(status) {
    const recent = status.incidents.filter((incident) => Date.now() - incident.time_ms < ALARM_MS);
    const count = (kind) => recent.filter((incident) => incident.kind === kind).length;
    const words = [[count("trap"), "trap", "traps"], [count("limit"), "limit met", "limits met"], [count("failed"), "failure", "failures"],
      [count("denied"), "denial", "denials"]]
      .filter(([number]) => number).map(([number, one, many]) => `${number} ${number === 1 ? one : many}`);
    byId("alarm").hidden = words.length === 0;
    setMood(byId("alarm"), count("trap") + count("failed") ? "bad" : "warn");
    setText(byId("alarm"), `${words.join(", ")} lately`);
  }

  showState(status) {
    const up = status.workers.filter((worker) => worker.up).length;
    const age = showAge(status.uptime_ns / 1e6);
    const [mood, words] = status.draining ? ["warn", "ending"]
      : up < status.workers.length ? ["bad", `${up} of ${status.workers.length} workers serve`]
      : ["good", `serving for ${age}`];
    setMood(byId("state"), mood);
    setText(byId("state"), words);
    setText(byId("version"), `mayfly ${status.version}`);
    byId("main").classList.remove("stale");
    this.answered = Date.now();
  }

  lost() {
    setMood(byId("state"), "bad");
    setText(byId("state"), this.answered ? `no answer for ${showAge(Date.now() - this.answered)}` : "no answer");
    byId("main").classList.add("stale");
  }
}

/* A function's part of the last second. */
function lastOf(status, before, i) {
  const now = status.functions[i].counters, then = before.functions[i].counters;
  const seconds = Math.max(1e-9, (status.now_ns - before.now_ns) / 1e9);
  return { rate: (now.requests - then.requests) / seconds, errors: now.errors - then.errors };
}

class Incident {
  constructor(incident) {
    const [first, ...rest] = incident.text.trimEnd().split("\n");
    this.node = make("details", "incident");
    this.node.open = incident.kind === "denied";
    const summary = add(this.node, "summary");
    add(summary, "span", "kind", incident.kind).dataset.kind = incident.kind;
    add(summary, "span", "who", incident.function);
    add(summary, "span", "why", first);
    this.when = add(summary, "span", "when");
    add(this.node, "pre", "", rest.length ? rest.join("\n") : first);
  }

  update({ incident, count }) {
    setText(this.when, `${count > 1 ? `${count} × · ` : ""}${showAge(Date.now() - incident.time_ms)} ago`);
    this.when.title = new Date(incident.time_ms).toString();
  }
}

/* ---- asking ---- */

async function ask(path) {
  const answer = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
  if (!answer.ok)
    throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

async function look(page) {
  const status = await ask("/status");
  if (!page.cards || !page.fits(status))
    page.show(await ask("/application"));
  if (page.fits(status))
    page.update(status);
}

async function go() {
  const page = new Page();
  for (;;) {
    await look(page).catch((error) => {
      console.error(error);
      page.lost();
    });
    await new Promise((resolve) => setTimeout(resolve, document.hidden ? 5000 : 1000));
  }
}

go();
