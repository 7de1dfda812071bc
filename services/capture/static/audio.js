// Sound in and out: the microphone as PCM16 chunks, the model's audio played without holes.

const LEAD_S = 0.06; // held back so that a turn that comes a little late leaves no hole
const MAX_AHEAD_S = 0.6;

/** An AudioContext at the device's own rate, or 48 kHz where that is more than the server takes. */
export function createContext() {
  const context = new AudioContext({ latencyHint: "interactive" });
  if (context.sampleRate <= 48000) return context;
  context.close();
  return new AudioContext({ latencyHint: "interactive", sampleRate: 48000 });
}

/** Calls onChunk(pcm, level) about fifty times a second while it is on. */
export class Microphone {
  constructor(context, onChunk) {
    this.context = context;
    this.onChunk = onChunk;
  }

  /** Throws what getUserMedia throws: no permission, no device. */
  async on() {
    this.stream = await navigator.mediaDevices.getUserMedia({
      audio: { channelCount: 1, echoCancellation: true, noiseSuppression: false, autoGainControl: true },
    });
    await this.context.audioWorklet.addModule("/static/microphone-worklet.js");
    this.source = this.context.createMediaStreamSource(this.stream);
    this.node = new AudioWorkletNode(this.context, "microphone", { outputChannelCount: [1] });
    this.node.port.onmessage = ({ data }) => this.onChunk(data.pcm, data.level);
    this.source.connect(this.node).connect(this.context.destination); // it writes no output: silence, but it runs
  }

  off() {
    this.stream?.getTracks().forEach((track) => track.stop());
    this.source?.disconnect();
    this.node?.disconnect();
    if (this.node) this.node.port.onmessage = null;
  }
}

/** Plays turns' audio one after the other. */
export class Speaker {
  constructor(context, rate) {
    this.context = context;
    this.rate = rate;
    this.gain = context.createGain();
    this.gain.connect(context.destination);
    this.next = 0;
    this.playedS = 0;
  }

  set muted(value) { this.gain.gain.value = value ? 0 : 1; }

  /** PCM16 bytes. What would play more than half a second late is dropped: it is no longer the conversation. */
  play(bytes) {
    const count = bytes.byteLength >> 1;
    if (!count || this.context.state !== "running") return;
    const now = this.context.currentTime;
    if (this.next > now + MAX_AHEAD_S) return;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const buffer = this.context.createBuffer(1, count, this.rate);
    const samples = buffer.getChannelData(0);
    for (let i = 0; i < count; i++) samples[i] = view.getInt16(2 * i, true) / 32768;
    const source = this.context.createBufferSource();
    source.buffer = buffer;
    source.connect(this.gain);
    if (this.next < now) this.next = now + LEAD_S;
    source.start(this.next);
    this.next += buffer.duration;
    source.onended = () => { this.playedS += buffer.duration; };
  }
}

/** Calls onPicture(jpegBytes) twice a second while it is on, and shows itself in a video element. */
export class Camera {
  constructor(preview, onPicture) {
    this.preview = preview;
    this.onPicture = onPicture;
  }

  /** Throws what getUserMedia throws. */
  async on() {
    this.stream = await navigator.mediaDevices.getUserMedia({ video: { width: 320, height: 240 } });
    this.preview.srcObject = this.stream;
    this.preview.hidden = false;
    await this.preview.play();
    const canvas = document.createElement("canvas");
    const take = () => {
      canvas.width = 320;
      canvas.height = Math.round(320 * this.preview.videoHeight / (this.preview.videoWidth || 320)) || 240;
      canvas.getContext("2d").drawImage(this.preview, 0, 0, canvas.width, canvas.height);
      canvas.toBlob(async (blob) => blob && this.onPicture(new Uint8Array(await blob.arrayBuffer())), "image/jpeg", 0.7);
    };
    this.timer = setInterval(take, 500);
  }

  off() {
    clearInterval(this.timer);
    this.stream?.getTracks().forEach((track) => track.stop());
    this.preview.srcObject = null;
    this.preview.hidden = true;
  }
}
