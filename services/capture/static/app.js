// The page: wires microphone, camera, keyboard, stream, timeline and speaker together.

import { Camera, Microphone, Speaker, createContext } from "./audio.js";
import { Stream } from "./stream.js";
import { Timeline } from "./timeline.js";

const $ = (id) => document.getElementById(id);
const STATES = {
  idle: "not connected", connecting: "connecting…", live: "live", reconnecting: "reconnecting…", ended: "ended",
};
const LATENCIES = 100; // 20 s

const timeline = new Timeline(document);
let context, stream, microphone, camera, speaker;
let levels = []; // {at, level} of the microphone's last second
let latencies = [];
let gapMs = 0;

// --- what the page says

function showState(state) {
  $("state").textContent = STATES[state];
  $("state").dataset.state = state;
  const open = state === "live" || state === "reconnecting" || state === "connecting";
  $("start").textContent = open ? "Stop" : "Start";
  $("start").classList.toggle("stop", open);
  $("text").disabled = $("send").disabled = state !== "live";
}

function showError(code, message, fatal) {
  const last = $("errors").lastElementChild;
  if (last?.dataset.code === code) last.remove();
  const box = document.createElement("div");
  box.className = fatal ? "error fatal" : "error";
  box.dataset.code = code;
  const name = document.createElement("b");
  name.textContent = code.replaceAll("_", " ");
  const close = document.createElement("button");
  close.textContent = "×";
  close.title = "dismiss";
  close.onclick = () => box.remove();
  box.append(name, ` ${message}`, close);
  $("errors").append(box);
  while ($("errors").children.length > 3) $("errors").firstElementChild.remove();
  if (!fatal) setTimeout(() => box.remove(), 8000);
}

function say(role, text, grow) {
  const list = $("transcript");
  // An utterance goes on although the other side said "mhm" meanwhile.
  let item = grow ? [...list.children].slice(-4).findLast((one) => one.dataset.role === role && !one.dataset.over) : null;
  if (!item) {
    if (!text.trim()) return;
    item = document.createElement("li");
    item.dataset.role = role;
    list.append(item);
    while (list.children.length > 200) list.firstElementChild.remove();
  }
  item.textContent = (item.textContent + text).trimStart();
  list.scrollTop = list.scrollHeight;
}

function endUtterance(role) {
  for (const item of [...$("transcript").children].slice(-4)) if (item.dataset.role === role) item.dataset.over = "1";
}

function showLatency(turn) {
  latencies.push(Date.now() - turn.frame_end_ms);
  if (latencies.length > LATENCIES) latencies.shift();
  const sorted = latencies.toSorted((a, b) => a - b);
  // Another machine's clock may be ahead: then the quickest turn counts as zero, and the rest is told against it.
  const skew = Math.min(0, sorted[0]);
  const at = (share) => Math.round(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] - skew);
  $("latency").textContent = `${skew < 0 ? "+" : ""}${at(0.5)} / ${at(0.99)} ms`;
}

// --- what comes from the server

function onWelcome({ detail: welcome }) {
  $("session").textContent = welcome.session_id;
  if (context && !speaker) {
    speaker = new Speaker(context, welcome.output_rate_hz);
    speaker.muted = !$("speaker").checked;
  }
  $("hint").hidden = true;
}

function showMind(data) {
  if (!("standing_task" in data)) return;
  const stands = data.standing_task !== "none";
  const task = `${data.standing_task}${data.trigger ? ` “${data.trigger}”` : ""}`;
  $("mind").textContent = stands ? `${task}${data.word ? `: “${data.word}”` : ""}` : "nothing";
}

function onTurn({ detail: turn }) {
  const now = performance.now();
  levels = levels.filter(({ at }) => at > now - 1000);
  const recent = levels.filter(({ at }) => at > now - 220);
  const level = recent.length ? Math.sqrt(recent.reduce((sum, { level }) => sum + level * level, 0) / recent.length) : null;
  timeline.add(turn, level);
  if (turn.audio) speaker?.play(turn.audio);
  if (turn.user_text) say("you", turn.user_text, true);
  if (turn.user === "ended") endUtterance("you");
  if (turn.text) say("model", turn.text, true);
  if (turn.floor === "hold" || turn.floor === "yield") endUtterance("model");
  for (const event of turn.events ?? []) if (event.name === "ui") showMind(event.data ?? {});
  gapMs += turn.gap_ms ?? 0;
  showLatency(turn);
  $("tick").textContent = turn.tick;
  $("gaps").textContent = gapMs < 10_000 ? `${gapMs} ms` : `${(gapMs / 1000).toFixed(1)} s`;
  $("played").textContent = `${(speaker?.playedS ?? 0).toFixed(1)} s`;
}

function onResult({ detail: result }) {
  timeline.result(result);
  if (result.kind === "final" || result.kind === "error") say("background", result.text || result.kind, false);
}

function onState({ detail: state }) {
  showState(state);
  if (state === "ended") releaseDevices();
}

// --- what goes to the server

function onChunk(pcm, level) {
  levels.push({ at: performance.now(), level });
  $("level").style.width = `${Math.max(0, Math.min(100, 100 + 100 * Math.log10(level + 1e-6) / 3))}%`;
  stream?.send({ type: "audio", pcm });
}

async function switchMicrophone() {
  if (!stream || !context) return;
  microphone?.off();
  microphone = null;
  $("level").style.width = "0";
  if (!$("mic").checked) return;
  const next = new Microphone(context, onChunk);
  try {
    await next.on();
    microphone = next;
  } catch (error) {
    $("mic").checked = false;
    showError("no_microphone", `${explain(error)} You can still type.`, false);
  }
}

async function switchCamera() {
  if (!stream) return;
  camera?.off();
  camera = null;
  if (!$("camera").checked) return;
  stream.send({ type: "event", name: "session.update", data: { config: { video: true } } });
  const next = new Camera($("preview"), (jpeg) => stream?.send({ type: "image", jpeg }));
  try {
    await next.on();
    camera = next;
  } catch (error) {
    next.off();
    $("camera").checked = false;
    showError("no_camera", explain(error), false);
  }
}

function explain(error) {
  if (!window.isSecureContext) return "Browsers give microphone and camera only to pages on localhost or over https.";
  if (error.name === "NotAllowedError") return "The browser was not allowed to use it.";
  if (error.name === "NotFoundError") return "No such device was found.";
  return String(error.message || error);
}

function releaseDevices() {
  microphone?.off();
  camera?.off();
  microphone = camera = null;
  $("level").style.width = "0";
}

async function start() {
  $("errors").replaceChildren();
  $("transcript").replaceChildren();
  timeline.clear();
  $("mind").textContent = "nothing";
  latencies = [];
  gapMs = 0;
  speaker = null;
  context ??= createContext();
  await context.resume();
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const config = { instructions: $("instructions").value, video: $("camera").checked };
  const token = $("token").value || new URLSearchParams(location.hash.slice(1)).get("token") || "";
  stream = new Stream(`${scheme}://${location.host}/v1/stream`, { rate_hz: context.sampleRate, config, token });
  const handlers = {
    state: onState, welcome: onWelcome, turn: onTurn, result: onResult,
    notice: ({ detail }) => showError(detail.code, `${detail.message}: ${detail.count}`, false),
    error: ({ detail }) => showError(detail.code, detail.message, detail.fatal),
  };
  for (const [name, handler] of Object.entries(handlers)) stream.addEventListener(name, handler);
  stream.addEventListener("welcome", () => { switchMicrophone(); switchCamera(); }, { once: true });
  stream.open();
}

// --- buttons

$("start").addEventListener("click", () => {
  if (stream && !["idle", "ended"].includes(stream.state)) stream.bye();
  else start();
});
$("mic").addEventListener("change", switchMicrophone);
$("camera").addEventListener("change", switchCamera);
$("speaker").addEventListener("change", () => { if (speaker) speaker.muted = !$("speaker").checked; });
$("typing").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  if (!text || !stream?.send({ type: "text", text })) return;
  timeline.typed(text);
  say("typed", text, false);
  $("text").value = "";
});
window.addEventListener("pagehide", () => stream?.send({ type: "bye" }));
showState("idle");
