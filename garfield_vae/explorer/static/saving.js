// What leaves the page and comes back: pictures, animations, links, files.

import { download } from "./favourites.js";

export async function savePng(page, scale) {
  const picture = await page.try(page.backend.png(page.state, scale));
  if (picture) download(picture, `strip${scale === 1 ? "" : "-2x"}.png`);
}

export async function saveGif(page, a, b) {
  page.walk.stop();
  page.walk.paints(true);
  const say = (share) => {
    page.notice.say(`Painting the animation, ${Math.round(100 * share)} % …`, "gif");
  };
  say(0);
  const animation = await page.try(page.backend.gif(a, b, say));
  page.walk.paints(false);
  page.notice.clear("gif");
  if (!animation) return;
  download(animation, "between.gif");
  page.notice.say("The animation is saved.");
}

// The link holds the strip's numbers, so that it opens where there are no strips, too.
export async function copyLink(page) {
  page.commit();
  const portable = await page.try(page.backend.portable(page.state));
  if (!portable) return;
  const link = new URL(location.href);
  link.hash = page.hash(portable);
  try {
    await navigator.clipboard.writeText(link.href);
    page.notice.say("The link is copied.");
  } catch {
    page.address("replaceState", link.hash);
    page.complain("Copying is not allowed here: the link is in the address bar.");
  }
}

export async function loadJson(page, file) {
  try {
    page.jump(await page.favourites.load(file));
  } catch (error) {
    page.complain(`${file.name} cannot be loaded: ${error.message}.`);
  }
}
