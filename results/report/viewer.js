// Turns faces coloured by their error. Bytes come from the page; see views.py for their order.
const VERTEX = `
attribute vec3 position, normal, colour;
uniform mat3 turn;
uniform vec2 scale;
varying vec3 shade;
void main() {
  vec3 place = turn * position;
  float facing = abs((turn * normal).z);
  shade = colour * (0.45 + 0.55 * facing);
  gl_Position = vec4(place.xy * scale, -0.5 * place.z, 1.0);
}`;
const FRAGMENT = `
precision mediump float;
varying vec3 shade;
void main() { gl_FragColor = vec4(shade, 1.0); }`;
const PLAIN = [0.55, 0.68, 0.82];
const START = { yaw: 0, pitch: 0, zoom: 1 };
const TURN = Math.PI / 18, STEEPEST = 1.5, NEAREST = 6, FARTHEST = 0.4;

function bytesOf(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer;
}

function readMesh(element) {
  const vertices = Number(element.dataset.vertices), triangles = Number(element.dataset.triangles);
  const bytes = bytesOf(element.value);
  return {
    positions: Float32Array.from(new Int16Array(bytes, 0, 3 * vertices), (step) => step / 32767),
    corners: new Uint16Array(bytes, 6 * vertices, 3 * triangles),
    errors: new Uint8Array(bytes, 6 * (vertices + triangles), vertices),
  };
}

// The sum of the triangles' normals, each as long as its area is large.
function normalsOf({ positions, corners }) {
  const normals = new Float32Array(positions.length);
  for (let at = 0; at < corners.length; at += 3) {
    const [a, b, c] = [3 * corners[at], 3 * corners[at + 1], 3 * corners[at + 2]];
    const u = [0, 1, 2].map((axis) => positions[b + axis] - positions[a + axis]);
    const v = [0, 1, 2].map((axis) => positions[c + axis] - positions[a + axis]);
    for (let axis = 0; axis < 3; axis += 1) {
      const next = (axis + 1) % 3, last = (axis + 2) % 3;
      const length = u[next] * v[last] - u[last] * v[next];
      for (const corner of [a, b, c]) normals[corner + axis] += length;
    }
  }
  for (let at = 0; at < normals.length; at += 3) {
    const size = Math.hypot(normals[at], normals[at + 1], normals[at + 2]) || 1;
    for (let axis = 0; axis < 3; axis += 1) normals[at + axis] /= size;
  }
  return normals;
}

function coloursOf({ errors }, table) {
  const colours = new Float32Array(3 * errors.length);
  errors.forEach((error, row) => {
    for (let axis = 0; axis < 3; axis += 1) colours[3 * row + axis] = table[3 * error + axis] / 255;
  });
  return colours;
}

// Columns of the rotation about the vertical, then about the horizontal.
function rotation({ yaw, pitch }) {
  const [cy, sy, cp, sp] = [Math.cos(yaw), Math.sin(yaw), Math.cos(pitch), Math.sin(pitch)];
  return new Float32Array([cy, sp * sy, -cp * sy, 0, cp, sp, sy, -sp * cy, cp * cy]);
}

class Painter {
  constructor(canvas) {
    this.canvas = canvas;
    // The picture is kept, so that a reader can save or print it.
    this.gl = canvas.getContext("webgl", { antialias: true, preserveDrawingBuffer: true });
    this.meshes = [];
    if (this.gl) this.prepare();
  }

  prepare() {
    const { gl } = this;
    this.program = gl.createProgram();
    for (const [kind, text] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, text);
      gl.compileShader(shader);
      gl.attachShader(this.program, shader);
    }
    gl.linkProgram(this.program);
    gl.useProgram(this.program);
    gl.enable(gl.DEPTH_TEST);
  }

  forget() {
    for (const mesh of this.meshes) mesh.buffers.forEach((buffer) => this.gl.deleteBuffer(buffer));
    this.meshes = [];
  }

  add(mesh, colours) {
    const { gl } = this;
    const values = { position: mesh.positions, normal: normalsOf(mesh), colour: colours };
    const attributes = Object.entries(values).map(([name, data]) =>
      [gl.getAttribLocation(this.program, name), this.filled(gl.ARRAY_BUFFER, data)]);
    const corners = this.filled(gl.ELEMENT_ARRAY_BUFFER, mesh.corners);
    const buffers = [corners, ...attributes.map(([, buffer]) => buffer)];
    this.meshes.push({ attributes, corners, count: mesh.corners.length, buffers });
  }

  filled(kind, data) {
    const buffer = this.gl.createBuffer();
    this.gl.bindBuffer(kind, buffer);
    this.gl.bufferData(kind, data, this.gl.STATIC_DRAW);
    return buffer;
  }

  draw(pose, reach) {
    const { gl, canvas } = this;
    const density = Math.min(window.devicePixelRatio || 1, 2);
    const [width, height] = [canvas.clientWidth, canvas.clientHeight].map((side) =>
      Math.max(1, Math.round(side * density)));
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    gl.viewport(0, 0, width, height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    const size = pose.zoom * Math.min(width, height) * 0.92 / reach;
    const uniform = (name) => gl.getUniformLocation(this.program, name);
    gl.uniformMatrix3fv(uniform("turn"), false, rotation(pose));
    gl.uniform2f(uniform("scale"), size / width, size / height);
    for (const mesh of this.meshes) this.drawMesh(mesh);
  }

  drawMesh(mesh) {
    const { gl } = this;
    for (const [place, buffer] of mesh.attributes) {
      gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
      gl.enableVertexAttribArray(place);
      gl.vertexAttribPointer(place, 3, gl.FLOAT, false, 0, 0);
    }
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, mesh.corners);
    gl.drawElements(gl.TRIANGLES, mesh.count, gl.UNSIGNED_SHORT, 0);
  }
}

// Half of the longer side of what was measured, seen from the front; of all, if nothing was.
function reachOf({ positions, errors }) {
  let reach = 0, whole = 0;
  errors.forEach((error, row) => {
    const far = Math.max(Math.abs(positions[3 * row]), Math.abs(positions[3 * row + 1]));
    whole = Math.max(whole, far);
    if (error < 255) reach = Math.max(reach, far);
  });
  return reach || whole;
}

// One pose for all canvases, so that faces beside each other turn together.
function startViewer(canvases) {
  const figures = canvases.map((canvas) => canvas.closest("figure"));
  const choice = document.getElementById("face-choice");
  const beside = document.getElementById("beside-choice");
  const sides = [...document.querySelectorAll("input[name=side]")];
  const table = new Uint8Array(bytesOf(canvases[0].dataset.colours));
  const painters = canvases.map((canvas) => new Painter(canvas));
  if (!painters[0].gl) {
    canvases[0].hidden = true;
    figures[0].querySelector(".note").hidden = false;
    return;
  }
  let pose = { ...START }, reach = 1, waiting = false;

  function redraw() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      painters.forEach((painter, at) => { if (!figures[at].hidden) painter.draw(pose, reach); });
    });
  }

  function fill(at, mesh, scan, shown, words) {
    const painter = painters[at];
    painter.forget();
    if (shown !== "scan") painter.add(mesh, coloursOf(mesh, table));
    if (shown !== "prediction") {
      const plain = () => Float32Array.from(scan.positions, (_, axis) => PLAIN[axis % 3]);
      painter.add(scan, shown === "scan" ? coloursOf(scan, table) : plain());
    }
    figures[at].querySelector("figcaption").textContent = words;
    canvases[at].setAttribute("aria-label", `3D view, ${shown}: ${words}`);
  }

  function show() {
    const face = document.getElementById(`face-${choice.value}`);
    const scan = face.querySelector(".scan") && readMesh(face.querySelector(".scan"));
    sides.forEach((side) => { side.disabled = !scan && side.value !== "prediction"; });
    const shown = scan ? sides.find((side) => side.checked).value : "prediction";
    const prediction = readMesh(face.querySelector(".prediction"));
    const other = beside && [...face.querySelectorAll(".beside")].find((mesh) =>
      mesh.dataset.run === beside.value);
    reach = reachOf(prediction);
    const run = other ? `${canvases[0].dataset.run}, ` : "";
    fill(0, prediction, scan, shown, run + face.dataset.words);
    if (beside) figures[1].hidden = !other;
    // The scan's own colours are distances to the first run: beside it stands the other's face.
    const theirs = shown === "scan" ? "prediction" : shown;
    if (other) fill(1, readMesh(other), scan, theirs, other.dataset.words);
    redraw();
  }

  function turn(yaw, pitch, zoom = 1) {
    pose.yaw += yaw;
    pose.pitch = Math.max(-STEEPEST, Math.min(STEEPEST, pose.pitch + pitch));
    pose.zoom = Math.max(FARTHEST, Math.min(NEAREST, pose.zoom * zoom));
    redraw();
  }

  function reset() {
    pose = { ...START };
    redraw();
  }

  canvases.forEach((canvas, at) => {
    listen(canvas, turn, reset);
    canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
    canvas.addEventListener("webglcontextrestored", () => {
      painters[at].meshes = [];
      painters[at].prepare();
      show();
    });
    new ResizeObserver(redraw).observe(canvas);
  });
  [choice, beside, ...sides].forEach((input) => input?.addEventListener("change", show));
  show();
}

// Fingers, mouse, wheel and keys of one canvas.
function listen(canvas, turn, reset) {
  const held = new Map();
  const apart = () => {
    const [one, other] = [...held.values()];
    return Math.hypot(one.x - other.x, one.y - other.y);
  };
  canvas.addEventListener("pointerdown", (event) => {
    held.set(event.pointerId, { x: event.clientX, y: event.clientY });
    try { canvas.setPointerCapture(event.pointerId); } catch { /* the pointer is gone already */ }
  });
  canvas.addEventListener("pointermove", (event) => {
    const last = held.get(event.pointerId);
    if (!last) return;
    const before = held.size === 2 ? apart() : 0;
    held.set(event.pointerId, { x: event.clientX, y: event.clientY });
    const radians = 3 / canvas.clientWidth;
    if (before) turn(0, 0, apart() / before);
    else if (held.size === 1) {
      turn((event.clientX - last.x) * radians, (event.clientY - last.y) * radians);
    }
  });
  for (const end of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(end, (event) => held.delete(event.pointerId));
  }
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    turn(0, 0, Math.exp(-event.deltaY / 300));
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    const moves = {
      ArrowLeft: [-TURN, 0], ArrowRight: [TURN, 0], ArrowUp: [0, -TURN], ArrowDown: [0, TURN],
      "+": [0, 0, 1.15], "=": [0, 0, 1.15], "-": [0, 0, 1 / 1.15],
    };
    if (event.key !== "0" && (!moves[event.key] || event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    if (event.key === "0") reset();
    else turn(...moves[event.key]);
  });
}

const canvases = [...document.querySelectorAll(".stage canvas")];
if (canvases.length) startViewer(canvases);
