/* The address follows the page: what Python says the link is becomes the address; back and forward go to Python. */
const root = document.documentElement;
const OURS = new Set(element.querySelector('[data-keys]').dataset.keys.split(' '));
let wanted = 1; /* the number of the newest restore; the one at page load is 1 */
let asked = 1; /* the newest one that Python was asked for; the next one waits for its answer */
let answered = 0; /* the newest one that Python has answered */
let heard = 1; /* what Python tells is heard from this number on */
let shown = null; /* the newest thing Python told */

const others = () => location.search.slice(1).split('&').filter((part) => part && !OURS.has(part.split('=')[0]));
const hasLink = () => /(^\?|&)v=/.test(location.search);
const address = (link) => location.pathname + '?' + [link].concat(others()).join('&') + location.hash;
const entry = () => (history.state && history.state.conceptHash) || {};
const note = (how, now, url) => {
  const state = Object.assign({}, history.state, {
    conceptHash: { link: now.link, screen: now.screen, upload: now.upload },
  });
  try { history[how](state, '', url); } catch (error) { /* a frame may not be allowed to change its address */ }
};

/* An answer may be lost: after ten seconds the screen stays as it is, and what is told of it is heard again. */
const wait = () => setTimeout(() => {
  if (wanted === asked) heard = answered;
  goOn();
}, 10000);
let waiting = wait(); /* 0 where no answer is awaited */
const goOn = () => {
  clearTimeout(waiting);
  waiting = 0;
  if (wanted > asked) ask();
};
const ask = () => {
  asked = wanted;
  waiting = wait();
  trigger('act', { do: 'restore', values: { query: location.search, number: wanted, upload: entry().upload || '' } });
};

/* An answer to a restore only corrects the address; a page opened without a link keeps its bare one. */
const follow = () => {
  const now = JSON.parse(props.value || '{}');
  answered = Math.max(answered, now.number || 0);
  if (waiting && answered >= asked) goOn();
  if (now.answer && !waiting) heard = Math.min(heard, now.number); /* a late one still changed the screen */
  if (now.link === undefined || now.number < heard) return;
  shown = now;
  root.classList.remove('ch-restoring');
  if (!now.link) return; /* a model of this visitor alone */
  const here = entry();
  if (here.link === now.link && here.upload === now.upload) return;
  if (now.answer) note('replaceState', now, hasLink() ? address(now.link) : location.href);
  else note(here.link === undefined || here.screen === now.screen ? 'replaceState' : 'pushState', now, address(now.link));
};
watch('value', follow);

window.addEventListener('popstate', () => {
  wanted += 1;
  heard = wanted;
  if (!waiting) ask();
});

/* The first image is not shown where a link asks for another one. */
if (hasLink() && !shown) {
  root.classList.add('ch-restoring');
  setTimeout(() => root.classList.remove('ch-restoring'), 8000);
}

const said = element.querySelector('[role=status]');
const field = element.querySelector('.ch-link-field');
let clearing = 0;
const say = (words) => {
  clearTimeout(clearing);
  said.textContent = words;
  clearing = setTimeout(() => { if (field.hidden) said.textContent = ''; }, 4000);
};
const close = () => { field.hidden = true; said.textContent = ''; };

element.addEventListener('click', async (event) => {
  if (!event.target.closest('[data-copy]')) return;
  if (shown && !shown.link) {
    field.hidden = true;
    say('No link leads to this model.');
    return;
  }
  const url = new URL(shown ? address(shown.link) : location.href, location.href).href;
  const without = shown && shown.without ? ', without ' + shown.without : '';
  try {
    const policy = document.featurePolicy; /* asked first, so that a frame without the right logs no error */
    if (policy && !policy.allowsFeature('clipboard-write')) throw new Error('denied');
    await navigator.clipboard.writeText(url);
    field.hidden = true;
    say('Copied' + without);
  } catch (error) {
    field.hidden = false;
    field.value = url;
    field.focus();
    field.select();
    say('Copy this link' + without + ':');
  }
});
field.addEventListener('blur', close);
field.addEventListener('keydown', (event) => {
  if (event.key !== 'Escape') return;
  close();
  element.querySelector('[data-copy]').focus();
});

document.addEventListener('click', (event) => {
  const button = event.target.closest('#ch-link-notice [data-dismiss]');
  if (button) button.closest('.ch-link-notice').remove();
});
