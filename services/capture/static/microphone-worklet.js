// Runs on the audio thread: gathers the microphone's samples into PCM16 chunks of about 20 ms.

class Microphone extends AudioWorkletProcessor {
  constructor() {
    super();
    this.size = Math.round(sampleRate / 50 / 128) * 128;
    this.chunk = new Int16Array(this.size);
    this.filled = 0;
    this.energy = 0;
  }

  process(inputs) {
    const channels = inputs[0];
    if (!channels.length) return true;
    const count = channels[0].length;
    for (let i = 0; i < count; i++) {
      let sample = 0;
      for (const channel of channels) sample += channel[i];
      sample = Math.max(-1, Math.min(1, sample / channels.length));
      this.energy += sample * sample;
      this.chunk[this.filled++] = Math.round(sample * 32767);
      if (this.filled === this.chunk.length) this.flush();
    }
    return true;
  }

  flush() {
    const level = Math.sqrt(this.energy / this.filled);
    this.port.postMessage({ pcm: this.chunk.buffer, level }, [this.chunk.buffer]);
    this.chunk = new Int16Array(this.size); // the old one's memory has gone with the message
    this.filled = 0;
    this.energy = 0;
  }
}

registerProcessor("microphone", Microphone);
