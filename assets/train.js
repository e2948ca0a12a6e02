/* The drop zones of the Train tab: what is dropped there goes to that zone's upload, and not to the image in hand. */
{
  const zoneOf = (event) => event.target.closest && event.target.closest('[data-drop]');
  const inputOf = (id) => document.querySelector('#' + id + ' input[type=file]');
  const sending = (files) => {
    const bytes = Array.from(files).reduce((sum, file) => sum + file.size, 0);
    element.dataset.sending = 'Sending ' + Math.max(bytes / 1e6, 0.1).toFixed(1) + ' MB …';
  };
  /* New content: what was sent is there, and fields show what Python holds, as the emptied name of the next class. */
  const clear = () => {
    delete element.dataset.sending;
    element.querySelectorAll('input.ch-input').forEach((node) => {
      if (node !== document.activeElement) node.value = node.getAttribute('value');
    });
  };
  /* A name that was typed but not yet sent goes ahead of the images. */
  const sendTyped = () => {
    if (element.contains(document.activeElement)) document.activeElement.blur();
  };
  let over = null;
  const mark = (zone) => {
    if (over && over !== zone) over.classList.remove('is-over');
    if (zone) zone.classList.add('is-over');
    over = zone;
  };
  const whenFiles = (event) => event.dataTransfer && Array.from(event.dataTransfer.types).includes('Files');

  document.addEventListener('dragover', (event) => {
    const zone = zoneOf(event);
    mark(zone);
    if (!zone || !whenFiles(event)) return;
    event.preventDefault();
    event.stopPropagation();
    document.documentElement.classList.remove('ch-dropping');
  }, true);
  document.addEventListener('drop', (event) => {
    const zone = zoneOf(event);
    mark(null);
    if (!zone || !whenFiles(event)) return;
    event.preventDefault();
    event.stopPropagation();
    const input = inputOf(zone.dataset.drop);
    if (!input || !event.dataTransfer.files.length) return;
    const transfer = new DataTransfer();
    const files = Array.from(event.dataTransfer.files);
    (input.multiple ? files : files.slice(0, 1)).forEach((file) => transfer.items.add(file));
    input.files = transfer.files;
    input.dispatchEvent(new Event('change', { bubbles: true }));
  }, true);
  document.addEventListener('change', (event) => {
    const input = event.target;
    if (input.type === 'file' && input.files.length && input.closest('#ch-train-zip, #ch-train-files')) {
      sendTyped();
      sending(input.files);
    }
  }, true);
  watch('value', clear);
}
