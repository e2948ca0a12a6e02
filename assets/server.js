/* Asks the server how it stands and says in words what is down; a page that is out of date opens itself again. */
const line = element.querySelector('[role=status]');
const AWAY = 'The server does not answer. This page goes on by itself when it is back.';
const STARTING = 'The server is starting. This page goes on by itself when it is ready.';
let page = null; /* what the server called this page when it was loaded */
let silent = 0;
let wasDown = false;
let waiting = 0;

const say = (words) => {
  if (line.textContent !== words) line.textContent = words;
};

/* Answers that failed meanwhile stand on the page as notices; opened again, it asks once more. So do pictures, for which
   an empty frame with a stroke is shown. */
const hasFailed = () => Boolean(document.querySelector('.ch-notice, .ch-no-picture'));
const NO_PICTURE = `data:image/svg+xml,${encodeURIComponent('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24">'
  + '<path d="M9 15l6-6" stroke="#8a8780" stroke-linecap="round"/></svg>')}`;
const replace = (image) => {
  if (image.tagName !== 'IMG' || image.classList.contains('ch-no-picture')) return;
  image.classList.add('ch-no-picture');
  image.src = NO_PICTURE;
};
document.addEventListener('error', (event) => replace(event.target), true);
[...document.images].filter((image) => image.complete && image.src && !image.naturalWidth).forEach(replace);

const follow = (now) => {
  if (now.status !== 'ok' && now.status !== 'degraded') return say(STARTING);
  page = page || now.page;
  if (now.page !== page) return location.reload();
  const isDown = now.troubles.length > 0;
  if (wasDown && !isDown && hasFailed()) return location.reload();
  wasDown = isDown;
  return say(now.troubles.join(' '));
};

const ask = async () => {
  clearTimeout(waiting);
  try {
    const address = new URL('health', document.baseURI);
    const answer = await fetch(address, { cache: 'no-store', signal: AbortSignal.timeout(8000) });
    const now = await answer.json();
    silent = 0;
    follow(now);
  } catch (error) {
    silent += 1;
    if (silent > 1) { wasDown = true; say(AWAY); } /* once may be a hiccup */
  }
  waiting = setTimeout(ask, document.hidden ? 60000 : line.textContent || silent ? 3000 : 10000);
};
document.addEventListener('visibilitychange', () => { if (!document.hidden) ask(); });
ask();
