/* The viewer of the report: three linked slices of a scan, drawn on plain canvases, so that they print and need neither
   WebGL nor a network. Volumes are those of reporting/viewer.py: (X, Y, Z) in RAS+, z running fastest. */
"use strict";
const viewer = (() => {
  const meta = JSON.parse(document.getElementById("viewer-meta").textContent);
  const [nx, ny, nz] = meta.shape;
  const index = (x, y, z) => (x * ny + y) * nz + z;
  /* What runs along a picture's columns and rows: radiological display, the nose of a sagittal slice to the left. */
  const PLANES = {
    axial: {across: 0, up: 1, through: 2, edges: ["R", "L", "A", "P"]},
    coronal: {across: 0, up: 2, through: 1, edges: ["R", "L", "S", "I"]},
    sagittal: {across: 1, up: 2, through: 0, edges: ["A", "P", "S", "I"]},
  };
  const LESION = [55, 224, 194];
  const SCALE = Math.max(4, Math.round(360 / Math.max(nx, ny, nz)));
  const root = document.getElementById("viewer");
  const part = (name) => root.querySelector(`[data-part=${name}]`);
  const spacing = [0, 1, 2].map((axis) => Math.hypot(...[0, 1, 2].map((row) => meta.affine[row][axis])));
  const waiting = {};
  const scans = {};
  let wanted = null, brain = null, scan = null, at = [0, 0, 0], level = 1, found = null, next = 0;

  const unpack = async (text) => {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  };

  /* Read a scan's script once; it calls `receive`. */
  const load = (name) => scans[name] ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = `volumes/${encodeURIComponent(name)}.js`;
    script.onerror = () => { delete scans[name]; reject(new Error(`volumes/${name}.js does not lie beside this page.`)); };
    waiting[name] = resolve;
    document.head.append(script);
  });
  const receive = (name, content) => waiting[name](content);

  /* The 26-connected components of `inside`, as lists of voxels. */
  const components = (inside) => {
    const seen = new Uint8Array(inside.length), groups = [];
    for (let start = 0; start < inside.length; start++) {
      if (!inside[start] || seen[start]) continue;
      const voxels = [start];
      seen[start] = 1;
      for (let i = 0; i < voxels.length; i++) {
        const z = voxels[i] % nz, y = Math.floor(voxels[i] / nz) % ny, x = Math.floor(voxels[i] / (ny * nz));
        for (let a = Math.max(x - 1, 0); a <= Math.min(x + 1, nx - 1); a++)
          for (let b = Math.max(y - 1, 0); b <= Math.min(y + 1, ny - 1); b++)
            for (let c = Math.max(z - 1, 0); c <= Math.min(z + 1, nz - 1); c++) {
              const other = index(a, b, c);
              if (inside[other] && !seen[other]) { seen[other] = 1; voxels.push(other); }
            }
      }
      groups.push(voxels);
    }
    return groups;
  };

  /* What is marked from a level on, against the truth inside the brain: as evaluation/lesionwise.py pairs them. */
  const measure = () => {
    const marked = scan.map.map((value) => value >= level);
    const groups = components(marked).filter((voxels) => voxels.length >= meta.min_voxels);
    const labels = new Int32Array(marked.length);
    groups.forEach((voxels, group) => voxels.forEach((voxel) => { labels[voxel] = group + 1; }));
    const pairs = [];
    scan.lesions.forEach((voxels, lesion) => {
      const shared = new Map();
      voxels.forEach((voxel) => { if (labels[voxel]) shared.set(labels[voxel], (shared.get(labels[voxel]) ?? 0) + 1); });
      shared.forEach((both, label) => {
        pairs.push({group: label - 1, lesion, iou: both / (groups[label - 1].length + voxels.length - both)});
      });
    });
    const hits = new Map();
    for (const pair of pairs.filter((one) => one.iou >= 0.1).sort((a, b) => b.iou - a.iou))
      if (!hits.has(pair.group) && ![...hits.values()].includes(pair.lesion)) hits.set(pair.group, pair.lesion);
    const counts = (lesion) => scan.lesions[lesion].length >= meta.min_voxels;
    const total = marked.reduce((sum, value) => sum + value, 0);
    const truth = scan.truth.reduce((sum, value) => sum + value, 0);
    const both = marked.reduce((sum, value, voxel) => sum + (value && scan.truth[voxel]), 0);
    return {
      ml: total * meta.voxel_ml,
      called: groups.length - [...hits.values()].filter((lesion) => !counts(lesion)).length,
      false: groups.filter((_, group) => !hits.has(group)).sort((a, b) => b.length - a.length),
      hit: [...hits.values()].filter(counts).length,
      lesions: scan.lesions.filter((_, lesion) => counts(lesion)).length,
      dice: truth ? 2 * both / (total + truth) : NaN,
    };
  };

  const position = (voxel) => [Math.floor(voxel / (ny * nz)), Math.floor(voxel / nz) % ny, voxel % nz];
  const mm = () => [0, 1, 2].map((row) => meta.affine[row][3] + at.reduce((sum, v, i) => sum + meta.affine[row][i] * v, 0));
  const digits = (value) => value >= 9.95 ? value.toFixed(0) : value >= 0.095 ? value.toFixed(1) : value.toPrecision(2);
  /* The slices through a component's voxel that has most of it around: its mean, brought back onto it. */
  const middle = (voxels) => {
    const places = voxels.map(position), mean = [0, 1, 2].map((i) => places.reduce((sum, p) => sum + p[i], 0) / places.length);
    const far = (p) => p.reduce((sum, v, i) => sum + (v - mean[i]) ** 2, 0);
    return places.reduce((best, p) => far(p) < far(best) ? p : best);
  };

  const draw = (name) => {
    const {across, up, through, edges} = PLANES[name], canvas = part(name);
    const size = meta.shape, width = size[across], height = size[up];
    const opacity = (of) => Number(part(of).value) / 100;
    const [greys, marks, truth] = [opacity("scan-opacity"), opacity("map-opacity"), opacity("mask-opacity")];
    const picture = new ImageData(width, height);
    const voxel = [...at];
    const top = scan.levels.length;
    for (let row = 0; row < height; row++) for (let column = 0; column < width; column++) {
      voxel[across] = width - 1 - column;
      voxel[up] = height - 1 - row;
      const place = index(...voxel), grey = 255 * greys * scan.grey[place] / meta.greys;
      let colour = [grey, grey, grey], outline = 0;
      const mix = (other, share) => { colour = colour.map((value, i) => value + share * (other[i] - value)); };
      if (scan.lesion && scan.lesion[place]) {
        const beside = [[across, 1], [across, -1], [up, 1], [up, -1]].some(([axis, step]) => {
          const other = [...voxel];
          other[axis] += step;
          return !scan.lesion[index(...other)];
        });
        if (beside) outline = Math.min(2 * truth, 1); else mix(LESION, 0.6 * truth);
      }
      if (scan.map[place] >= level) {
        const warmth = (scan.map[place] - level) / Math.max(top - level, 1);
        mix(meta.colours[Math.round(warmth * (meta.colours.length - 1))], marks);
      }
      mix(LESION, outline);
      picture.data.set([...colour, 255], 4 * (row * width + column));
    }
    const plain = new OffscreenCanvas(width, height);
    plain.getContext("2d").putImageData(picture, 0, 0);
    canvas.width = width * SCALE;
    canvas.height = Math.round(height * SCALE * spacing[up] / spacing[across]);
    const pen = canvas.getContext("2d"), tall = canvas.height / height;
    pen.imageSmoothingEnabled = false;
    pen.drawImage(plain, 0, 0, canvas.width, canvas.height);
    const column = (value) => (width - 0.5 - value) * SCALE, row = (value) => (height - 0.5 - value) * tall;
    const [low, high] = meta.crop;
    pen.setLineDash([6, 5]);
    pen.strokeStyle = "rgba(216, 221, 230, 0.8)";
    if (at[through] >= low[through] && at[through] <= high[through])
      pen.strokeRect(column(high[across]), row(high[up]), (high[across] - low[across]) * SCALE, (high[up] - low[up]) * tall);
    pen.setLineDash([]);
    pen.strokeStyle = "rgba(86, 180, 233, 0.9)";
    pen.beginPath();
    pen.moveTo(column(at[across]), 0); pen.lineTo(column(at[across]), canvas.height);
    pen.moveTo(0, row(at[up])); pen.lineTo(canvas.width, row(at[up]));
    pen.stroke();
    pen.fillStyle = "#d8dde6";
    pen.font = "bold 15px sans-serif";
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    const [w, h] = [canvas.width, canvas.height], places = [[12, h / 2], [w - 12, h / 2], [w / 2, 12], [w / 2, h - 12]];
    edges.forEach((edge, i) => pen.fillText(edge, ...places[i]));
  };

  /* Say where the crosshair is and what is there. */
  const tell = () => {
    const place = index(...at), value = scan.map[place], [low, high] = scan.window;
    const map = !brain[place] ? "outside the brain" : value ? scan.levels[value - 1].toPrecision(3)
      : `below ${scan.levels[0].toPrecision(3)}`;
    const [x, y, z] = mm().map((coordinate) => coordinate.toFixed(0).replace("-", "\u2212"));
    const grey = (low + (high - low) * scan.grey[place] / meta.greys).toFixed(1).replace("-", "\u2212");
    part("where").textContent = `x ${x}, y ${y}, z ${z} mm; map ${map}; scan ${grey}`
      + (scan.lesion && scan.lesion[place] ? "; lesion" : "");
  };
  const redraw = () => { Object.keys(PLANES).forEach(draw); tell(); };
  const go = (voxel) => {
    at = voxel.map((value, axis) => Math.min(Math.max(Math.round(value), 0), meta.shape[axis] - 1));
    redraw();
  };

  const remeasure = () => {
    level = Number(part("threshold").value);
    found = measure();
    next = 0;
    const {threshold} = meta.experiments[part("experiment").value];
    const count = (number, what) => `${number} ${what}${number === 1 ? "" : "s"}`;
    part("figures").textContent = `${digits(found.ml)} ml marked in ${count(found.called, "component")}, ${found.false.length} of them false`
      + (scan.lesion ? `; ${found.hit} of ${count(found.lesions, "lesion")} found; Dice ${Number.isNaN(found.dice) ? "n/a" : found.dice.toFixed(2)}` : "");
    part("at").textContent = `${scan.levels[level - 1].toPrecision(3)}${level === threshold ? " (that of Dice)" : ""}`;
    part("false").disabled = !found.false.length;
    redraw();
  };

  const choose = async () => {
    const {levels, threshold} = meta.experiments[part("experiment").value];
    scan.levels = levels;
    scan.map = await unpack(scan.content.maps[part("experiment").value]);
    part("threshold").max = levels.length;
    part("threshold").value = threshold ?? Math.round(levels.length / 2);
    remeasure();
  };

  const open = async (name, figure) => {
    wanted = name;
    figure.querySelector("figcaption").after(root);
    root.hidden = false;
    figure.scrollIntoView({behavior: "instant", block: "start"});
    part("message").textContent = "Loading the scan.";
    try {
      const content = await load(name);
      brain ??= await unpack(meta.brain);
      const lesion = content.lesion && await unpack(content.lesion);
      const truth = brain.map((inside, voxel) => inside && lesion ? lesion[voxel] : 0);
      const grey = await unpack(content.scan);
      if (wanted !== name) return;
      scan = {content, lesion, truth, grey, lesions: components(truth), window: content.window};
      part("lesion").disabled = !lesion;
      part("mask-opacity").disabled = !lesion;
      await choose();
      part("message").textContent = "";
      const largest = [...scan.lesions].sort((a, b) => b.length - a.length)[0];
      if (largest) go(middle(largest)); else hottest();
      part("axial").focus({preventScroll: true});
    } catch (error) {
      part("message").textContent = `This scan cannot be shown: ${error.message}`;
    }
  };
  const hottest = () => go(position(scan.map.reduce((best, value, voxel) => value > scan.map[best] ? voxel : best, 0)));

  for (const [name, {across, up, through}] of Object.entries(PLANES)) {
    const canvas = part(name);
    const point = (event) => {
      const box = canvas.getBoundingClientRect(), voxel = [...at];
      voxel[across] = meta.shape[across] - 0.5 - (event.clientX - box.left) / box.width * meta.shape[across];
      voxel[up] = meta.shape[up] - 0.5 - (event.clientY - box.top) / box.height * meta.shape[up];
      go(voxel);
    };
    canvas.addEventListener("pointerdown", (event) => { canvas.setPointerCapture(event.pointerId); point(event); });
    canvas.addEventListener("pointermove", (event) => { if (event.buttons) point(event); });
    canvas.addEventListener("keydown", (event) => {
      const moves = {ArrowLeft: [across, 1], ArrowRight: [across, -1], ArrowUp: [up, 1], ArrowDown: [up, -1],
        PageUp: [through, 1], PageDown: [through, -1]};
      if (!moves[event.key]) return;
      const voxel = [...at], [axis, step] = moves[event.key];
      voxel[axis] += step;
      event.preventDefault();
      go(voxel);
    });
  }
  for (const name of ["scan-opacity", "map-opacity", "mask-opacity"]) part(name).addEventListener("input", redraw);
  part("threshold").addEventListener("input", remeasure);
  part("experiment").addEventListener("change", choose);
  part("lesion").addEventListener("click", () => {
    const order = [...scan.lesions].sort((a, b) => b.length - a.length);
    if (order.length) go(middle(order[0]));
  });
  part("hottest").addEventListener("click", hottest);
  part("false").addEventListener("click", () => go(middle(found.false[next++ % found.false.length])));
  for (const button of document.querySelectorAll("button[data-scan]")) {
    button.hidden = false;
    button.addEventListener("click", () => open(button.dataset.scan, button.closest("figure")));
  }
  return {receive};
})();
