// MessagePack, as much of it as the protocol uses: nil, booleans, numbers, strings, binary, arrays, maps.

const utf8 = new TextEncoder();
const text = new TextDecoder("utf-8", { fatal: true });

class Writer {
  constructor() {
    this.bytes = new Uint8Array(256);
    this.view = new DataView(this.bytes.buffer);
    this.length = 0;
  }
  room(count) {
    const at = this.length;
    this.length += count;
    if (this.length > this.bytes.length) {
      const grown = new Uint8Array(Math.max(this.length, 2 * this.bytes.length));
      grown.set(this.bytes);
      this.bytes = grown;
      this.view = new DataView(grown.buffer);
    }
    return at;
  }
  // room() comes first in each: it may replace the buffer.
  u8(value) { const at = this.room(1); this.view.setUint8(at, value); }
  u16(value) { const at = this.room(2); this.view.setUint16(at, value); }
  u32(value) { const at = this.room(4); this.view.setUint32(at, value); }
  f64(value) { const at = this.room(8); this.view.setFloat64(at, value); }
  u64(value) { const at = this.room(8); this.view.setBigUint64(at, BigInt.asUintN(64, BigInt(value))); }
  raw(data) { const at = this.room(data.length); this.bytes.set(data, at); }
  // A header that counts what follows: fixed codes for few, then 8 (if any), 16 and 32 bits.
  header(count, fixed, fixedMax, code8, code16) {
    if (count <= fixedMax) this.u8(fixed | count);
    else if (code8 && count < 0x100) { this.u8(code8); this.u8(count); }
    else if (count < 0x10000) { this.u8(code16); this.u16(count); }
    else { this.u8(code16 + 1); this.u32(count); }
  }
}

function writeNumber(out, value) {
  if (!Number.isSafeInteger(value) || Object.is(value, -0)) {
    out.u8(0xcb);
    out.f64(value);
  } else if (value >= 0) {
    if (value < 0x80) out.u8(value);
    else if (value < 0x100) { out.u8(0xcc); out.u8(value); }
    else if (value < 0x10000) { out.u8(0xcd); out.u16(value); }
    else if (value < 0x100000000) { out.u8(0xce); out.u32(value); }
    else { out.u8(0xcf); out.u64(value); }
  } else if (value >= -32) out.u8(0x100 + value);
  else { out.u8(0xd3); out.u64(value); }
}

function write(out, value) {
  if (value === null || value === undefined) out.u8(0xc0);
  else if (value === false) out.u8(0xc2);
  else if (value === true) out.u8(0xc3);
  else if (typeof value === "number") writeNumber(out, value);
  else if (typeof value === "string") {
    const data = utf8.encode(value);
    out.header(data.length, 0xa0, 31, 0xd9, 0xda);
    out.raw(data);
  } else if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) {
    const data = value instanceof ArrayBuffer
      ? new Uint8Array(value) : new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
    out.header(data.length, 0, -1, 0xc4, 0xc5);
    out.raw(data);
  } else if (Array.isArray(value)) {
    out.header(value.length, 0x90, 15, 0, 0xdc);
    for (const item of value) write(out, item);
  } else if (typeof value === "object") {
    const entries = Object.entries(value).filter(([, item]) => item !== undefined);
    out.header(entries.length, 0x80, 15, 0, 0xde);
    for (const [key, item] of entries) { write(out, key); write(out, item); }
  } else throw new TypeError(`no MessagePack for a ${typeof value}`);
}

/** A value as MessagePack bytes. Throws TypeError for functions, symbols and bigints. */
export function encode(value) {
  const out = new Writer();
  write(out, value);
  return out.bytes.slice(0, out.length);
}

class Reader {
  constructor(buffer) {
    this.bytes = buffer instanceof ArrayBuffer
      ? new Uint8Array(buffer) : new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
    this.view = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.byteLength);
    this.at = 0;
  }
  step(count) {
    const at = this.at;
    if (at + count > this.bytes.length) throw new RangeError("MessagePack ends too early");
    this.at += count;
    return at;
  }
  u8() { return this.view.getUint8(this.step(1)); }
  count(code, first) { // 8, 16 or 32 bits by the code's place in its family
    return [() => this.u8(), () => this.view.getUint16(this.step(2)), () => this.view.getUint32(this.step(4))][code - first]();
  }
  string(length) { const at = this.step(length); return text.decode(this.bytes.subarray(at, at + length)); }
  binary(length) { const at = this.step(length); return this.bytes.slice(at, at + length); }
  array(length) { return Array.from({ length }, () => this.value()); }
  map(length) {
    const out = Object.create(null);
    for (let i = 0; i < length; i++) { const key = this.value(); out[key] = this.value(); }
    return out;
  }
  value() {
    const code = this.u8();
    if (code < 0x80) return code;
    if (code < 0x90) return this.map(code & 0x0f);
    if (code < 0xa0) return this.array(code & 0x0f);
    if (code < 0xc0) return this.string(code & 0x1f);
    if (code >= 0xe0) return code - 0x100;
    switch (code) {
      case 0xc0: return null;
      case 0xc2: return false;
      case 0xc3: return true;
      case 0xc4: case 0xc5: case 0xc6: return this.binary(this.count(code, 0xc4));
      case 0xca: return this.view.getFloat32(this.step(4));
      case 0xcb: return this.view.getFloat64(this.step(8));
      case 0xcc: case 0xcd: case 0xce: return this.count(code, 0xcc);
      case 0xcf: return Number(this.view.getBigUint64(this.step(8)));
      case 0xd0: return this.view.getInt8(this.step(1));
      case 0xd1: return this.view.getInt16(this.step(2));
      case 0xd2: return this.view.getInt32(this.step(4));
      case 0xd3: return Number(this.view.getBigInt64(this.step(8)));
      case 0xd9: case 0xda: case 0xdb: return this.string(this.count(code, 0xd9));
      case 0xdc: case 0xdd: return this.array(this.count(code, 0xdb));
      case 0xde: case 0xdf: return this.map(this.count(code, 0xdd));
      default: throw new TypeError(`MessagePack code 0x${code.toString(16)} is not served`);
    }
  }
}

/** The value of MessagePack bytes; maps become objects without a prototype. Throws when they are cut off or go on. */
export function decode(buffer) {
  const reader = new Reader(buffer);
  const value = reader.value();
  if (reader.at !== reader.bytes.length) throw new RangeError("MessagePack goes on after its value");
  return value;
}
