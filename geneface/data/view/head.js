// The head: posed on the processor, so that its normals are right in every frame, and drawn by three.js.
const KINDS = ["skin", "brow", "lash", "inside", "eye"];
const ENTRY = 0.006;  // a mouth open this far lets all light in [m]
const DISTANCE = 1.1, LOOK_AT = -0.008, SHOWN = [0.225, 0.305];  // the camera, and what it shows at least [m]

class Head {
  // shapes: arrays of the page; ghost: drawn as a tint over another head.
  constructor(THREE, shapes) {
    this.shapes = shapes;
    this.now = new Float32Array(shapes.vertices.length);
    this.normals = new Float32Array(shapes.vertices.length);
    const corners = shapes.corners, count = corners.length, geometry = this.geometry = new THREE.BufferGeometry();
    this.position = new THREE.BufferAttribute(new Float32Array(3 * count), 3);
    this.normal = new THREE.BufferAttribute(new Float32Array(3 * count), 3);
    geometry.setAttribute("position", this.position);
    geometry.setAttribute("normal", this.normal);
    geometry.setAttribute("color", new THREE.BufferAttribute(shapes.colour, 3));
    geometry.setAttribute("uv", new THREE.BufferAttribute(shapes.eye_uv, 2));
    geometry.setAttribute("gloss", new THREE.BufferAttribute(shapes.gloss, 1));
    geometry.setIndex(new THREE.BufferAttribute(shapes.triangles, 1));
    for (let kind = 0, from = 0; kind < KINDS.length; kind++) {
      let to = from;
      while (to < shapes.kind.length && shapes.kind[to] === kind) to++;
      geometry.addGroup(3 * from, 3 * (to - from), kind);
      from = to;
    }
    const glossy = material => {
      material.onBeforeCompile = shader => {
        shader.vertexShader = "attribute float gloss; varying float vGloss;\n" +
          shader.vertexShader.replace("#include <begin_vertex>", "#include <begin_vertex>\nvGloss = gloss;");
        shader.fragmentShader = "varying float vGloss;\n" + shader.fragmentShader.replace(
          "#include <roughnessmap_fragment>", "#include <roughnessmap_fragment>\nroughnessFactor = 1.0 - 0.9 * vGloss;");
      };
      return material;
    };
    const side = Math.round(Math.sqrt(shapes.eye_texture.length / 3)), pixels = new Uint8Array(4 * side * side).fill(255);
    for (let i = 0; i < side * side; i++) for (let c = 0; c < 3; c++) pixels[4 * i + c] = shapes.eye_texture[3 * i + c];
    const eye = new THREE.DataTexture(pixels, side, side);
    Object.assign(eye, {colorSpace: THREE.SRGBColorSpace, magFilter: THREE.LinearFilter, generateMipmaps: true,
                        minFilter: THREE.LinearMipmapLinearFilter, anisotropy: 4, needsUpdate: true});
    const [skin, brow, lash, inside] = [THREE.FrontSide, THREE.FrontSide, THREE.DoubleSide, THREE.DoubleSide].map(
      side => glossy(new THREE.MeshStandardMaterial({vertexColors: true, side})));
    this.inside = inside;
    this.materials = [skin, brow, lash, inside,
                      new THREE.MeshPhysicalMaterial({vertexColors: true, map: eye, roughness: 0.18, clearcoat: 1,
                                                      clearcoatRoughness: 0.04})];
    this.tint = new THREE.MeshStandardMaterial({color: 0xf08a30, transparent: true, opacity: 0.5, roughness: 0.7});
    this.mesh = new THREE.Mesh(geometry, this.materials);
    this.mesh.frustumCulled = false;
    this.mesh.matrixAutoUpdate = false;
  }

  // Vertices of weights [52], before the head is turned.
  shape(weights) {
    const {start, index, value, scale} = this.shapes.deltas, now = this.now;
    now.set(this.shapes.vertices);
    for (let e = 0; e < weights.length; e++) {
      if (weights[e] === 0) continue;
      const amount = weights[e] * scale;
      for (let i = start[e]; i < start[e + 1]; i++) {
        const v = 3 * index[i], k = 3 * i;
        now[v] += amount * value[k];
        now[v + 1] += amount * value[k + 1];
        now[v + 2] += amount * value[k + 2];
      }
    }
    return now;
  }

  pose(take, frame) {
    const now = this.shape(take.weights.subarray(52 * frame, 52 * frame + 52)), normals = this.normals.fill(0);
    const {faces, corners} = this.shapes;
    for (let f = 0; f < faces.length; f += 3) {
      const a = 3 * faces[f], b = 3 * faces[f + 1], c = 3 * faces[f + 2];
      const ux = now[b] - now[a], uy = now[b + 1] - now[a + 1], uz = now[b + 2] - now[a + 2];
      const vx = now[c] - now[a], vy = now[c + 1] - now[a + 1], vz = now[c + 2] - now[a + 2];
      const x = uy * vz - uz * vy, y = uz * vx - ux * vz, z = ux * vy - uy * vx;
      for (const at of [a, b, c]) { normals[at] += x; normals[at + 1] += y; normals[at + 2] += z; }
    }
    const place = this.position.array, normal = this.normal.array;
    for (let i = 0, k = 0; i < corners.length; i++) {
      const v = 3 * corners[i], length = Math.hypot(normals[v], normals[v + 1], normals[v + 2]) || 1;
      for (let c = 0; c < 3; c++, k++) { place[k] = now[v + c]; normal[k] = normals[v + c] / length; }
    }
    this.position.needsUpdate = this.normal.needsUpdate = true;
    const r = take.rotations.subarray(9 * frame, 9 * frame + 9), p = take.positions.subarray(3 * frame, 3 * frame + 3);
    this.mesh.matrix.set(r[0], r[1], r[2], p[0], r[3], r[4], r[5], p[1], r[6], r[7], r[8], p[2], 0, 0, 0, 1);
    this.inside.color.setScalar(0.15 + 0.85 * Math.min(take.opening[frame] / ENTRY, 1));
  }
}

class Stage {
  constructor(THREE, canvas, shapes, count) {
    this.THREE = THREE;
    this.canvas = canvas;
    // Drawn finer and averaged by the browser: multisampling leaves dots along edges where the driver is software.
    this.renderer = new THREE.WebGLRenderer({canvas, antialias: false, alpha: true});
    this.renderer.toneMapping = THREE.NeutralToneMapping;
    this.renderer.autoClear = false;
    const scene = this.scene = new THREE.Scene();
    scene.environment = this.surroundings();
    scene.environmentIntensity = 0.3;
    scene.add(new THREE.HemisphereLight(0xe6ecf5, 0x8a756a, 1.5));
    for (const [x, y, z, colour, power] of [[-0.5, 0.55, 0.8, 0xfff3e4, 2.5], [0.85, 0.1, 0.6, 0xdde8ff, 0.85],
                                            [0.55, 0.45, -0.8, 0xf4f7ff, 0.9]]) {
      const lamp = new THREE.DirectionalLight(colour, power);
      lamp.position.set(x, y, z);
      scene.add(lamp);
    }
    this.heads = Array.from({length: count}, () => new Head(THREE, shapes));
    this.heads.forEach(head => scene.add(head.mesh));
    this.camera = new THREE.PerspectiveCamera();
    this.overlay = this.coarse = false;  // coarse: for a machine that cannot keep up
    this.home();
    this.handle();
  }

  // Soft boxes around the head, for the eyes and lips to mirror.
  surroundings() {
    const THREE = this.THREE, room = new THREE.Scene();
    room.background = new THREE.Color(0x8c9096);
    for (const [x, y, z, size, power] of [[-3, 3, 4, 2.2, 9], [4, 0.5, 3, 1.6, 3], [0, 5, -1, 3, 3], [0, -5, 0, 4, 0.25]]) {
      const box = new THREE.Mesh(new THREE.PlaneGeometry(size, size),
                                 new THREE.MeshBasicMaterial({color: new THREE.Color().setScalar(power), side: THREE.DoubleSide}));
      box.position.set(x, y, z);
      box.lookAt(0, 0, 0);
      room.add(box);
    }
    const maker = new THREE.PMREMGenerator(this.renderer), texture = maker.fromScene(room, 0.03).texture;
    maker.dispose();
    return texture;
  }

  home() {
    this.turn = this.lift = 0;
    this.near = 1;
  }

  handle() {
    const held = new Map(), canvas = this.canvas;
    canvas.onpointerdown = event => { held.set(event.pointerId, event); canvas.setPointerCapture(event.pointerId); };
    canvas.onpointerup = canvas.onpointercancel = event => held.delete(event.pointerId);
    canvas.onpointermove = event => {
      const before = held.get(event.pointerId);
      if (!before) return;
      const other = [...held.values()].find(each => each.pointerId !== event.pointerId);
      if (other) {
        const apart = point => Math.hypot(point.clientX - other.clientX, point.clientY - other.clientY);
        this.near *= apart(event) / Math.max(apart(before), 1);
      } else {
        this.turn -= (event.clientX - before.clientX) / 150;
        this.lift += (event.clientY - before.clientY) / 200;
      }
      held.set(event.pointerId, event);
      this.draw();
    };
    canvas.addEventListener("wheel", event => {
      event.preventDefault();
      this.near *= Math.exp(-event.deltaY / 800);
      this.draw();
    }, {passive: false});
    canvas.ondblclick = () => { this.home(); this.draw(); };
  }

  draw() {
    const {renderer, camera, heads, canvas} = this, beside = heads.length > 1 && !this.overlay;
    const width = canvas.clientWidth, height = canvas.clientHeight;
    if (!width || !height) return;
    this.lift = Math.min(1.2, Math.max(-0.6, this.lift));  // from below one would look into the neck
    this.near = Math.min(6, Math.max(0.5, this.near));
    const ratio = this.coarse ? 1 : Math.max(2, Math.min(1.5 * devicePixelRatio, 3)), size = renderer.getSize(new this.THREE.Vector2());
    if (size.x !== width || size.y !== height || renderer.getPixelRatio() !== ratio) {
      renderer.setPixelRatio(ratio);
      renderer.setSize(width, height, false);
    }
    const part = beside ? width / heads.length : width, tall = Math.max(SHOWN[1], SHOWN[0] * height / part);
    camera.aspect = part / height;
    camera.fov = 2 * Math.atan(tall / 2 / DISTANCE) * 180 / Math.PI / Math.max(this.near, 1);
    const far = DISTANCE / Math.min(this.near, 1);
    camera.near = 0.1;
    camera.far = 5;
    camera.position.set(far * Math.sin(this.turn) * Math.cos(this.lift), LOOK_AT + far * Math.sin(this.lift),
                        far * Math.cos(this.turn) * Math.cos(this.lift));
    camera.lookAt(0, LOOK_AT, 0);
    camera.updateProjectionMatrix();
    renderer.setScissorTest(false);
    renderer.clear();
    renderer.setScissorTest(beside);
    heads.forEach((head, k) => {
      head.mesh.material = this.overlay && k > 0 ? head.tint : head.materials;
      if (!beside) return;
      heads.forEach((other, j) => { other.mesh.visible = j === k; });
      renderer.setViewport(k * part, 0, part, height);
      renderer.setScissor(k * part, 0, part, height);
      renderer.render(this.scene, camera);
    });
    if (!beside) {
      heads.forEach(head => { head.mesh.visible = true; });
      renderer.setViewport(0, 0, width, height);
      renderer.render(this.scene, camera);
    }
  }
}
