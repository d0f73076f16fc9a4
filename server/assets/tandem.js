// Keeps a page up to date: the coordinator sends pieces that it has drawn, and each takes the place of the one with its id.
"use strict";
(() => {
  const where = document.body.dataset.live;
  const stale = document.getElementById("stale");
  let source = null;
  let seen = null;
  let wait = 2000;
  let timer = 0;

  // What somebody is about to do in a piece goes before what is new in it.
  const isTyping = (piece) => {
    const at = document.activeElement;
    return piece.contains(at) && at.matches("input, select, textarea");
  };

  // The same place in what comes instead: by id, else by where a link or a form leads.
  const twin = (at, piece) => {
    if (at.id) return document.getElementById(at.id);
    const form = at.closest("form");
    const same = (other) =>
      at.localName === other.localName &&
      at.getAttribute("href") === other.getAttribute("href") &&
      (form ? form.action : "") === (other.form ? other.form.action : "");
    return [...piece.querySelectorAll(at.localName)].find(same);
  };

  const take = (html) => {
    const parsed = document.createElement("template");
    parsed.innerHTML = html.trim();
    const piece = parsed.content.firstElementChild;
    const old = piece && document.getElementById(piece.id);
    if (!old || isTyping(old) || old.outerHTML === piece.outerHTML) return;
    const at = old.contains(document.activeElement) ? document.activeElement : null;
    const marked = document.getSelection();
    // Nobody can copy what is replaced meanwhile.
    if (marked && !marked.isCollapsed && old.contains(marked.anchorNode)) return;
    for (const open of old.querySelectorAll("details[open][id]")) {
      const again = piece.querySelector("#" + CSS.escape(open.id));
      if (again) again.open = true;
    }
    const scrolled = [...old.querySelectorAll(".log, .scroll")].map((one) => [
      one.scrollTop, one.scrollLeft, one.scrollTop + one.clientHeight >= one.scrollHeight - 4,
    ]);
    old.replaceWith(piece);
    [...piece.querySelectorAll(".log, .scroll")].forEach((one, index) => {
      const [top, left, isAtEnd] = scrolled[index] || [0, 0, true];
      one.scrollTop = isAtEnd ? one.scrollHeight : top;
      one.scrollLeft = left;
    });
    const next = at && twin(at, piece);
    if (next) next.focus({ preventScroll: true });
  };

  const close = () => {
    clearTimeout(timer);
    if (source) source.close();
    source = null;
  };

  // A session that has ended leads to the way in; anything else is tried again.
  const again = async () => {
    close();
    stale.hidden = false;
    timer = setTimeout(open, wait);
    wait = Math.min(2 * wait, 30000);
    const page = await fetch(location.href, { redirect: "manual" }).catch(() => null);
    if (page && (page.type === "opaqueredirect" || page.status === 401)) location.reload();
  };

  const open = () => {
    if (source || !where || document.hidden) return;
    source = new EventSource(seen ? where.replace(/seen=\w*/, "seen=" + seen) : where);
    source.addEventListener("open", () => {
      stale.hidden = true;
      wait = 2000;
    });
    source.addEventListener("piece", (event) => {
      take(event.data);
      seen = event.lastEventId || seen;
    });
    source.addEventListener("error", () => {
      stale.hidden = false;
      if (source && source.readyState === EventSource.CLOSED) again();
    });
  };

  for (const log of document.querySelectorAll(".log")) log.scrollTop = log.scrollHeight;
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  addEventListener("pagehide", close);
  // What the form does may end this session.
  addEventListener("submit", close);
  addEventListener("pageshow", open);
})();
