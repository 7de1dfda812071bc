// The timeline: a column for every tick, a lane for each side and one for what runs in the background.

const TICK_PX = 16;
const KEPT_TICKS = 900; // three minutes
const WORD_ROWS = 3;
const TASK_ROWS = 3;
const MIN_DB = -60;
const LEAD_TICKS = 2;

const measure = document.createElement("canvas").getContext("2d");
measure.font = "500 12px system-ui, sans-serif";

function element(kind, className, text = "") {
  const node = document.createElement(kind);
  node.className = className;
  node.textContent = text;
  return node;
}

/** Lays words out in rows so that none covers another. */
class Words {
  constructor(lane, top) {
    this.lane = lane;
    this.top = top;
    this.ends = new Array(WORD_ROWS).fill(0);
  }

  add(tick, word, className) {
    const left = tick * TICK_PX;
    const width = measure.measureText(word).width + 12;
    let row = this.ends.findIndex((end) => end <= left);
    if (row < 0) row = this.ends.indexOf(Math.min(...this.ends));
    const at = Math.max(left, Math.min(this.ends[row], left + 3 * TICK_PX));
    this.ends[row] = at + width;
    const node = element("span", `word ${className}`, word);
    node.style.left = `${at}px`;
    node.style.top = `${this.top + row * 19}px`;
    node.dataset.tick = tick;
    this.lane.append(node);
  }
}

export class Timeline {
  constructor(root) {
    const by = (id) => root.querySelector(id);
    this.scroller = by("#scroller");
    this.track = by("#track");
    this.ruler = by("#ruler");
    this.user = by("#lane-user");
    this.model = by("#lane-model");
    this.background = by("#lane-background");
    this.liveButton = by("#live");
    this.clear();
    this.following = true;
    this.scroller.addEventListener("wheel", () => this.look());
    this.scroller.addEventListener("pointerup", () => this.look());
    this.scroller.addEventListener("keyup", () => this.look());
    this.liveButton.addEventListener("click", () => this.follow(true));
  }

  clear() {
    for (const lane of [this.ruler, this.user, this.model, this.background]) lane.replaceChildren();
    this.heard = new Words(this.user, 70);
    this.said = new Words(this.model, 38);
    this.tasks = new Map();
    this.taskEnds = new Array(TASK_ROWS).fill(-1);
    this.last = -1;
    this.follow(true);
  }

  /** One turn, with the level (0 to 1, root mean square) that the microphone had in its frame, or null. */
  add(turn, level) {
    const tick = turn.tick;
    this.last = tick;
    if (tick % 5 === 0) this.mark(tick);
    this.user.append(this.userCell(turn, level));
    this.model.append(this.modelCell(turn));
    for (const word of words(turn.user_text)) this.heard.add(tick, word, "heard");
    for (const word of words(turn.text)) this.said.add(tick, word, `said floor-${turn.floor}`);
    for (const event of turn.events ?? []) this.event(tick, event);
    for (const task of this.tasks.values()) if (!task.done) this.extend(task, tick + 1);
    this.track.style.width = `${(tick + 1 + LEAD_TICKS) * TICK_PX}px`;
    if (tick % 50 === 0) this.forget(tick - KEPT_TICKS);
    if (this.following) this.scroller.scrollLeft = this.track.scrollWidth;
  }

  userCell(turn, level) {
    const cell = element("div", `cell user-${turn.user}`);
    cell.dataset.tick = turn.tick;
    const gap = turn.gap_ms ?? 0;
    cell.dataset.gap = gap;
    cell.title = `tick ${turn.tick}: you ${turn.user}${gap ? `, ${gap} ms not arrived` : ""}`;
    if (gap >= 100) cell.classList.add("gap");
    const db = level ? 20 * Math.log10(level) : MIN_DB;
    const bar = element("i", "bar");
    bar.style.height = `${Math.max(3, Math.round((1 - Math.max(MIN_DB, db) / MIN_DB) * 56))}px`;
    cell.append(bar);
    cell.style.left = `${turn.tick * TICK_PX}px`;
    return cell;
  }

  modelCell(turn) {
    const cell = element("div", `cell floor-${turn.floor}`);
    cell.dataset.tick = turn.tick;
    cell.dataset.floor = turn.floor;
    cell.title = `tick ${turn.tick}: model ${turn.floor}${turn.text ? ` “${turn.text.trim()}”` : ""}`;
    cell.style.left = `${turn.tick * TICK_PX}px`;
    return cell;
  }

  mark(tick) {
    const seconds = tick / 5;
    const node = element("span", "second", `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`);
    node.style.left = `${tick * TICK_PX}px`;
    node.dataset.tick = tick;
    this.ruler.append(node);
  }

  typed(text) {
    this.heard.add(this.last + 1, `⌨ ${text}`, "typed");
  }

  event(tick, event) {
    const id = event.task_id ?? "";
    if (event.name === "delegated") this.task(id, tick);
    else if (this.tasks.has(id)) {
      const task = this.tasks.get(id);
      if (event.name === "cancelled" || event.name === "weave_dropped") this.finish(task, tick, event.name);
      task.node.dataset.weave = event.name;
    }
    const flag = element("b", `flag ${event.name}`);
    const told = Object.entries(event.data ?? {}).map(([name, value]) => `${name.replaceAll("_", " ")} ${value || "–"}`);
    flag.title = `${event.name}${id ? ` (${id})` : ""}${told.length ? `: ${told.join(", ")}` : ""}`;
    flag.style.left = `${tick * TICK_PX + TICK_PX / 2}px`;
    flag.dataset.tick = tick;
    this.model.append(flag);
  }

  task(id, tick) {
    if (this.tasks.has(id)) return this.tasks.get(id);
    let row = this.taskEnds.findIndex((end) => end <= tick);
    if (row < 0) row = this.taskEnds.indexOf(Math.min(...this.taskEnds));
    const node = element("div", "task running", "thinking…");
    node.style.left = `${tick * TICK_PX}px`;
    node.style.top = `${6 + row * 26}px`;
    node.dataset.tick = tick;
    node.dataset.task = id;
    this.background.append(node);
    const task = { node, row, from: tick, text: "", done: false };
    this.tasks.set(id, task);
    this.extend(task, tick + 1);
    return task;
  }

  /** A step of a background task: grows its bar, and says what it says. */
  result(result) {
    const task = this.task(result.task_id, Math.max(0, this.last));
    const text = result.text ?? "";
    if (result.kind === "partial") task.text += text;
    else if (text) task.text = text;
    if (["final", "error", "cancelled"].includes(result.kind)) this.finish(task, this.last, result.kind);
    task.node.textContent = (result.kind === "error" ? "failed: " : "") + (task.text || `${result.kind}…`);
    task.node.title = task.node.textContent;
  }

  extend(task, tick) {
    task.node.style.width = `${(tick - task.from) * TICK_PX - 2}px`;
    this.taskEnds[task.row] = tick + 1;
  }

  finish(task, tick, how) {
    task.done = true;
    task.node.classList.replace("running", how);
    this.extend(task, Math.max(tick + 1, task.from + 1));
    const label = Math.min(60, Math.ceil((measure.measureText(task.text).width + 24) / TICK_PX));
    this.taskEnds[task.row] = Math.max(tick + 2, task.from + label);
  }

  forget(before) {
    for (const node of this.track.querySelectorAll("[data-tick]")) if (Number(node.dataset.tick) < before) node.remove();
    for (const [id, task] of this.tasks) if (task.done && task.from < before) this.tasks.delete(id);
  }

  look() {
    const s = this.scroller;
    this.follow(s.scrollLeft + s.clientWidth >= s.scrollWidth - 4 * TICK_PX);
  }

  follow(yes) {
    this.following = yes;
    this.liveButton.hidden = yes;
    if (yes) this.scroller.scrollLeft = this.track.scrollWidth;
  }
}

function words(text) {
  return text ? text.trim().split(/\s+/).filter(Boolean) : [];
}
