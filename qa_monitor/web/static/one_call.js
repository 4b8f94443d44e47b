// The page of one call: the player, the transcript that follows it, and the keys. Everything is
// there without it: transcript, scores and a plain player.
"use strict";

(() => {
  const page = document.querySelector("[data-call]");
  if (!page) return;
  const player = page.querySelector("[data-player]");
  const audio = player.querySelector("audio");
  const duration = Number(player.dataset.duration) || 0;
  const calm = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  const wide = window.matchMedia("(min-width: 62rem)");
  const all = (selector, root = page) => Array.from(root.querySelectorAll(selector));

  const clock = (seconds) => {
    const whole = Math.max(0, Math.floor(seconds));
    return `${String(Math.floor(whole / 60)).padStart(2, "0")}:${String(whole % 60).padStart(2, "0")}`;
  };

  // --- what a person has chosen before, on this machine --------------------------------------
  const chosen = {
    get: (name, otherwise) => {
      try { return localStorage.getItem(`qa-${name}`) ?? otherwise; } catch { return otherwise; }
    },
    set: (name, value) => {
      try { localStorage.setItem(`qa-${name}`, value); } catch { /* not kept, then */ }
    },
  };

  // --- moving about ----------------------------------------------------------------------------
  const show = (element) => {
    element.scrollIntoView({ block: "center", behavior: calm ? "auto" : "smooth" });
  };
  // The transcript scrolls in its own pane where there is one; the page stays where it is.
  const showTurn = (turn) => {
    const pane = turn.closest(".turns");
    if (pane && pane.scrollHeight > pane.clientHeight + 1) {
      const top = turn.offsetTop - pane.offsetTop - pane.clientHeight / 3;
      pane.scrollTo({ top, behavior: calm ? "auto" : "smooth" });
    } else {
      show(turn);
    }
  };
  const measure = () => {
    page.style.setProperty("--under-player", `${player.offsetHeight + 8}px`);
  };
  new ResizeObserver(measure).observe(player);

  // --- the player ------------------------------------------------------------------------------
  let seek = () => {};
  let now = () => null;
  let redraw = () => {};
  let toggle = () => {};
  let collect = () => {};

  if (audio) {
    audio.controls = false;
    audio.hidden = true;
    const deck = player.querySelector(".deck");
    deck.hidden = false;
    const wave = deck.querySelector(".wave");
    const svg = wave.querySelector("svg");
    const play = deck.querySelector("[data-do=play]");
    const shown = deck.querySelector("[data-now]");
    const speed = deck.querySelector("[data-speed]");
    const follow = deck.querySelector("[data-follow]");
    // Asked for many times a second while it plays, and changed by a comment only.
    let turns = [];
    collect = () => {
      turns = all("[data-turn][data-start]").map((turn) => ({ turn, start: Number(turn.dataset.start) }));
    };
    collect();

    // Before the first sound is loaded a player has no place; this is where it will begin.
    let waiting = null;
    now = () => (waiting !== null ? waiting : audio.currentTime);
    seek = (seconds) => {
      const to = Math.min(Math.max(seconds, 0), Math.max(duration - 0.05, 0));
      if (audio.readyState > 0) { audio.currentTime = to; waiting = null; } else { waiting = to; }
      tick();
    };
    audio.addEventListener("loadedmetadata", () => {
      if (waiting !== null) { audio.currentTime = waiting; waiting = null; }
    });
    const start = () => {
      audio.play().catch(() => tell("The recording cannot be played here."));
    };
    toggle = () => { if (audio.paused) start(); else audio.pause(); };
    const tell = (text) => { deck.querySelector("[data-told]").textContent = text; };

    // --- the drawing ---------------------------------------------------------------------------
    const space = "http://www.w3.org/2000/svg";
    const draw = (name, attributes, parent = svg, title = "") => {
      const element = document.createElementNS(space, name);
      for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
      if (title) element.appendChild(document.createElementNS(space, "title")).textContent = title;
      parent.appendChild(element);
      return element;
    };
    let peaks = null;
    let needle = null;
    let doneClip = null;
    let width = 0;
    const across = (seconds) => (duration ? (seconds / duration) * width : 0);

    redraw = () => {
      width = wave.clientWidth;
      if (!width) return;
      const narrow = width < 600;
      const rows = all("[data-layer-toggle]:checked").map((box) => box.dataset.layerToggle);
      const rowHeight = narrow ? 7 : 10;
      const laneHeight = narrow ? 26 : peaks && peaks.lanes.length > 1 ? 34 : 52;
      const count = peaks ? peaks.lanes.length : 1;
      const remarks = all("[data-comment-start]");
      const top = rows.length * rowHeight + (rows.length ? 4 : 0);
      const height = top + count * laneHeight + (remarks.length ? 12 : 2);
      svg.replaceChildren();
      svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
      svg.setAttribute("height", height);
      const defs = draw("defs", {});
      const hatch = draw("pattern", { id: "hatch", width: 5, height: 5, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" }, defs);
      draw("line", { class: "hatch", x1: 0, y1: 0, x2: 0, y2: 5 }, hatch);
      const clip = draw("clipPath", { id: "done" }, defs);
      doneClip = draw("rect", { x: 0, y: 0, width: 0, height }, clip);

      rows.forEach((layer, row) => {
        const y = row * rowHeight + 2;
        draw("rect", { class: "row", x: 0, y: y + 1, width, height: rowHeight - 2 });
        all(`.words [data-place][data-layer="${layer}"][data-start]`).forEach((mark) => {
          const from = across(Number(mark.dataset.start));
          const to = across(Number(mark.dataset.end || mark.dataset.start));
          draw("rect", { class: `mark m-${layer}`, x: from, y: y + 1, width: Math.max(to - from, 4), height: rowHeight - 2, rx: 2 }, svg, mark.getAttribute("aria-label").split(":")[0]);
        });
      });
      for (let lane = 0; lane < count; lane += 1) {
        const middle = top + lane * laneHeight + laneHeight / 2;
        draw("line", { class: "mid", x1: 0, x2: width, y1: middle, y2: middle });
        if (!peaks) continue;
        const values = peaks.lanes[lane];
        const loudest = Math.max(20, ...values);
        const reach = (laneHeight / 2 - 2) / loudest;
        const step = width / values.length;
        let above = "";
        let below = "";
        values.forEach((value, index) => {
          const x = (index * step).toFixed(1);
          const high = Math.max(value * reach, 0.6);
          above += `L${x} ${(middle - high).toFixed(1)}`;
          below = `L${x} ${(middle + high).toFixed(1)}${below}`;
        });
        const outline = `M0 ${middle}${above}L${width} ${middle}${below}Z`;
        draw("path", { class: "sound", d: outline });
        draw("path", { class: "sound done", d: outline, "clip-path": "url(#done)" });
      }
      all("[data-redacted][data-start]").forEach((chip) => {
        const from = across(Number(chip.dataset.start));
        const to = across(Number(chip.dataset.end));
        const box = { x: from, y: top, width: Math.max(to - from, 2), height: count * laneHeight };
        const kind = `${chip.dataset.redacted} taken out`;
        draw("rect", { class: "redacted", ...box }, svg, kind);
        draw("rect", { fill: "url(#hatch)", opacity: 0.35, ...box }, svg, kind);
        const long = chip.dataset.redacted.length * 5.2;
        const at = { class: "kind", x: (from + to) / 2, y: top + (count * laneHeight) / 2 + 3, "text-anchor": "middle" };
        if (to - from > long + 6) {
          draw("text", at).textContent = chip.dataset.redacted;
        } else if (to - from > 10 && count * laneHeight > long) {
          draw("text", { ...at, transform: `rotate(-90 ${at.x} ${at.y - 3})` }).textContent = chip.dataset.redacted;
        }
      });
      remarks.forEach((remark) => {
        const x = across(Number(remark.dataset.commentStart));
        draw("path", { class: "said-here", d: `M${x} ${height - 11}l5 9h-10z` }, svg, "comment");
      });
      needle = draw("line", { class: "needle", x1: 0, x2: 0, y1: 0, y2: height });
      all(".lanes [data-lane]", deck).forEach((name) => { name.style.height = `${laneHeight}px`; });
      deck.querySelector(".lanes").style.paddingBottom = remarks.length ? "12px" : "2px";
      tick();
    };

    let current = null;
    const tick = () => {
      const at = now();
      shown.textContent = clock(at);
      wave.setAttribute("aria-valuenow", Math.round(at));
      wave.setAttribute("aria-valuetext", `${clock(at)} of ${clock(duration)}`);
      if (needle) {
        const x = across(at);
        needle.setAttribute("x1", x);
        needle.setAttribute("x2", x);
        doneClip.setAttribute("width", x);
      }
      const begun = at > 0 || !audio.paused ? turns.findLast(({ start }) => start <= at + 0.05) : null;
      const last = begun ? begun.turn : null;
      if (last === current) return;
      if (current) { current.classList.remove("now"); current.removeAttribute("aria-current"); }
      current = last;
      if (!current) return;
      current.classList.add("now");
      current.setAttribute("aria-current", "true");
      if (follow.checked && !audio.paused) showTurn(current);
    };
    audio.addEventListener("timeupdate", tick);
    audio.addEventListener("seeked", tick);
    const smooth = () => { tick(); if (!audio.paused) requestAnimationFrame(smooth); };
    const change = () => {
      play.classList.toggle("on", !audio.paused);
      play.setAttribute("aria-label", audio.paused ? "Play" : "Pause");
      if (!audio.paused) requestAnimationFrame(smooth);
    };
    for (const name of ["play", "pause", "ended"]) audio.addEventListener(name, change);
    audio.addEventListener("error", () => tell("The recording cannot be played here."));

    // --- its controls --------------------------------------------------------------------------
    deck.addEventListener("click", (event) => {
      const what = event.target.closest("[data-do]")?.dataset.do;
      if (what === "play") toggle();
      if (what === "back") seek(now() - 5);
      if (what === "forth") seek(now() + 5);
      if (what === "earlier") jump(-1);
      if (what === "later") jump(1);
    });
    speed.value = chosen.get("speed", "1");
    audio.playbackRate = audio.defaultPlaybackRate = Number(speed.value) || 1;
    speed.addEventListener("change", () => {
      audio.playbackRate = audio.defaultPlaybackRate = Number(speed.value);
      chosen.set("speed", speed.value);
    });
    follow.checked = chosen.get("follow", wide.matches ? "yes" : "no") === "yes";
    follow.addEventListener("change", () => chosen.set("follow", follow.checked ? "yes" : "no"));
    const place = (event) => {
      const box = wave.getBoundingClientRect();
      return ((event.clientX - box.left) / box.width) * duration;
    };
    wave.addEventListener("pointerdown", (event) => { seek(place(event)); wave.setPointerCapture(event.pointerId); });
    wave.addEventListener("pointermove", (event) => { if (event.buttons & 1) seek(place(event)); });
    wave.addEventListener("keydown", (event) => {
      const steps = { ArrowLeft: -5, ArrowRight: 5, ArrowDown: -5, ArrowUp: 5, PageDown: -30, PageUp: 30 };
      if (event.key in steps) seek(now() + steps[event.key]);
      else if (event.key === "Home") seek(0);
      else if (event.key === "End") seek(duration);
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
    fetch(player.dataset.waveform, { headers: { Accept: "application/json" } })
      .then((answer) => (answer.ok ? answer.json() : null))
      .then((found) => { peaks = found; redraw(); })
      .catch(() => {});
    new ResizeObserver(redraw).observe(wave);
    redraw();
    if (player.dataset.at) seek(Number(player.dataset.at));

    // A click on what was said plays from there, but for one that ends a selection.
    all("[data-turn][data-start]").forEach((turn) => { turn.dataset.seekable = ""; });
    page.addEventListener("click", (event) => {
      const link = event.target.closest("a.time[data-seek]");
      const words = event.target.closest("[data-turn][data-start] .words");
      if (link) {
        event.preventDefault();
        seek(Number(link.dataset.seek));
        start();
      } else if (words && !event.target.closest("a") && document.getSelection().isCollapsed) {
        seek(Number(words.closest("[data-turn]").dataset.start));
        start();
      }
    });
  }

  // --- evidence: to the place and back ---------------------------------------------------------
  const visible = (element) => element.offsetParent !== null;
  const goTo = (tab) => {
    all(".here").forEach((element) => element.classList.remove("here"));
    tab.classList.add("here");
    document.getElementById(tab.dataset.place)?.classList.add("here");
    if (tab.dataset.start) seek(Number(tab.dataset.start));
    showTurn(tab.closest("[data-turn]"));
    tab.focus({ preventScroll: true });
  };
  const jump = (direction) => {
    const tabs = all(".words [data-place]").filter(visible);
    if (!tabs.length) return;
    const known = tabs.findIndex((tab) => tab.classList.contains("here"));
    let next = known + direction;
    if (known < 0) {
      const at = now() ?? 0;
      const later = tabs.findIndex((tab) => Number(tab.dataset.start ?? 0) >= at);
      next = direction > 0 ? (later < 0 ? 0 : later) : (later <= 0 ? tabs.length : later) - 1;
    }
    goTo(tabs[(next + tabs.length) % tabs.length]);
  };
  page.addEventListener("click", (event) => {
    const back = event.target.closest(".words a[data-place]");
    if (back) {
      const item = document.getElementById(back.dataset.place);
      if (!item) return;
      event.preventDefault();
      all(".here").forEach((element) => element.classList.remove("here"));
      item.classList.add("here");
      item.closest("details")?.setAttribute("open", "");
      show(item);
      item.querySelector("a").focus({ preventScroll: true });
      return;
    }
    const there = event.target.closest("a[data-turn-index]");
    if (!there) return;
    event.preventDefault();
    const tab = there.dataset.go && document.getElementById(`at-${there.dataset.go}`);
    if (tab && visible(tab)) { goTo(tab); return; }
    const turn = document.getElementById(`turn-${there.dataset.turnIndex}`);
    if (there.dataset.seek) seek(Number(there.dataset.seek));
    if (!turn) return;
    showTurn(turn);
    turn.setAttribute("tabindex", "-1");
    turn.focus({ preventScroll: true });
  });
  page.addEventListener("change", (event) => {
    if (event.target.matches("[data-layer-toggle]")) redraw();
  });

  // --- keys ------------------------------------------------------------------------------------
  const keys = page.querySelector("[data-keys]");
  if (keys) {
    keys.checked = chosen.get("keys", "yes") === "yes";
    keys.addEventListener("change", () => chosen.set("keys", keys.checked ? "yes" : "no"));
  }
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey) return;
    if (keys && !keys.checked) return;
    if (event.target.closest("input, textarea, select, [contenteditable]")) return;
    if (event.key === " ") {
      if (!audio || event.target.closest("button, a, summary")) return;
      toggle();
    } else if (event.key === "ArrowLeft" && audio) seek(now() - 5);
    else if (event.key === "ArrowRight" && audio) seek(now() + 5);
    else if (event.key === "[") jump(-1);
    else if (event.key === "]") jump(1);
    else return;
    event.preventDefault();
  });

  // --- comments --------------------------------------------------------------------------------
  page.addEventListener("click", (event) => {
    const link = event.target.closest("[data-comment-turn]");
    const form = document.getElementById("new-comment");
    if (link && form) {
      event.preventDefault();
      form.elements.turn.disabled = false;
      form.elements.turn.value = link.dataset.commentTurn;
      form.elements.start.value = link.dataset.commentAt ?? "";
      form.elements.end.value = "";
      show(form);
      form.elements.text.focus({ preventScroll: true });
    }
    if (event.target.closest("[data-take-time]") && form) {
      form.elements.start.value = clock(now() ?? 0);
      form.elements.turn.disabled = true;
      form.elements.start.focus();
    }
  });
  const ready = () => {
    collect();
    all("[data-take-time]").forEach((button) => { button.hidden = !audio; });
    if (audio) all("[data-turn][data-start]").forEach((turn) => { turn.dataset.seekable = ""; });
  };
  ready();

  // --- forms -----------------------------------------------------------------------------------
  let seconds = 0;
  setInterval(() => { if (document.visibilityState === "visible") seconds += 1; }, 1000);
  document.addEventListener("submit", (event) => {
    const timed = event.target.querySelector("[data-seconds]");
    if (timed) timed.value = seconds;
    if (!event.defaultPrevented && event.target.dataset.slow) {
      const told = page.querySelector("[data-slow-told]");
      if (told) told.textContent = event.target.dataset.slow;
      // A second press would only be refused.
      setTimeout(() => all(".anew button").forEach((button) => { button.disabled = true; }), 0);
    }
  });
  document.addEventListener("htmx:afterSettle", (event) => {
    ready();
    redraw();
    const id = event.detail.elt?.id ?? "";
    if (/^(subject-|comments|finish)/.test(id)) {
      const heading = document.getElementById(id)?.querySelector("[tabindex='-1']");
      heading?.focus({ preventScroll: true });
    }
    const said = document.querySelector("#said > *");
    if (said) setTimeout(() => said.remove(), 8000);
  });
})();
