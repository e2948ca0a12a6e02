/* What the browser remembers of runs and opened models: every tab adds and takes away only what is its own. */
const KEY = 'ch-train-v2';
const MOST = 20;
const rowsOf = (kept, name) => (kept && Array.isArray(kept[name]) ? kept[name].filter(Array.isArray) : []);
const without = (rows, others) => rows.filter(([token]) => !others.some((other) => other[0] === token));
let told = {};

watch('value', () => {
  const now = JSON.parse(props.value || '{}');
  let kept = {};
  try { kept = JSON.parse(localStorage.getItem(KEY)) || {}; } catch (error) { /* somebody else wrote there */ }
  const lists = ['runs', 'opened'].map((name) => {
    const [before, after] = [rowsOf(told, name), rowsOf(now, name)];
    const added = without(after, before);
    const others = without(rowsOf(kept, name), [...without(before, after), ...added]);
    return [name, [...added, ...others].slice(0, MOST)];
  });
  told = now;
  try { localStorage.setItem(KEY, JSON.stringify(Object.fromEntries(lists))); } catch (error) { /* no room is left */ }
});
