// Runs before the page's own scripts, and in browsers that cannot read those: says so in a sentence.
window.addEventListener("error", function (event) {
  var caption = document.getElementById("caption");
  var figure = document.getElementById("figure");
  if (!caption || figure.getAttribute("aria-busy") !== "true") return;
  caption.textContent = "This page needs a newer browser (of 2021 or later)"
    + (event.message ? ": here " + event.message : "") + ".";
});
