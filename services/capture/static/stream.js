// One session of /v1/stream: hello, messages both ways, and coming back when the connection breaks.

import { decode, encode } from "./msgpack.js";

const RETRY_MS = [200, 500, 1000, 2000, 3000, 3000]; // as long as the server keeps a session for its client
const MAX_BUFFERED_BYTES = 1_000_000;

/** Emits CustomEvents named after the server's messages, and "state" with idle | connecting | live | reconnecting | ended. */
export class Stream extends EventTarget {
  constructor(url, hello) {
    super();
    this.url = url;
    this.hello = hello;
    this.state = "idle";
    this.welcome = null;
    this.lastTick = -1;
    this.attempts = 0;
    this.fatal = false;
  }

  open() {
    this.become(this.welcome ? "reconnecting" : "connecting");
    const socket = new WebSocket(this.url);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      const known = this.welcome;
      const again = known ? { session_id: known.session_id, resume_token: known.resume_token, last_tick: this.lastTick } : {};
      socket.send(encode({ type: "hello", v: 1, ...this.hello, ...again }));
    };
    socket.onmessage = (event) => this.receive(event.data);
    socket.onclose = (event) => this.closed(event);
    this.socket = socket;
  }

  /** Sends one message; false when there is no connection, or when it can't keep up: then it is better dropped. */
  send(message) {
    const open = this.state === "live" && this.socket.readyState === 1; // 1: open; closing is told later
    if (!open || this.socket.bufferedAmount > MAX_BUFFERED_BYTES) return false;
    this.socket.send(encode(message));
    return true;
  }

  /** Ends the session: the turns of what was said still come, then "ended". */
  bye() {
    if (!this.send({ type: "bye" })) {
      this.become("ended");
      this.socket.close();
    }
  }

  receive(data) {
    let message;
    try {
      message = decode(data);
    } catch (error) {
      this.emit("error", { code: "undecodable", message: String(error), fatal: false });
      return;
    }
    if (message.type === "welcome") {
      this.welcome = message;
      this.attempts = 0;
      this.become("live");
    } else if (message.type === "turn") {
      if (message.tick <= this.lastTick) return;
      this.lastTick = message.tick;
    } else if (message.type === "ended") {
      this.become("ended");
    } else if (message.type === "error") {
      message = { fatal: true, ...message }; // a default that the server leaves out
      const later = this.welcome && message.retry_after_ms; // a server that is being started again
      this.fatal = this.fatal || (message.fatal && !later);
    }
    this.emit(message.type, message);
  }

  closed(event) {
    if (this.state === "ended") return;
    const hopeless = this.fatal || !this.welcome || this.attempts >= RETRY_MS.length;
    if (hopeless) {
      if (!this.fatal) {
        const why = this.welcome ? "the session could not be resumed" : "the server could not be reached";
        this.emit("error", { code: "disconnected", message: `${why} (${event.code})`, fatal: true });
      }
      this.become("ended");
      return;
    }
    this.become("reconnecting");
    setTimeout(() => this.open(), RETRY_MS[this.attempts++]);
  }

  become(state) {
    if (state === this.state) return;
    this.state = state;
    this.emit("state", state);
  }

  emit(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
