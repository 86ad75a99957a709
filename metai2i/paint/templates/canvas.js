"use strict";
// The label map: class ids in an array, and the tools that change it. Nothing here knows of the page.

/** A map of class ids, height x width, with what has been done to it. */
class LabelMap {
  constructor(height, width, bytes) {
    this.height = height;
    this.width = width;
    this.kind = bytes === 1 ? Uint8Array : Uint16Array;
    this.ids = new this.kind(height * width);
    this.past = [];
    this.future = [];
    this.most = Math.max(10, Math.min(200, Math.floor(2 ** 26 / (height * width * bytes))));
  }

  /** The raw bytes, row by row from the top; two bytes with the lower first. */
  bytes() {
    if (this.kind === Uint8Array) return this.ids.slice();
    const view = new DataView(new ArrayBuffer(this.ids.length * 2));
    this.ids.forEach((id, place) => view.setUint16(place * 2, id, true));
    return new Uint8Array(view.buffer);
  }

  /** The ids of raw bytes. */
  idsOf(buffer) {
    if (this.kind === Uint8Array) return new Uint8Array(buffer.slice(0));
    const view = new DataView(buffer);
    return Uint16Array.from({ length: buffer.byteLength / 2 }, (_, place) => view.getUint16(place * 2, true));
  }

  at(x, y) {
    return this.ids[y * this.width + x];
  }

  /** Say that what was there `before` has been changed, so that it can be undone. */
  commit(before) {
    if (before.every((id, place) => id === this.ids[place])) return false;
    this.past.push(before);
    if (this.past.length > this.most) this.past.shift();
    this.future = [];
    return true;
  }

  replace(ids) {
    const before = this.ids;
    this.ids = ids;
    return this.commit(before);
  }

  undo() {
    return this._swap(this.past, this.future);
  }

  redo() {
    return this._swap(this.future, this.past);
  }

  _swap(from, to) {
    if (!from.length) return false;
    to.push(this.ids);
    this.ids = from.pop();
    return true;
  }

  /** Paint a disc with hard edges: every pixel has the class or what it had before. */
  dab(x, y, size, id) {
    for (const [left, top, right] of discRows(size)) this._span(x + left, x + right, y + top, id);
  }

  /** Paint discs along a line, without gaps. */
  line(x0, y0, x1, y1, size, id) {
    const count = Math.max(Math.abs(x1 - x0), Math.abs(y1 - y0));
    for (let n = 0; n <= count; n++) {
      const share = count ? n / count : 0;
      this.dab(Math.round(x0 + (x1 - x0) * share), Math.round(y0 + (y1 - y0) * share), size, id);
    }
  }

  box(x0, y0, x1, y1, id) {
    for (let y = Math.min(y0, y1); y <= Math.max(y0, y1); y++) this._span(Math.min(x0, x1), Math.max(x0, x1), y, id);
  }

  /** Fill the region of one class that a pixel is in: its neighbours left, right, above and below, and so on. */
  fill(x, y, id) {
    const old = this.at(x, y);
    if (old === id) return;
    const todo = [y * this.width + x];
    while (todo.length) {
      const place = todo.pop();
      if (this.ids[place] !== old) continue;
      this.ids[place] = id;
      const column = place % this.width;
      if (column > 0) todo.push(place - 1);
      if (column < this.width - 1) todo.push(place + 1);
      if (place >= this.width) todo.push(place - this.width);
      if (place < this.ids.length - this.width) todo.push(place + this.width);
    }
  }

  _span(left, right, y, id) {
    if (y < 0 || y >= this.height) return;
    const from = Math.max(0, left);
    const to = Math.min(this.width - 1, right);
    if (from <= to) this.ids.fill(id, y * this.width + from, y * this.width + to + 1);
  }
}

const discs = new Map();

/** The rows of a disc around a pixel: [left, row, right], relative to it. */
function discRows(size) {
  if (!discs.has(size)) {
    const before = Math.floor((size - 1) / 2);
    const middle = (size - 1) / 2;
    const rows = [];
    for (let row = 0; row < size; row++) {
      const columns = [];
      for (let column = 0; column < size; column++) {
        if ((row - middle) ** 2 + (column - middle) ** 2 <= (size / 2) ** 2) columns.push(column);
      }
      if (columns.length) rows.push([columns[0] - before, row - before, columns[columns.length - 1] - before]);
    }
    discs.set(size, rows);
  }
  return discs.get(size);
}
