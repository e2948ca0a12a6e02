/* Behavior of a piece of the page: what is clicked or typed becomes one event, 'act', with a name and values. */
const send = (node, more) => trigger('act', {
  do: node.dataset.do,
  values: Object.assign(JSON.parse(node.dataset.with || '{}'), more || {}),
});
const root = document.documentElement;
const kept = new Set();
let followed = '';
const save = (file, name) => {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(file);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
};

const address = new URL('.', document.baseURI).href.replace(/\/$/, '');
const nameServer = () => element.querySelectorAll('[data-server]').forEach((node) => {
  node.textContent = node.dataset.server.replaceAll('https://this-server', address);
});
const copyCode = async (button, code) => {
  const words = button.textContent;
  try {
    await navigator.clipboard.writeText(code.textContent);
    button.textContent = 'Copied';
  } catch (error) { /* a frame may not be allowed to: the keys still are */
    getSelection().selectAllChildren(code);
    button.textContent = 'Press Ctrl+C';
  }
  setTimeout(() => { button.textContent = words; }, 2500);
};

element.addEventListener('click', (event) => {
  const node = event.target.closest('button');
  if (!node || !element.contains(node) || node.disabled) return;
  if (node.dataset.open) {
    const input = document.querySelector('#' + node.dataset.open + ' input[type=file]');
    if (input) input.click();
  } else if (node.dataset.download) {
    const names = JSON.stringify({ names: node.dataset.names.split('\n') }, null, 1);
    save(new Blob([names + '\n'], { type: 'application/json' }), node.dataset.download);
  } else if ('copyCode' in node.dataset) {
    copyCode(node, node.closest('.ch-codeblock').querySelector('code'));
  } else if (node.dataset.theme) {
    document.body.classList.toggle('dark');
  } else if (node.dataset.do) {
    send(node);
    const goal = node.dataset.top && document.querySelector(node.dataset.top);
    if (goal) goal.scrollIntoView({ block: 'start', behavior: 'instant' });
  }
});

element.addEventListener('change', (event) => {
  const node = event.target;
  if (!node.dataset || !node.dataset.do || node.type === 'search') return;
  if (node.type === 'file') {
    const file = node.files[0];
    if (file) file.slice(0, 100000).text().then((words) => { send(node, { text: words }); node.value = ''; });
  } else {
    send(node, { [node.dataset.value]: node.value });
  }
});

let waiting = 0;
element.addEventListener('input', (event) => {
  const node = event.target;
  if (node.dataset.variable) root.style.setProperty(node.dataset.variable, node.value / 100);
  const output = node.type === 'range' && node.dataset.do && node.closest('label').querySelector('output');
  if (output) output.textContent = node.dataset.tenths ? (node.value / 10).toFixed(1) : node.value + ' %';
  if (node.type !== 'search') return;
  clearTimeout(waiting);
  waiting = setTimeout(() => send(node, { [node.dataset.value]: node.value }), 250);
});

element.addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && event.target.matches('input.ch-name')) event.target.blur();
  const group = event.target.closest('[data-roving]');
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (!group || !step) return;
  event.preventDefault();
  const cells = Array.from(group.querySelectorAll('button'));
  const next = cells[(cells.indexOf(event.target) + step + cells.length) % cells.length];
  cells.forEach((cell) => { cell.tabIndex = cell === next ? 0 : -1; });
  next.focus();
});

element.addEventListener('toggle', (event) => {
  const name = event.target.dataset.keep;
  if (name) kept[event.target.open ? 'add' : 'delete'](name);
}, true);

/* New content may have closed what was open, or kept what was typed although it was refused. */
watch('value', () => {
  nameServer();
  element.querySelectorAll('input[data-variable][data-do]').forEach((node) => {
    root.style.setProperty(node.dataset.variable, node.value / 100);
  });
  const link = element.querySelector('a[data-follow]');
  if (link && link.dataset.follow !== followed) {
    followed = link.dataset.follow;
    fetch(link.href).then((answer) => answer.blob()).then((file) => save(file, link.download));
  }
  const open = new Set(kept);
  element.querySelectorAll('details[data-keep]').forEach((node) => { node.open = open.has(node.dataset.keep); });
  element.querySelectorAll('input.ch-name').forEach((node) => {
    if (node !== document.activeElement) node.value = node.getAttribute('value');
  });
  element.querySelectorAll('select').forEach((node) => {
    const chosen = node.querySelector('option[selected]');
    if (chosen && node !== document.activeElement) node.value = chosen.value;
  });
});

/* Once per page: an image pasted or dropped anywhere goes to the upload button. */
if (!window.conceptHashUpload) {
  window.conceptHashUpload = (files) => {
    const image = Array.from(files || [])[0];
    const input = document.querySelector('#ch-upload input[type=file]');
    if (!image || !input) return false;
    const transfer = new DataTransfer();
    transfer.items.add(image);
    input.files = transfer.files;
    input.dispatchEvent(new Event('change', { bubbles: true }));
    return true;
  };
  document.addEventListener('paste', (event) => {
    if (event.clipboardData && window.conceptHashUpload(event.clipboardData.files)) event.preventDefault();
  });
  document.addEventListener('dragover', (event) => {
    if (!Array.from(event.dataTransfer.types).includes('Files')) return;
    event.preventDefault();
    root.classList.add('ch-dropping');
  });
  ['dragleave', 'drop'].forEach((name) => document.addEventListener(name, (event) => {
    if (name === 'dragleave' && event.relatedTarget) return;
    root.classList.remove('ch-dropping');
    if (name === 'drop' && event.dataTransfer.files.length) {
      event.preventDefault();
      window.conceptHashUpload(event.dataTransfer.files);
    }
  }));
}
