/* The time line of a run, in an element of the page.
 *
 *   const line = wakelabTimeline(element, {live: true, title: "What happened"});
 *   line.add(marks);      more events, in order (events.py: Mark)
 *   line.clear();         another run begins
 *   line.fit();           all of it; line.zoom(2), line.select(n), line.latest()
 *
 * Nearly everything happens while the bench's time stands still, so the axis is the order of events, and where
 * milliseconds pass there is a dashed line with their number. Only what is visible is drawn. Whatever comes from the
 * program is put in as text, never as HTML. */
"use strict";

function wakelabTimeline(root, options = {}) {
  const SVG = "http://www.w3.org/2000/svg";
  const LANES = [
    ["pins", "pins"], ["interrupt", "interrupt"], ["wakes", "wakes"], ["task", "task"], ["core", "core"],
    ["console", "console"],
  ];
  const TOP = 20, ROW = 30, LEFT = 74, WIDEST = 160, NARROWEST = 0.05;
  const LISTED = 200, KEPT = 20000;
  const live = Boolean(options.live);

  let marks = [];     /* all that is known */
  let bars = [];      /* {lane, depth, from, to (index or null), label, end} */
  let open = {};      /* lane: indices of bars that are still open */
  let start = 0;      /* the index at the left edge; a fraction while panning */
  let scale = 26;     /* pixels an event */
  let chosen = -1;
  let following = live;
  let waiting = false;

  root.classList.add("timeline");
  const tools = make("div", "timeline-tools", root);
  const button = (text, title, act) => {
    const made = make("button", "", tools);
    made.type = "button";
    made.textContent = text;
    made.title = title;
    made.setAttribute("aria-label", title);
    made.addEventListener("click", act);
    return made;
  };
  button("−", "Zoom out", () => api.zoom(1 / 1.6));
  button("+", "Zoom in", () => api.zoom(1.6));
  button("All", "Show all events", () => api.fit());
  button("‹", "Previous event", () => step(-1));
  button("›", "Next event", () => step(1));
  if (live) button("Latest", "Follow what happens now", () => api.latest());
  const count = make("span", "timeline-count", tools);

  const view = document.createElementNS(SVG, "svg");
  view.setAttribute("class", "timeline-view");
  view.setAttribute("tabindex", "0");
  view.setAttribute("role", "group");
  view.setAttribute("aria-roledescription", "time line");
  view.setAttribute("aria-label", `${options.title || "Time line"}: arrow keys go from event to event, plus and minus zoom`);
  view.setAttribute("height", String(TOP + LANES.length * ROW + 6));
  root.append(view);
  const said = make("p", "timeline-said", root);
  said.setAttribute("role", "status");
  said.setAttribute("aria-live", "polite");
  const details = make("details", "timeline-list", root);
  make("summary", "", details).textContent = "The same as a list";
  const list = make("ol", "", details);

  function make(tag, name, parent) {
    const made = document.createElement(tag);
    if (name) made.className = name;
    parent.append(made);
    return made;
  }

  function draw(tag, attributes, text) {
    const made = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
    if (text !== undefined) made.textContent = text;
    return made;
  }

  const width = () => view.clientWidth || root.clientWidth || 600;
  const room = () => Math.max(50, width() - LEFT - 8);
  const x = (index) => LEFT + (index - start + 0.5) * scale;
  const y = (lane) => TOP + LANES.findIndex(([name]) => name === lane) * ROW;

  /* The oldest go, so that a page may stay open: bars that began before have no beginning then. */
  function forget() {
    const kept = marks.slice(-KEPT / 2);
    start -= marks.length - kept.length;
    chosen = -1;
    marks = [];
    bars = [];
    open = {};
    kept.forEach(keep);
  }

  function keep(mark) {
    if (mark.again && marks.length) {
      marks[marks.length - 1] = mark;
      return;
    }
    const at = marks.length;
    marks.push(mark);
    const stack = (open[mark.lane] ||= []);
    if (mark.does === "open") {
      stack.push(bars.length);
      bars.push({lane: mark.lane, depth: stack.length - 1, from: at, to: null, label: mark.label, end: ""});
    } else if (mark.does === "close" && stack.length) {
      const bar = bars[stack.pop()];
      bar.to = at;
      if (mark.label !== bar.label && mark.label !== "wake-up") bar.end = mark.label;
    }
  }

  function later() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; show(); });
  }

  function clamp() {
    const visible = room() / scale;
    start = Math.max(-0.25, Math.min(start, marks.length - visible + 0.25));
    if (marks.length <= visible) start = -0.25;
  }

  function show() {
    if (following) start = marks.length - room() / scale + 0.25;
    clamp();
    const first = Math.max(0, Math.floor(start) - 1);
    const last = Math.min(marks.length - 1, Math.ceil(start + room() / scale) + 1);
    const parts = [];
    LANES.forEach(([lane, title], row) => {
      if (row % 2) parts.push(draw("rect", {x: 0, y: y(lane), width: width(), height: ROW, class: "odd"}));
      parts.push(draw("text", {x: 8, y: y(lane) + 19, class: "name"}, title));
    });
    const clip = draw("svg", {x: LEFT, y: 0, width: room() + 8, height: TOP + LANES.length * ROW, viewBox: `${LEFT} 0 ${room() + 8} ${TOP + LANES.length * ROW}`});
    let labelled = -Infinity;
    for (let i = Math.max(1, first); i <= last; i++) {
      if (marks[i].ms === marks[i - 1].ms) continue;
      const at = x(i) - scale / 2;
      clip.append(draw("line", {x1: at, x2: at, y1: TOP - 2, y2: TOP + LANES.length * ROW, class: "time"}));
      if (at - labelled < 64) continue;
      labelled = at;
      clip.append(draw("text", {x: at + 3, y: 12, class: "time-label"}, `${marks[i].ms} ms`));
    }
    const names = [];   /* above all bars: a call within another covers a part of it */
    for (const bar of bars) {
      const end = bar.to === null ? marks.length - 0.5 : bar.to;
      if (end < first || bar.from > last) continue;
      const left = Math.max(x(bar.from), LEFT - 20), right = Math.min(x(end), LEFT + room() + 28);
      const inset = Math.min(bar.depth, 3) * 4;
      clip.append(draw("rect", {x: left, y: y(bar.lane) + 4 + inset, width: Math.max(2, right - left), height: ROW - 8 - 2 * inset, rx: 3, class: `bar ${bar.lane}`}));
      const words = bar.end ? `${bar.label} → ${bar.end}` : bar.label;
      const fits = Math.floor((right - Math.max(left, LEFT)) / 6.8) - 1;
      if (fits >= 3 && !bar.depth) names.push(draw("text", {x: Math.max(left, LEFT) + 5, y: y(bar.lane) + 19}, shortened(words, fits)));
    }
    clip.append(...names);
    const dense = scale < 3;
    for (let i = first; i <= last; i++) {
      if (dense && (i - first) % Math.ceil(2 / scale)) continue;
      const shape = point(marks[i], x(i));
      if (shape) clip.append(shape);
    }
    labelPoints(clip, first, last);
    if (chosen >= first && chosen <= last) {
      clip.append(draw("rect", {x: x(chosen) - 9, y: y(marks[chosen].lane) + 1, width: 18, height: ROW - 2, rx: 4, class: "chosen"}));
    }
    parts.push(clip);
    view.replaceChildren(...parts);
    count.textContent = `${marks.length} ${marks.length === 1 ? "event" : "events"}`;
    if (details.open) fillList();
  }

  function shortened(text, most) {
    return text.length <= most ? text : text.slice(0, Math.max(1, most - 1)) + "…";
  }

  /* A shape of its own for each kind, so that colour is never all there is. */
  function point(mark, at) {
    const top = y(mark.lane), middle = top + ROW / 2, name = `point ${mark.lane}`;
    switch (mark.kind) {
      case "edge":
        return mark.label.endsWith("↓")
          ? draw("path", {d: `M${at - 5} ${middle - 4}h10l-5 9z`, class: name})
          : draw("path", {d: `M${at - 5} ${middle + 4}h10l-5 -9z`, class: `hollow ${mark.lane}`});
      case "call":
        return mark.lane === "wakes" ? draw("path", {d: `M${at} ${middle - 6}l5 6l-5 6l-5 -6z`, class: name}) : null;
      case "line":
        return draw("rect", {x: at - 4, y: middle - 4, width: 8, height: 8, class: name});
      case "tick": case "reset": case "todo":
        return draw("circle", {cx: at, cy: middle, r: 4, class: `hollow ${mark.lane}`});
      case "end": case "forbidden":
        return draw("path", {d: `M${at - 5} ${middle - 5}l10 10M${at + 5} ${middle - 5}l-10 10`, class: name, "stroke-width": 3});
      default:
        return null;
    }
  }

  function labelPoints(clip, first, last) {
    const free = {};
    for (let i = first; i <= last; i++) {
      const mark = marks[i];
      if (mark.does !== "at") continue;
      const at = x(i) + 8, until = free[mark.lane] ?? -Infinity;
      if (at < until) continue;
      let next = i + 1;
      while (next <= last && !(marks[next].lane === mark.lane && marks[next].does === "at")) next++;
      const space = (next <= last ? x(next) - 6 : LEFT + room() + 200) - at;
      const fits = Math.floor(space / 6.8);
      if (fits < Math.min(4, mark.label.length)) continue;
      const words = shortened(mark.label, fits);
      clip.append(draw("text", {x: at, y: y(mark.lane) + 19}, words));
      free[mark.lane] = at + words.length * 6.8 + 6;
    }
  }

  function fillList() {
    const from = Math.max(0, marks.length - LISTED);
    list.start = from + 1;
    list.replaceChildren(...marks.slice(from).map((mark) => {
      const item = document.createElement("li");
      item.textContent = mark.words;
      return item;
    }));
  }

  function step(by) {
    if (!marks.length) return;
    api.select(chosen < 0 ? (by > 0 ? Math.max(0, Math.round(start)) : marks.length - 1) : chosen + by);
  }

  function zoomAt(factor, at) {
    const index = start + (at - LEFT) / scale;
    scale = Math.max(NARROWEST, Math.min(WIDEST, scale * factor));
    start = index - (at - LEFT) / scale;
    later();
  }

  const api = {
    add(more) {
      for (const mark of more) keep(mark);
      if (marks.length > KEPT) forget();
      later();
    },
    clear() {
      marks = [];
      bars = [];
      open = {};
      chosen = -1;
      following = live;
      said.textContent = "";
      later();
    },
    zoom(factor) {
      zoomAt(factor, following ? LEFT + room() : LEFT + room() / 2);
    },
    fit() {
      following = false;
      scale = Math.max(NARROWEST, Math.min(WIDEST, room() / Math.max(1, marks.length)));
      start = -0.25;
      later();
    },
    latest() {
      following = true;
      later();
    },
    select(index) {
      chosen = Math.max(0, Math.min(marks.length - 1, index));
      following = false;
      const visible = room() / scale;
      if (chosen < start || chosen > start + visible - 1) start = chosen - visible / 2;
      said.textContent = `${chosen + 1} of ${marks.length}: ${marks[chosen].words}`;
      later();
    },
    get size() { return marks.length; },
    get scale() { return scale; },
  };

  view.addEventListener("keydown", (event) => {
    const acts = {
      ArrowRight: () => step(1), ArrowLeft: () => step(-1), Home: () => api.select(0),
      End: () => api.select(marks.length - 1), "+": () => api.zoom(1.6), "=": () => api.zoom(1.6),
      "-": () => api.zoom(1 / 1.6), 0: () => api.fit(),
    };
    if (!acts[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    acts[event.key]();
  });
  view.addEventListener("wheel", (event) => {
    event.preventDefault();
    const rect = view.getBoundingClientRect();
    if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      following = false;
      start += event.deltaX / scale;
      later();
    } else {
      following = false;
      zoomAt(event.deltaY < 0 ? 1.15 : 1 / 1.15, event.clientX - rect.left);
    }
  }, {passive: false});

  const fingers = new Map();
  let moved = 0;
  view.addEventListener("pointerdown", (event) => {
    view.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, event.clientX);
    moved = 0;
  });
  view.addEventListener("pointermove", (event) => {
    if (!fingers.has(event.pointerId)) return;
    const before = [...fingers.values()];
    const by = event.clientX - fingers.get(event.pointerId);
    fingers.set(event.pointerId, event.clientX);
    moved += Math.abs(by);
    if (fingers.size === 1 && moved > 3) {
      following = false;
      start -= by / scale;
      later();
    } else if (fingers.size === 2) {
      const after = [...fingers.values()];
      const was = Math.abs(before[0] - before[1]), is = Math.abs(after[0] - after[1]);
      following = false;
      if (was > 10) zoomAt(is / was, (after[0] + after[1]) / 2 - view.getBoundingClientRect().left);
    }
  });
  const lift = (event) => {
    const tapped = fingers.size === 1 && moved <= 3 && event.type === "pointerup";
    fingers.delete(event.pointerId);
    if (!tapped || !marks.length) return;
    const rect = view.getBoundingClientRect();
    const row = Math.floor((event.clientY - rect.top - TOP) / ROW);
    const near = Math.round(start + (event.clientX - rect.left - LEFT) / scale - 0.5);
    let best = near;
    for (let away = 0; away < 12 / Math.min(scale, 12) + 2; away++) {
      const found = [near - away, near + away].find((i) => marks[i] && marks[i].lane === (LANES[row] || [])[0]);
      if (found !== undefined) { best = found; break; }
    }
    api.select(best);
  };
  view.addEventListener("pointerup", lift);
  view.addEventListener("pointercancel", lift);
  details.addEventListener("toggle", () => later());
  new ResizeObserver(later).observe(view);
  later();
  return api;
}
