/* Behavior of a plot: draws what the value says and turns clicks, boxes and lassos into one event, 'act'. */
const MODEBAR = [['zoom2d', 'select2d', 'lasso2d', 'resetScale2d']];
const NARROW = 640; // pixels; below this, or the value's `narrow_below`, its `narrow` goes over its layout
const place = element.querySelector('.ch-plot');
let figure = null;
let width = 0;
let drawings = 0;

/* The library is large, so it is fetched when the first plot is drawn, once for all plots. */
const library = () => {
  if (!window.conceptHashPlotly) {
    window.conceptHashPlotly = new Promise((done, failed) => {
      const script = document.createElement('script');
      script.src = new URL(place.dataset.script, document.baseURI).href;
      script.onload = () => done(window.Plotly);
      script.onerror = () => { script.remove(); window.conceptHashPlotly = null; failed(new Error('not loaded')); };
      document.head.append(script);
    });
  }
  return window.conceptHashPlotly;
};

/* Every text `var(--name)` in the value becomes the color that the theme of this moment gives that name. */
const themed = (part, style) => {
  if (typeof part === 'string') {
    return part.startsWith('var(--') ? style.getPropertyValue(part.slice(4, -1)).trim() : part;
  }
  if (Array.isArray(part)) return part.map((item) => themed(item, style));
  if (!part || typeof part !== 'object') return part;
  return Object.fromEntries(Object.entries(part).map(([key, item]) => [key, themed(item, style)]));
};

const isGroup = (part) => Boolean(part) && typeof part === 'object' && !Array.isArray(part);
const merged = (under, over) => {
  const all = { ...under };
  Object.entries(over || {}).forEach(([key, item]) => {
    all[key] = isGroup(item) && isGroup(all[key]) ? merged(all[key], item) : item;
  });
  return all;
};

const AXIS = {
  color: 'var(--ch-soft)', gridcolor: 'var(--ch-line)', zerolinecolor: 'var(--ch-line)', linecolor: 'var(--ch-line)',
};
const looks = (layout, style) => {
  const base = {
    paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)', margin: { l: 44, r: 10, t: 34, b: 40 },
    font: { family: getComputedStyle(place).fontFamily, size: 13, color: 'var(--ch-ink)' },
    hoverlabel: { bgcolor: 'var(--ch-card)', bordercolor: 'var(--ch-strong)', font: { color: 'var(--ch-ink)' }, align: 'left' },
    modebar: { bgcolor: 'rgba(0,0,0,0)', color: 'var(--ch-soft)', activecolor: 'var(--ch-ink)' },
    newselection: { line: { color: 'var(--ch-ink)', width: 1.5, dash: 'dot' } },
  };
  const full = merged(base, layout);
  Object.keys(full).filter((key) => /^[xy]axis\d*$/.test(key)).forEach((key) => { full[key] = merged(AXIS, full[key]); });
  return themed(full, style);
};

const layoutNow = () => {
  const layout = width < (figure.narrow_below || NARROW) ? merged(figure.layout, figure.narrow) : figure.layout;
  return looks({ ...layout, width, height: layout.height || place.clientHeight, autosize: false,
    selections: [], selectionrevision: (drawings += 1) }, getComputedStyle(document.body));
};

const keysOf = (event) => [...new Set(((event && event.points) || [])
  .map((point) => point.customdata).filter((key) => key !== undefined && key !== null).map(String))];

const listen = () => {
  if (place.dataset.listens) return;
  place.dataset.listens = 'yes';
  place.on('plotly_click', (event) => {
    const [key] = keysOf(event);
    if (key !== undefined) trigger('act', { do: 'point', values: { key } });
  });
  place.on('plotly_selected', (event) => {
    if (event && (event.range || event.lassoPoints)) trigger('act', { do: 'lasso', values: { keys: keysOf(event) } });
  });
  place.on('plotly_deselect', () => trigger('act', { do: 'lasso', values: { keys: [] } }));
};

/* The picture is one image to a screen reader; the buttons beside it stay buttons. */
const name = () => place.querySelectorAll('.main-svg').forEach((svg, index) => {
  if (index) { svg.setAttribute('aria-hidden', 'true'); return; }
  svg.setAttribute('role', 'img');
  svg.setAttribute('aria-label', figure.label || 'A plot');
});

const read = () => {
  try {
    figure = JSON.parse(props.value || 'null');
  } catch {
    figure = null;
  }
};

const draw = async () => {
  width = Math.floor(place.clientWidth);
  place.hidden = !figure;
  if (!figure || !width) return; // hidden tabs have no width; they are drawn when they get one
  const layout = layoutNow();
  place.style.height = layout.height + 'px';
  const mine = drawings;
  try {
    const plotly = await library();
    if (mine !== drawings) return; // a newer drawing has begun
    place.classList.remove('is-lost');
    await plotly.react(place, themed(figure.data, getComputedStyle(document.body)), layout, {
      displaylogo: false, displayModeBar: true, modeBarButtons: figure.tools ? [figure.tools] : MODEBAR, responsive: false, showTips: false,
    });
    name();
    listen();
  } catch (error) {
    place.classList.add('is-lost');
    if (!place.dataset.listens) place.textContent = 'The plot cannot be drawn here; use the list beside it instead.';
    console.warn('The plot was not drawn:', error);
  }
};

read();
draw();
watch('value', () => { read(); draw(); });
new ResizeObserver(() => { if (Math.floor(place.clientWidth) !== width) draw(); }).observe(place);
new MutationObserver(draw).observe(document.body, { attributes: true, attributeFilter: ['class'] });
