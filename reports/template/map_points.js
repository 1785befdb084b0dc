// The points of an interactive map: their arrays, and two ways to draw them. `map.js` has the map itself.
"use strict";

const MANY = 5000; // more points in view are drawn as pixels

async function readMap(data) {
  const numbers = async (kind, text) => new kind(await (await unpacked(text)).arrayBuffer());
  const texts = async (text) => JSON.parse(await (await unpacked(text)).text());
  const [xy, names, links, nearest, cells, aspects] = await Promise.all([
    numbers(Float32Array, data.xy),
    data.names && texts(data.names),
    data.links && texts(data.links),
    data.nearest && numbers(Int32Array, data.nearest),
    data.thumbs && numbers(Int32Array, data.thumbs.cells),
    data.thumbs?.aspects && numbers(Float32Array, data.thumbs.aspects),
  ]);
  const columns = await Promise.all(data.columns.map(async (column) => {
    const values = await numbers(column.groups ? Int16Array : Float32Array, column.values);
    const sorted = column.groups ? null : values.filter((value) => !Number.isNaN(value)).sort();
    const quantile = (share) => sorted[Math.round(share * (sorted.length - 1))];
    return { ...column, values, quantile };
  }));
  const n = xy.length / 2;
  return { ...data, n, xy, names, links, nearest, cells, aspects, columns };
}

function isInside(x, y, corners) {
  let inside = false;
  for (let i = 0, j = corners.length - 1; i < corners.length; j = i++) {
    const [one, other] = [corners[i], corners[j]];
    if (one[1] > y === other[1] > y) continue;
    if (x < ((other[0] - one[0]) * (y - one[1])) / (other[1] - one[1]) + one[0]) inside = !inside;
  }
  return inside;
}

// Two ways to draw points: discs, and squares of pixels, fifty times as fast where points are many.
class Dots {
  constructor(pen, radius) {
    Object.assign(this, { pen, radius });
  }

  take(colour, alpha) {
    this.pen.fillStyle = colour;
    this.pen.globalAlpha = alpha;
  }

  dot(x, y) {
    this.pen.beginPath();
    this.pen.arc(x, y, this.radius, 0, 7);
    this.pen.fill();
  }

  finish() {
    this.pen.globalAlpha = 1;
  }
}

class Pixels {
  constructor(pen, page) {
    const image = pen.createImageData(pen.canvas.width, pen.canvas.height);
    const { data, width, height } = image; // to ask the image itself takes long
    Object.assign(this, { pen, image, data, width, height, ratio: devicePixelRatio });
    this.side = Math.round(2 * this.ratio);
    this.take(page, 1);
    for (let at = 0; at < data.length; at += 4) this.mix(at);
  }

  take(colour, alpha) {
    this.pen.fillStyle = colour;
    this.parts = [1, 3, 5].map((at) => Number.parseInt(this.pen.fillStyle.slice(at, at + 2), 16));
    this.alpha = alpha;
  }

  dot(x, y) {
    const [left, top] = [Math.round(x * this.ratio), Math.round(y * this.ratio)];
    if (left < 0 || top < 0 || left + this.side > this.width || top + this.side > this.height) return;
    for (let down = top; down < top + this.side; down++) {
      for (let across = left; across < left + this.side; across++) this.mix(4 * (down * this.width + across));
    }
  }

  mix(at) {
    const { data, parts, alpha } = this;
    for (let part = 0; part < 3; part++) data[at + part] += (parts[part] - data[at + part]) * alpha;
    data[at + 3] = 255;
  }

  finish() {
    this.pen.putImageData(this.image, 0, 0);
  }
}
