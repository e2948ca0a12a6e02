/* Keys: numbers choose a concept, arrows walk results, ? lists the keys. They press what is on the open tab anyway. */
const dialog = element.querySelector('dialog');
const isOn = element.querySelector('[data-keys-on]');
const WALKED = '.ch-pick, .ch-thumb, .ch-cell';
const ARROWS = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };

const stored = (value) => {
  try {
    if (value) localStorage.setItem('concepthash-keys', value);
    return localStorage.getItem('concepthash-keys');
  } catch (error) { return null; }
};
isOn.checked = stored() !== 'off';
isOn.addEventListener('change', () => stored(isOn.checked ? 'on' : 'off'));

const open = () => { if (!dialog.open) dialog.showModal(); };
element.addEventListener('click', (event) => {
  if (event.target.closest('[data-keys-open]')) open();
  else if (event.target === dialog || event.target.closest('[data-keys-close]')) dialog.close();
});

/* The button on the open tab that chooses concept n, counted from 0; -1 is all of them. */
const controls = (name) => Array.from(document.querySelectorAll('#ch-tabs button[data-do="' + name + '"]'))
  .filter((button) => button.checkVisibility() && !button.disabled);
const valueOf = (button, name) => JSON.parse(button.dataset.with || '{}')[name];
const choose = (n) => {
  const rules = controls('rule').filter((button) => valueOf(button, 'concept') === n && button.matches('.ch-seg'));
  if (rules.length) {
    const free = rules.find((button) => valueOf(button, 'radius') === -1);
    const exact = rules.find((button) => valueOf(button, 'radius') === 0);
    return free.getAttribute('aria-pressed') === 'true' ? exact : free;
  }
  return controls('concept').find((button) => valueOf(button, 'concept') === n);
};

/* The nearest neighbor on the screen in one direction; at the end of a row left and right go on to the next one. */
const neighbor = (from, [right, down]) => {
  const kind = '.' + ['ch-pick', 'ch-thumb', 'ch-cell'].find((name) => from.classList.contains(name));
  const all = Array.from((from.closest('[id^="ch-"]') || document).querySelectorAll(kind))
    .filter((node) => node.checkVisibility() && !node.disabled);
  const box = from.getBoundingClientRect();
  const middle = (b) => [b.left + b.width / 2, b.top + b.height / 2];
  const [x, y] = middle(box);
  const found = all.map((node) => [node, node.getBoundingClientRect()]).filter(([node, b]) => {
    if (node === from) return false;
    const isSameRow = b.top < box.bottom - 1 && b.bottom > box.top + 1;
    const [nx, ny] = middle(b);
    return right ? isSameRow && (nx - x) * right > 1 : !isSameRow && (ny - y) * down > 1;
  });
  const far = ([, b]) => {
    const [nx, ny] = middle(b);
    return right ? Math.abs(nx - x) : Math.abs(ny - y) * 1000 + Math.abs(nx - x);
  };
  found.sort((a, b) => far(a) - far(b));
  if (found.length) return found[0][0];
  return right ? all[all.indexOf(from) + right] : undefined;
};

document.addEventListener('keydown', (event) => {
  const from = event.composedPath()[0];
  if (event.defaultPrevented || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (!from.closest || from.closest('input, textarea, select, [contenteditable]:not([contenteditable="false"])')) return;
  if (document.querySelector('dialog[open]')) return;
  let target;
  if (ARROWS[event.key]) {
    if (event.shiftKey || !from.matches(WALKED) || from.closest('[data-roving]')) return;
    target = neighbor(from, ARROWS[event.key]);
    if (!target) return;
    target.focus();
    target.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  } else if (!isOn.checked || event.repeat) {
    return;
  } else if (event.key === '?') {
    open();
  } else if (/^[0-9]$/.test(event.key)) {
    target = choose(Number(event.key) - 1);
    if (!target) return;
    target.click();
  } else {
    return;
  }
  event.preventDefault();
});
