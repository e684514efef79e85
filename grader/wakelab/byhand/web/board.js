/* The page of the board. What comes from the program is put in as text, never as HTML. */
"use strict";

(() => {
  const MOST_LINES = 500;
  const by = (id) => document.getElementById(id);
  const keys = new Map([...document.querySelectorAll(".key")].map((key) => [key.dataset.button, key]));
  const arrows = {ArrowUp: "UP", ArrowDown: "DOWN", ArrowLeft: "LEFT", ArrowRight: "RIGHT", Enter: "SELECT", " ": "SELECT"};
  const line = wakelabTimeline(by("timeline"), {live: true, title: "What happened on the board"});
  const lab = document.body.dataset.lab;

  let socket = null, state = null, failures = 0, ended = false;
  let printed = [];

  /* -- the connection ------------------------------------------------------------------------------ */

  function connect() {
    socket = new WebSocket(location.href.replace(/^http/, "ws").replace(/#.*$/, "") + "board");
    socket.addEventListener("open", () => { failures = 0; trouble(""); });
    socket.addEventListener("message", (event) => hear(JSON.parse(event.data)));
    socket.addEventListener("close", () => {
      if (ended) return;
      failures++;
      keys.forEach((key) => key.setAttribute("aria-pressed", "false"));
      by("mode-word").textContent = "not connected";
      by("mode-mark").textContent = "×";
      document.body.dataset.mode = "gone";
      trouble(failures < 3
        ? "The connection to the board is broken; trying again."
        : `The board is off. Start it again with make run LAB=${lab}, and open the address that it prints.`);
      setTimeout(connect, failures < 3 ? 500 : 3000);
    });
  }

  function send(message) {
    if (socket && socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
  }

  function trouble(words, restart = false) {
    by("trouble").hidden = !words;
    by("trouble").firstElementChild.textContent = words;
    by("trouble-restart").hidden = !restart;
  }

  function hear(news) {
    if ("script" in news || "problem" in news) return showScript(news);
    if (news.anew) {
      line.clear();
      printed = [];
      by("console").textContent = "";
    }
    line.add(news.events);
    if (news.lines.length) print(news.lines);
    show(news.state);
    if (news.closed) {
      ended = true;
      trouble(`The board is off. Start it again with make run LAB=${lab}.`);
    }
  }

  /* -- what there is to see ------------------------------------------------------------------------ */

  const WORDS = {asleep: ["asleep", "☾"], running: ["running slowly", "▸"], paused: ["paused", "‖"], ended: ["ended", "×"]};

  function show(now) {
    const before = state;
    state = now;
    document.body.dataset.mode = now.mode;
    const [word, mark] = WORDS[now.mode];
    const said = now.paused && now.mode === "asleep" ? "asleep, paused" : word;
    by("mode-word").textContent = said;
    by("mode-mark").textContent = mark;
    by("ms").textContent = `at ${now.ms} ms` + (now.idle ? "; time stands still until you do something" : "");
    const where = now.where;
    by("where").textContent = where
      ? `${where.function}  ${where.line ? `${where.file}:${where.line}` : ""}  ${where.instruction}` : "";
    by("source").textContent = where ? where.text : "";
    by("why").textContent = now.why;
    keys.forEach((key, name) => key.setAttribute("aria-pressed", String(now.pressed.includes(name))));
    by("led").classList.toggle("on", now.led);
    by("led").setAttribute("aria-label", `status LED: ${now.led ? "on" : "off"}`);
    if (now.picture !== null) drawDisplay(now.picture);
    by("pause").setAttribute("aria-pressed", String(now.paused));
    by("slow").checked = now.pace !== null;
    if (now.mode === "ended" && (!before || before.mode !== "ended")) trouble(now.why, true);
    if (now.mode !== "ended" && before && before.mode === "ended") trouble("");
    if (!before || before.mode !== now.mode || before.led !== now.led) {
      tell(`${said}${before && before.led !== now.led ? `; LED ${now.led ? "on" : "off"}` : ""}`);
    }
  }

  /* 128 by 64 shades from 0 to 15, or nothing: the display is dark. */
  function drawDisplay(picture) {
    const shades = atob(picture), dark = !shades.length;
    by("oled").hidden = dark;
    by("oled-off").hidden = !dark;
    if (dark) return;
    const context = by("oled").getContext("2d"), image = context.createImageData(128, 64);
    for (let n = 0; n < 128 * 64; n++) {
      const shade = 17 * shades.charCodeAt(n);
      image.data.set([shade, shade, Math.round(shade * 0.7), 255], 4 * n);
    }
    context.putImageData(image, 0, 0);
  }

  function print(lines) {
    printed = [...printed, ...lines].slice(-MOST_LINES);
    const box = by("console");
    const atEnd = box.scrollTop + box.clientHeight >= box.scrollHeight - 8;
    box.textContent = printed.map(plain).join("\n");
    if (atEnd) box.scrollTop = box.scrollHeight;
    tell(plain(lines[lines.length - 1]));
  }

  /* Control codes and changes of direction are spelled out: text must not pretend to be other text. */
  function plain(text) {
    return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g,
      (character) => "\\u" + character.charCodeAt(0).toString(16).padStart(4, "0"));
  }

  function tell(words) {
    by("news").textContent = words;
  }

  /* -- buttons ------------------------------------------------------------------------------------- */

  function press(name) { send({do: "press", button: name}); }
  function release(name) { send({do: "release", button: name}); }
  const held = () => by("hold").checked;
  const down = new Set();   /* by this page's pointer or key */

  function begin(name) {
    if (held()) {
      (state && state.pressed.includes(name) ? release : press)(name);
    } else if (!down.has(name)) {
      down.add(name);
      press(name);
    }
  }

  function finish(name) {
    if (down.delete(name)) release(name);
  }

  keys.forEach((key, name) => {
    key.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      if (key.hasPointerCapture(event.pointerId)) key.releasePointerCapture(event.pointerId);
      begin(name);
    });
    for (const over of ["pointerup", "pointerleave", "pointercancel"]) key.addEventListener(over, () => finish(name));
    key.addEventListener("contextmenu", (event) => event.preventDefault());
    key.addEventListener("blur", () => finish(name));
    /* Assistive technology may click without a pointer or a key. */
    key.addEventListener("click", (event) => {
      if (event.detail !== 0) return;
      begin(name);
      finish(name);
    });
  });

  const buttonOf = (event) => {
    const own = event.target.dataset && event.target.dataset.button;
    return own && (event.key === "Enter" || event.key === " ") ? own : arrows[event.key];
  };
  by("board").addEventListener("keydown", (event) => {
    const name = buttonOf(event);
    if (!name || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    if (!event.repeat) begin(name);
  });
  by("board").addEventListener("keyup", (event) => {
    const name = buttonOf(event);
    if (!name) return;
    event.preventDefault();
    finish(name);
  });
  const letGo = () => [...down].forEach(finish);
  by("board").addEventListener("focusout", (event) => {
    if (!by("board").contains(event.relatedTarget)) letGo();
  });
  window.addEventListener("blur", letGo);

  /* -- the core ------------------------------------------------------------------------------------ */

  const number = (id) => Math.max(1, Math.min(100000, Math.round(Number(by(id).value) || 1)));
  const pace = () => Math.round(2 * 10 ** (Number(by("pace").value) / 100 * 3.39));   /* 2 to 5000 */
  const sayPace = () => { by("pace-said").textContent = `${pace()} a second`; };
  sayPace();

  by("pause").addEventListener("click", () => send({do: state && state.paused ? "resume" : "pause"}));
  by("step").addEventListener("click", () => send({do: "step", count: 1}));
  by("steps").addEventListener("click", () => send({do: "step", count: number("step-count")}));
  by("slow").addEventListener("change", () => {
    send({do: "pace", instructions: by("slow").checked ? pace() : null});
    if (state && state.paused) send({do: "resume"});
  });
  by("pace").addEventListener("input", () => {
    sayPace();
    if (by("slow").checked) send({do: "pace", instructions: pace()});
  });
  by("again").addEventListener("submit", (event) => {
    event.preventDefault();
    const name = by("again-button").value;
    send({do: "again", button: name, instructions: number("again-count")});
    release(name);
  });
  by("restart").addEventListener("click", () => send({do: "restart", paused: false}));
  by("restart-paused").addEventListener("click", () => send({do: "restart", paused: true}));
  by("trouble-restart").addEventListener("click", () => send({do: "restart", paused: false}));

  /* -- the script ---------------------------------------------------------------------------------- */

  by("save").addEventListener("click", () => send({do: "script"}));

  function showScript(answer) {
    by("script-panel").hidden = false;
    by("script-problem").textContent = answer.problem || "";
    by("script-good").hidden = Boolean(answer.problem);
    if (!answer.problem) {
      by("script").value = answer.script;
      by("play").textContent = answer.play;
      URL.revokeObjectURL(by("download").href);
      by("download").href = URL.createObjectURL(new Blob([answer.script], {type: "application/yaml"}));
      by("download").download = answer.file;
      by("download").focus();
    }
    tell(answer.problem || "the script is there");
  }

  by("copy").addEventListener("click", async () => {
    by("script").select();
    try {
      await navigator.clipboard.writeText(by("script").value);
      tell("copied");
    } catch {
      document.execCommand("copy");
    }
  });
  by("script-close").addEventListener("click", () => {
    by("script-panel").hidden = true;
    by("save").focus();
  });

  connect();
})();
